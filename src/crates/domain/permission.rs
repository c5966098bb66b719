//! What one permission says, as clients write and read it. Pure; any thread.

use super::kinds::Kinds;
use super::pattern::{escape, Pattern};
use super::Limits;
use authkv_base::error::{AccessKind, Error};
use serde::Serialize;
use utoipa::ToSchema;

// The doc comments are in the OpenAPI document.
/// What may be done with the keys that begin with `prefix`, or with the one that is `key`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Its keys begin so. `{login}` is the login of the user, and a brace of a key is doubled
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    prefix: Option<String>,
    /// Its only key, in the same form
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key: Option<String>,
    read: bool,
    /// All of `insert`, `update` and `delete`
    write: bool,
    /// Only there where it is true, without `write`: to make keys that do not exist
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    insert: bool,
    /// Only there where it is true, without `write`: to change values
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    update: bool,
    /// Only there where it is true, without `write`: to delete keys
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    delete: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The keys of a permission, as a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyed {
    Prefix(String),
    Key(String),
}

/// What a permission allows, by the names of its members. `None`: it is not said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    pub read: Option<bool>,
    pub write: Option<bool>,
    pub insert: Option<bool>,
    pub update: Option<bool>,
    pub delete: Option<bool>,
}

impl Permission {
    /// The permission for all keys.
    pub fn everything() -> Self {
        Self {
            prefix: Some(String::new()),
            read: true,
            write: true,
            ..Self::default()
        }
    }

    /// Errors: `BadRole`.
    pub fn new(keyed: Keyed, flags: Flags) -> Result<Self, Error> {
        let (prefix, key) = match keyed {
            Keyed::Prefix(text) => (Some(text), None),
            Keyed::Key(text) => (None, Some(text)),
        };
        if key.as_deref() == Some("") {
            return Err(Error::BadRole("a key should not be empty"));
        }
        let one = Self {
            prefix,
            key,
            read: flags.read.unwrap_or(false),
            write: flags.write.unwrap_or(false),
            insert: flags.insert.unwrap_or(false),
            update: flags.update.unwrap_or(false),
            delete: flags.delete.unwrap_or(false),
        };
        let parts = [flags.insert, flags.update, flags.delete];
        if one.write && parts.contains(&Some(false)) {
            return Err(Error::BadRole(
                "write is all of insert, update and delete: without one of them, name the others instead",
            ));
        }
        one.pattern_checked().map_err(Error::BadRole)?;
        // What `write` says already is not said twice.
        Ok(match one.write {
            true => Self {
                insert: false,
                update: false,
                delete: false,
                ..one
            },
            false => one,
        })
    }

    /// A permission for a text in which braces are braces.
    pub fn of_literal(prefix: &str, read: bool, write: bool) -> Self {
        Self {
            prefix: Some(escape(prefix)),
            read,
            write,
            ..Self::default()
        }
    }

    fn pattern_checked(&self) -> Result<Pattern, &'static str> {
        match (&self.prefix, &self.key) {
            (_, Some(key)) => Pattern::new(key, true),
            (prefix, None) => Pattern::new(prefix.as_deref().unwrap_or_default(), false),
        }
    }

    /// The keys.
    pub fn pattern(&self) -> Pattern {
        // The constructors have checked it.
        let checked = self.pattern_checked();
        checked.unwrap_or_else(|_| Pattern::of_literal("", true))
    }

    /// The text of the prefix or key, as it is written.
    pub fn text(&self) -> &str {
        let text = self.key.as_deref().or(self.prefix.as_deref());
        text.unwrap_or_default()
    }

    pub fn is_of_key(&self) -> bool {
        self.key.is_some()
    }

    pub fn flags(&self) -> Flags {
        Flags {
            read: Some(self.read),
            write: Some(self.write),
            insert: (!self.write).then_some(self.insert),
            update: (!self.write).then_some(self.update),
            delete: (!self.write).then_some(self.delete),
        }
    }

    /// What it allows.
    pub fn kinds(&self) -> Kinds {
        let flags = [
            (self.read, AccessKind::Read),
            (self.write, AccessKind::Write),
            (self.insert, AccessKind::Insert),
            (self.update, AccessKind::Update),
            (self.delete, AccessKind::Delete),
        ];
        let named = flags.into_iter().filter(|(flag, _)| *flag);
        named.fold(Kinds::NONE, |all, (_, kind)| all | Kinds::of(kind))
    }

    /// The same for one user, with the login, as it stands in keys, in its place: in this text braces are braces. `None` if there
    /// are no such keys.
    pub fn of_login(self, login: &[u8]) -> Option<Self> {
        let text = self.pattern().fill(login)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let (prefix, key) = match self.is_of_key() {
            true => (None, Some(text)),
            false => (Some(text), None),
        };
        Some(Self {
            prefix,
            key,
            ..self
        })
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
        if permissions
            .iter()
            .any(|one| one.pattern().len() > limits.key)
        {
            return Err(Error::BadRole("a prefix is longer than a key may be"));
        }
        Ok(Self(permissions))
    }

    pub fn into_inner(self) -> Vec<Permission> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(flags: Flags) -> Result<Permission, Error> {
        Permission::new(Keyed::Prefix("a/".to_owned()), flags)
    }

    #[test]
    fn write_is_all_of_its_parts() {
        use AccessKind::{Delete, Insert, Read, Update, Write};
        let yes = Some(true);
        let insert = Flags {
            insert: yes,
            ..Flags::default()
        };
        let change = Flags {
            update: yes,
            ..insert
        };
        let all = Flags {
            delete: yes,
            ..change
        };
        let write = Flags {
            write: yes,
            ..Flags::default()
        };
        for (flags, allowed) in [
            (Flags::default(), &[][..]),
            (
                Flags {
                    read: yes,
                    ..Flags::default()
                },
                &[Read],
            ),
            (insert, &[Insert]),
            (change, &[Insert, Update]),
            (all, &[Insert, Update, Delete, Write]),
            (write, &[Insert, Update, Delete, Write]),
            (
                Flags {
                    insert: yes,
                    ..write
                },
                &[Insert, Update, Delete, Write],
            ),
        ] {
            let one = permission(flags).unwrap();
            for kind in [Read, Write, Insert, Update, Delete] {
                assert_eq!(
                    one.kinds().has(kind),
                    allowed.contains(&kind),
                    "{one:?} {kind:?}"
                );
            }
        }
        let without = Flags {
            delete: Some(false),
            ..write
        };
        assert!(matches!(permission(without), Err(Error::BadRole(_))));
    }

    #[test]
    fn a_permission_is_shown_to_a_user_with_the_login() {
        let shown = |text: &str, login: &[u8]| {
            let one = Permission::new(Keyed::Prefix(text.to_owned()), Flags::default()).unwrap();
            one.of_login(login).map(|one| one.text().to_owned())
        };
        assert_eq!(shown("{{x}}/{login}/", b"ann").as_deref(), Some("{x}/ann/"));
        assert_eq!(shown("{login}/", b""), None);
    }
}
