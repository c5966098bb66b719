//! When the last token that was ever issued expires, in the space `authkv_sequence`. What ends tokens is kept until then,
//! whatever the settings and the clock were when they were issued.

use super::{array, broken, find, Depth, Reserve};
use crate::tx::{tuple_bytes, Space, Tx, TxCell};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use std::cell::Cell;
use std::sync::Arc;

/// The name of the tuple.
const NAME: &str = "tokens_until";
/// By how much later a time is written down than it is, so that not every token costs a write: a part of the time that a token
/// lives, at most so many seconds.
const AHEAD_PART: u64 = 4;
const AHEAD_MAX: u64 = 300;

pub struct Issued {
    space: Space,
    /// What the space says for certain: it was committed from here.
    durable: TxCell<Cell<u64>>,
    ahead: u64,
    reserve: Arc<Reserve>,
}

impl Issued {
    /// `ttl`: seconds that a token lives.
    pub fn new(tx: &Tx, space: Space, ttl: u64, reserve: Arc<Reserve>) -> Self {
        Self {
            ahead: (ttl / AHEAD_PART).clamp(1, AHEAD_MAX),
            space,
            reserve,
            durable: TxCell::new(tx, Cell::new(0)),
        }
    }

    /// A time, in seconds since 1970-01-01 UTC, after which no token expires that was handed out so far; 0 if there was
    /// none. Does not yield.
    pub fn until(&self, tx: &Tx) -> Result<u64, Error> {
        let Some(tuple) = find(tx, self.space, NAME)? else {
            return Ok(0);
        };
        let mut reader = Reader::new(tuple_bytes(&tuple));
        reader.array_len()?;
        reader.value()?;
        reader.uint()?.ok_or_else(|| broken("authkv_sequence"))
    }

    /// Writes down that a token expires at `exp`, before it is handed out. Errors: `ReadOnly` on a read-only instance, unless
    /// the leader has written as late a time. Yields if there is something to write, which is seldom.
    pub fn cover(&self, tx: &Tx, exp: u64) -> Result<(), Error> {
        let durable = self.durable.get(tx);
        if exp <= durable.get() {
            return Ok(());
        }
        let written = self.reserve.transaction(tx, Depth::Last, || {
            let until = self.until(tx)?.max(exp + self.ahead);
            self.space.replace(tx, &array(&(NAME, until)))?;
            Ok(until)
        });
        match written {
            Ok(until) => durable.set(durable.get().max(until)),
            Err(Error::ReadOnly) if exp <= self.until(tx)? => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
