//! The space `user`: login, password hash, name, surname, the time of the registration, and whether the e-mail address is
//! verified.

use super::{array, broken, find, scan};
use crate::tx::{hides_committing, log, transaction, Range, Space, Tx, TxCell};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_codec::msgpack::{Head, Reader};
use authkv_domain::is_bcrypt;
use authkv_domain::{Login, PersonName};
use std::cell::Cell;

pub struct Users {
    space: Space,
    /// The number of users whose hash still comes from the old system.
    bcrypt: TxCell<Cell<usize>>,
    /// The number of registrations that have not ended.
    registering: TxCell<Cell<usize>>,
}

/// A registration that is being committed, until it is dropped.
pub struct Registering<'a>(&'a Cell<usize>);

impl Drop for Registering<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Stands for the hash of a user who has no password, and matches none.
pub const NO_PASSWORD: &str = "!";

/// A user to add.
pub struct NewUser<'a> {
    pub login: &'a Login,
    pub hash: &'a str,
    pub name: &'a PersonName,
    pub surname: &'a PersonName,
}

/// The data of a user without the hash.
#[derive(Debug)]
pub struct UserRow {
    pub login: String,
    pub name: String,
    pub surname: String,
    pub created_at: Option<u64>,
    pub email_verified: bool,
}

impl Users {
    /// Counts the hashes of the old system, so it reads the whole space once. Does not yield.
    pub fn new(tx: &Tx, space: Space) -> Self {
        let mut bcrypt = 0;
        let counted = space.index(0).scan(tx, Range::All, |tuple| {
            bcrypt += usize::from(hash_of(tuple).is_ok_and(is_bcrypt));
            true
        });
        if let Err(failure) = counted {
            log::warn(&format!("cannot count the bcrypt hashes: {failure:?}"));
        }
        Self {
            space,
            bcrypt: TxCell::new(tx, Cell::new(bcrypt)),
            registering: TxCell::new(tx, Cell::new(0)),
        }
    }

    /// Whether the user exists. Does not yield.
    pub fn contains(&self, tx: &Tx, login: &str) -> Result<bool, Error> {
        Ok(find(tx, self.space, login)?.is_some())
    }

    /// A user, or `None` if the user does not exist. Does not yield.
    pub fn get(&self, tx: &Tx, login: &str) -> Result<Option<UserRow>, Error> {
        super::get(tx, self.space, login, decode)
    }

    /// At most `limit` users in the order of logins, after the login `after` if it is given. Does not yield.
    pub fn list(&self, tx: &Tx, after: Option<&str>, limit: usize) -> Result<Vec<UserRow>, Error> {
        let key = after.map(|after| array(&(after,)));
        let range = key.as_deref().map_or(Range::All, Range::After);
        let mut users = Vec::new();
        scan(tx, self.space.index(0), range, decode, |user| {
            users.push(user);
            users.len() < limit
        })?;
        Ok(users)
    }

    /// The stored hash of a user, or `None` if the user does not exist. Does not yield.
    pub fn hash(&self, tx: &Tx, login: &str) -> Result<Option<String>, Error> {
        super::get(tx, self.space, login, |tuple| {
            hash_of(tuple).map(str::to_owned)
        })
    }

    /// Whether the user exists and is one of authkv's own, not of another issuer. Does not yield.
    pub fn has_password(&self, tx: &Tx, login: &str) -> Result<bool, Error> {
        Ok(self
            .hash(tx, login)?
            .is_some_and(|hash| hash != NO_PASSWORD))
    }

    /// The share of users whose hash comes from the old system, from 0 to 1. Does not yield.
    pub fn bcrypt_share(&self, tx: &Tx) -> f64 {
        match self.space.index(0).len(tx) {
            0 => 0.0,
            users => self.bcrypt.get(tx).get() as f64 / users as f64,
        }
    }

    /// The number of users, those whose commits are open included. Does not yield.
    pub fn len(&self, tx: &Tx) -> usize {
        // With MVCC, a space does not count what is being committed.
        let hidden = match hides_committing(tx) {
            true => self.registering.get(tx).get(),
            false => 0,
        };
        self.space.index(0).len(tx) + hidden
    }

    /// Whether one more user may register, with so many as there may be at most. Errors: `TooManyUsers`. Does not yield.
    pub fn check_room(&self, tx: &Tx, most: Option<usize>) -> Result<(), Error> {
        match most {
            Some(limit) if self.len(tx) >= limit => Err(Error::TooManyUsers { limit }),
            _ => Ok(()),
        }
    }

    /// Counts a registration until the result is dropped, after its commit.
    pub fn begin_registration<'a>(&'a self, tx: &'a Tx) -> Registering<'a> {
        let count = self.registering.get(tx);
        count.set(count.get() + 1);
        Registering(count)
    }

    /// Adds a user. Errors: `LoginTaken`. The caller has opened a transaction.
    pub fn insert(&self, tx: &Tx, user: &NewUser<'_>) -> Result<(), Error> {
        let login = user.login.as_str();
        if self.contains(tx, login)? {
            return Err(Error::LoginTaken);
        }
        let (name, surname) = (user.name.as_str(), user.surname.as_str());
        let tuple = array(&(login, user.hash, name, surname, now()));
        Ok(self.space.insert(tx, &tuple)?)
    }

    /// Adds a user whom another issuer knows, and who has no password. The caller has opened a transaction, and has seen that there
    /// is no such user.
    pub fn insert_outside(
        &self,
        tx: &Tx,
        login: &str,
        (name, surname): (&str, &str),
    ) -> Result<(), Error> {
        let tuple = array(&(login, NO_PASSWORD, name, surname, now()));
        Ok(self.space.insert(tx, &tuple)?)
    }

    /// Deletes a user. Returns the hash: pass it to [`Self::count_gone`] after the commit. Errors: `NoSuchUser`. The caller has
    /// opened a transaction.
    pub fn delete(&self, tx: &Tx, login: &str) -> Result<String, Error> {
        let hash = self.hash(tx, login)?.ok_or(Error::NoSuchUser)?;
        self.space.delete(tx, &array(&(login,)))?;
        Ok(hash)
    }

    /// Sets the hash of a user. Returns the old hash: pass it to [`Self::count_gone`] after the commit. Errors: `NoSuchUser`.
    /// The caller has opened a transaction.
    pub fn set_hash(&self, tx: &Tx, login: &str, new: &str) -> Result<String, Error> {
        let old = self.hash(tx, login)?.ok_or(Error::NoSuchUser)?;
        self.space
            .update(tx, &array(&(login,)), &array(&(("=", 1, new),)))?;
        Ok(old)
    }

    /// Sets the name and the surname of a user. Errors: `NoSuchUser`. The caller has opened a transaction.
    pub fn rename(
        &self,
        tx: &Tx,
        login: &str,
        name: &PersonName,
        surname: &PersonName,
    ) -> Result<(), Error> {
        if !self.contains(tx, login)? {
            return Err(Error::NoSuchUser);
        }
        let changes = (("=", 2, name.as_str()), ("=", 3, surname.as_str()));
        Ok(self.space.update(tx, &array(&(login,)), &array(&changes))?)
    }

    /// Notes that the e-mail address of a user is verified. Returns whether it was not before. Errors: `NoSuchUser`. The caller
    /// has opened a transaction.
    pub fn verify_email(&self, tx: &Tx, login: &str) -> Result<bool, Error> {
        let row = self.get(tx, login)?.ok_or(Error::NoSuchUser)?;
        if row.email_verified {
            return Ok(false);
        }
        // A tuple of the old system lacks the field before this one, too.
        let changes = (("=", 4, row.created_at), ("=", 5, true));
        self.space.update(tx, &array(&(login,)), &array(&changes))?;
        Ok(true)
    }

    /// Replaces the hash of a user if it is still `old`. Returns whether it was. Yields while it commits.
    pub fn replace_hash(&self, tx: &Tx, login: &str, old: &str, new: &str) -> Result<bool, Error> {
        let replaced = transaction(tx, || {
            if self.hash(tx, login)?.as_deref() != Some(old) {
                return Ok(false);
            }
            self.set_hash(tx, login, new).map(|_| true)
        })?;
        if replaced {
            self.count_gone(tx, old);
        }
        Ok(replaced)
    }

    /// Counts a hash whose removal has been committed.
    pub fn count_gone(&self, tx: &Tx, hash: &str) {
        if is_bcrypt(hash) {
            let count = self.bcrypt.get(tx);
            count.set(count.get().saturating_sub(1));
        }
    }
}

/// The hash in a user's tuple: the second field.
fn hash_of(tuple: &[u8]) -> Result<&str, Error> {
    let mut reader = Reader::new(tuple);
    let Head::Array(2..) = reader.head()? else {
        return Err(Error::Internal);
    };
    reader.value()?;
    std::str::from_utf8(reader.string()?).map_err(|_| Error::Internal)
}

/// Decodes a tuple. Tuples of the old system have four fields. Fields that others have appended are ignored.
fn decode(tuple: &[u8]) -> Result<UserRow, Error> {
    let mut reader = Reader::new(tuple);
    let Head::Array(count @ 4..) = reader.head()? else {
        return Err(broken("user"));
    };
    let mut text = || -> Result<String, Error> {
        let bytes = reader.string()?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    };
    let (login, _hash, name, surname) = (text()?, text()?, text()?, text()?);
    // Others may have appended these fields.
    let created_at = match count {
        4 => None,
        _ => rmp_serde::from_slice(reader.value()?).unwrap_or(None),
    };
    let email_verified = match count {
        4 | 5 => None,
        _ => rmp_serde::from_slice(reader.value()?).unwrap_or(None),
    };
    Ok(UserRow {
        login,
        name,
        surname,
        created_at,
        email_verified: email_verified.unwrap_or(false),
    })
}
