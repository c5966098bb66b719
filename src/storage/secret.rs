//! A random secret that all instances with the same data have, in the space `authkv_secret`. `schema.lua` draws the first one.

use super::{array, broken, decode, find};
use crate::tx::lua::draw_secret;
use crate::tx::{tuple_bytes, Space, Tx};
use authkv_base::error::Error;
use secrecy::{ExposeSecret, SecretString};

/// The primary key of the only tuple. `schema.lua` knows it too.
const ID: &str = "tokens";
const NAME: &str = "authkv_secret";
/// Bytes of a secret: see `draw_secret`.
const LENGTH: usize = 43;

pub struct Secret {
    pub(super) space: Space,
}

impl Secret {
    /// A text whose length never changes. Errors: `Internal` if there is none, with a line in the log. Does not yield.
    pub fn read(&self, tx: &Tx) -> Result<SecretString, Error> {
        let tuple = find(tx, self.space, ID)?.ok_or_else(|| broken(NAME))?;
        let (_, secret): (String, String) = decode(NAME, tuple_bytes(&tuple))?;
        let secret = SecretString::from(secret);
        match secret.expose_secret().len() {
            LENGTH => Ok(secret),
            _ => Err(broken(NAME)),
        }
    }

    /// Draws another one. The caller has opened a transaction. Errors: `Internal` if the system has no random bytes.
    pub fn draw(&self, tx: &Tx) -> Result<(), Error> {
        let secret = draw_secret().ok_or(Error::Internal)?;
        Ok(self.space.replace(tx, &array(&(ID, secret)))?)
    }
}
