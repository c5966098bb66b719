//! The names of a user: the login, the name and the surname.

use authkv_base::error::{Error, LOGIN_LETTERS, NAME_LETTERS};

/// The name a user signs in with: 2 to 64 ASCII letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login(String);

/// A name or a surname: 2 to 32 ASCII letters and hyphens, not only hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl Login {
    /// Errors: `BadLogin` with the first rule broken.
    pub fn new(text: String) -> Result<Self, Error> {
        const TOO_LONG: &str = "the length should be no more than 64 symbols";
        let is_allowed = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        check(&text, (64, TOO_LONG), (is_allowed, LOGIN_LETTERS)).map_err(Error::BadLogin)?;
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PersonName {
    /// Errors: `BadPersonName` with the first rule broken.
    pub fn new(text: String) -> Result<Self, Error> {
        const TOO_LONG: &str = "the length should be no more than 32 symbols";
        let is_letter = |byte: u8| byte.is_ascii_alphabetic();
        let is_allowed =
            text.bytes().all(|byte| is_letter(byte) || byte == b'-') && text.bytes().any(is_letter);
        check(&text, (32, TOO_LONG), (is_allowed, NAME_LETTERS)).map_err(Error::BadPersonName)?;
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Errors: the first rule broken. The lengths are in characters.
fn check(
    text: &str,
    (max, too_long): (usize, &'static str),
    (is_allowed, letters): (bool, &'static str),
) -> Result<(), &'static str> {
    match text.chars().count() {
        0..2 => Err("the length should be no less than 2 symbols"),
        length if length > max => Err(too_long),
        _ if !is_allowed => Err(letters),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_broken_is_the_answer() {
        let rule = |text: &str| match Login::new(text.to_owned()) {
            Err(Error::BadLogin(rule)) => rule.split(' ').next_back().unwrap(),
            Err(_) => "other",
            Ok(_) => "ok",
        };
        assert_eq!(rule(""), "symbols");
        assert_eq!(rule("é"), "symbols");
        assert_eq!(rule("ab"), "ok");
        assert_eq!(rule("a-b"), "digits");
        assert_eq!(rule("éé"), "digits");
        assert_eq!(rule(&"a".repeat(64)), "ok");
        assert_eq!(rule(&"a".repeat(65)), "symbols");
    }

    #[test]
    fn hyphens_are_allowed_but_not_alone() {
        for (text, ok) in [
            ("Al", true),
            ("Anna-Maria", true),
            ("--", false),
            ("A", false),
            ("A b", false),
            ("Жук", false),
        ] {
            assert_eq!(PersonName::new(text.to_owned()).is_ok(), ok, "{text}");
        }
        assert!(PersonName::new("a".repeat(32)).is_ok());
        assert!(PersonName::new("a".repeat(33)).is_err());
    }
}
