//! Which keys a permission is for: those that begin with a text, or one key. The text may have the caller's login in it. Pure; any
//! thread.
//!
//! In the text `{login}` stands for the login, and a brace of a key is doubled, as in format strings of Rust and Python.

use std::borrow::Cow;
use std::fmt::Write;

const LOGIN: &str = "{login}";

/// The keys of a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The text before the first login, and what follows each login.
    parts: Vec<Box<[u8]>>,
    /// One key, and not all that begin so.
    pub is_key: bool,
}

/// Whether a byte of a login stands in keys as it is. All others stand percent-encoded (RFC 3986 §2.1): these are the unreserved
/// characters, and two that addresses have.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~@+".contains(&byte)
}

/// The login as it stands in keys. No two logins are alike there.
pub fn login_in_keys(login: &str) -> Cow<'_, str> {
    if login.bytes().all(is_plain) {
        return login.into();
    }
    let mut text = String::with_capacity(3 * login.len());
    for byte in login.bytes() {
        match is_plain(byte) {
            true => text.push(char::from(byte)),
            // Writing to a string does not fail.
            false => drop(write!(text, "%{byte:02X}")),
        }
    }
    text.into()
}

/// A text without logins, with its braces doubled.
pub fn escape(literal: &str) -> String {
    literal.replace('{', "{{").replace('}', "}}")
}

impl Pattern {
    /// Errors: the rule that is broken.
    pub fn new(text: &str, is_key: bool) -> Result<Self, &'static str> {
        let mut parts = vec![Vec::new()];
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, braces) = rest.split_at(at);
            let part = parts.last_mut().ok_or("it has no parts")?;
            part.extend_from_slice(before.as_bytes());
            rest = if let Some(after) = braces.strip_prefix(LOGIN) {
                parts.push(Vec::new());
                after
            } else if braces.starts_with("{{") || braces.starts_with("}}") {
                part.push(braces.as_bytes()[0]);
                &braces[2..]
            } else {
                return Err(
                    "only {login} may stand in braces; a brace of a key is doubled: {{ or }}",
                );
            };
        }
        if let Some(part) = parts.last_mut() {
            part.extend_from_slice(rest.as_bytes());
        }
        // The login `a` would have the keys of the login `ab`.
        let ends_login = |part: &Vec<u8>| {
            part.first()
                .is_some_and(|byte| !is_plain(*byte) && *byte != b'%')
        };
        if !is_key && !parts[1..].iter().all(ends_login) {
            return Err(
                "after {login} a prefix should go on with a character that no login has, such as /",
            );
        }
        let parts = parts.into_iter().map(Vec::into_boxed_slice).collect();
        Ok(Self { parts, is_key })
    }

    /// A text without logins, in which braces are braces.
    pub fn of_literal(text: &str, is_key: bool) -> Self {
        Self {
            parts: vec![text.as_bytes().into()],
            is_key,
        }
    }

    /// Whether the keys depend on the login.
    pub fn has_login(&self) -> bool {
        self.parts.len() > 1
    }

    /// The text before the first login, and what follows each login.
    pub fn parts(&self) -> &[Box<[u8]>] {
        &self.parts
    }

    /// The bytes of the text without the logins.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Whether a key is one of these, for a login as it stands in keys. A pattern with a login is for nobody without one.
    pub fn matches(&self, key: &[u8], login: &[u8]) -> bool {
        let rest = key.strip_prefix(&*self.parts[0]);
        let rest = match self.has_login() {
            false => rest,
            true if login.is_empty() => None,
            true => self.parts[1..].iter().fold(rest, |rest, part| {
                rest?.strip_prefix(login)?.strip_prefix(&**part)
            }),
        };
        rest.is_some_and(|rest| !self.is_key || rest.is_empty())
    }

    /// The text with the login in it; `None` for nobody.
    pub fn fill(&self, login: &[u8]) -> Option<Vec<u8>> {
        let is_for_nobody = self.has_login() && login.is_empty();
        (!is_for_nobody).then(|| self.parts.join(login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Pattern {
        Pattern::new(text, false).unwrap()
    }

    #[test]
    fn braces_are_those_of_a_login_or_doubled() {
        let filled = |text| {
            prefix(text)
                .fill(b"ann")
                .map(|text| String::from_utf8(text).unwrap())
        };
        for (text, expected) in [
            ("", ""),
            ("a/", "a/"),
            ("users/{login}/", "users/ann/"),
            ("{login}/{login}:x", "ann/ann:x"),
            ("{{login}}/", "{login}/"),
            ("{{{login}}}", "{ann}"),
            ("a}}b{{", "a}b{"),
            ("{login}я", "annя"),
        ] {
            assert_eq!(filled(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "{",
            "}",
            "a{b",
            "{user}",
            "{}",
            "{login",
            "{ login }/",
            "{LOGIN}/",
            "{login}}/",
            "{{login}/",
        ] {
            assert!(Pattern::new(text, false).is_err(), "{text}");
        }
        for literal in ["", "a", "{login}/", "}{", "{{a}}"] {
            let pattern = prefix(&escape(literal));
            assert_eq!(pattern, Pattern::of_literal(literal, false), "{literal}");
        }
    }

    #[test]
    fn a_prefix_ends_the_login_and_a_key_need_not() {
        for text in [
            "users/{login}",
            "{login}x/",
            "{login}{login}/",
            "{login}-",
            "{login}.",
            "{login}%2F",
            "{login}@",
            "{login}/{login}",
        ] {
            assert!(Pattern::new(text, false).is_err(), "{text}");
        }
        for text in ["users/{login}", "{login}x", "{login}"] {
            assert!(Pattern::new(text, true).is_ok(), "{text}");
        }
    }

    /// Whatever logins there are, no key belongs to two of them.
    #[test]
    fn no_login_has_the_keys_of_another() {
        let logins = [
            "a", "ab", "a/", "a/b", "a%2F", "a:", "%", "%25", "a@x.org", "a+b", "я", "..",
            "{login}", "a\0", "A",
        ];
        for text in [
            "users/{login}/",
            "{login}:",
            "x{login}/{login}/",
            "{login}|{login}|",
        ] {
            let pattern = prefix(text);
            for one in logins {
                let own = pattern.fill(login_in_keys(one).as_bytes()).unwrap();
                for other in logins {
                    for rest in ["", "b/", "/", "x"] {
                        let key = [&own, rest.as_bytes()].concat();
                        let matches = pattern.matches(&key, login_in_keys(other).as_bytes());
                        assert_eq!(matches, one == other, "{text} {one} {other}");
                    }
                }
                assert!(!pattern.matches(&own, b""));
            }
        }
        let exact = Pattern::new("users/{login}", true).unwrap();
        assert!(exact.matches(b"users/a", b"a") && !exact.matches(b"users/ab", b"a"));
        assert!(!exact.matches(b"users/a", b"ab") && !exact.matches(b"users/", b""));
    }

    #[test]
    fn a_login_stands_in_keys_percent_encoded() {
        for (login, text) in [
            ("Ann7", "Ann7"),
            ("ann+1@x.org", "ann+1@x.org"),
            ("a/b c", "a%2Fb%20c"),
            ("я", "%D1%8F"),
            ("100%", "100%25"),
        ] {
            assert_eq!(login_in_keys(login), text);
        }
    }
}
