//! A password that a user may choose.

use crate::error::Error;
use secrecy::{ExposeSecret, SecretString};

const SPECIAL: &[u8] = b"!@#$%^&*()_+-=/.,";

/// 8 to 64 characters with at least one of each class of the contract.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

impl Password {
    /// Errors: `BadPassword` with the first rule broken, never with the text.
    pub fn new(secret: SecretString) -> Result<Self, Error> {
        let text = secret.expose_secret();
        let length = text.chars().count();
        let has = |class: fn(&u8) -> bool| text.as_bytes().iter().any(class);
        let broken = if length < 8 {
            "the length should be no less than 8 symbols"
        } else if length > 64 {
            "the length should be no more than 64 symbols"
        } else if !has(u8::is_ascii_lowercase) {
            "the password should have at least one LOWER_CASE"
        } else if !has(u8::is_ascii_uppercase) {
            "the password should have at least one UPPER_CASE"
        } else if !has(u8::is_ascii_digit) {
            "the password should have at least one DIGITS"
        } else if !has(|byte| SPECIAL.contains(byte)) {
            "the password should have at least one SPECIAL_SYMBOLS"
        } else {
            return Ok(Self(secret));
        };
        Err(Error::BadPassword(broken))
    }

    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_checked_in_order() {
        let rule = |text: &str| match Password::new(text.into()) {
            Err(Error::BadPassword(rule)) => rule.split(' ').next_back().unwrap(),
            Err(_) => "other",
            Ok(_) => "ok",
        };
        assert_eq!(rule("aA1!aA1"), "symbols");
        assert_eq!(rule("        "), "LOWER_CASE");
        assert_eq!(rule("aaaaaaaa"), "UPPER_CASE");
        assert_eq!(rule("aaaaaaaA"), "DIGITS");
        assert_eq!(rule("aaaaaaA1"), "SPECIAL_SYMBOLS");
        assert_eq!(rule("aaaaaA1~"), "SPECIAL_SYMBOLS");
        for special in SPECIAL {
            assert_eq!(rule(&format!("aaaaaA1{}", *special as char)), "ok");
        }
        assert_eq!(rule("пароль aA1!"), "ok");
        assert_eq!(rule(&format!("aA1!{}", "я".repeat(60))), "ok");
        assert_eq!(rule(&format!("aA1!{}", "я".repeat(61))), "symbols");
    }

    #[test]
    fn a_password_does_not_print() {
        let password = Password::new("aaaaaA1!".into()).unwrap();
        assert!(!format!("{password:?}").contains("aaaaaA1!"));
    }
}
