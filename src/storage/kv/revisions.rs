//! The one sequence that numbers every change of a pair, and which of its numbers are durable. Runs on the tx thread.

use super::stored::OLD;
use crate::tx::{tuple_bytes, Space, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::{write_uint, Reader};
use std::cell::Cell;

/// The tuple of the sequence: its name, and the last number in a transaction that was committed.
const NAME: &[u8] = b"\x91\xa2kv";

pub struct Revisions {
    space: Space,
    /// The last number given, also to a change whose commit failed: others may have seen it.
    given: Cell<u64>,
    /// What the space says once all commits from here have ended, if nobody else has written to it. A transaction sees that
    /// before, a read outside of one only without MVCC.
    kept: Cell<u64>,
}

/// Numbers for the changes of one transaction.
#[derive(Debug, Clone)]
pub struct Numbers {
    /// The last one before it.
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

    /// The last number in the space, where it is another than is known here: others have given numbers. `is_open`: commits
    /// from here have not ended, and may have been undone already, or not be seen yet. Does not yield.
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

    /// Notes that a commit has failed; `open` is the last number of those that have not ended. Does not yield.
    pub fn undone(&self, tx: &Tx, open: Option<u64>) -> Result<(), Error> {
        let kept = open.map_or_else(|| self.last(tx), Ok)?;
        self.kept.set(kept);
        Ok(())
    }

    /// Begins to give numbers, which go on after the last one.
    pub fn begin(&self) -> Numbers {
        let last = self.given.get();
        Numbers { before: last, last }
    }

    /// Writes down how far the numbers of a transaction went, inside of it. Does not yield there.
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

    /// Whether any was given.
    pub fn any(&self) -> bool {
        self.last > self.before
    }

    pub fn last(&self) -> u64 {
        self.last
    }
}
