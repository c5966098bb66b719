//! The space `revoked_token`: the id of a token or a session, the expiry of its tokens, and the number of the change.

use super::mirror::Mirror;
use super::{array, find};
use crate::tx::{tuple_bytes, Space, Tx};
use authkv_base::error::Error;

/// The revoked tokens.
pub struct Revoked {
    space: Space,
}

impl Revoked {
    pub fn new(space: Space) -> Self {
        Self { space }
    }

    /// Whether a token or its session was revoked. Does not yield.
    pub fn contains(&self, tx: &Tx, id: &str) -> Result<bool, Error> {
        Ok(find(tx, self.space, id)?.is_some())
    }

    /// Revokes a token or a session until `expires_at`. If it was revoked before, the later time counts. Returns whether it is
    /// new. The caller has opened a transaction.
    pub fn put(&self, tx: &Tx, mirror: &Mirror, id: &str, expires_at: u64) -> Result<bool, Error> {
        let before = find(tx, self.space, id)?;
        let is_new = before.is_none();
        if let Some(tuple) = before {
            let (_, until, _): (&str, u64, u64) =
                super::decode("revoked_token", tuple_bytes(&tuple))?;
            if expires_at <= until {
                return Ok(false);
            }
        }
        let number = mirror.next(tx)?;
        self.space.replace(tx, &array(&(id, expires_at, number)))?;
        Ok(is_new)
    }
}
