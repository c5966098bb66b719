//! Settings as text, and the kinds of values that are read from it. Pure.

use secrecy::SecretString;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The environment variables of all settings begin with this.
pub const PREFIX: &str = "AUTHKV_";

/// The settings that are given, by their names without the prefix.
pub struct Given(pub BTreeMap<String, String>);

impl Given {
    /// Refuses what nobody means: a file or a command that makes a setting adds the end of a line to it. The text is not shown,
    /// because it may be a secret.
    pub fn check_texts(&self) -> Result<(), String> {
        // Byte order marks and spaces without a width are no white space by their category.
        let is_space =
            |c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}');
        for (name, text) in &self.0 {
            if text.starts_with(is_space) || text.ends_with(is_space) {
                return Err(format!(
                    "{PREFIX}{name} begins or ends with white space, which is no part of a setting"
                ));
            }
            if text.contains(char::is_control) {
                return Err(format!(
                    "{PREFIX}{name} has a control character, such as the end of a line"
                ));
            }
        }
        Ok(())
    }

    /// The value of a setting. `default` is a text like those given, unless the kind says what an absent setting is. An empty
    /// text counts as none, as in a compose file.
    pub fn read<T>(&self, name: &str, default: &str, kind: Kind<T>) -> Result<T, String> {
        let given = self.0.get(name).filter(|text| !text.is_empty());
        let text = match (given, kind.absent) {
            (Some(text), _) => text,
            (None, Some(absent)) => return Ok(absent),
            (None, None) => default,
        };
        (kind.parse)(name, text)
    }
}

/// Takes the name of a setting, for the message, and its text.
type Parse<T> = dyn Fn(&str, &str) -> Result<T, String>;

/// What the text of a setting may be, and which value it gives.
pub struct Kind<T> {
    /// In words, for the message about a wrong text and for the reference.
    pub allowed: String,
    parse: Box<Parse<T>>,
    /// The value if the setting is not given and its default is no text.
    absent: Option<T>,
}

impl<T: 'static> Kind<T> {
    /// For a setting whose default depends on the machine.
    pub fn or(self, absent: T) -> Self {
        Self {
            absent: Some(absent),
            ..self
        }
    }

    /// For a setting without a default.
    pub fn optional(self) -> Kind<Option<T>> {
        self.map(Some).or(None)
    }

    /// This word is allowed too, and gives `None`.
    pub fn unless(self, word: &'static str) -> Kind<Option<T>> {
        let allowed = format!("{}, or {word}", self.allowed);
        checked(allowed, move |name, text| match text == word {
            true => Ok(None),
            false => (self.parse)(name, text)
                .map(Some)
                .map_err(|what| format!("{what}, or {word}")),
        })
    }

    pub fn map<U: 'static>(self, to: impl Fn(T) -> U + 'static) -> Kind<U> {
        checked(self.allowed, move |name, text| {
            (self.parse)(name, text).map(&to)
        })
    }
}

/// What `parse` makes of the name and the text, or what it says of them.
pub fn checked<T>(
    allowed: impl Into<String>,
    parse: impl Fn(&str, &str) -> Result<T, String> + 'static,
) -> Kind<T> {
    Kind {
        allowed: allowed.into(),
        parse: Box::new(parse),
        absent: None,
    }
}

/// What `parse` makes of the text; `None` if it is not allowed.
pub fn of<T>(allowed: impl Into<String>, parse: impl Fn(&str) -> Option<T> + 'static) -> Kind<T> {
    let allowed = allowed.into();
    let said = allowed.clone();
    checked(allowed, move |name, text| {
        parse(text).ok_or_else(|| invalid(name, text, &said))
    })
}

/// Any text.
pub fn any(allowed: impl Into<String>) -> Kind<String> {
    of(allowed, |text| Some(text.to_owned()))
}

pub fn path() -> Kind<PathBuf> {
    of("a path", |text| Some(text.into()))
}

pub fn secret() -> Kind<SecretString> {
    of("a password", |text| Some(text.into()))
}

pub fn number(min: u64, max: u64) -> Kind<u64> {
    let allowed = format!("a whole number from {min} to {max}");
    of(allowed, move |text| {
        text.parse()
            .ok()
            .filter(|number| (min..=max).contains(number))
    })
}

pub fn size(min: u64, max: u64) -> Kind<usize> {
    number(min, max).map(|number| number as usize)
}

pub fn seconds(min: u64, max: u64) -> Kind<Duration> {
    number(min, max).map(Duration::from_secs)
}

/// One of two words: whether it is the first.
pub fn flag(yes: &'static str, no: &'static str) -> Kind<bool> {
    of(format!("{yes} or {no}"), move |text| {
        (text == yes || text == no).then_some(text == yes)
    })
}

/// A list with commas, or `none`.
pub fn list<T: 'static>(
    allowed: &str,
    parse: impl Fn(&str) -> Option<T> + 'static,
) -> Kind<Vec<T>> {
    of(allowed, move |text| match text {
        "none" => Some(Vec::new()),
        _ => items(text).map(&parse).collect(),
    })
}

/// The items of a list with commas.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// What to say of a value. One that may hold a password is not repeated.
pub fn invalid(name: &str, text: &str, allowed: &str) -> String {
    match text.contains('@') {
        true => format!("{PREFIX}{name} should be {allowed}"),
        false => format!("{PREFIX}{name} is {text:?}, but should be {allowed}"),
    }
}

/// `host:port`. A user or a password in it is refused: an address is written to the log.
pub fn host_and_port(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let plain = !host.is_empty() && !text.contains('@');
    (plain && port > 0).then(|| text.to_owned())
}
