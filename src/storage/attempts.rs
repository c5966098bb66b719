//! Counts of failed logins, by login or address: in the space `authkv_login_attempt`, or in memory as long as the space cannot
//! be written, for example because the disk or the store is full. The space is local to its instance, so it can be written on
//! a read-only instance too. Runs on the tx thread.

use super::{array, decode};
use crate::tx::{log, transaction, Space, Tx, TxCell};
use authkv_base::error::Error;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;

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
    space: Space,
    /// Counts that could not be written. They replace those in the space.
    unwritten: TxCell<RefCell<HashMap<String, Count>>>,
}

const BY_EXPIRY: u32 = 1;
/// The most counts in memory. Beyond it, the lowest count is forgotten.
const UNWRITTEN: usize = 10_000;

impl Attempts {
    /// The number of counts and records in the space. Does not yield.
    pub fn len(&self, tx: &Tx) -> usize {
        self.space.index(0).len(tx)
    }

    pub fn new(tx: &Tx, space: Space) -> Self {
        Self {
            space,
            unwritten: TxCell::new(tx, RefCell::default()),
        }
    }

    /// Takes what another instance of this process could not write. Does not yield.
    pub fn take_over(&self, tx: &Tx, other: &Self) {
        let left = other.unwritten.get(tx).take();
        self.unwritten.get(tx).borrow_mut().extend(left);
    }

    /// Writes a row that is forgotten at once, to see whether the log of writes can be written. Errors: `NotDurable`,
    /// `DataGone`. Yields.
    pub fn try_disk(&self, tx: &Tx) -> Result<(), Error> {
        // No login and no address is empty.
        let row = Count {
            key: String::new(),
            expires_at: 0,
            failures: 0,
            delayed_until: 0,
        };
        transaction(tx, || Ok(self.space.replace(tx, &array(&row))?))
    }

    /// Does not yield.
    pub fn get(&self, tx: &Tx, key: &str) -> Result<Option<Count>, Error> {
        if let Some(count) = self.unwritten.get(tx).borrow().get(key) {
            return Ok(Some(count.clone()));
        }
        super::get(tx, self.space, key, |tuple| {
            decode("authkv_login_attempt", tuple)
        })
    }

    /// Replaces the counts under these keys by the result of `change`: in the space if `may_write`, and in memory if the space
    /// cannot be written. Errors: only if the space cannot be read. Yields while it commits.
    pub fn change(
        &self,
        tx: &Tx,
        keys: &[String],
        may_write: impl Fn(Option<&Count>) -> bool,
        change: impl Fn(&str, Option<Count>) -> Count,
    ) -> Result<(), Error> {
        let written = transaction(tx, || {
            let mut counts = Vec::with_capacity(keys.len());
            for key in keys {
                let before = self.get(tx, key)?;
                if !may_write(before.as_ref()) {
                    return Err(Error::StorageFull);
                }
                let count = change(key, before);
                self.space.replace(tx, &array(&count))?;
                counts.push(count);
            }
            Ok(counts)
        });
        match written {
            Ok(counts) => self.drop_written(tx, &counts),
            Err(error) => {
                for key in keys {
                    let count = change(key, self.get(tx, key)?);
                    self.keep(tx, count, &error);
                }
            }
        }
        Ok(())
    }

    /// Deletes a count. If the space cannot be written, a count of 0 replaces it in memory until `expires_at`. Yields while it
    /// commits.
    pub fn clear(&self, tx: &Tx, key: &str, expires_at: u64) {
        let kept = self.unwritten.get(tx).borrow().get(key).cloned();
        match transaction(tx, || Ok(self.space.delete(tx, &array(&(key,)))?)) {
            Ok(()) => self.drop_written(tx, kept.as_slice()),
            Err(error) => {
                let cleared = Count {
                    key: key.to_owned(),
                    expires_at,
                    failures: 0,
                    delayed_until: 0,
                };
                self.keep(tx, cleared, &error);
            }
        }
    }

    /// Keeps a count in memory, because of `error`.
    fn keep(&self, tx: &Tx, count: Count, error: &Error) {
        let mut unwritten = self.unwritten.get(tx).borrow_mut();
        if unwritten.is_empty() {
            let name = error.row().name;
            log::warn(&format!(
                "failed logins cannot be written ({name}): they are counted in memory, and the end of the process forgets them"
            ));
        }
        if unwritten.len() >= UNWRITTEN && !unwritten.contains_key(&count.key) {
            let lowest = unwritten
                .values()
                .min_by_key(|count| (count.failures, count.expires_at));
            if let Some(key) = lowest.map(|count| count.key.clone()) {
                unwritten.remove(&key);
            }
        }
        unwritten.insert(count.key.clone(), count);
    }

    /// Removes counts from memory that are in the space now, unless they have changed meanwhile.
    fn drop_written(&self, tx: &Tx, counts: &[Count]) {
        let mut unwritten = self.unwritten.get(tx).borrow_mut();
        if unwritten.is_empty() {
            return;
        }
        for count in counts {
            let is_older = unwritten
                .get(&count.key)
                .is_some_and(|kept| kept == count || kept.failures < count.failures);
            if is_older {
                unwritten.remove(&count.key);
            }
        }
        if unwritten.is_empty() {
            log::info("failed logins are written again");
        }
    }

    /// Writes at most `limit` of the counts that could not be written. Yields while it commits.
    pub fn write_kept(&self, tx: &Tx, limit: usize) -> Result<(), Error> {
        let kept: Vec<Count> = {
            let unwritten = self.unwritten.get(tx).borrow();
            unwritten.values().take(limit).cloned().collect()
        };
        if kept.is_empty() {
            return Ok(());
        }
        transaction(tx, || {
            for count in &kept {
                self.space.replace(tx, &array(count))?;
            }
            Ok(())
        })?;
        self.drop_written(tx, &kept);
        Ok(())
    }

    /// Deletes at most `limit` counts that expired before `time`. Returns whether there may be more. Yields while it commits.
    pub fn forget(&self, tx: &Tx, time: u64, limit: usize) -> Result<bool, Error> {
        {
            let mut unwritten = self.unwritten.get(tx).borrow_mut();
            unwritten.retain(|_, count| count.expires_at >= time);
        }
        super::forget(tx, self.space, BY_EXPIRY, time, limit)
    }
}
