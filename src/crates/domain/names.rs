//! The names of a user: the login, the name and the surname, in the forms that settings choose.

use authkv_base::error::{Error, LOGIN_LETTERS, NAME_LETTERS};
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::UnicodeNormalization;

/// The name a user signs in with, in its [normal form](Login::normal).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login(String);

/// A name or a surname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonName(String);

/// The form of the logins of new users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginForm {
    /// 2 to 64 ASCII letters and digits.
    Contract,
    /// An e-mail address in ASCII, of at most 254 characters.
    Email,
}

/// The form of new names and surnames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameForm {
    /// 2 to 32 ASCII letters and hyphens, not only hyphens.
    Contract,
    /// 1 to 64 characters in NFC: letters of any script with their marks, and between them what names have besides.
    Unicode,
}

const TOO_SHORT: &str = "the length should be no less than 2 symbols";
const TOO_LONG_LOGIN: &str = "the length should be no more than 64 symbols";
const TOO_LONG_NAME: &str = "the length should be no more than 32 symbols";
const NO_ADDRESS: &str = "it should be an e-mail address in ASCII, like ann@example.com";
const NO_NAME: &str = "it should have 1 to 64 characters: letters of any script, and between them \
                       spaces, hyphens, apostrophes, full stops and middle dots";

/// Characters of an address, of its part before the `@`, and of a label of its domain (RFC 5321 §4.5.3.1, RFC 1035 §2.3.4).
const ADDRESS_MAX: usize = 254;
const LOCAL_MAX: usize = 64;
const LABEL_MAX: usize = 63;
/// Characters of a name in Unicode.
const NAME_MAX: usize = 64;

impl Login {
    /// A login of the contract. Errors: `BadLogin` with the first rule broken.
    pub fn new(text: String) -> Result<Self, Error> {
        let is_allowed = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        check(&text, (64, TOO_LONG_LOGIN), (is_allowed, LOGIN_LETTERS)).map_err(Error::BadLogin)?;
        Ok(Self(text))
    }

    /// An e-mail address. Errors: `BadLogin`.
    pub fn address(text: String) -> Result<Self, Error> {
        match is_address(&text) {
            true => Ok(Self(Self::normal(text))),
            false => Err(Error::BadLogin(NO_ADDRESS)),
        }
    }

    /// The one form in which a login is compared and stored. E-mail addresses are compared without case, all other logins with
    /// it. The form does not depend on any setting, so that users stay who they are when one changes.
    pub fn normal(mut text: String) -> String {
        if is_address(&text) {
            text.make_ascii_lowercase();
        }
        text
    }

    /// Whether a login is an e-mail address.
    pub fn is_address(login: &str) -> bool {
        is_address(login)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LoginForm {
    /// Errors: `BadLogin` with the first rule broken.
    pub fn read(self, text: String) -> Result<Login, Error> {
        match self {
            Self::Contract => Login::new(text),
            Self::Email => Login::address(text),
        }
    }
}

impl PersonName {
    /// A name of the contract. Errors: `BadPersonName` with the first rule broken.
    pub fn new(text: String) -> Result<Self, Error> {
        let is_letter = |byte: u8| byte.is_ascii_alphabetic();
        let is_allowed =
            text.bytes().all(|byte| is_letter(byte) || byte == b'-') && text.bytes().any(is_letter);
        check(&text, (32, TOO_LONG_NAME), (is_allowed, NAME_LETTERS))
            .map_err(Error::BadPersonName)?;
        Ok(Self(text))
    }

    /// A name in any script. Errors: `BadPersonName`.
    pub fn unicode(text: &str) -> Result<Self, Error> {
        let bad = Error::BadPersonName(NO_NAME);
        // NFC makes one character of at most four, so that a longer text need not be normalized.
        if text.chars().nth(4 * NAME_MAX).is_some() {
            return Err(bad);
        }
        let name: String = text.nfc().collect();
        let is_allowed = name.chars().count() <= NAME_MAX
            && name.starts_with(char::is_alphabetic)
            && !name.ends_with(' ')
            && name.chars().all(is_of_names);
        match is_allowed {
            true => Ok(Self(name)),
            false => Err(bad),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NameForm {
    /// Errors: `BadPersonName` with the first rule broken.
    pub fn read(self, text: String) -> Result<PersonName, Error> {
        match self {
            Self::Contract => PersonName::new(text),
            Self::Unicode => PersonName::unicode(&text),
        }
    }
}

/// Whether a text is a `Mailbox` of RFC 5321 §4.1.2 with a `Dot-string` and a domain of two labels or more. Of the characters of
/// the `Dot-string` only those count that stand in a segment of a path as they are (RFC 3986 §3.3): none is a slash.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_of_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!$&'*+-=_~".contains(&byte);
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_of_atom);
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
    text.len() <= ADDRESS_MAX
        && local.len() <= LOCAL_MAX
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
        // RFC 3696 §2: an address of IPv4 is no domain.
        && top.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Whether a character may be in a name. The joiners of no width are part of words in Persian and in scripts of India.
fn is_of_names(char: char) -> bool {
    const BETWEEN: &str = " -'.\u{2019}\u{2010}\u{b7}\u{30fb}\u{200c}\u{200d}";
    char.is_alphabetic() || is_combining_mark(char) || BETWEEN.contains(char)
}

/// Errors: the first rule broken. The lengths are in characters.
fn check(
    text: &str,
    (max, too_long): (usize, &'static str),
    (is_allowed, letters): (bool, &'static str),
) -> Result<(), &'static str> {
    match text.chars().count() {
        0..2 => Err(TOO_SHORT),
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
        assert_eq!(rule("ann@example.com"), "digits");
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

    #[test]
    fn an_address_is_stored_in_lower_case() {
        for (text, stored) in [
            ("Ann@Example.COM", Some("ann@example.com")),
            ("a@b.io", Some("a@b.io")),
            (
                "o'hara+news@mail.example.co",
                Some("o'hara+news@mail.example.co"),
            ),
            (
                "ann@xn--80ak6aa92e.xn--p1ai",
                Some("ann@xn--80ak6aa92e.xn--p1ai"),
            ),
            ("", None),
            (".", None),
            ("..", None),
            ("@", None),
            ("ann", None),
            ("ann@", None),
            ("@example.com", None),
            ("ann@localhost", None),
            ("ann@127.0.0.1", None),
            ("ann@example.", None),
            ("ann@.com", None),
            ("ann@-a.com", None),
            ("ann@a-.com", None),
            ("ann@a_b.com", None),
            ("ann@example.com.", None),
            (".ann@example.com", None),
            ("ann.@example.com", None),
            ("a..b@example.com", None),
            ("a@b@example.com", None),
            ("a/b@example.com", None),
            ("a{login}@example.com", None),
            ("a%2f@example.com", None),
            ("a b@example.com", None),
            ("\"a\"@example.com", None),
            ("жук@example.com", None),
            ("ann@пример.рф", None),
            ("ann@example.com\n", None),
            ("\u{212a}elvin@example.com", None),
        ] {
            let read = Login::address(text.to_owned()).ok();
            assert_eq!(read.as_ref().map(Login::as_str), stored, "{text}");
        }
        let long = |local, label| format!("{}@{}.com", "a".repeat(local), "b".repeat(label));
        assert!(Login::address(long(64, 63)).is_ok());
        assert!(Login::address(long(65, 63)).is_err());
        assert!(Login::address(long(64, 64)).is_err());
        let of = |length: usize| format!("{}@{}c", "a".repeat(length - 252), "b.".repeat(125));
        assert_eq!(of(254).len(), 254);
        assert!(Login::address(of(254)).is_ok());
        assert!(Login::address(of(255)).is_err());
    }

    #[test]
    fn other_logins_than_addresses_keep_their_case() {
        for (text, normal) in [
            ("Ann", "Ann"),
            ("Ann@Example.com", "ann@example.com"),
            ("corp:Ann@Example.com", "corp:Ann@Example.com"),
        ] {
            assert_eq!(Login::normal(text.to_owned()), normal);
        }
    }

    #[test]
    fn names_of_any_script_are_stored_in_nfc() {
        for (text, stored) in [
            ("Ann", Some("Ann")),
            ("Жук", Some("Жук")),
            ("王", Some("王")),
            ("Jose\u{301}", Some("José")),
            ("José", Some("José")),
            ("\u{1112}\u{1161}\u{11ab}", Some("한")),
            ("प्रिया", Some("प्रिया")),
            ("O\u{2019}Neill", Some("O\u{2019}Neill")),
            ("J. R. R.", Some("J. R. R.")),
            ("van der Berg-Smith", Some("van der Berg-Smith")),
            ("عبد\u{200c}الله", Some("عبد\u{200c}الله")),
            ("", None),
            (" Ann", None),
            ("Ann ", None),
            ("-", None),
            ("\u{301}a", None),
            ("Ann1", None),
            ("Ann\n", None),
            ("Ann\u{202e}", None),
            ("Ann\u{200b}", None),
            ("<b>", None),
            ("Ann\u{1f600}", None),
        ] {
            let read = PersonName::unicode(text).ok();
            assert_eq!(read.as_ref().map(PersonName::as_str), stored, "{text}");
        }
        // Four characters that are one in NFC.
        let four = "\u{3b1}\u{313}\u{300}\u{345}";
        assert_eq!(
            PersonName::unicode(&four.repeat(64)).unwrap().as_str(),
            "ᾂ".repeat(64)
        );
        assert!(PersonName::unicode(&four.repeat(65)).is_err());
        assert!(PersonName::unicode(&"a".repeat(65)).is_err());
    }
}
