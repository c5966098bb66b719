//! The name a user signs in with.

use authkv_base::error::{Error, LOGIN_LETTERS};

/// 2 to 64 ASCII letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login(String);

impl Login {
    /// Errors: `BadLogin` with the first rule broken.
    pub fn new(text: String) -> Result<Self, Error> {
        let length = text.chars().count();
        let broken = if length < 2 {
            "the length should be no less than 2 symbols"
        } else if length > 64 {
            "the length should be no more than 64 symbols"
        } else if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            LOGIN_LETTERS
        } else {
            return Ok(Self(text));
        };
        Err(Error::BadLogin(broken))
    }

    pub fn as_str(&self) -> &str {
        &self.0
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
}
