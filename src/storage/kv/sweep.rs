//! Removes expired pairs.

use super::write::Writing;
use super::{KeyValues, Stored};
use crate::tx::{is_read_only, tuple_bytes, Range, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::{Head, Reader};
use authkv_domain::{Change, Expiry};

/// The time at which a pair expires.
struct Time {
    ms: u64,
    /// Its tuple in the space of times.
    entry: Vec<u8>,
    /// The key, as a one-element array.
    key: Vec<u8>,
}

impl KeyValues {
    /// The earliest time at which a pair expires or has expired, in milliseconds. Does not yield.
    pub fn first_expiry(&self, tx: &Tx) -> Result<Option<u64>, Error> {
        let mut first = None;
        let index = self.expiry.index(0);
        index.scan(tx, Range::All, |entry| {
            first = Some(time_of(entry));
            false
        })?;
        first.transpose()
    }

    /// Removes at most `limit` pairs that had expired at `passed`, in milliseconds. If there may be more, returns by how many
    /// milliseconds the last removed pair was overdue. A read-only instance removes nothing. Errors: as [`Self::apply`]. Yields while it commits.
    pub fn sweep(&self, tx: &Tx, passed: u64, limit: usize) -> Result<Option<u64>, Error> {
        // Tarantool logs each refused write.
        if is_read_only(tx) {
            return Ok(None);
        }
        self.write(tx, true, |writing| {
            let times = writing.expired(passed, limit)?;
            for time in &times {
                writing.expire(time)?;
            }
            let last = times.last().filter(|_| times.len() == limit);
            Ok((last.map(|last| passed - last.ms), true))
        })
    }
}

/// The time at the beginning of a tuple of the space of times.
fn time_of(entry: &[u8]) -> Result<u64, Error> {
    let mut reader = Reader::new(entry);
    reader.head()?;
    match reader.head()? {
        Head::Uint(ms) => Ok(ms),
        _ => Err(Error::Internal),
    }
}

impl Writing<'_> {
    /// The first times up to `passed`, at most `limit`.
    fn expired(&self, passed: u64, limit: usize) -> Result<Vec<Time>, Error> {
        let mut times = Vec::new();
        let mut failed = None;
        let read = |entry: &[u8]| -> Result<Time, Error> {
            let mut reader = Reader::new(entry);
            let (_, head, key) = (reader.head()?, reader.head()?, reader.value()?);
            let Head::Uint(ms) = head else {
                return Err(Error::Internal);
            };
            Ok(Time {
                ms,
                entry: entry.to_vec(),
                key: [b"\x91", key].concat(),
            })
        };
        let scanned = self
            .store
            .expiry
            .index(0)
            .scan(self.tx, Range::All, |entry| match read(entry) {
                Ok(time) if time.ms > passed || times.len() == limit => false,
                Ok(time) => {
                    times.push(time);
                    true
                }
                Err(error) => {
                    failed = Some(error);
                    false
                }
            });
        scanned?;
        failed.map_or(Ok(times), Err)
    }

    /// Removes a pair whose time has passed, unless the pair has a new time.
    fn expire(&mut self, time: &Time) -> Result<(), Error> {
        let Time { ms, entry, key } = time;
        let tuple = self.store.space.index(0).get(self.tx, key)?;
        let found = tuple.as_ref().map(|tuple| Stored::read(tuple_bytes(tuple)));
        match found.transpose()? {
            Some(found) if found.expiry == Some(Expiry::from_ms(*ms)) => {
                self.store.space.delete(self.tx, key)?;
                self.count(key, Some(&found), None);
                let revision = self.numbers.next();
                self.tell(revision, Change::Expire, key.as_slice());
            }
            // Others have written to the space directly.
            _ => {}
        }
        self.changed = true;
        Ok(self.store.expiry.delete(self.tx, entry)?)
    }
}
