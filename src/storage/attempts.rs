//! The space `authkv_login_attempt`: counts of failed logins, by login or address. It is local to its instance, so it can be
//! written on a read-only instance too.

use super::{array, decode};
use crate::tx::{transaction, Space, Tx};
use authkv_base::error::Error;
use serde::{Deserialize, Serialize};

/// A count of failed logins. Times are seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub key: String,
    pub expires_at: u64,
    pub failures: u64,
    /// Logins before this time are refused.
    pub delayed_until: u64,
}

pub struct Attempts {
    pub(super) space: Space,
}

const BY_EXPIRY: u32 = 1;

impl Attempts {
    /// Does not yield.
    pub fn get(&self, tx: &Tx, key: &str) -> Result<Option<Count>, Error> {
        super::get(tx, self.space, key, |tuple| {
            decode("authkv_login_attempt", tuple)
        })
    }

    /// Replaces the counts under these keys by the result of `change`, in one transaction. Errors: also those of `change`.
    /// Yields while it commits.
    pub fn change(
        &self,
        tx: &Tx,
        keys: &[String],
        change: impl Fn(&str, Option<Count>) -> Result<Count, Error>,
    ) -> Result<(), Error> {
        transaction(tx, || {
            for key in keys {
                let count = change(key, self.get(tx, key)?)?;
                self.space.replace(tx, &array(&count))?;
            }
            Ok(())
        })
    }

    /// Deletes a count. Yields while it commits.
    pub fn delete(&self, tx: &Tx, key: &str) -> Result<(), Error> {
        transaction(tx, || Ok(self.space.delete(tx, &array(&(key,)))?))
    }

    /// Deletes at most `limit` counts that expired before `time`. Returns whether there may be more. Yields while it commits.
    pub fn forget(&self, tx: &Tx, time: u64, limit: usize) -> Result<bool, Error> {
        super::forget(tx, self.space, BY_EXPIRY, time, limit)
    }
}
