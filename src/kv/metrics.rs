//! What is measured of the store. Runs on the tx thread.

use super::Kv;
use crate::tx::Tx;
use authkv_base::steady;
use authkv_metrics::{list, Family};

impl Kv {
    /// How many pairs there are, and for how long the oldest has expired. Empty without the store. Does not yield.
    pub fn metrics(&self, tx: &Tx) -> Vec<Family> {
        let Some(store) = &self.storage.key_values else {
            return Vec::new();
        };
        let first = store.first_expiry(tx).ok().flatten();
        let overdue = first.map_or(0, |first| steady::milliseconds().saturating_sub(first));
        vec![
            list::PAIRS.single(store.len(tx)),
            list::PAIRS_EXPIRING.single(store.expiring(tx)),
            list::REVISIONS_REPEATED.single(self.repeated(tx)),
            list::EXPIRY_BACKLOG.single(overdue as f64 / 1000.0),
        ]
    }
}
