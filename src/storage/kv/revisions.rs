//! The sequence that numbers every change of a pair, and which of its numbers are durable. Runs on the tx thread.

use super::stored::OLD;
use crate::tx::{tuple_bytes, Space, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::{write_uint, Reader};
use std::cell::Cell;

/// The primary key of the sequence's tuple. The tuple also has the last number in a committed transaction.
const NAME: &[u8] = b"\x91\xa2kv";

pub struct Revisions {
    space: Space,
    /// The last number used, including numbers of failed commits, because others may have seen them.
    given: Cell<u64>,
    /// The number in the space after all commits of this instance have ended, if nobody else writes it. Transactions see it
    /// earlier; reads outside a transaction do so only without MVCC.
    kept: Cell<u64>,
}

/// The numbers for the changes of one transaction.
#[derive(Debug, Clone)]
pub struct Numbers {
    /// The last number before this transaction.
    before: u64,
    last: u64,
}

impl Revisions {
    pub fn new(space: Space) -> Self {
        Self {
            space,
            given: Cell::new(0),
            kept: Cell::new(0),
        }
    }

    /// The last number in the space. Does not yield.
    pub fn last(&self, tx: &Tx) -> Result<u64, Error> {
        let Some(tuple) = self.space.index(0).get(tx, NAME)? else {
            return Ok(OLD);
        };
        let mut reader = Reader::new(tuple_bytes(&tuple));
        reader.array_len()?;
        reader.value()?;
        let last = reader.uint()?;
        last.ok_or_else(|| super::super::broken("authkv_sequence"))
    }

    /// The last number in the space, if others have changed it; otherwise `None`. `is_open`: commits of this instance have not
    /// ended, so their numbers may be undone already or not visible yet. Does not yield.
    pub fn learn(&self, tx: &Tx, is_open: bool) -> Result<Option<u64>, Error> {
        let last = self.last(tx)?;
        let kept = self.kept.get();
        if last == kept || is_open && last < kept {
            return Ok(None);
        }
        self.kept.set(last);
        self.given.set(self.given.get().max(last));
        Ok(Some(last))
    }

    /// Takes the numbers of a transaction of another instance. Returns whether the last one here was `before`, or `None` if they
    /// are known already.
    pub fn take(&self, before: u64, last: u64) -> Option<bool> {
        let kept = self.kept.get();
        if last <= kept {
            return None;
        }
        self.kept.set(last);
        self.given.set(self.given.get().max(last));
        Some(kept == before)
    }

    /// Notes that a commit has failed. `open` is the last number of the commits that have not ended. Does not yield.
    pub fn undone(&self, tx: &Tx, open: Option<u64>) -> Result<(), Error> {
        let kept = open.map_or_else(|| self.last(tx), Ok)?;
        self.kept.set(kept);
        Ok(())
    }

    /// The numbers of a transaction that skips all numbers up to `last`; `None` if that number was given already.
    pub fn skip_to(&self, last: u64) -> Option<Numbers> {
        let before = self.given.get();
        (last > before).then_some(Numbers { before, last })
    }

    /// Begins the numbers of a transaction, after the last number used.
    pub fn begin(&self) -> Numbers {
        let last = self.given.get();
        Numbers { before: last, last }
    }

    /// Stores the last number of a transaction, inside that transaction. So it does not yield.
    pub fn keep(&self, tx: &Tx, numbers: &Numbers) -> Result<(), Error> {
        let mut tuple = Vec::with_capacity(13);
        tuple.extend_from_slice(b"\x92\xa2kv");
        write_uint(&mut tuple, numbers.last);
        self.space.replace(tx, &tuple)?;
        self.given.set(self.given.get().max(numbers.last));
        self.kept.set(numbers.last);
        Ok(())
    }
}

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Whether the transaction has used any number.
    pub fn any(&self) -> bool {
        self.last > self.before
    }

    pub fn last(&self) -> u64 {
        self.last
    }
}
