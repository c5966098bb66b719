//! One repository per space. Runs on the tx thread. `tarantool_infra/schema.lua` makes the spaces.

mod api_keys;
mod attempts;
mod followed;
mod generation;
mod issued;
mod keys;
mod known;
mod kv;
mod mirror;
mod reserve;
mod revoked;
mod roles;
mod secret;
mod sessions;
mod subjects;
mod users;

pub use api_keys::{ApiKeyRow, ApiKeys};
pub use attempts::{Attempts, Count};
pub use followed::{Followed, Heard};
pub use generation::Generation;
pub use issued::Issued;
pub use keys::{TokenKey, TokenKeys};
pub use kv::{Applied, Effect, KeyValues, ReadForm, Tell};
pub use mirror::{Entry, Mirror};
pub use reserve::{Depth, Reserve};
pub use revoked::Revoked;
pub use roles::Roles;
pub use secret::Secret;
pub use sessions::{Refreshed, SessionRow, Sessions};
pub use subjects::Subjects;
pub use users::{NewUser, UserRow, Users, NO_PASSWORD};

use crate::tx::{transaction_if, tuple_bytes, Failure, Index, Range, Space, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_config::Config;
use known::Known;
use std::cell::RefCell;
use std::sync::Arc;
use tarantool::tuple::Tuple;

/// The spaces of this instance, found once at the start.
pub struct Storage {
    /// `None` if this instance does not offer the service.
    pub users: Option<Users>,
    /// `None` if this instance does not offer the service.
    pub key_values: Option<KeyValues>,
    /// `None` if this instance has no users.
    pub secret: Option<Secret>,
    pub generation: Arc<Generation>,
    pub mirror: Mirror,
    pub followed: Followed,
    pub issued: Issued,
    pub revoked: Revoked,
    pub subjects: Subjects,
    pub roles: Roles,
    pub token_keys: TokenKeys,
    pub api_keys: ApiKeys,
    pub sessions: Sessions,
    pub attempts: Attempts,
    pub reserve: Arc<Reserve>,
    /// All of these, by their names.
    spaces: Vec<(&'static str, Space)>,
}

impl Storage {
    /// `tell` is called after every change of a pair. The error names a missing space.
    pub fn open(tx: &Tx, config: &Arc<Config>, tell: Tell) -> Result<Self, String> {
        let spaces = RefCell::new(Vec::new());
        let find = |name: &'static str| {
            let space = Space::find(tx, name).ok_or_else(|| format!("there is no space {name}"))?;
            spaces.borrow_mut().push((name, space));
            Ok::<_, String>(space)
        };
        let reserve = Reserve::open(tx, config).map_err(|error| error.to_string())?;
        let reserve = Arc::new(reserve);
        let users = config.services.auth.then(|| find("user")).transpose()?;
        let secret = config.services.auth.then(|| find("authkv_secret"));
        let secret = secret.transpose()?.map(|space| Secret { space });
        let key_values = || -> Result<KeyValues, String> {
            let spaces = [
                find("key_value_store")?,
                find("authkv_expiry")?,
                find("authkv_sequence")?,
            ];
            KeyValues::new(tx, spaces, config, reserve.clone(), tell)
                .map_err(|error| error.to_string())
        };
        let key_values = config.services.kv.then(key_values).transpose()?;
        let [revoked, subject, role, token_key, api_key] = mirror::SPACES;
        let mirrored = [
            find(revoked)?,
            find(subject)?,
            find(role)?,
            find(token_key)?,
            find(api_key)?,
        ];
        let [revoked, subject, role, token_key, api_key] = mirrored;
        let generation = Generation::open(tx, find("authkv_sequence")?);
        let generation = Arc::new(generation.map_err(|error| error.to_string())?);
        Ok(Self {
            users: users.map(|space| Users::new(tx, space)),
            key_values,
            secret,
            mirror: Mirror::new(tx, mirrored, generation.clone()),
            followed: Followed {
                space: find("authkv_followed")?,
            },
            issued: Issued::new(
                tx,
                find("authkv_sequence")?,
                config.clone(),
                reserve.clone(),
            ),
            revoked: Revoked { space: revoked },
            subjects: Subjects {
                space: subject,
                generation: generation.clone(),
            },
            api_keys: ApiKeys {
                space: api_key,
                uses: find("authkv_api_key_use")?,
                generation: generation.clone(),
                known: Known::new(tx),
            },
            generation,
            roles: Roles {
                space: role,
                known: Known::new(tx),
            },
            token_keys: TokenKeys { space: token_key },
            sessions: Sessions {
                space: find("authkv_session")?,
            },
            attempts: Attempts::new(tx, find("authkv_login_attempt")?),
            reserve,
            spaces: spaces.take(),
        })
    }
}

impl Storage {
    /// The first space that is not any more what it was at the start. Does not yield.
    pub fn lost(&self, tx: &Tx) -> Option<&'static str> {
        let mut spaces = self.spaces.iter();
        let lost = spaces.find(|(name, space)| Space::find(tx, name) != Some(*space));
        lost.map(|(name, _)| *name)
    }

    /// Whether there is nothing yet that could expire. Does not yield.
    pub fn is_new(&self, tx: &Tx) -> Result<bool, Error> {
        let expiring = self.key_values.as_ref();
        let has_pairs = expiring.is_some_and(|pairs| pairs.expiring(tx) > 0);
        let has_changes = self.mirror.last(tx)? > self.generation.known(tx);
        Ok(!has_pairs && !has_changes)
    }
}

/// The tuple with this text as its primary key. Does not yield.
fn find(tx: &Tx, space: Space, id: &str) -> Result<Option<Tuple>, Error> {
    /// Most keys are not longer than this. They are encoded without an allocation.
    const SHORT: usize = 64;
    let index = space.index(0);
    if id.len() > SHORT {
        return Ok(index.get(tx, &array(&(id,)))?);
    }
    // An array with one string whose length is one byte.
    let mut key = [0; 3 + SHORT];
    key[..3].copy_from_slice(&[0x91, 0xd9, id.len() as u8]);
    key[3..3 + id.len()].copy_from_slice(id.as_bytes());
    Ok(index.get(tx, &key[..3 + id.len()])?)
}

/// What `decode` makes of the tuple with this text as its primary key. Does not yield.
fn get<T>(
    tx: &Tx,
    space: Space,
    id: &str,
    decode: impl Fn(&[u8]) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let tuple = find(tx, space, id)?;
    tuple.map(|tuple| decode(tuple_bytes(&tuple))).transpose()
}

/// Encodes a key or a tuple as a msgpack array. Only for values whose encoding cannot fail.
fn array<T: serde::Serialize>(values: &T) -> Vec<u8> {
    rmp_serde::to_vec(values).unwrap_or_default()
}

/// Decodes a tuple. Errors: `Internal`, with a line in the log that names the space.
fn decode<'a, T: serde::Deserialize<'a>>(space: &str, tuple: &'a [u8]) -> Result<T, Error> {
    rmp_serde::from_slice(tuple).map_err(|_| broken(space))
}

fn broken(space: &str) -> Error {
    Failure::other(&format!("the space {space} holds a tuple of another form")).into()
}

/// Decodes the tuples of a range and passes them to `take` until it returns `false`. Errors: those of `decode`.
fn scan<T>(
    tx: &Tx,
    index: Index,
    range: Range<'_>,
    decode: impl Fn(&[u8]) -> Result<T, Error>,
    mut take: impl FnMut(T) -> bool,
) -> Result<(), Error> {
    let mut failed = None;
    index.scan(tx, range, |tuple| match decode(tuple) {
        Ok(decoded) => take(decoded),
        Err(error) => {
            failed = Some(error);
            false
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// The decoded tuples of a range. Errors: those of `decode`.
fn all<T>(
    tx: &Tx,
    index: Index,
    range: Range<'_>,
    decode: impl Fn(&[u8]) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    scan(tx, index, range, decode, |one| {
        found.push(one);
        true
    })?;
    Ok(found)
}

/// Deletes at most `limit` tuples whose second field is below `time`, by the index of that field. Returns whether there may be
/// more. Yields while it commits.
fn forget(tx: &Tx, space: Space, index: u32, time: u64, limit: usize) -> Result<bool, Error> {
    transaction_if(tx, || {
        let mut ids = Vec::new();
        let index = space.index(index);
        scan(tx, index, Range::All, id_and_time, |(id, expires_at)| {
            let expired = expires_at < time;
            ids.extend(expired.then_some(id));
            expired && ids.len() < limit
        })?;
        for id in &ids {
            space.delete(tx, id)?;
        }
        Ok((ids.len() == limit, !ids.is_empty()))
    })
}

/// The first field in the form of a key, and the second field.
fn id_and_time(tuple: &[u8]) -> Result<(Vec<u8>, u64), Error> {
    let mut reader = Reader::new(tuple);
    reader.head()?;
    let (id, time) = (reader.value()?, reader.value()?);
    let time = rmp_serde::from_slice(time).map_err(|_| Error::Internal)?;
    Ok(([b"\x91", id].concat(), time))
}
