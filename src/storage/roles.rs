//! The space `authkv_role`: what the users that have it may do with which keys. A role that was deleted keeps its tuple, without
//! permissions, so that instances that follow learn of it.

use super::mirror::Mirror;
use super::{array, find, scan};
use crate::tx::{tuple_bytes, Range, Space, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_domain::{Permission, Role};

pub struct Roles {
    space: Space,
}

/// name, null, number, permissions (prefix, read, write) or null where it was deleted, and the number with which it was made.
type Row = (String, Option<u64>, u64, Option<Vec<Permission>>, u64);

/// A role that is there.
pub struct RoleRow {
    pub permissions: Vec<Permission>,
    /// Tells it from others that had its name.
    pub since: u64,
}

impl Roles {
    pub fn new(space: Space) -> Self {
        Self { space }
    }

    /// A role, or `None` where there is no such role. Does not yield.
    pub fn get(&self, tx: &Tx, name: &str) -> Result<Option<RoleRow>, Error> {
        let Some(tuple) = find(tx, self.space, name)? else {
            return Ok(None);
        };
        let (_, _, _, permissions, since) = decode(tuple_bytes(&tuple))?;
        Ok(permissions.map(|permissions| RoleRow { permissions, since }))
    }

    /// Which of those that had this name it is, or `None` where there is no such role. Permissions are not decoded. Does
    /// not yield.
    pub fn since(&self, tx: &Tx, name: &str) -> Result<Option<u64>, Error> {
        const DELETED: &[u8] = &[0xc0];
        let Some(tuple) = find(tx, self.space, name)? else {
            return Ok(None);
        };
        let mut reader = Reader::new(tuple_bytes(&tuple));
        reader.head()?;
        for _ in 0..3 {
            reader.value()?;
        }
        let permissions = reader.value()?;
        let since = rmp_serde::from_slice(reader.value()?).map_err(|_| Error::Internal)?;
        Ok((permissions != DELETED).then_some(since))
    }

    /// All roles in order of name. Does not yield.
    pub fn all(&self, tx: &Tx) -> Result<Vec<Role>, Error> {
        let mut roles = Vec::new();
        let index = self.space.index(0);
        scan(
            tx,
            index,
            Range::All,
            decode,
            |(name, _, _, permissions, _)| {
                roles.extend(permissions.map(|permissions| Role { name, permissions }));
                true
            },
        )?;
        Ok(roles)
    }

    /// Sets a role, or deletes it where there are no permissions given; in a transaction of the caller's.
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
