//! The space `revoked_token`: the id of a token or a session, the expiry of its tokens, and the number of the change.

use super::mirror::Mirror;
use super::{array, find};
use crate::tx::{Space, Tx};
use authkv_base::error::Error;
use authkv_base::steady::kept_until;

/// The revoked tokens.
pub struct Revoked {
    pub(super) space: Space,
}

impl Revoked {
    /// The number of revocations. Does not yield.
    pub fn len(&self, tx: &Tx) -> usize {
        self.space.index(0).len(tx)
    }

    /// Whether a token or its session was revoked. Does not yield.
    pub fn contains(&self, tx: &Tx, id: &str) -> Result<bool, Error> {
        Ok(find(tx, self.space, id)?.is_some())
    }

    /// Revokes a token or a session until `expires_at` by the wall clock. If it was revoked before, the later time counts. Returns whether it is
    /// new. The caller has opened a transaction.
    pub fn put(&self, tx: &Tx, mirror: &Mirror, id: &str, expires_at: u64) -> Result<bool, Error> {
        let expires_at = kept_until(expires_at);
        let until = |tuple: &[u8]| {
            let (_, until, _): (&str, u64, u64) = super::decode("revoked_token", tuple)?;
            Ok(until)
        };
        let before = super::get(tx, self.space, id, until)?;
        if before.is_some_and(|until| expires_at <= until) {
            return Ok(false);
        }
        let number = mirror.next(tx)?;
        self.space.replace(tx, &array(&(id, expires_at, number)))?;
        Ok(before.is_none())
    }
}
