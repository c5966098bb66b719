//! The space `key_value_store`: key, value.

use crate::codec::msgpack::{Head, Reader};
use crate::config::Config;
use crate::domain::{key_text, Readable, Writable};
use crate::error::Error;
use crate::tx::{settle, transaction, tuple_bytes, Failure, Space, Tx};

/// The pairs.
pub struct KeyValues {
    space: Space,
    max_tuple_size: usize,
    reply_max: usize,
}

/// What a write did.
#[derive(Debug)]
pub struct Written {
    pub written: usize,
    /// Keys that existed already, in the order of the request.
    pub existing: Vec<String>,
}

impl KeyValues {
    pub fn new(space: Space, config: &Config) -> Self {
        Self {
            space,
            max_tuple_size: config.memtx_max_tuple_size as usize,
            reply_max: config.reply_max,
        }
    }

    /// `{data: pairs}` in msgpack, the pairs in the order of the keys. Errors: `MissingKeys`, `ReplyTooLarge`.
    /// Does not yield; the result is the one allocation, grown as the values come.
    pub fn get(&self, tx: &Tx, keys: &Readable<'_>) -> Result<Vec<u8>, Error> {
        let keys = keys.keys();
        let index = self.space.index(0);
        let mut found = Vec::with_capacity(16 + 3 * keys.size());
        found.extend_from_slice(b"\x81\xa4data");
        // Writing to a vector does not fail.
        let _ = rmp::encode::write_map_len(&mut found, keys.len() as u32);
        let mut missing = Vec::new();
        for key in keys.iter() {
            match index.get(tx, key)? {
                Some(tuple) if missing.is_empty() => {
                    // The key without the array around it, then the value.
                    found.extend_from_slice(&key[1..]);
                    found.extend_from_slice(value_of(tuple_bytes(&tuple))?);
                    if found.len() > self.reply_max {
                        let limit = self.reply_max;
                        return Err(Error::ReplyTooLarge { limit });
                    }
                }
                Some(_) => {}
                None => missing.push(key_text(&key[1..])),
            }
        }
        match missing.is_empty() {
            true => Ok(found),
            false => Err(Error::MissingKeys(missing)),
        }
    }

    /// Inserts the pairs whose keys do not exist, in one transaction. Errors: `ValueTooLarge`, `StorageFull`,
    /// `ReadOnly`, `NotDurable`; nothing is written then. Yields while it commits.
    pub fn insert(&self, tx: &Tx, pairs: &Writable<'_>) -> Result<Written, Error> {
        let pairs = pairs.pairs();
        let index = self.space.index(0);
        let mut key = Vec::new();
        let done = transaction(tx, || {
            let mut done = Written {
                written: 0,
                existing: Vec::new(),
            };
            for pair in pairs.iter() {
                key.clear();
                key.push(0x91);
                key.extend_from_slice(pair.key);
                if index.get(tx, &key)?.is_some() {
                    done.existing.push(key_text(pair.key));
                    continue;
                }
                self.space
                    .insert(tx, pair.tuple)
                    .map_err(|failure| match failure {
                        Failure::TupleTooLarge => Error::ValueTooLarge {
                            key: key_text(pair.key),
                            limit: self.max_tuple_size,
                        },
                        other => other.into(),
                    })?;
                done.written += 1;
            }
            Ok(done)
        })?;
        // A commit of our own comes after those of the keys that exist; without one, wait for them.
        if done.written == 0 {
            settle(tx)?;
        }
        Ok(done)
    }
}

/// The second field of a tuple; null where it has but one.
fn value_of(tuple: &[u8]) -> Result<&[u8], Error> {
    let mut reader = Reader::new(tuple);
    match reader.head()? {
        Head::Array(0 | 1) => Ok(&[0xc0]),
        _ => {
            reader.value()?;
            reader.value()
        }
    }
}
