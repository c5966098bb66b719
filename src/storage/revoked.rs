//! The space `revoked_token`: the id of a token or a session, when its tokens have expired, and the number of the change.

use super::mirror::Mirror;
use super::{array, find};
use crate::error::Error;
use crate::tx::{Space, Tx};

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

    /// Revokes a token or a session, in a transaction of the caller's; one that was revoked before stays so. Returns
    /// whether it was new.
    pub fn put(&self, tx: &Tx, mirror: &Mirror, id: &str, expires_at: u64) -> Result<bool, Error> {
        if self.contains(tx, id)? {
            return Ok(false);
        }
        let number = mirror.next(tx)?;
        self.space.insert(tx, &array(&(id, expires_at, number)))?;
        Ok(true)
    }
}
