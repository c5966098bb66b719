//! The space `authkv_subject`: what tokens of a login have to match. A login without a tuple has the default.

use super::array;
use super::mirror::Mirror;
use crate::domain::{Granted, Subject};
use crate::error::Error;
use crate::tx::{tuple_bytes, Range, Space, Tx};

pub struct Subjects {
    space: Space,
}

/// login, when it may be forgotten (of a user that was deleted), number, epoch, disabled, roles.
type Row<'a> = (&'a str, Option<u64>, u64, u64, bool, Vec<Granted>);

impl Subjects {
    pub fn new(space: Space) -> Self {
        Self { space }
    }

    /// Does not yield.
    pub fn get(&self, tx: &Tx, login: &str) -> Result<Subject, Error> {
        match self.space.index(0).get(tx, &array(&(login,)))? {
            Some(tuple) => decode(tuple_bytes(&tuple)),
            None => Ok(Subject::default()),
        }
    }

    /// Whether there is a subject like that among those that have a tuple. Does not yield.
    pub fn any(&self, tx: &Tx, is: impl Fn(&Subject) -> bool) -> Result<bool, Error> {
        let mut found = false;
        self.space.index(0).scan(tx, Range::All, |tuple| {
            found = decode(tuple).is_ok_and(|subject| is(&subject));
            !found
        })?;
        Ok(found)
    }

    /// Stores a subject in a transaction of the caller's.
    pub fn put(
        &self,
        tx: &Tx,
        mirror: &Mirror,
        login: &str,
        subject: &Subject,
    ) -> Result<(), Error> {
        self.write(tx, mirror, login, subject, None)
    }

    /// Ends all tokens of a login, in a transaction of the caller's: what they have to match is new.
    pub fn renew(
        &self,
        tx: &Tx,
        mirror: &Mirror,
        login: &str,
        change: impl FnOnce(&mut Subject),
    ) -> Result<Subject, Error> {
        let mut subject = self.get(tx, login)?;
        subject.epoch = mirror.next(tx)?;
        change(&mut subject);
        self.put(tx, mirror, login, &subject)?;
        Ok(subject)
    }

    /// Notes that a user was deleted, until `expires_at`, when the last of its tokens has expired. In a transaction of
    /// the caller's.
    pub fn bury(
        &self,
        tx: &Tx,
        mirror: &Mirror,
        login: &str,
        expires_at: u64,
    ) -> Result<(), Error> {
        let subject = Subject {
            epoch: mirror.next(tx)?,
            ..Subject::default()
        };
        self.write(tx, mirror, login, &subject, Some(expires_at))
    }

    fn write(
        &self,
        tx: &Tx,
        mirror: &Mirror,
        login: &str,
        subject: &Subject,
        expires_at: Option<u64>,
    ) -> Result<(), Error> {
        let number = mirror.next(tx)?;
        let roles = &subject.roles;
        let row = (
            login,
            expires_at,
            number,
            subject.epoch,
            subject.disabled,
            roles,
        );
        Ok(self.space.replace(tx, &array(&row))?)
    }
}

fn decode(tuple: &[u8]) -> Result<Subject, Error> {
    let row: Row<'_> = super::decode("authkv_subject", tuple)?;
    let (_, expires_at, _, epoch, disabled, roles) = row;
    Ok(Subject {
        epoch,
        disabled,
        deleted: expires_at.is_some(),
        roles,
    })
}
