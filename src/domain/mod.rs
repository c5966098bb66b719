//! Values that cannot be built invalid: each has one constructor, which applies the rules of the contract.
//! Pure; runs on any thread.

mod access;
mod claims;
mod initial;
mod keys;
mod login;
mod pairs;
mod password;
mod user;

pub use access::{Access, Permission, Permissions, Readable, RoleName, Writable};
pub use claims::Claims;
pub use initial::Initial;
pub use keys::{key_text, Keys};
pub use login::Login;
pub use pairs::Pairs;
pub use password::{Class, Password, PasswordRules};
pub use user::{Granted, Role, Subject, User};

use crate::error::Error;

/// How much one request may name.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Keys or pairs in a batch.
    pub batch: usize,
    /// Bytes in a key.
    pub key: usize,
}

impl Limits {
    fn check_batch(&self, count: usize) -> Result<(), Error> {
        match count {
            0 => Err(Error::NoKeys),
            n if n > self.batch => Err(Error::TooManyKeys { limit: self.batch }),
            _ => Ok(()),
        }
    }

    fn check_key(&self, key: &[u8]) -> Result<(), Error> {
        match key.len() {
            n if n == 0 || n > self.key => Err(Error::BadKey { limit: self.key }),
            _ => Ok(()),
        }
    }
}
