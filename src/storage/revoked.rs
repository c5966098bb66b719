//! The space `revoked_token`: jti, when the token expires, and a number that grows with each revocation.
//!
//! The number lets a key-value instance ask for what is new since it connected. The entry with the highest
//! number outlives its token, so that no number is given twice while that instance is connected.

use super::array;
use crate::error::Error;
use crate::tx::{settle, transaction, tuple_bytes, Failure, Space, Tx, TxCell};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use tarantool::tuple::Tuple;

/// One revoked token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    pub jti: String,
    /// Seconds since 1970-01-01 UTC.
    pub expires_at: u64,
    pub number: u64,
}

/// The revoked tokens.
pub struct Revoked {
    space: Space,
    /// The last number given, also to an entry whose commit failed: a follower may have seen it.
    given: TxCell<Cell<u64>>,
}

/// Ids of the indexes, in the order `schema.lua` makes them.
const BY_EXPIRY: u32 = 1;
const BY_NUMBER: u32 = 2;

impl Revoked {
    pub fn new(tx: &Tx, space: Space) -> Self {
        Self {
            space,
            given: TxCell::new(tx, Cell::new(0)),
        }
    }

    /// Whether a token was revoked. Does not yield.
    pub fn contains(&self, tx: &Tx, jti: &str) -> Result<bool, Error> {
        Ok(self.space.index(0).get(tx, &array(&(jti,)))?.is_some())
    }

    /// Revokes a token; a token that was revoked before stays so. Yields while it commits.
    pub fn insert(&self, tx: &Tx, jti: &str, expires_at: u64) -> Result<(), Error> {
        let inserted = transaction(tx, || {
            if self.contains(tx, jti)? {
                return Ok(false);
            }
            let given = self.given.get(tx);
            let number = self.last(tx)?.max(given.get()) + 1;
            given.set(number);
            self.space.insert(tx, &array(&(jti, expires_at, number)))?;
            Ok(true)
        })?;
        match inserted {
            true => Ok(()),
            false => settle(tx),
        }
    }

    /// Takes over revocations of another instance. Yields while it commits.
    pub fn apply(&self, tx: &Tx, revocations: &[Revocation]) -> Result<(), Error> {
        if revocations.is_empty() {
            return Ok(());
        }
        transaction(tx, || {
            for revocation in revocations {
                self.space.replace(tx, &array(revocation))?;
            }
            Ok(())
        })
    }

    /// The highest number given so far, or 0. Does not yield.
    pub fn last(&self, tx: &Tx) -> Result<u64, Error> {
        let last = self.space.index(BY_NUMBER).max(tx)?;
        last.map_or(Ok(0), |tuple| Ok(decode(&tuple)?.number))
    }

    /// At most `limit` revocations with numbers above `after`, in order. Does not yield.
    pub fn after(&self, tx: &Tx, after: u64, limit: usize) -> Result<Vec<Revocation>, Error> {
        self.collect(
            tx,
            BY_NUMBER,
            Some(&array(&(after,))),
            |found, revocation| {
                found.push(revocation);
                found.len() < limit
            },
        )
    }

    /// Drops at most `limit` entries of tokens that expired before `time`. Returns how many. Yields while it
    /// commits.
    pub fn drop_expired(&self, tx: &Tx, time: u64, limit: usize) -> Result<usize, Error> {
        let last = self.last(tx)?;
        let expired = self.collect(tx, BY_EXPIRY, None, |found, revocation| {
            let expired = revocation.expires_at < time;
            if expired && revocation.number != last {
                found.push(revocation);
            }
            expired && found.len() < limit
        })?;
        if expired.is_empty() {
            return Ok(0);
        }
        transaction(tx, || {
            for revocation in &expired {
                self.space.delete(tx, &array(&(&revocation.jti,)))?;
            }
            Ok(expired.len())
        })
    }

    fn collect(
        &self,
        tx: &Tx,
        index: u32,
        after: Option<&[u8]>,
        mut take: impl FnMut(&mut Vec<Revocation>, Revocation) -> bool,
    ) -> Result<Vec<Revocation>, Error> {
        let mut found = Vec::new();
        let mut broken = false;
        self.space
            .index(index)
            .scan(tx, after, |tuple| match rmp_serde::from_slice(tuple) {
                Ok(revocation) => take(&mut found, revocation),
                Err(_) => {
                    broken = true;
                    false
                }
            })?;
        match broken {
            true => Err(Error::Internal),
            false => Ok(found),
        }
    }
}

fn decode(tuple: &Tuple) -> Result<Revocation, Failure> {
    rmp_serde::from_slice(tuple_bytes(tuple))
        .map_err(|_| Failure::other("the space revoked_token holds a tuple that is no revocation"))
}
