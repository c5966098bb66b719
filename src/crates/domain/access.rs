//! Who may do what with which keys. Pure; any thread.
//!
//! [`super::permitted`] applies these rules to requests.

use super::kinds::Kinds;
use super::pattern::login_in_keys;
use super::{is_dot_segment, KeyRange, Permission, Rules};
use authkv_base::error::{AccessKind, Error};
use authkv_codec::msgpack::Reader;
use std::sync::Arc;

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

/// What a caller may do with keys: without a permission, nothing.
#[derive(Debug, Default)]
pub struct Access {
    /// What is allowed with all keys.
    all: Kinds,
    /// Everything with all keys is a permission of its own.
    has_everything: bool,
    roles: Vec<Arc<Rules>>,
    /// The login as it stands in keys; empty if no permission needs it.
    login: String,
}

impl Access {
    pub fn everything() -> Self {
        let mut access = Self::default();
        access.add_everything();
        access
    }

    pub fn add_everything(&mut self) {
        self.all = Kinds::ALL;
        self.has_everything = true;
    }

    /// Adds the permissions of a role of the user with this login.
    pub fn add(&mut self, rules: Arc<Rules>, login: &str) {
        if self.login.is_empty() && rules.has_login() {
            self.login = login_in_keys(login).into_owned();
        }
        self.all |= rules.all();
        self.roles.push(rules);
    }

    /// All permissions, with the login in its place.
    pub fn into_permissions(self) -> Vec<Permission> {
        let everything = self.has_everything.then(Permission::everything);
        let of_roles = self.roles.iter().flat_map(|rules| rules.permissions());
        let own = |one: &Permission| one.clone().of_login(self.login.as_bytes());
        everything
            .into_iter()
            .chain(of_roles.filter_map(own))
            .collect()
    }

    /// The ranges of keys for which `kind`, which has no parts, is allowed, in order and without overlaps.
    pub(super) fn ranges(&self, kind: AccessKind) -> Vec<KeyRange> {
        if self.allows_all(kind) {
            return vec![KeyRange::default()];
        }
        let mut ranges = Vec::new();
        for rules in &self.roles {
            rules.add_ranges(kind, self.login.as_bytes(), &mut ranges);
        }
        KeyRange::union(ranges)
    }

    /// Whether `kind` is allowed for all keys.
    pub fn allows_all(&self, kind: AccessKind) -> bool {
        self.all.has(kind)
    }

    /// Whether everything is allowed for all keys.
    pub(super) fn is_everything(&self) -> bool {
        self.all == Kinds::ALL
    }

    /// What is allowed for this key.
    fn kinds(&self, key: &[u8]) -> Kinds {
        let of_key = |rules: &Arc<Rules>| rules.kinds(key, self.login.as_bytes());
        self.roles
            .iter()
            .fold(self.all, |kinds, rules| kinds | of_key(rules))
    }

    /// Whether `kind` is allowed for this key. The parts of `Write` may come from several roles.
    pub fn allows(&self, kind: AccessKind, key: &[u8]) -> bool {
        self.all.has(kind) || self.kinds(key).has(kind)
    }

    /// The error for `kind`, which is not allowed for this key. Who may not write the key at all is told so.
    pub fn refusal(&self, kind: AccessKind, key: &[u8]) -> Error {
        let is_part = AccessKind::PARTS_OF_WRITE.contains(&kind);
        let kinds = self.kinds(key);
        let may = |part| kinds.has(part);
        let kind = match is_part && !AccessKind::PARTS_OF_WRITE.into_iter().any(may) {
            true => AccessKind::Write,
            false => kind,
        };
        let key = String::from_utf8_lossy(key).into_owned();
        Error::Forbidden { kind, key }
    }

    /// Errors: `Forbidden`.
    pub fn check_key(&self, kind: AccessKind, key: &[u8]) -> Result<(), Error> {
        match self.allows(kind, key) {
            true => Ok(()),
            false => Err(self.refusal(kind, key)),
        }
    }

    /// Checks keys, given as one-element msgpack arrays. Errors: `Forbidden` with the first key for which `kind` is not
    /// allowed.
    pub(super) fn check<'a>(
        &self,
        kind: AccessKind,
        mut keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Error> {
        match self.allows_all(kind) {
            true => Ok(()),
            false => keys.try_for_each(|key| self.check_key(kind, key_bytes(key))),
        }
    }
}

/// The bytes of a key that is a one-element msgpack array.
pub(super) fn key_bytes(key: &[u8]) -> &[u8] {
    // Keys that are not strings are refused earlier.
    Reader::new(&key[1..]).string().unwrap_or_default()
}

#[cfg(test)]
#[path = "access/tests.rs"]
mod tests;
