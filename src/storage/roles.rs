//! The space `authkv_role`: which keys the users with a role may read and write. A deleted role keeps its tuple, without
//! permissions, so that followers learn of the deletion.

use super::mirror::Mirror;
use super::{all, array, find, Known};
use crate::tx::{tuple_bytes, Range, Space, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_domain::{Flags, Keyed, Permission, Role, Rules};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub struct Roles {
    pub(super) space: Space,
    pub(super) known: Known<RoleRow>,
}

/// Name, null, number, permissions or null if deleted, and the number with which the role was made.
type Row = (String, Option<u64>, u64, Option<Vec<Stored>>, u64);

/// A permission in a tuple.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    /// Prefix without a login, in which braces are braces; read and write. The only form of the first versions.
    Plain(String, bool, bool),
    /// Any other: the text; twice `false`; the sum of [`BITS`]; whether it is a key. A version that does not know this form refuses
    /// the tuple.
    More(String, bool, bool, u8, bool),
}

/// The bit of each member of a permission.
const BITS: [u8; 5] = [1, 2, 4, 8, 16];

impl Stored {
    fn of(permission: &Permission) -> Self {
        let Flags {
            read,
            write,
            insert,
            update,
            delete,
        } = permission.flags();
        let is = |flag: Option<bool>| flag.unwrap_or(false);
        let text = permission.text();
        let has_parts = is(insert) || is(update) || is(delete);
        let is_plain = !permission.is_of_key() && !text.contains(['{', '}']);
        if is_plain && !has_parts {
            return Self::Plain(text.to_owned(), is(read), is(write));
        }
        let flags = [read, write, insert, update, delete];
        let bits = flags
            .into_iter()
            .zip(BITS)
            .map(|(flag, bit)| u8::from(is(flag)) * bit);
        Self::More(
            text.to_owned(),
            false,
            false,
            bits.sum(),
            permission.is_of_key(),
        )
    }

    fn permission(self) -> Option<Permission> {
        let (text, bits, is_key) = match self {
            Self::Plain(prefix, read, write) => {
                return Some(Permission::of_literal(&prefix, read, write));
            }
            Self::More(text, false, false, bits, is_key) if bits < 32 => (text, bits, is_key),
            Self::More(..) => return None,
        };
        let keyed = match is_key {
            true => Keyed::Key(text),
            false => Keyed::Prefix(text),
        };
        let [read, write, insert, update, delete] =
            BITS.map(|bit| (bits & bit != 0).then_some(true));
        let flags = Flags {
            read,
            write,
            insert,
            update,
            delete,
        };
        Permission::new(keyed, flags).ok()
    }
}

/// A role that exists.
#[derive(Clone)]
pub struct RoleRow {
    pub rules: Arc<Rules>,
    /// Distinguishes this role from earlier roles of the same name.
    pub since: u64,
}

impl Roles {
    /// A role, or `None` if it does not exist. Does not yield.
    pub fn get(&self, tx: &Tx, name: &str) -> Result<Option<RoleRow>, Error> {
        let Some(tuple) = find(tx, self.space, name)? else {
            return Ok(None);
        };
        self.known.get_or_make(tx, name, tuple, |tuple| {
            let (_, _, _, permissions, since) = decode(tuple)?;
            Ok(permissions.map(|permissions| {
                let rules = Arc::new(Rules::new(permissions));
                let size = rules.size();
                (RoleRow { rules, since }, size)
            }))
        })
    }

    /// The `since` of a role, or `None` if the role does not exist. Does not decode permissions. Does not yield.
    pub fn since(&self, tx: &Tx, name: &str) -> Result<Option<u64>, Error> {
        const DELETED: &[u8] = &[0xc0];
        let Some(tuple) = find(tx, self.space, name)? else {
            return Ok(None);
        };
        if let Some(role) = self.known.get(tx, name, &tuple) {
            return Ok(Some(role.since));
        }
        let since = |tuple: &[u8]| {
            let mut reader = Reader::new(tuple);
            reader.head()?;
            for _ in 0..3 {
                reader.value()?;
            }
            let permissions = reader.value()?;
            let since = rmp_serde::from_slice(reader.value()?).map_err(|_| Error::Internal)?;
            Ok((permissions != DELETED).then_some(since))
        };
        since(tuple_bytes(&tuple))
    }

    /// All roles by name. Does not yield.
    pub fn all(&self, tx: &Tx) -> Result<Vec<Role>, Error> {
        let rows = all(tx, self.space.index(0), Range::All, decode)?.into_iter();
        let roles = rows.filter_map(|(name, _, _, permissions, _)| {
            permissions.map(|permissions| Role { name, permissions })
        });
        Ok(roles.collect())
    }

    /// Sets a role, or deletes it if `permissions` is `None`. The caller has opened a transaction.
    pub fn put(
        &self,
        tx: &Tx,
        mirror: &Mirror,
        name: &str,
        permissions: Option<&[Permission]>,
    ) -> Result<(), Error> {
        let number = mirror.next(tx)?;
        let since = self.since(tx, name)?.unwrap_or(number);
        let stored = |all: &[Permission]| all.iter().map(Stored::of).collect::<Vec<_>>();
        let row = (name, None::<u64>, number, permissions.map(stored), since);
        Ok(self.space.replace(tx, &array(&row))?)
    }
}

/// Name, null, number, permissions and `since`.
type Decoded = (String, Option<u64>, u64, Option<Vec<Permission>>, u64);

fn decode(tuple: &[u8]) -> Result<Decoded, Error> {
    const SPACE: &str = "authkv_role";
    let (name, expires_at, number, permissions, since): Row = super::decode(SPACE, tuple)?;
    let permissions = permissions.map(|all| {
        let permissions = all.into_iter().map(Stored::permission);
        permissions
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| super::broken(SPACE))
    });
    Ok((name, expires_at, number, permissions.transpose()?, since))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A permission as the first versions read it.
    type First = (String, bool, bool);

    fn permission(keyed: Keyed, flags: Flags) -> Permission {
        Permission::new(keyed, flags).unwrap()
    }

    fn prefix(text: &str, flags: Flags) -> Permission {
        permission(Keyed::Prefix(text.to_owned()), flags)
    }

    #[test]
    fn a_permission_of_the_first_versions_stays_as_it_is() {
        for (text, read, write) in [
            ("", true, true),
            ("a/", true, false),
            ("{login}/", false, true),
            ("a}{", true, true),
        ] {
            let first: First = (text.to_owned(), read, write);
            let stored: Stored = rmp_serde::from_slice(&array(&first)).unwrap();
            let permission = stored.permission().unwrap();
            assert_eq!(permission, Permission::of_literal(text, read, write));
            // It is for the same keys: braces are not filled in.
            assert!(permission.pattern().matches(text.as_bytes(), b"ann"));
        }
        let (read, write) = (Some(true), Some(true));
        let stored = array(&Stored::of(&prefix(
            "a/",
            Flags {
                read,
                write,
                ..Flags::default()
            },
        )));
        assert_eq!(stored, array(&("a/", true, true)));
    }

    #[test]
    fn a_permission_is_read_as_it_was_written_and_refused_by_the_first_versions() {
        let yes = Some(true);
        let some = Flags {
            read: yes,
            delete: yes,
            ..Flags::default()
        };
        let write = Flags {
            write: yes,
            ..Flags::default()
        };
        for one in [
            prefix("users/{login}/", some),
            prefix("users/{login}/", write),
            prefix(
                "a/",
                Flags {
                    insert: yes,
                    ..Flags::default()
                },
            ),
            prefix(
                "{{a}}",
                Flags {
                    update: yes,
                    ..Flags::default()
                },
            ),
            permission(Keyed::Key("a".to_owned()), write),
            permission(Keyed::Key("{login}".to_owned()), Flags::default()),
        ] {
            let bytes = array(&Stored::of(&one));
            let stored: Stored = rmp_serde::from_slice(&bytes).unwrap();
            assert_eq!(stored.permission(), Some(one));
            assert!(rmp_serde::from_slice::<First>(&bytes).is_err());
        }
        for unknown in [
            Stored::More("a".to_owned(), false, false, 32, false),
            Stored::More("a".to_owned(), true, false, 1, false),
            Stored::More("{b}".to_owned(), false, false, 1, false),
        ] {
            assert_eq!(unknown.permission(), None);
        }
    }
}
