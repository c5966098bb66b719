//! Keys that are derived and not stored: all instances of a replica set derive the same ones. Runs on the tx thread.
//!
//! It takes two secrets. One is in the data, so an instance that was promoted has it. The other is not, so who reads the data
//! alone cannot derive anything: it is `REPLICATION_PASSWORD`, which all instances of a replica set have, or without one the
//! private key file, which each instance has for itself.

use super::Auth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_config::Config;
use authkv_token::key::PrivateKey;
use ring::hmac::{self, HMAC_SHA256};
use secrecy::ExposeSecret;

/// What a key is for.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// Decides how long an unknown login takes.
    UnknownLogins,
    /// Makes the refresh token that follows a used one.
    Refreshes,
    /// Signs one-time tokens.
    OneTimeTokens,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::UnknownLogins => b"logins that are not known",
            Self::Refreshes => b"refresh tokens",
            Self::OneTimeTokens => b"one-time tokens",
        }
    }
}

/// The secret that is not in the data. `None` if the instance has neither, and no users.
pub fn outside(config: &Config, main: Option<&PrivateKey>) -> Option<hmac::Key> {
    let password = config.replication_password.as_ref();
    match (password, main) {
        (Some(password), _) => Some(key(password.expose_secret().as_bytes())),
        (None, Some(main)) => Some(key(&main.derive(b"derived keys"))),
        (None, None) => None,
    }
}

fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(HMAC_SHA256, secret)
}

impl Auth {
    /// The key for this purpose, by the secret that is in the data now: a restore draws another one. Errors: `NotOffered` without
    /// users; `Internal`. Does not yield.
    pub fn derived(&self, tx: &Tx, purpose: Purpose) -> Result<hmac::Key, Error> {
        let inside = self.storage.secret.as_ref();
        let (inside, outside) = inside.zip(self.outside.as_ref()).ok_or(Error::NotOffered)?;
        let mut context = hmac::Context::with_key(outside);
        // Its length never changes.
        context.update(inside.read(tx)?.expose_secret().as_bytes());
        context.update(purpose.label());
        Ok(key(context.sign().as_ref()))
    }
}
