//! One repository per space. Runs on the tx thread; the spaces themselves are made by
//! `tarantool_infra/schema.lua`.

mod kv;
mod revoked;
mod users;

pub use kv::{KeyValues, Written};
pub use revoked::{Revocation, Revoked};
pub use users::Users;

use crate::config::Config;
use crate::tx::{Space, Tx};

/// The spaces of this instance, looked up once.
pub struct Storage {
    pub users: Option<Users>,
    pub key_values: Option<KeyValues>,
    pub revoked: Revoked,
}

impl Storage {
    /// The error names a space that is missing.
    pub fn open(tx: &Tx, config: &Config) -> Result<Self, String> {
        let find =
            |name: &str| Space::find(tx, name).ok_or_else(|| format!("there is no space {name}"));
        let users = config.services.auth.then(|| find("user")).transpose()?;
        let key_values = config
            .services
            .kv
            .then(|| find("key_value_store"))
            .transpose()?;
        Ok(Self {
            users: users.map(|space| Users::new(tx, space)),
            key_values: key_values.map(|space| KeyValues::new(space, config)),
            revoked: Revoked::new(tx, find("revoked_token")?),
        })
    }
}

/// Encodes a key or a tuple as a msgpack array. Only for values that cannot fail to encode.
fn array<T: serde::Serialize>(values: &T) -> Vec<u8> {
    rmp_serde::to_vec(values).unwrap_or_default()
}
