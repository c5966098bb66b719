//! The spaces `authkv_api_key`, which other instances follow, and `authkv_api_key_use`, which is this instance's own. A revoked
//! key keeps its tuple, without its user and digest, until it would have expired, so that followers learn of the end.

use super::mirror::Mirror;
use super::{all, array, broken, find, Generation, Known};
use crate::tx::{transaction_if, Range, Space, Tx};
use authkv_base::error::Error;
use authkv_domain::Granted;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A key that has not been revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    pub id: String,
    /// Seconds since 1970-01-01 UTC by the steady clock.
    pub expires_at: u64,
    pub login: Arc<str>,
    pub digest: String,
    pub name: String,
    /// The roles of its user that it has, or `None` if it has all of them.
    pub roles: Option<Vec<Granted>>,
    pub created_at: u64,
}

/// A tuple: id, expiry, number of the change, login, digest, name, roles, time of the making. A revoked key has null from the
/// login on.
#[derive(Serialize, Deserialize)]
struct Tuple {
    id: String,
    expires_at: u64,
    number: u64,
    login: Option<String>,
    digest: Option<String>,
    name: Option<String>,
    roles: Option<Vec<Granted>>,
    created_at: Option<u64>,
}

pub struct ApiKeys {
    pub(super) space: Space,
    pub(super) uses: Space,
    pub(super) generation: Arc<Generation>,
    /// The numbers of changes, and the keys.
    pub(super) known: Known<(u64, Arc<ApiKeyRow>)>,
}

/// About the bytes of a key beside its texts, which are as long as in the tuple.
const ROW: usize = 1024;

const BY_LOGIN: u32 = 3;
const BY_EXPIRY: u32 = 1;

impl ApiKeys {
    /// A key, or `None` if there is none, it was revoked, or it is of a generation before a restore. It may have expired. Does not
    /// yield.
    pub fn get(&self, tx: &Tx, id: &str) -> Result<Option<Arc<ApiKeyRow>>, Error> {
        let Some(tuple) = find(tx, self.space, id)? else {
            return Ok(None);
        };
        let key = self.known.get_or_make(tx, id, tuple, |tuple| {
            let (number, row) = row(decode(tuple)?);
            Ok(row.map(|row| ((number, Arc::new(row)), ROW)))
        })?;
        let key = key.filter(|(number, _)| self.is_present(tx, *number));
        Ok(key.map(|(_, row)| row))
    }

    /// The keys of a login, in no order. Does not yield.
    pub fn of(&self, tx: &Tx, login: &str) -> Result<Vec<ApiKeyRow>, Error> {
        let key = array(&(login,));
        let tuples = all(tx, self.space.index(BY_LOGIN), Range::Equal(&key), decode)?;
        let rows = tuples.into_iter().map(row);
        let present = rows.filter(|(number, _)| self.is_present(tx, *number));
        Ok(present.filter_map(|(_, row)| row).collect())
    }

    /// Whether a key with this number was not given before a restore, which has ended all that were.
    fn is_present(&self, tx: &Tx, number: u64) -> bool {
        number >= self.generation.known(tx)
    }

    /// Stores a new key. The caller has opened a transaction.
    pub fn put(&self, tx: &Tx, mirror: &Mirror, key: &ApiKeyRow) -> Result<(), Error> {
        let tuple = Tuple {
            id: key.id.clone(),
            expires_at: key.expires_at,
            number: mirror.next(tx)?,
            login: Some((*key.login).to_owned()),
            digest: Some(key.digest.clone()),
            name: Some(key.name.clone()),
            roles: key.roles.clone(),
            created_at: Some(key.created_at),
        };
        Ok(self.space.replace(tx, &array(&tuple))?)
    }

    /// Revokes a key. The caller has opened a transaction.
    pub fn revoke(&self, tx: &Tx, mirror: &Mirror, key: &ApiKeyRow) -> Result<(), Error> {
        let tuple = Tuple {
            id: key.id.clone(),
            expires_at: key.expires_at,
            number: mirror.next(tx)?,
            login: None,
            digest: None,
            name: None,
            roles: None,
            created_at: None,
        };
        self.space.replace(tx, &array(&tuple))?;
        Ok(self.uses.delete(tx, &array(&(&key.id,)))?)
    }

    /// Revokes all keys of a login. The caller has opened a transaction.
    pub fn revoke_all(&self, tx: &Tx, mirror: &Mirror, login: &str) -> Result<(), Error> {
        for key in self.of(tx, login)? {
            self.revoke(tx, mirror, &key)?;
        }
        Ok(())
    }

    /// When a key was used last, as far as it was written, in seconds since 1970-01-01 UTC. Does not yield.
    pub fn used_at(&self, tx: &Tx, id: &str) -> Result<Option<u64>, Error> {
        let used = |tuple: &[u8]| -> Result<u64, Error> {
            let (_, _, used_at): (&str, u64, u64) = super::decode("authkv_api_key_use", tuple)?;
            Ok(used_at)
        };
        super::get(tx, self.uses, id, used)
    }

    /// Writes when keys were used last: ids and seconds. Keys that were revoked meanwhile are left out. Yields while it commits.
    pub fn write_uses(&self, tx: &Tx, uses: &[(String, u64)]) -> Result<(), Error> {
        transaction_if(tx, || {
            let mut any = false;
            for (id, used_at) in uses {
                if let Some(key) = self.get(tx, id)? {
                    let tuple = array(&(id, key.expires_at, used_at));
                    self.uses.replace(tx, &tuple)?;
                    any = true;
                }
            }
            Ok(((), any))
        })
    }

    /// Deletes at most `limit` uses of keys that expired before `time`. Returns whether there may be more. Yields while it commits.
    pub fn forget(&self, tx: &Tx, time: u64, limit: usize) -> Result<bool, Error> {
        super::forget(tx, self.uses, BY_EXPIRY, time, limit)
    }
}

/// The number of the change, and the key if it was not revoked.
fn row(tuple: Tuple) -> (u64, Option<ApiKeyRow>) {
    let number = tuple.number;
    let row = || {
        Some(ApiKeyRow {
            id: tuple.id,
            expires_at: tuple.expires_at,
            login: tuple.login?.into(),
            digest: tuple.digest?,
            name: tuple.name?,
            roles: tuple.roles,
            created_at: tuple.created_at?,
        })
    };
    (number, row())
}

fn decode(tuple: &[u8]) -> Result<Tuple, Error> {
    rmp_serde::from_slice(tuple).map_err(|_| broken("authkv_api_key"))
}
