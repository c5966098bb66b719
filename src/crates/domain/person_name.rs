//! A name or a surname.

use authkv_base::error::{Error, NAME_LETTERS};

/// 2 to 32 ASCII letters and hyphens, not only hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// Errors: `BadPersonName` with the first rule broken.
    pub fn new(text: String) -> Result<Self, Error> {
        let length = text.chars().count();
        let broken = if length < 2 {
            "the length should be no less than 2 symbols"
        } else if length > 32 {
            "the length should be no more than 32 symbols"
        } else if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
            || text.bytes().all(|byte| byte == b'-')
        {
            NAME_LETTERS
        } else {
            return Ok(Self(text));
        };
        Err(Error::BadPersonName(broken))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
