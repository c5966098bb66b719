//! The space `authkv_subject`: the state of a login that its tokens must match. A login without a tuple has the default.

use super::mirror::Mirror;
use super::{array, broken, Generation};
use crate::tx::{Range, Space, Tx};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_codec::msgpack::{Head, Reader};
use authkv_domain::{Granted, Subject};
use std::sync::Arc;

/// The id of a tuple whose `ended_at` counts for everybody. No user has this login.
const EVERYBODY: &str = "";

pub struct Subjects {
    pub(super) space: Space,
    pub(super) generation: Arc<Generation>,
}

impl Subjects {
    /// A subject. Its epoch is at least the generation, so that no token of an older generation is valid. Does not yield.
    pub fn get(&self, tx: &Tx, login: &str) -> Result<Subject, Error> {
        let mut subject = self.find(tx, login)?.unwrap_or_default();
        subject.epoch = subject.epoch.max(self.generation.known(tx));
        Ok(subject)
    }

    /// A subject as it is stored, or `None` if it is not. Does not yield.
    pub fn find(&self, tx: &Tx, login: &str) -> Result<Option<Subject>, Error> {
        super::get(tx, self.space, login, decode)
    }

    /// When the tokens of everybody ended last; 0 if never. Does not yield.
    pub fn all_ended_at(&self, tx: &Tx) -> Result<u64, Error> {
        let everybody = self.find(tx, EVERYBODY)?;
        Ok(everybody.map_or(0, |subject| subject.ended_at))
    }

    /// Notes that the tokens of everybody end now. Those of authkv itself end by the generation. The caller has opened a
    /// transaction.
    pub fn end_everybody(&self, tx: &Tx, mirror: &Mirror) -> Result<(), Error> {
        let subject = Subject {
            ended_at: now().max(self.all_ended_at(tx)?),
            ..Subject::default()
        };
        self.put(tx, mirror, EVERYBODY, &subject)
    }

    /// Whether `is` returns `true` for a subject that has a tuple. Does not yield.
    pub fn any(&self, tx: &Tx, is: impl Fn(&Subject) -> bool) -> Result<bool, Error> {
        let mut found = false;
        self.space.index(0).scan(tx, Range::All, |tuple| {
            found = decode(tuple).is_ok_and(|subject| is(&subject));
            !found
        })?;
        Ok(found)
    }

    /// Stores a subject. The caller has opened a transaction.
    pub fn put(
        &self,
        tx: &Tx,
        mirror: &Mirror,
        login: &str,
        subject: &Subject,
    ) -> Result<(), Error> {
        self.write(tx, mirror, login, subject, None)
    }

    /// Ends all tokens of a login by giving the login a new epoch, and applies `change`. The caller has opened a transaction.
    pub fn renew(
        &self,
        tx: &Tx,
        mirror: &Mirror,
        login: &str,
        change: impl FnOnce(&mut Subject),
    ) -> Result<Subject, Error> {
        let mut subject = self.get(tx, login)?;
        subject.epoch = mirror.next(tx)?;
        subject.ended_at = subject.ended_at.max(now());
        change(&mut subject);
        self.put(tx, mirror, login, &subject)?;
        Ok(subject)
    }

    /// Notes that a user was deleted, until `expires_at`, when the last of the user's tokens has expired. The caller has opened
    /// a transaction.
    pub fn put_tombstone(
        &self,
        tx: &Tx,
        mirror: &Mirror,
        login: &str,
        expires_at: u64,
    ) -> Result<(), Error> {
        let subject = Subject {
            epoch: mirror.next(tx)?,
            ended_at: now().max(self.get(tx, login)?.ended_at),
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
            subject.ended_at,
        );
        Ok(self.space.replace(tx, &array(&row))?)
    }
}

/// A tuple is login, time after which it may be deleted (for a deleted user), number, epoch, disabled, roles, and when all tokens
/// ended, which older versions did not write.
fn decode(tuple: &[u8]) -> Result<Subject, Error> {
    read(tuple).ok_or_else(|| broken("authkv_subject"))
}

/// Every request runs this.
fn read(tuple: &[u8]) -> Option<Subject> {
    let mut reader = Reader::new(tuple);
    let fields @ 6.. = reader.array_len().ok()? else {
        return None;
    };
    let _login = reader.string().ok()?;
    let expires_at = match reader.head().ok()? {
        Head::Nil => None,
        Head::Uint(time) => Some(time),
        _ => return None,
    };
    let _number = reader.uint().ok()??;
    let epoch = reader.uint().ok()??;
    let Head::Bool(disabled) = reader.head().ok()? else {
        return None;
    };
    let mut roles = Vec::new();
    for _ in 0..reader.array_len().ok()? {
        let 2 = reader.array_len().ok()? else {
            return None;
        };
        roles.push(Granted {
            name: str::from_utf8(reader.string().ok()?).ok()?.to_owned(),
            since: reader.uint().ok()??,
        });
    }
    let ended_at = match fields {
        7.. => reader.uint().ok()??,
        _ => 0,
    };
    Some(Subject {
        epoch,
        disabled,
        deleted: expires_at.is_some(),
        roles,
        ended_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_was_written() {
        let granted = |name: &str, since| Granted {
            name: name.to_owned(),
            since,
        };
        let roles = vec![granted("admin", 0), granted("роль", 300)];
        for (expires_at, disabled, roles) in [
            (None, false, vec![]),
            (Some(1u64 << 40), false, vec![]),
            (None, true, roles),
        ] {
            let old = array(&("ann", expires_at, 7u64, 8u64, disabled, &roles));
            let new = array(&("ann", expires_at, 7u64, 8u64, disabled, &roles, 300u64));
            for (tuple, ended_at) in [(old, 0), (new, 300)] {
                let subject = Subject {
                    epoch: 8,
                    disabled,
                    deleted: expires_at.is_some(),
                    roles: roles.clone(),
                    ended_at,
                };
                assert_eq!(read(&tuple), Some(subject));
                assert!(read(&tuple[..tuple.len() - 1]).is_none());
            }
        }
    }
}
