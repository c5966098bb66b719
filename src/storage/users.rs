//! The space `user`: login, password (a hash), name, surname, and when the user registered.

use super::array;
use crate::auth::password::is_bcrypt;
use crate::auth::token::now;
use crate::codec::msgpack::{Head, Reader};
use crate::domain::{Initial, Login};
use crate::error::Error;
use crate::tx::{log, transaction, tuple_bytes, Space, Tx, TxCell};
use std::cell::Cell;

/// The users.
pub struct Users {
    space: Space,
    /// Users whose hash is still one of the old system.
    bcrypt: TxCell<Cell<usize>>,
}

impl Users {
    /// Counts the hashes of the old system, so it reads the whole space once. Does not yield.
    pub fn new(tx: &Tx, space: Space) -> Self {
        let mut bcrypt = 0;
        let counted = space.index(0).scan(tx, None, |tuple| {
            bcrypt += usize::from(hash_of(tuple).is_ok_and(is_bcrypt));
            true
        });
        if let Err(failure) = counted {
            log::warn(&format!("cannot count the bcrypt hashes: {failure:?}"));
        }
        Self {
            space,
            bcrypt: TxCell::new(tx, Cell::new(bcrypt)),
        }
    }

    /// The stored hash of a user, or `None` where there is no such user. Does not yield.
    pub fn hash(&self, tx: &Tx, login: &str) -> Result<Option<String>, Error> {
        let tuple = self.space.index(0).get(tx, &array(&(login,)))?;
        tuple
            .map(|tuple| hash_of(tuple_bytes(&tuple)).map(str::to_owned))
            .transpose()
    }

    /// The share of users whose hash is one of the old system, from 0 to 1. Does not yield.
    pub fn bcrypt_share(&self, tx: &Tx) -> f64 {
        match self.space.index(0).len(tx) {
            0 => 0.0,
            users => self.bcrypt.get(tx).get() as f64 / users as f64,
        }
    }

    /// Adds a user. Errors: `LoginTaken`. Yields while it commits.
    pub fn insert(
        &self,
        tx: &Tx,
        login: &Login,
        hash: &str,
        name: &Initial,
        surname: &Initial,
    ) -> Result<(), Error> {
        transaction(tx, || {
            if self.hash(tx, login.as_str())?.is_some() {
                return Err(Error::LoginTaken);
            }
            let user = (login.as_str(), hash, name.as_str(), surname.as_str(), now());
            Ok(self.space.insert(tx, &array(&user))?)
        })
    }

    /// Replaces the hash of a user where it is `old` still. Returns whether it was. Yields while it commits.
    pub fn replace_hash(&self, tx: &Tx, login: &str, old: &str, new: &str) -> Result<bool, Error> {
        let replaced = transaction(tx, || {
            if self.hash(tx, login)?.as_deref() != Some(old) {
                return Ok(false);
            }
            self.space
                .update(tx, &array(&(login,)), &array(&(("=", 1, new),)))?;
            Ok(true)
        })?;
        if replaced && is_bcrypt(old) {
            let count = self.bcrypt.get(tx);
            count.set(count.get().saturating_sub(1));
        }
        Ok(replaced)
    }
}

/// The second field of a user's tuple.
fn hash_of(tuple: &[u8]) -> Result<&str, Error> {
    let mut reader = Reader::new(tuple);
    let Head::Array(2..) = reader.head()? else {
        return Err(Error::Internal);
    };
    reader.value()?;
    std::str::from_utf8(reader.string()?).map_err(|_| Error::Internal)
}
