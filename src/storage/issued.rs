//! The expiry of the longest-lived token issued so far, in the space `authkv_sequence`. Revocations are kept until then,
//! whatever the settings and the clock were when the tokens were issued.

use super::{array, broken, get, Depth, Reserve};
use crate::tx::{sees_undurable, Space, Tx, TxCell};
use authkv_base::error::Error;
use authkv_base::steady::kept_until;
use authkv_codec::msgpack::Reader;
use authkv_config::Config;
use std::cell::Cell;
use std::sync::Arc;

/// The primary key of the tuple.
const NAME: &str = "tokens_until";
/// The stored time is later than needed, so that not every token costs a write: by this part of the lifetime of a token, and by
/// at most this many seconds.
const AHEAD_PART: u64 = 4;
const AHEAD_MAX: u64 = 300;

pub struct Issued {
    space: Space,
    /// The time in the space that this instance has committed.
    durable: TxCell<Cell<u64>>,
    config: Arc<Config>,
    reserve: Arc<Reserve>,
}

impl Issued {
    pub fn new(tx: &Tx, space: Space, config: Arc<Config>, reserve: Arc<Reserve>) -> Self {
        Self {
            config,
            space,
            reserve,
            durable: TxCell::new(tx, Cell::new(0)),
        }
    }

    /// A time in seconds since 1970-01-01 UTC by which all tokens issued so far expire; 0 if there are none. Does not yield.
    pub fn until(&self, tx: &Tx) -> Result<u64, Error> {
        let second = |tuple: &[u8]| {
            let mut reader = Reader::new(tuple);
            reader.array_len()?;
            reader.value()?;
            reader.uint()?.ok_or_else(|| broken("authkv_sequence"))
        };
        Ok(get(tx, self.space, NAME, second)?.unwrap_or(0))
    }

    /// Stores that a token expires at `exp`. Call it before the token is given to the client. Errors: `ReadOnly` on a read-only
    /// instance, and `NotDurable`, unless a time that is late enough was stored before. Yields if there is something to store,
    /// which is seldom.
    pub fn cover(&self, tx: &Tx, exp: u64) -> Result<(), Error> {
        let exp = kept_until(exp);
        let durable = self.durable.get(tx);
        if exp <= durable.get() {
            return Ok(());
        }
        let ttl = self.config.live().token_ttl.as_secs();
        let ahead = (ttl / AHEAD_PART).clamp(1, AHEAD_MAX);
        let written = self.reserve.transaction(tx, Depth::Last, || {
            let until = self.until(tx)?.max(exp + ahead);
            self.space.replace(tx, &array(&(NAME, until)))?;
            Ok(until)
        });
        match written {
            Ok(until) => durable.set(durable.get().max(until)),
            Err(Error::ReadOnly { .. }) if exp <= self.until(tx)? => {}
            Err(Error::NotDurable) if !sees_undurable(tx) && exp <= self.until(tx)? => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
