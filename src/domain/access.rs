//! Who may read and write which keys. Pure; any thread.
//!
//! Keys that may be read, and pairs that may be written, are types of their own, which only [`Access`] makes: the
//! store takes nothing else.

use super::{key_text, Keys, Limits, Pairs};
use crate::codec::msgpack::Reader;
use crate::error::{Deed, Error};
use serde::{Deserialize, Serialize};

/// What may be done with the keys that begin with `prefix`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    pub prefix: String,
    #[serde(default)]
    pub read: bool,
    #[serde(default)]
    pub write: bool,
}

impl Permission {
    /// The permission for all keys.
    pub fn everything() -> Self {
        Self {
            prefix: String::new(),
            read: true,
            write: true,
        }
    }

    fn allows(&self, deed: Deed) -> bool {
        match deed {
            Deed::Read => self.read,
            Deed::Write => self.write,
        }
    }
}

/// The name of a role: 1 to 64 ASCII letters, digits, `_`, `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleName(String);

impl RoleName {
    /// Gives all administration, introspection and all keys.
    pub const ADMIN: &'static str = "admin";
    /// Gives introspection.
    pub const INTROSPECT: &'static str = "introspect";
    /// What every user has, unless a setting says otherwise.
    pub const DEFAULT: &'static str = "default";

    /// Errors: `BadRole`.
    pub fn new(text: String) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        match text.len() {
            1..=64 if text.bytes().all(allowed) => Ok(Self(text)),
            _ => Err(Error::BadRole(
                "its name should have 1 to 64 ASCII letters, digits, _, - and .",
            )),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Errors: `BadRole` for a role that means what it means.
    pub fn check_changeable(&self) -> Result<(), Error> {
        match self.as_str() {
            Self::ADMIN | Self::INTROSPECT => {
                Err(Error::BadRole("admin and introspect cannot be changed"))
            }
            _ => Ok(()),
        }
    }
}

/// Permissions that a role may have.
#[derive(Debug)]
pub struct Permissions(Vec<Permission>);

impl Permissions {
    pub const MAX: usize = 1000;

    /// Errors: `BadRole`.
    pub fn new(permissions: Vec<Permission>, limits: &Limits) -> Result<Self, Error> {
        if permissions.len() > Self::MAX {
            return Err(Error::BadRole("it may have at most 1000 permissions"));
        }
        if permissions.iter().any(|one| one.prefix.len() > limits.key) {
            return Err(Error::BadRole("a prefix is longer than a key may be"));
        }
        Ok(Self(permissions))
    }

    pub fn into_inner(self) -> Vec<Permission> {
        self.0
    }
}

/// What a caller may do with keys. Without a permission, nothing.
#[derive(Debug, Default)]
pub struct Access {
    permissions: Vec<Permission>,
}

/// Keys that the caller may read.
pub struct Readable<'a>(&'a Keys);

/// Pairs that the caller may write.
pub struct Writable<'a>(&'a Pairs);

impl Access {
    pub fn everything() -> Self {
        let mut access = Self::default();
        access.add(vec![Permission::everything()]);
        access
    }

    pub fn add(&mut self, permissions: Vec<Permission>) {
        match self.permissions.is_empty() {
            true => self.permissions = permissions,
            false => self.permissions.extend(permissions),
        }
    }

    pub fn into_permissions(self) -> Vec<Permission> {
        self.permissions
    }

    /// Errors: `Forbidden` with the first key that may not be read.
    pub fn reads<'a>(&self, keys: &'a Keys) -> Result<Readable<'a>, Error> {
        // The key without the array around it.
        self.check(Deed::Read, keys.iter().map(|key| &key[1..]))?;
        Ok(Readable(keys))
    }

    /// Errors: `Forbidden` with the first key that may not be written.
    pub fn writes<'a>(&self, pairs: &'a Pairs) -> Result<Writable<'a>, Error> {
        self.check(Deed::Write, pairs.iter().map(|pair| pair.key))?;
        Ok(Writable(pairs))
    }

    fn check<'a>(&self, deed: Deed, keys: impl Iterator<Item = &'a [u8]>) -> Result<(), Error> {
        let of_deed = || self.permissions.iter().filter(|one| one.allows(deed));
        if of_deed().any(|one| one.prefix.is_empty()) {
            return Ok(());
        }
        for key in keys {
            // Keys that are no strings are not taken.
            let text = Reader::new(key).string().unwrap_or_default();
            if !of_deed().any(|one| text.starts_with(one.prefix.as_bytes())) {
                let key = key_text(key);
                return Err(Error::Forbidden { deed, key });
            }
        }
        Ok(())
    }
}

impl<'a> Readable<'a> {
    pub fn keys(&self) -> &'a Keys {
        self.0
    }
}

impl<'a> Writable<'a> {
    pub fn pairs(&self) -> &'a Pairs {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json_read::to_msgpack;

    const LIMITS: Limits = Limits { batch: 9, key: 9 };

    fn access(permissions: &[(&str, bool, bool)]) -> Access {
        let mut access = Access::default();
        for (prefix, read, write) in permissions {
            access.add(vec![Permission {
                prefix: (*prefix).to_owned(),
                read: *read,
                write: *write,
            }]);
        }
        access
    }

    fn refused(access: &Access, deed: Deed) -> Option<String> {
        let msgpack = |json: &str| to_msgpack(json.as_bytes(), 9).unwrap();
        let keys = Keys::decode(&msgpack(r#"["a/1","b/1","c"]"#), &LIMITS);
        let pairs = Pairs::decode(&msgpack(r#"{"a/1":1,"b/1":1,"c":1}"#), &LIMITS);
        let result = match deed {
            Deed::Read => access.reads(&keys.unwrap().unwrap()).map(drop),
            Deed::Write => access.writes(&pairs.unwrap().unwrap()).map(drop),
        };
        match result {
            Err(Error::Forbidden { key, .. }) => Some(key),
            other => other.map(|()| None).unwrap(),
        }
    }

    #[test]
    fn the_first_key_that_no_permission_covers_is_named() {
        use Deed::{Read, Write};
        for (permissions, deed, key) in [
            (&[][..], Read, Some("a/1")),
            (&[("", true, false)], Read, None),
            (&[("", true, false)], Write, Some("a/1")),
            (&[("a/", true, true), ("c", true, true)], Read, Some("b/1")),
            (&[("a/", true, true), ("b", false, true)], Write, Some("c")),
            (
                &[("a", true, true), ("b", true, true), ("c", true, false)],
                Read,
                None,
            ),
            (
                &[("a/1/", true, true), ("", false, true)],
                Read,
                Some("a/1"),
            ),
        ] {
            let key = key.map(str::to_owned);
            assert_eq!(refused(&access(permissions), deed), key, "{permissions:?}");
        }
        assert_eq!(refused(&Access::everything(), Write), None);
    }

    #[test]
    fn the_name_of_a_role_has_rules() {
        for (text, ok) in [
            ("a", true),
            ("Team_1.read-only", true),
            (&"r".repeat(64), true),
            (&"r".repeat(65), false),
            ("", false),
            ("a b", false),
            ("роль", false),
            ("a/b", false),
        ] {
            assert_eq!(RoleName::new(text.to_owned()).is_ok(), ok, "{text}");
        }
    }
}
