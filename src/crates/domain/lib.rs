//! Values that cannot be built invalid: each has one constructor, which checks the rules of the contract. Pure; runs on any
//! thread.

#![forbid(unsafe_code)]

mod access;
mod claims;
mod expiry;
mod keys;
mod kinds;
mod listing;
mod names;
mod pages;
mod password;
mod pattern;
mod permission;
mod permitted;
mod quota;
mod rules;
mod steps;
mod txn;
mod user;

pub use access::{Access, RoleName};
pub use claims::{Claims, Outside};
pub use expiry::{Expiry, TTL_MAX};
pub use keys::{check_different, key_text, write_lookup, Keys};
pub use kinds::Kinds;
pub use listing::{Deletion, KeyRange, Listing, Watching, What};
pub use names::{Login, LoginForm, NameForm, PersonName};
pub use pages::{Change, ChangePage, ListPage};
pub use password::{is_bcrypt, Class, Password, PasswordRules};
pub use pattern::{escape, login_in_keys, Pattern};
pub use permission::{Flags, Keyed, Permission, Permissions};
pub use permitted::{Comparable, DeletableRange, Permitted, Readable, ReadableRanges};
pub use quota::Quota;
pub use rules::Rules;
pub use steps::{Action, Content, IfRevision, Mode, NewContent, Step, Steps};
pub use txn::{Comparison, Test, Txn};
pub use user::{Granted, Role, Subject, User};

use authkv_base::error::{Error, KeyRule};

/// How many keys one request may name, and how long they may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most keys or pairs in a batch.
    pub batch: usize,
    /// The most bytes in a key.
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

    /// Errors: `BadKey` for a key that is too long, or empty.
    pub fn check_length(&self, key: &[u8]) -> Result<(), Error> {
        match key.len() {
            n if n == 0 || n > self.key => Err(Error::BadKey(KeyRule::Length { limit: self.key })),
            _ => Ok(()),
        }
    }

    /// Checks a key that is written with [`Mode`] `mode`. Errors: `BadKey`, also for a dot segment, which only the contract
    /// accepts.
    pub fn check_key(&self, key: &[u8], mode: Mode) -> Result<(), Error> {
        self.check_length(key)?;
        match mode != Mode::Fill && is_dot_segment(key) {
            true => Err(Error::BadKey(KeyRule::Dots)),
            false => Ok(()),
        }
    }
}

/// Whether clients and proxies remove this segment from a path, with the segment before it (RFC 3986 §5.2.4). So a request for
/// a key or role of this name would not arrive.
fn is_dot_segment(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_keys_of_the_contract_only() {
        let limits = Limits { batch: 1, key: 3 };
        for (key, old, new) in [
            ("", false, false),
            (".", true, false),
            ("..", true, false),
            ("...", true, true),
            (".a", true, true),
            ("....", false, false),
        ] {
            let taken = |mode| limits.check_key(key.as_bytes(), mode).is_ok();
            assert_eq!(taken(Mode::Fill), old, "{key}");
            for mode in [Mode::Insert, Mode::Upsert, Mode::Replace] {
                assert_eq!(taken(mode), new, "{key} {mode:?}");
            }
        }
    }
}
