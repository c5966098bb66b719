//! The rules for passwords that users choose.

use authkv_base::error::Error;
use secrecy::{ExposeSecret, SecretString};

/// The most common passwords, in lower case, one in a line.
const COMMON: &str = include_str!("common_passwords.txt");

/// Whether a stored hash comes from the old system.
pub fn is_bcrypt(hash: &str) -> bool {
    hash.starts_with("$2")
}

/// A class of characters, with its name in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Lower,
    Upper,
    Digit,
    Special,
}

impl Class {
    /// In the order of the checks.
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (
            Self::Lower,
            "lower",
            "the password should have at least one LOWER_CASE",
        ),
        (
            Self::Upper,
            "upper",
            "the password should have at least one UPPER_CASE",
        ),
        (
            Self::Digit,
            "digit",
            "the password should have at least one DIGITS",
        ),
        (
            Self::Special,
            "special",
            "the password should have at least one SPECIAL_SYMBOLS",
        ),
    ];

    /// Finds a class by its name in the settings.
    pub fn by_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == name);
        found.map(|(class, ..)| *class)
    }

    fn has(self, byte: u8) -> bool {
        match self {
            Self::Lower => byte.is_ascii_lowercase(),
            Self::Upper => byte.is_ascii_uppercase(),
            Self::Digit => byte.is_ascii_digit(),
            Self::Special => b"!@#$%^&*()_+-=/.,".contains(&byte),
        }
    }
}

/// The rules for a password.
#[derive(Debug, Clone)]
pub struct PasswordRules {
    /// The least and the most characters.
    pub min: usize,
    pub max: usize,
    /// A password needs a character of each class.
    pub classes: Vec<Class>,
}

/// A password that keeps the rules.
#[derive(Debug, Clone)]
pub struct Password {
    secret: SecretString,
    /// The rules of `/v1` are for it: that it is not common, and has not leaked.
    is_for_v1: bool,
}

impl Password {
    /// Errors: `BadPassword` with the first rule broken, never with the text.
    pub fn new(secret: SecretString, rules: &PasswordRules) -> Result<Self, Error> {
        let text = secret.expose_secret();
        let length = text.chars().count();
        let broken = |rule: String| Err(Error::BadPassword(rule.into()));
        if length < rules.min {
            let min = rules.min;
            return broken(format!("the length should be no less than {min} symbols"));
        }
        if length > rules.max {
            let max = rules.max;
            return broken(format!("the length should be no more than {max} symbols"));
        }
        for (class, _, rule) in Class::ALL {
            if rules.classes.contains(&class) && !text.bytes().any(|byte| class.has(byte)) {
                return Err(Error::BadPassword(rule.into()));
            }
        }
        Ok(Self {
            secret,
            is_for_v1: false,
        })
    }

    /// Like [`Self::new`], and refuses the most common passwords in any case of letters (NIST SP 800-63B §5.1.1.2). Errors:
    /// `BadPassword`.
    pub fn uncommon(secret: SecretString, rules: &PasswordRules) -> Result<Self, Error> {
        let password = Self::new(secret, rules)?;
        let text = password.secret.expose_secret();
        match COMMON.lines().any(|one| one.eq_ignore_ascii_case(text)) {
            true => Err(Error::BadPassword(
                "it is one of the most common ones".into(),
            )),
            false => Ok(Self {
                is_for_v1: true,
                ..password
            }),
        }
    }

    /// A password that was drawn and that nobody learns: no rule is for it.
    pub fn unknown(drawn: SecretString) -> Self {
        Self {
            secret: drawn,
            is_for_v1: false,
        }
    }

    /// Whether it must not be a leaked one either, which only the disk knows.
    pub fn is_for_v1(&self) -> bool {
        self.is_for_v1
    }

    pub fn secret(&self) -> &SecretString {
        &self.secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> PasswordRules {
        PasswordRules {
            min: 8,
            max: 64,
            classes: Class::ALL.iter().map(|(class, ..)| *class).collect(),
        }
    }

    #[test]
    fn classes_are_checked_in_order() {
        let rule = |text: &str| match Password::new(text.into(), &rules()) {
            Err(Error::BadPassword(rule)) => rule.split(' ').next_back().unwrap().to_owned(),
            Err(_) => "other".to_owned(),
            Ok(_) => "ok".to_owned(),
        };
        assert_eq!(rule("aA1!aA1"), "symbols");
        assert_eq!(rule("        "), "LOWER_CASE");
        assert_eq!(rule("aaaaaaaa"), "UPPER_CASE");
        assert_eq!(rule("aaaaaaaA"), "DIGITS");
        assert_eq!(rule("aaaaaaA1"), "SPECIAL_SYMBOLS");
        assert_eq!(rule("aaaaaA1~"), "SPECIAL_SYMBOLS");
        for special in "!@#$%^&*()_+-=/.,".chars() {
            assert_eq!(rule(&format!("aaaaaA1{special}")), "ok");
        }
        assert_eq!(rule("пароль aA1!"), "ok");
        assert_eq!(rule(&format!("aA1!{}", "я".repeat(60))), "ok");
        assert_eq!(rule(&format!("aA1!{}", "я".repeat(61))), "symbols");
    }

    #[test]
    fn rules_and_common_passwords() {
        let long = PasswordRules {
            min: 15,
            max: 100,
            classes: vec![],
        };
        let error = Password::new("short".into(), &long).unwrap_err();
        assert!(error.to_string().contains("no less than 15"));
        assert!(Password::uncommon("correct horse battery".into(), &long).is_ok());
        assert!(Password::new("pASSW0RD!".into(), &rules()).is_ok());
        assert!(Password::uncommon("pASSW0RD!".into(), &rules()).is_err());
    }

    #[test]
    fn a_password_does_not_print() {
        let password = Password::new("aaaaaA1!".into(), &rules()).unwrap();
        assert!(!format!("{password:?}").contains("aaaaaA1!"));
    }

    #[test]
    fn common_passwords_are_in_lower_case_and_once() {
        let mut all: Vec<&str> = COMMON.lines().collect();
        assert!(all.iter().all(|one| one.trim() == *one && !one.is_empty()));
        assert!(all.iter().all(|one| *one == one.to_ascii_lowercase()));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
