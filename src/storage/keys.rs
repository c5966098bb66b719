//! The space `authkv_token_key`: the public keys of the ring, and when they are used. Private keys are in files, never here.

use super::mirror::Mirror;
use super::{all, array};
use crate::tx::{Range, Space, Tx};
use authkv_base::error::Error;
use serde::{Deserialize, Serialize};

/// A public key. Times are seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey {
    pub kid: String,
    /// `None` while the key signs or is going to sign.
    pub verifies_until: Option<u64>,
    /// The number of the last change of this tuple.
    pub number: u64,
    pub pem: String,
    pub created_at: u64,
    pub signs_from: u64,
}

pub struct TokenKeys {
    pub(super) space: Space,
}

impl TokenKeys {
    /// Does not yield.
    pub fn get(&self, tx: &Tx, kid: &str) -> Result<Option<TokenKey>, Error> {
        super::get(tx, self.space, kid, decode)
    }

    /// All keys. Does not yield.
    pub fn all(&self, tx: &Tx) -> Result<Vec<TokenKey>, Error> {
        all(tx, self.space.index(0), Range::All, decode)
    }

    /// Stores a key with a new number. The caller has opened a transaction.
    pub fn put(&self, tx: &Tx, mirror: &Mirror, key: &TokenKey) -> Result<(), Error> {
        let key = TokenKey {
            number: mirror.next(tx)?,
            ..key.clone()
        };
        Ok(self.space.replace(tx, &array(&key))?)
    }
}

fn decode(tuple: &[u8]) -> Result<TokenKey, Error> {
    super::decode("authkv_token_key", tuple)
}
