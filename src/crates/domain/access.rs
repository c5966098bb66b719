//! Who may read and write which keys. Pure; any thread.
//!
//! [`super::permitted`] applies these rules to requests.

use super::{is_dot_segment, key_text, Limits};
use authkv_base::error::{AccessKind, Error};
use authkv_codec::msgpack::Reader;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

// The doc comment is in the OpenAPI document.
/// What may be done with the keys that begin with `prefix`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    pub prefix: String,
    #[serde(default)]
    #[schema(required)]
    pub read: bool,
    #[serde(default)]
    #[schema(required)]
    pub write: bool,
}

impl Permission {
    /// The permission for all keys.
    pub const fn everything() -> Self {
        Self {
            prefix: String::new(),
            read: true,
            write: true,
        }
    }

    fn allows(&self, kind: AccessKind) -> bool {
        match kind {
            AccessKind::Read => self.read,
            AccessKind::Write => self.write,
        }
    }
}

/// The name of a role: 1 to 128 ASCII letters, digits, `_`, `-` and `.`. The names `.` and `..` are refused, because clients
/// take them out of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleName(String);

impl RoleName {
    /// The most characters of a name: twice those of a login, so that a role may be named after a user.
    pub const MAX: usize = 128;
    /// The role for all administration, introspection and all keys.
    pub const ADMIN: &'static str = "admin";
    /// The role for introspection.
    pub const INTROSPECT: &'static str = "introspect";
    /// The role for one-time tokens, with which users set new passwords.
    pub const RECOVERY: &'static str = "recovery";
    /// The role of every user, unless a setting says otherwise.
    pub const DEFAULT: &'static str = "default";

    /// Errors: `BadRole`.
    pub fn new(text: String) -> Result<Self, Error> {
        Self::check(&text)?;
        Self::of_any_version(text)
    }

    /// Accepts the name of a role that may exist already: older versions allowed `.` and `..`. Errors: `BadRole`.
    pub fn of_any_version(text: String) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        match text.len() {
            1..=Self::MAX if text.bytes().all(allowed) => Ok(Self(text)),
            _ => Err(Error::BadRole(
                "its name should have 1 to 128 ASCII letters, digits, _, - and .",
            )),
        }
    }

    /// Errors: `BadRole` for a name that no request may use, whether or not such a role exists.
    pub fn check(text: &str) -> Result<(), Error> {
        match is_dot_segment(text.as_bytes()) {
            true => Err(Error::BadRole("its name should not be . or ..")),
            false => Ok(()),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Errors: `BadRole` for a role with a fixed meaning.
    pub fn check_changeable(&self) -> Result<(), Error> {
        match self.as_str() {
            Self::ADMIN | Self::INTROSPECT => {
                Err(Error::BadRole("admin and introspect cannot be changed"))
            }
            _ => Ok(()),
        }
    }
}

/// The permissions of one role.
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

/// The keys that a caller may read or write: without a permission, none.
#[derive(Debug, Default)]
pub struct Access {
    permissions: Cow<'static, [Permission]>,
}

impl Access {
    pub fn everything() -> Self {
        const EVERYTHING: &[Permission] = &[Permission::everything()];
        Self {
            permissions: Cow::Borrowed(EVERYTHING),
        }
    }

    pub fn add(&mut self, permissions: Vec<Permission>) {
        match self.permissions.is_empty() {
            true => self.permissions = permissions.into(),
            false => self.permissions.to_mut().extend(permissions),
        }
    }

    pub fn into_permissions(self) -> Vec<Permission> {
        self.permissions.into_owned()
    }

    /// The permissions for `kind`.
    pub(super) fn of(&self, kind: AccessKind) -> impl Iterator<Item = &Permission> {
        self.permissions.iter().filter(move |one| one.allows(kind))
    }

    /// Whether `kind` is allowed for all keys.
    pub fn allows_all(&self, kind: AccessKind) -> bool {
        self.of(kind).any(|one| one.prefix.is_empty())
    }

    /// Whether `kind` is allowed for this key.
    pub fn allows(&self, kind: AccessKind, key: &[u8]) -> bool {
        self.of(kind)
            .any(|one| key.starts_with(one.prefix.as_bytes()))
    }

    /// Checks keys, given as one-element msgpack arrays. Errors: `Forbidden` with the first key for which `kind` is not
    /// allowed.
    pub(super) fn check<'a>(
        &self,
        kind: AccessKind,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Error> {
        if self.allows_all(kind) {
            return Ok(());
        }
        for key in keys {
            if !self.allows(kind, key_bytes(key)) {
                let key = key_text(&key[1..]);
                return Err(Error::Forbidden { kind, key });
            }
        }
        Ok(())
    }
}

/// The bytes of a key that is a one-element msgpack array.
pub(super) fn key_bytes(key: &[u8]) -> &[u8] {
    // Keys that are not strings are refused earlier.
    Reader::new(&key[1..]).string().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn refused(access: &Access, kind: AccessKind) -> Option<String> {
        let keys = [b"\x91\xa3a/1" as &[u8], b"\x91\xa3b/1", b"\x91\xa1c"];
        match access.check(kind, keys.into_iter()) {
            Err(Error::Forbidden { key, .. }) => Some(key),
            other => other.map(|()| None).unwrap(),
        }
    }

    #[test]
    fn the_first_key_that_no_permission_covers_is_named() {
        use AccessKind::{Read, Write};
        for (permissions, kind, key) in [
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
            assert_eq!(refused(&access(permissions), kind), key, "{permissions:?}");
        }
        assert_eq!(refused(&Access::everything(), Write), None);
    }

    #[test]
    fn the_name_of_a_role_has_rules() {
        for (text, ok) in [
            ("a", true),
            ("Team_1.read-only", true),
            (&"r".repeat(128), true),
            (&format!("user-{}", "a".repeat(64)), true),
            (&"r".repeat(129), false),
            ("", false),
            ("a b", false),
            ("роль", false),
            ("a/b", false),
            (".", false),
            ("..", false),
            ("...", true),
        ] {
            assert_eq!(RoleName::new(text.to_owned()).is_ok(), ok, "{text}");
        }
    }
}
