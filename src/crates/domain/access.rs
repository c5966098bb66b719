//! Who may do what with which keys. Pure; any thread.
//!
//! [`super::permitted`] applies these rules to requests.

use super::pattern::{login_in_keys, Pattern};
use super::{is_dot_segment, KeyRange, Permission};
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

/// The permissions of one role, in order for look-ups.
#[derive(Debug)]
pub struct Rules {
    permissions: Vec<Permission>,
    patterns: Vec<Pattern>,
    read: Lookup,
    insert: Lookup,
    update: Lookup,
    delete: Lookup,
}

/// The patterns of one kind of access, by their places in [`Rules::patterns`].
#[derive(Debug, Default)]
struct Lookup {
    /// All keys.
    all: bool,
    /// Prefixes without a login, in order; none begins with another.
    prefixes: Vec<u16>,
    /// Keys without a login, in order.
    keys: Vec<u16>,
    of_login: Vec<u16>,
}

impl Rules {
    pub fn new(permissions: Vec<Permission>) -> Self {
        let patterns: Vec<Pattern> = permissions.iter().map(Permission::pattern).collect();
        let lookup = |kind| Lookup::new(&permissions, &patterns, kind);
        Self {
            read: lookup(AccessKind::Read),
            insert: lookup(AccessKind::Insert),
            update: lookup(AccessKind::Update),
            delete: lookup(AccessKind::Delete),
            patterns,
            permissions,
        }
    }

    pub fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// About the bytes of memory that this takes.
    pub fn size(&self) -> usize {
        let text = |one: &Permission| 2 * one.text().len() + 256;
        self.permissions.iter().map(text).sum()
    }

    fn has_login(&self) -> bool {
        self.patterns.iter().any(Pattern::has_login)
    }

    fn holds(&self, kind: AccessKind, is: impl Fn(&Lookup) -> bool) -> bool {
        match kind {
            AccessKind::Read => is(&self.read),
            AccessKind::Insert => is(&self.insert),
            AccessKind::Update => is(&self.update),
            AccessKind::Delete => is(&self.delete),
            AccessKind::Write => [&self.insert, &self.update, &self.delete]
                .into_iter()
                .all(is),
        }
    }

    fn ranges<'a>(
        &'a self,
        kind: AccessKind,
        login: &'a [u8],
    ) -> impl Iterator<Item = KeyRange> + 'a {
        let permissions = self.permissions.iter().zip(&self.patterns);
        permissions
            .filter(move |(one, _)| one.allows(kind))
            .filter_map(|(_, pattern)| pattern.range(login))
    }
}

impl Lookup {
    fn new(permissions: &[Permission], patterns: &[Pattern], kind: AccessKind) -> Self {
        let mut lookup = Self::default();
        let start = |place: &u16| patterns[usize::from(*place)].start();
        for (place, pattern) in patterns.iter().enumerate() {
            let Some(place) = u16::try_from(place)
                .ok()
                .filter(|_| permissions[place].allows(kind))
            else {
                continue;
            };
            match (pattern.has_login(), pattern.is_key) {
                (true, _) => lookup.of_login.push(place),
                (false, true) => lookup.keys.push(place),
                (false, false) => lookup.prefixes.push(place),
            }
        }
        lookup.keys.sort_by_key(start);
        lookup.prefixes.sort_by_key(start);
        // The keys of a longer prefix are among those of the shorter one before it.
        lookup
            .prefixes
            .dedup_by(|one, before| start(one).starts_with(start(before)));
        lookup.all = lookup
            .prefixes
            .first()
            .is_some_and(|one| start(one).is_empty());
        lookup
    }

    fn allows(&self, patterns: &[Pattern], key: &[u8], login: &[u8]) -> bool {
        let pattern = |place: &u16| &patterns[usize::from(*place)];
        // The only one that can be the beginning of the key is the last one that is not above it.
        let above = self
            .prefixes
            .partition_point(|place| pattern(place).start() <= key);
        self.all
            || self.prefixes[..above]
                .last()
                .is_some_and(|place| key.starts_with(pattern(place).start()))
            || self
                .keys
                .binary_search_by_key(&key, |place| pattern(place).start())
                .is_ok()
            || self
                .of_login
                .iter()
                .any(|place| pattern(place).matches(key, login))
    }
}

/// What a caller may do with keys: without a permission, nothing.
#[derive(Debug, Default)]
pub struct Access {
    sources: Vec<Source>,
    /// The login as it stands in keys; empty if no permission needs it.
    login: String,
}

/// What gives permissions.
#[derive(Debug)]
enum Source {
    /// Everything with all keys.
    Everything,
    Role(Arc<Rules>),
}

impl Access {
    pub fn everything() -> Self {
        let mut access = Self::default();
        access.add_everything();
        access
    }

    pub fn add_everything(&mut self) {
        self.sources.push(Source::Everything);
    }

    /// Adds the permissions of a role of the user with this login.
    pub fn add(&mut self, rules: Arc<Rules>, login: &str) {
        if self.login.is_empty() && rules.has_login() {
            self.login = login_in_keys(login).into_owned();
        }
        self.sources.push(Source::Role(rules));
    }

    /// All permissions, with the login in its place.
    pub fn into_permissions(self) -> Vec<Permission> {
        let mut all = Vec::new();
        for source in &self.sources {
            match source {
                Source::Everything => all.push(Permission::everything()),
                Source::Role(rules) => {
                    let own = |one: &Permission| one.clone().of_login(self.login.as_bytes());
                    all.extend(rules.permissions.iter().filter_map(own));
                }
            }
        }
        all
    }

    /// The ranges of keys for which `kind` is allowed, in order and without overlaps.
    pub(super) fn ranges(&self, kind: AccessKind) -> Vec<KeyRange> {
        let mut ranges = Vec::new();
        for source in &self.sources {
            match source {
                Source::Everything => ranges.push(KeyRange::default()),
                Source::Role(rules) => ranges.extend(rules.ranges(kind, self.login.as_bytes())),
            }
        }
        KeyRange::union(ranges)
    }

    /// Whether `kind` is allowed for all keys.
    pub fn allows_all(&self, kind: AccessKind) -> bool {
        self.sources.iter().any(|source| match source {
            Source::Everything => true,
            Source::Role(rules) => rules.holds(kind, |lookup| lookup.all),
        })
    }

    /// Whether everything is allowed for all keys.
    pub(super) fn is_everything(&self) -> bool {
        self.allows_all(AccessKind::Read) && self.allows_all(AccessKind::Write)
    }

    /// Whether `kind` is allowed for this key.
    pub fn allows(&self, kind: AccessKind, key: &[u8]) -> bool {
        let one = |kind| {
            self.sources.iter().any(|source| match source {
                Source::Everything => true,
                Source::Role(rules) => {
                    let login = self.login.as_bytes();
                    rules.holds(kind, |lookup| lookup.allows(&rules.patterns, key, login))
                }
            })
        };
        match kind {
            // Each part may come from another role.
            AccessKind::Write => AccessKind::PARTS_OF_WRITE.into_iter().all(one),
            _ => one(kind),
        }
    }

    /// The error for `kind`, which is not allowed for this key. Who may not write the key at all is told so.
    pub fn refusal(&self, kind: AccessKind, key: &[u8]) -> Error {
        let is_part = AccessKind::PARTS_OF_WRITE.contains(&kind);
        let may = |part| self.allows(part, key);
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
