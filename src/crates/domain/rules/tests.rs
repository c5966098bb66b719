use super::*;
use crate::pattern::{escape, login_in_keys};
use crate::{Access, Flags, Keyed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

const KINDS: [AccessKind; 5] = [
    AccessKind::Read,
    AccessKind::Write,
    AccessKind::Insert,
    AccessKind::Update,
    AccessKind::Delete,
];

/// A permission as a person thinks of it.
#[derive(Debug, Clone)]
struct Said {
    /// `None` stands for the login.
    pieces: Vec<Option<&'static str>>,
    is_key: bool,
    /// Read, insert, update, delete.
    flags: [bool; 4],
}

impl Said {
    /// `None` if such a permission is refused.
    fn permission(&self) -> Option<Permission> {
        let pieces = self.pieces.iter();
        let text = pieces
            .map(|one| one.map_or("{login}".to_owned(), escape))
            .collect();
        let [read, insert, update, delete] = self.flags.map(Some);
        let keyed = match self.is_key {
            true => Keyed::Key(text),
            false => Keyed::Prefix(text),
        };
        let flags = Flags {
            read,
            insert,
            update,
            delete,
            write: None,
        };
        Permission::new(keyed, flags).ok()
    }

    /// The rule, word for word: the key is the text, or begins with it, with the login in its place.
    fn is_for(&self, key: &str, login: &str) -> bool {
        let pieces = self.pieces.iter();
        let text: String = pieces.map(|one| one.unwrap_or(login)).collect();
        let is_for_nobody = login.is_empty() && self.pieces.contains(&None);
        match self.is_key {
            _ if is_for_nobody => false,
            true => key == text,
            false => key.starts_with(&text),
        }
    }

    fn allows(&self, kind: AccessKind) -> bool {
        let [read, insert, update, delete] = self.flags;
        match kind {
            AccessKind::Read => read,
            AccessKind::Insert => insert,
            AccessKind::Update => update,
            AccessKind::Delete => delete,
            AccessKind::Write => false,
        }
    }
}

/// Whether any of them allows it; each part of `Write` may be from another.
fn allows(all: &[Said], kind: AccessKind, key: &str, login: &str) -> bool {
    let one = |kind| {
        all.iter()
            .any(|said| said.allows(kind) && said.is_for(key, login))
    };
    match kind {
        AccessKind::Write => AccessKind::PARTS_OF_WRITE.into_iter().all(one),
        kind => one(kind),
    }
}

/// Few texts, so that permissions begin with one another, and logins look like parts of keys.
fn piece() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "a", "b", "ab", "/", "a/", "%", "é", "{", "}", "{login}", "\0", "aaaaaaaa",
        ][..],
    )
}

fn said() -> impl Strategy<Value = Said> {
    let pieces = vec(
        prop_oneof![4 => piece().prop_map(Some), 2 => Just(None)],
        0..6,
    );
    let said = (pieces, any::<bool>(), any::<[bool; 4]>());
    let said = said.prop_map(|(pieces, is_key, flags)| Said {
        pieces,
        is_key,
        flags,
    });
    said.prop_filter("such a permission is refused", |said| {
        said.permission().is_some()
    })
}

/// Of a user; empty for nobody.
fn login() -> impl Strategy<Value = &'static str> {
    select(&["", "a", "ab", "b", "a/b", "é", "%", "a@b.c", "{login}"][..])
}

/// The text of a permission with something after it or without its end, or pieces that have nothing to do with any.
fn key() -> impl Strategy<Value = (prop::sample::Index, Vec<&'static str>, usize, bool)> {
    (
        any::<prop::sample::Index>(),
        vec(piece(), 0..4),
        0..3usize,
        any::<bool>(),
    )
}

fn key_of(
    all: &[Said],
    login: &str,
    (place, more, less, is_other): (prop::sample::Index, Vec<&'static str>, usize, bool),
) -> String {
    let mut key = String::new();
    if !is_other && !all.is_empty() {
        let pieces = &all[place.index(all.len())].pieces;
        let pieces = &pieces[..pieces.len() - less.min(pieces.len())];
        key.extend(pieces.iter().map(|one| one.unwrap_or(login)));
    }
    key.extend(more);
    key
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_look_up_decides_as_the_permissions_do_one_by_one(
        all in vec(said(), 0..20),
        login in login(),
        keys in vec(key(), 1..20),
        roles in 1..4usize,
    ) {
        let of = |said: &[Said]| Rules::new(said.iter().filter_map(Said::permission).collect());
        let whole = of(&all);
        let mut access = Access::default();
        for said in all.chunks(all.len().div_ceil(roles).max(1)) {
            access.add(Arc::new(of(said)), login);
        }
        let login = &*login_in_keys(login);
        for key in keys {
            let key = key_of(&all, login, key);
            let kinds = whole.kinds(key.as_bytes(), login.as_bytes());
            for kind in KINDS {
                let expected = allows(&all, kind, &key, login);
                prop_assert_eq!(kinds.has(kind), expected, "{:?} {:?} by one role", &key, kind);
                let allowed = access.allows(kind, key.as_bytes());
                prop_assert_eq!(allowed, expected, "{:?} {:?} by {} roles", &key, kind, roles);
                if kind != AccessKind::Write {
                    let ranges = access.ranges(kind);
                    let is_in = |range: &KeyRange| {
                        *range.from <= *key.as_bytes() && range.reaches(key.as_bytes())
                    };
                    prop_assert_eq!(ranges.iter().filter(|range| is_in(range)).count(), usize::from(expected));
                }
            }
        }
    }
}

/// Each of them adds something to the one before: none is left out, and all are found.
#[test]
fn permissions_within_one_another_are_all_found() {
    let flags = |kind| {
        let is = |one| (kind == one).then_some(true);
        Flags {
            read: is(AccessKind::Read),
            insert: is(AccessKind::Insert),
            update: is(AccessKind::Update),
            delete: is(AccessKind::Delete),
            write: None,
        }
    };
    let kinds = [
        AccessKind::Read,
        AccessKind::Insert,
        AccessKind::Update,
        AccessKind::Delete,
    ];
    let permission = |length: usize| {
        let (text, flags) = ("a".repeat(length), flags(kinds[length % 4]));
        match length % 2 {
            0 => Permission::new(Keyed::Prefix(text), flags),
            _ => Permission::new(Keyed::Key(text), flags),
        }
    };
    let rules = Rules::new(
        (1..1000)
            .map(|length| permission(length).unwrap())
            .collect(),
    );
    let has = |key: &str, kind| rules.kinds(key.as_bytes(), b"").has(kind);
    for length in 1..1000 {
        let key = "a".repeat(length);
        assert!(has(&key, kinds[length % 4]), "{length}");
        assert!(!has(&format!("{key}b"), AccessKind::Insert));
        assert_eq!(has(&format!("{key}b"), AccessKind::Update), length >= 2);
        assert_eq!(has(&format!("{key}b"), AccessKind::Read), length >= 4);
    }
}

/// What a longer text says again takes no memory, and no time.
#[test]
fn a_text_that_adds_nothing_is_left_out() {
    let prefix = |text: &str| {
        Permission::new(
            Keyed::Prefix(text.to_owned()),
            Flags {
                read: Some(true),
                ..Flags::default()
            },
        )
        .unwrap()
    };
    let rules = Rules::new(["a", "ab", "abc/{login}/", "b", "a"].map(prefix).to_vec());
    assert_eq!(rules.texts.texts.len(), 2);
    assert_eq!(rules.permissions().len(), 5);
}

#[test]
fn a_pattern_may_have_any_number_of_logins() {
    let (login, read) = ("a", AccessKind::Read);
    for logins in [LOGINS_MAX, LOGINS_MAX + 1, 300_000] {
        for (is_key, after) in [(true, ""), (false, "/")] {
            let said = Said {
                pieces: [None, Some(after)].repeat(logins),
                is_key,
                flags: [true, false, false, false],
            };
            let rules = Rules::new(vec![said.permission().unwrap()]);
            let key = [login, after].concat().repeat(logins);
            let longer = key.clone() + "b";
            let kinds = |key: &str, login: &str| rules.kinds(key.as_bytes(), login.as_bytes());
            assert_eq!(kinds(&key, login), Kinds::of(read), "{logins}");
            assert_eq!(kinds(&longer, login).has(read), !is_key);
            assert_eq!(kinds(&key[1..], login), Kinds::NONE);
            assert_eq!(kinds(&key, ""), Kinds::NONE);
            let ranges = |kind| {
                let mut ranges = Vec::new();
                rules.add_ranges(kind, login.as_bytes(), &mut ranges);
                ranges
            };
            let range = match is_key {
                true => KeyRange::of_key(key.as_bytes()),
                false => KeyRange::of_prefix(key.as_bytes()),
            };
            assert_eq!(ranges(read), [range]);
            assert_eq!(ranges(AccessKind::Delete), []);
        }
    }
}
