//! The space `authkv_role`: which keys the users with a role may read and write. A deleted role keeps its tuple, without
//! permissions, so that followers learn of the deletion.

use super::mirror::Mirror;
use super::{all, array};
use crate::tx::{Range, Space, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_domain::{Permission, Role};

pub struct Roles {
    pub(super) space: Space,
}

/// Name, null, number, permissions (prefix, read, write) or null if deleted, and the number with which the role was made.
type Row = (String, Option<u64>, u64, Option<Vec<Permission>>, u64);

/// A role that exists.
pub struct RoleRow {
    pub permissions: Vec<Permission>,
    /// Distinguishes this role from earlier roles of the same name.
    pub since: u64,
}

impl Roles {
    /// A role, or `None` if it does not exist. Does not yield.
    pub fn get(&self, tx: &Tx, name: &str) -> Result<Option<RoleRow>, Error> {
        let row = super::get(tx, self.space, name, decode)?;
        Ok(row.and_then(|(_, _, _, permissions, since)| {
            permissions.map(|permissions| RoleRow { permissions, since })
        }))
    }

    /// The `since` of a role, or `None` if the role does not exist. Does not decode permissions. Does not yield.
    pub fn since(&self, tx: &Tx, name: &str) -> Result<Option<u64>, Error> {
        const DELETED: &[u8] = &[0xc0];
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
        Ok(super::get(tx, self.space, name, since)?.flatten())
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
        let row = (name, None::<u64>, number, permissions, since);
        Ok(self.space.replace(tx, &array(&row))?)
    }
}

fn decode(tuple: &[u8]) -> Result<Row, Error> {
    super::decode("authkv_role", tuple)
}
