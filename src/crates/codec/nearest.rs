//! Errors about unknown names, with the nearest known name. Pure; runs on any thread.

use authkv_base::error::Error;
use strsim::osa_distance;

/// The number of characters of a name that are shown and compared.
const SHOWN: usize = 64;

/// The error for the unknown name `given` of a `what`, such as a member. It names the nearest known name and lists all of them.
#[cold]
pub fn unknown(what: &str, given: &[u8], known: &[&str]) -> Error {
    missing(what, given, "", known)
}

/// Like [`unknown`], for a member of an object in the list `list`.
#[cold]
pub fn unknown_in(list: &str, given: &[u8], known: &[&str]) -> Error {
    missing("member", given, &format!(" in {list}"), known)
}

fn missing(what: &str, given: &[u8], place: &str, known: &[&str]) -> Error {
    let name = shown(given);
    Error::malformed(match nearest(&name, known) {
        Some(nearest) => format!(
            "There is no {what} {name}{place}: did you mean {nearest}? Known are {}",
            known.join(", ")
        ),
        None => format!("There is no {what} {name}{place}: none is expected"),
    })
}

/// The error for a repeated name: it would be unclear which one counts.
#[cold]
pub fn repeated(given: &[u8]) -> Error {
    Error::malformed(format!("{} should be given once", shown(given)))
}

/// A name as clients see it: characters that could end a line are escaped, and a long name is cut.
pub fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    let is_plain = |one: char| !one.is_control() && !one.is_whitespace();
    match !shown.is_empty() && shown.chars().all(is_plain) {
        true => shown,
        false => format!("{shown:?}"),
    }
}

/// The known name with the fewest differences from `name`: letters added, removed, replaced or swapped with their neighbour
/// (the optimal string alignment distance). Case, underscores and hyphens do not count. `None` if `known` is empty.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = letters(name);
    let distance = |one: &&&str| osa_distance(&name, &letters(one));
    known.iter().min_by_key(distance).copied()
}

fn letters(name: &str) -> String {
    let counts = |one: &char| !matches!(one, '_' | '-');
    name.chars()
        .filter(counts)
        .flat_map(char::to_lowercase)
        .take(SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_changes() {
        let txn = ["compare", "success", "failure"];
        let pair = ["if_revision", "mode", "ttl", "expires_at", "content_type"];
        for (given, known, expected) in [
            ("comapre", &txn[..], "compare"),
            ("COMPARE", &txn, "compare"),
            ("sucess", &txn, "success"),
            ("fail", &txn, "failure"),
            ("ifRevision", &pair, "if_revision"),
            ("If-Revision", &pair, "if_revision"),
            ("revision", &pair, "if_revision"),
            ("tl", &pair, "ttl"),
            ("TTL", &pair, "ttl"),
            ("expiresAt", &pair, "expires_at"),
            ("expires", &pair, "expires_at"),
            ("contentType", &pair, "content_type"),
            ("mdoe", &pair, "mode"),
            ("", &["a"], "a"),
        ] {
            assert_eq!(nearest(given, known), Some(expected), "{given}");
        }
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn a_failure_shows_a_name_that_can_be_shown() {
        let text = |given: &[u8], known: &[&str]| unknown("member", given, known).to_string();
        assert_eq!(
            text(b"tl", &["mode", "ttl"]),
            "There is no member tl: did you mean ttl? Known are mode, ttl"
        );
        assert_eq!(text(b"x", &[]), "There is no member x: none is expected");
        assert_eq!(
            unknown_in("pairs", b"tl", &["mode", "ttl"]).to_string(),
            "There is no member tl in pairs: did you mean ttl? Known are mode, ttl"
        );
        assert_eq!(text(b"", &[]), "There is no member \"\": none is expected");
        assert_eq!(
            text(b"a\nb\xff", &[]),
            "There is no member \"a\\nb\u{fffd}\": none is expected"
        );
        let long = text(&[b'x'; 5000], &["ttl"]);
        assert!(long.len() < 150 && long.contains("…: did you mean ttl?"));
    }
}
