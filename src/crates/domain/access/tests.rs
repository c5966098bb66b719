use super::*;
use crate::{Flags, Keyed};

fn access(permissions: &[(&str, bool, bool)]) -> Access {
    let mut access = Access::default();
    for (prefix, read, write) in permissions {
        let one = Permission::of_literal(prefix, *read, *write);
        access.add(Arc::new(Rules::new(vec![one])), "ann");
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

/// A permission from its text: a prefix, or a key after `=`; and letters for what it allows.
fn permission(text: &str, letters: &str) -> Permission {
    let keyed = match text.strip_prefix('=') {
        Some(key) => Keyed::Key(key.to_owned()),
        None => Keyed::Prefix(text.to_owned()),
    };
    let flag = |letter| letters.contains(letter).then_some(true);
    let flags = Flags {
        read: flag('r'),
        write: flag('w'),
        insert: flag('i'),
        update: flag('u'),
        delete: flag('d'),
    };
    Permission::new(keyed, flags).unwrap()
}

/// The order for look-ups must not change what the permissions say.
#[test]
fn a_look_up_finds_what_the_permissions_say_one_by_one() {
    use AccessKind::{Delete, Insert, Read, Update, Write};
    let texts = [
        ("", "d"),
        ("a", "r"),
        ("a/", "w"),
        ("a/b/", "r"),
        ("ab", "i"),
        ("b/{login}/", "r"),
        ("=c", "r"),
        ("=a", "u"),
        ("c/{login}/x/", "iu"),
        ("=d/{login}", "rw"),
        ("z", "ud"),
        ("=zz", "i"),
        ("я", "r"),
    ];
    let keys = [
        "a", "a/", "a/b", "a/b/c", "ab", "abc", "aa", "b", "b/ann/", "b/ann/1", "b/ann", "b/anna/",
        "c", "cc", "c/ann/x/", "c/ann/", "d/ann", "d/anna", "z", "zz", "zzz", "y", "я1", "",
    ];
    // Every choice of three in order.
    for one in 0..texts.len() {
        for two in one..texts.len() {
            for three in two..texts.len() {
                let chosen = [one, two, three].map(|at| permission(texts[at].0, texts[at].1));
                let mut whole = Access::default();
                whole.add(Arc::new(Rules::new(chosen.to_vec())), "ann");
                let mut apart = Access::default();
                for permission in &chosen {
                    apart.add(Arc::new(Rules::new(vec![permission.clone()])), "ann");
                }
                for key in keys {
                    let is = |kind| {
                        chosen.iter().any(|one| {
                            one.kinds().has(kind) && one.pattern().matches(key.as_bytes(), b"ann")
                        })
                    };
                    for kind in [Read, Insert, Update, Delete] {
                        for access in [&whole, &apart] {
                            assert_eq!(
                                access.allows(kind, key.as_bytes()),
                                is(kind),
                                "{chosen:?} {key} {kind:?}"
                            );
                            let in_ranges = access.ranges(kind).iter().any(|range| {
                                *range.from <= *key.as_bytes() && range.reaches(key.as_bytes())
                            });
                            assert_eq!(in_ranges, is(kind), "{chosen:?} {key} {kind:?}");
                        }
                    }
                    let may_write = [Insert, Update, Delete].into_iter().all(is);
                    assert_eq!(whole.allows(Write, key.as_bytes()), may_write);
                    assert_eq!(apart.allows(Write, key.as_bytes()), may_write);
                }
            }
        }
    }
}

#[test]
fn a_refusal_names_the_part_that_is_missing() {
    let mut access = Access::default();
    access.add(Arc::new(Rules::new(vec![permission("a/", "ri")])), "ann");
    let kind = |kind, key: &str| match access.check_key(kind, key.as_bytes()) {
        Err(Error::Forbidden { kind, .. }) => Some(kind),
        _ => None,
    };
    assert_eq!(kind(AccessKind::Insert, "a/1"), None);
    assert_eq!(kind(AccessKind::Delete, "a/1"), Some(AccessKind::Delete));
    assert_eq!(kind(AccessKind::Delete, "b"), Some(AccessKind::Write));
    assert_eq!(kind(AccessKind::Read, "b"), Some(AccessKind::Read));
}

#[test]
fn a_user_is_shown_permissions_with_the_login() {
    let mut access = Access::default();
    access.add(
        Arc::new(Rules::new(vec![permission("u/{login}/", "r")])),
        "a/b",
    );
    let shown = access.into_permissions();
    assert_eq!(
        shown.iter().map(Permission::text).collect::<Vec<_>>(),
        ["u/a%2Fb/"]
    );
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
