//! The space `authkv_subject`: the state of a login that its tokens must match. A login without a tuple has the default.

use super::mirror::Mirror;
use super::{array, broken, Generation};
use crate::tx::{Range, Space, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::{Head, Reader};
use authkv_domain::{Granted, Subject};
use std::sync::Arc;

pub struct Subjects {
    pub(super) space: Space,
    pub(super) generation: Arc<Generation>,
}

impl Subjects {
    /// A subject. Its epoch is at least the generation, so that no token of an older generation is valid. Does not yield.
    pub fn get(&self, tx: &Tx, login: &str) -> Result<Subject, Error> {
        let mut subject = super::get(tx, self.space, login, decode)?.unwrap_or_default();
        subject.epoch = subject.epoch.max(self.generation.known(tx));
        Ok(subject)
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

/// A tuple is login, time after which it may be deleted (for a deleted user), number, epoch, disabled, roles.
fn decode(tuple: &[u8]) -> Result<Subject, Error> {
    read(tuple).ok_or_else(|| broken("authkv_subject"))
}

/// Every request runs this.
fn read(tuple: &[u8]) -> Option<Subject> {
    let mut reader = Reader::new(tuple);
    let 6.. = reader.array_len().ok()? else {
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
    Some(Subject {
        epoch,
        disabled,
        deleted: expires_at.is_some(),
        roles,
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
            let tuple = array(&("ann", expires_at, 7u64, 8u64, disabled, &roles));
            let subject = Subject {
                epoch: 8,
                disabled,
                deleted: expires_at.is_some(),
                roles,
            };
            assert_eq!(read(&tuple), Some(subject));
            assert!(read(&tuple[..tuple.len() - 1]).is_none());
        }
    }
}
