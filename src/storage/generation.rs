//! The generation of the data, in the space `authkv_sequence`: a number that a new set of data gets, and that every restore of
//! a back-up raises. It is the time in microseconds since 1970, so it is above every epoch, number of a change and revision that
//! older data gave: fewer than a million of them are given in a second. Below 2^53, so that JavaScript reads it exactly, until
//! 2255.

use super::{array, broken, find};
use crate::tx::{tuple_bytes, Space, Tx, TxCell};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use std::cell::Cell;

/// The primary key of the generation, and that of the generation whose changes this follower takes.
const NAME: &str = "generation";
const FOLLOWED: &str = "followed_generation";

pub struct Generation {
    space: Space,
    /// The generation as it was read last, because every request needs it.
    known: TxCell<Cell<u64>>,
}

impl Generation {
    pub fn open(tx: &Tx, space: Space) -> Result<Self, Error> {
        let generation = Self {
            space,
            known: TxCell::new(tx, Cell::new(0)),
        };
        generation.read(tx)?;
        Ok(generation)
    }

    /// The generation as it was read last. All older epochs have ended. Does not yield.
    #[inline]
    pub fn known(&self, tx: &Tx) -> u64 {
        self.known.get(tx).get()
    }

    /// The generation; 0 for data that older versions made. Does not yield.
    pub fn read(&self, tx: &Tx) -> Result<u64, Error> {
        let generation = self.number(tx, NAME)?;
        self.known.get(tx).set(generation);
        Ok(generation)
    }

    /// Begins a generation. The caller has opened a transaction, and calls [`Self::read`] when it has ended.
    pub fn begin(&self, tx: &Tx, generation: u64) -> Result<(), Error> {
        Ok(self.space.replace(tx, &array(&(NAME, generation)))?)
    }

    /// Whether what was followed before this generation has been forgotten. Does not yield.
    pub fn is_followed(&self, tx: &Tx) -> Result<bool, Error> {
        Ok(self.number(tx, FOLLOWED)? == self.number(tx, NAME)?)
    }

    /// Notes that it has been forgotten. The caller has opened a transaction.
    pub fn follow(&self, tx: &Tx) -> Result<(), Error> {
        let generation = self.number(tx, NAME)?;
        Ok(self.space.replace(tx, &array(&(FOLLOWED, generation)))?)
    }

    fn number(&self, tx: &Tx, name: &str) -> Result<u64, Error> {
        let Some(tuple) = find(tx, self.space, name)? else {
            return Ok(0);
        };
        let mut reader = Reader::new(tuple_bytes(&tuple));
        reader.array_len()?;
        reader.value()?;
        reader.uint()?.ok_or_else(|| broken("authkv_sequence"))
    }
}
