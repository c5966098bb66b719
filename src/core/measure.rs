//! The answer to a scrape: what all parts of the instance count and measure. Runs on the tx thread.

use super::metrics::operations;
use super::Core;
use crate::tx::measure::{metrics, metrics_of_tarantool};
use crate::tx::{is_read_only, transactions, Tx};
use authkv_command::Outcome;
use authkv_metrics::{list, Family, Metrics};

/// What parts count that `core` does not know. Any thread.
pub type Sources = Box<dyn Fn() -> Vec<Family> + Send + Sync>;

impl Core {
    /// What is known without the tx thread. Any thread.
    pub fn measured_anywhere(&self) -> Vec<Family> {
        let mut families = self
            .sources
            .get()
            .map(|sources| sources())
            .unwrap_or_default();
        families.extend(operations());
        families.extend(self.forward.metrics());
        families.extend(self.auth.metrics_of_threads());
        families
    }
}

/// All metrics, in the order of their list. With `of_tarantool`, also those of Tarantool's module `metrics`, if it is there,
/// whose callbacks may yield.
pub fn measure(tx: &Tx, core: &Core, of_tarantool: bool) -> Outcome {
    let mut families = vec![
        list::TX_UP.single(true),
        list::READ_ONLY.single(is_read_only(tx)),
    ];
    families.extend(core.auth.metrics(tx));
    families.extend(core.kv.metrics(tx));
    families.extend(transactions(tx));
    families.extend(metrics(tx));
    families.extend(core.measured_anywhere());
    let mut families = list::arrange(families);
    if of_tarantool {
        families.extend(metrics_of_tarantool(tx));
    }
    Outcome::Metrics(Metrics { metrics: families })
}
