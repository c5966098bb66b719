//! The spaces that other instances follow, so that changes here take effect there: the common first fields of their tuples, and
//! the sequence that numbers every change.
//!
//! A tuple begins with its id, the time after which it may be deleted (or null), and the number of its last change. A follower
//! asks for the changes after a number. The tuple with the highest number is never deleted, so that no number is used twice.

use super::{array, scan, Depth, Generation, Reserve};
use crate::tx::{transaction_if, tuple_bytes, Failure, Range, Space, Tx, TxCell};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::cell::Cell;
use std::sync::Arc;

/// The spaces. An [`Entry`] names a space by its index here.
pub const SPACES: [&str; 5] = [
    "revoked_token",
    "authkv_subject",
    "authkv_role",
    "authkv_token_key",
    "authkv_api_key",
];
/// Whether old tuples of a space are deleted. Keys are not: they are few, and an expired key must not be mistaken for
/// a new one.
const FORGOTTEN: [bool; 5] = [true, true, true, false, true];

/// The ids of the indexes, in the order of `schema.lua`.
const BY_EXPIRY: u32 = 1;
const BY_NUMBER: u32 = 2;

/// One change, as followers get it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    pub number: u64,
    space: u8,
    /// The complete tuple in msgpack.
    tuple: ByteBuf,
}

/// The common first fields of a tuple.
struct Start {
    /// The primary key, in the form of a key.
    id: Vec<u8>,
    expires_at: Option<u64>,
    number: u64,
}

pub struct Mirror {
    spaces: [Space; 5],
    /// The last number used, including numbers of failed commits, because others may have seen them.
    given: TxCell<Cell<u64>>,
    generation: Arc<Generation>,
}

impl Mirror {
    pub fn new(tx: &Tx, spaces: [Space; 5], generation: Arc<Generation>) -> Self {
        Self {
            spaces,
            generation,
            given: TxCell::new(tx, Cell::new(0)),
        }
    }

    /// The number for the next change. Does not yield.
    pub fn next(&self, tx: &Tx) -> Result<u64, Error> {
        let given = self.given.get(tx);
        let number = self.last(tx)?.max(given.get()) + 1;
        given.set(number);
        Ok(number)
    }

    /// The highest number in the spaces, or the generation if that is higher. Does not yield.
    pub fn last(&self, tx: &Tx) -> Result<u64, Error> {
        let mut last = self.generation.read(tx)?;
        for space in self.spaces {
            if let Some(tuple) = space.index(BY_NUMBER).max(tx)? {
                last = last.max(start(tuple_bytes(&tuple))?.number);
            }
        }
        Ok(last)
    }

    /// At most `limit` changes with numbers above `after`, in order. Does not yield.
    pub fn after(&self, tx: &Tx, after: u64, limit: usize) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for (place, space) in self.spaces.into_iter().enumerate() {
            let (mut found, key) = (0, array(&(after,)));
            let entry = |tuple: &[u8]| {
                Ok(Entry {
                    number: start(tuple)?.number,
                    space: place as u8,
                    tuple: ByteBuf::from(tuple),
                })
            };
            scan(
                tx,
                space.index(BY_NUMBER),
                Range::After(&key),
                entry,
                |entry| {
                    entries.push(entry);
                    found += 1;
                    found < limit
                },
            )?;
        }
        entries.sort_unstable_by_key(|entry| entry.number);
        entries.truncate(limit);
        Ok(entries)
    }

    /// Applies changes of another instance, and what `more` writes, in one transaction. Yields while it commits.
    pub fn apply(
        &self,
        tx: &Tx,
        reserve: &Reserve,
        entries: &[Entry],
        more: impl Fn() -> Result<(), Error>,
    ) -> Result<(), Error> {
        reserve.transaction(tx, Depth::Last, || {
            more()?;
            for entry in entries {
                let space = self.spaces.get(usize::from(entry.space));
                let space = space.ok_or_else(|| {
                    Failure::other("the instance that is followed has a newer version")
                })?;
                space.replace(tx, &entry.tuple)?;
            }
            Ok(())
        })
    }

    /// Deletes at most `limit` tuples of each space. Returns whether there may be more. Yields while it commits.
    pub fn clear(&self, tx: &Tx, limit: usize) -> Result<bool, Error> {
        transaction_if(tx, || {
            let mut more = false;
            let mut any = false;
            for space in self.spaces {
                let mut ids = Vec::new();
                scan(tx, space.index(0), Range::All, start, |start| {
                    ids.push(start.id);
                    ids.len() < limit
                })?;
                for id in &ids {
                    space.delete(tx, id)?;
                }
                any |= !ids.is_empty();
                more |= ids.len() == limit;
            }
            Ok((more, any))
        })
    }

    /// Deletes at most `limit` tuples of each space whose time came before `time`. Returns whether there may be more. Yields
    /// while it commits.
    pub fn forget(&self, tx: &Tx, time: u64, limit: usize) -> Result<bool, Error> {
        let mut more = false;
        for (space, forgotten) in self.spaces.into_iter().zip(FORGOTTEN) {
            if forgotten {
                more |= self.forget_of(tx, space, time, limit)?;
            }
        }
        Ok(more)
    }

    fn forget_of(&self, tx: &Tx, space: Space, time: u64, limit: usize) -> Result<bool, Error> {
        transaction_if(tx, || {
            let last = self.last(tx)?;
            let mut ids = Vec::new();
            let (mut seen, from) = (0, array(&(0,)));
            let index = space.index(BY_EXPIRY);
            scan(tx, index, Range::After(&from), start, |start| {
                let expired = start.expires_at.is_some_and(|expires_at| expires_at < time);
                ids.extend((expired && start.number != last).then_some(start.id));
                seen += 1;
                expired && seen < limit
            })?;
            for id in &ids {
                space.delete(tx, id)?;
            }
            Ok((seen == limit, !ids.is_empty()))
        })
    }
}

/// Reads the common first fields of a tuple. The format of the spaces guarantees them.
fn start(tuple: &[u8]) -> Result<Start, Error> {
    let mut reader = Reader::new(tuple);
    reader.head()?;
    let (id, expires_at, number) = (reader.value()?, reader.value()?, reader.value()?);
    Ok(Start {
        id: [b"\x91", id].concat(),
        expires_at: rmp_serde::from_slice(expires_at).map_err(|_| Error::Internal)?,
        number: rmp_serde::from_slice(number).map_err(|_| Error::Internal)?,
    })
}
