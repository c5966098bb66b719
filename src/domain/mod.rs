//! Values that cannot be built invalid: each has one constructor, which applies the rules of the contract.
//! Pure; runs on any thread.

mod access;
mod claims;
mod expiry;
mod initial;
mod keys;
mod listing;
mod login;
mod password;
mod permitted;
mod steps;
mod txn;
mod user;

pub use access::{Access, Permission, Permissions, RoleName};
pub use claims::Claims;
pub use expiry::{Expiry, TTL_MAX};
pub use initial::Initial;
pub use keys::{check_different, key_text, write_lookup, Keys};
pub use listing::{KeyRange, Listing, Watching, What};
pub use login::Login;
pub use password::{Class, Password, PasswordRules};
pub use permitted::{Comparable, Permitted, Readable, ReadableRanges};
pub use steps::{Action, Content, IfRevision, Mode, NewContent, Step, Steps};
pub use txn::{Comparison, Test, Txn};
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
    /// Errors: `NoKeys`, `TooManyKeys`.
    pub fn check_batch(&self, count: usize) -> Result<(), Error> {
        match count {
            0 => Err(Error::NoKeys),
            n if n > self.batch => Err(Error::TooManyKeys { limit: self.batch }),
            _ => Ok(()),
        }
    }

    /// Errors: `BadKey`.
    pub fn check_key(&self, key: &[u8]) -> Result<(), Error> {
        match key.len() {
            n if n == 0 || n > self.key => Err(Error::BadKey { limit: self.key }),
            _ => Ok(()),
        }
    }
}
