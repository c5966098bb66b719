//! Reads the values of settings from text. Pure.

use secrecy::SecretString;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The prefix of the environment variables of all settings.
pub const PREFIX: &str = "AUTHKV_";

/// The given settings, by their names without the prefix.
pub struct Given(pub BTreeMap<String, String>);

impl Given {
    /// Refuses texts that are surely mistakes, such as a line end that a file or command has added. The error does not show the
    /// text, because it may be a secret.
    pub fn check_texts(&self) -> Result<(), String> {
        // Byte order marks and spaces of no width are not white space for Unicode.
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

    /// The value of a setting. `default` is a text like a given one, unless the kind has a value for absent settings. An empty
    /// text counts as absent, as in a compose file.
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

/// Takes the name of a setting, for the error, and its text.
type Parse<T> = dyn Fn(&str, &str) -> Result<T, String>;

/// The allowed texts of a setting, and how they become a value.
pub struct Kind<T> {
    /// The allowed texts in words, for the error and for the reference.
    pub allowed: String,
    /// The text may be in a file instead: see [`secret`].
    pub is_secret: bool,
    parse: Box<Parse<T>>,
    /// The value if the setting is absent and its default is not a text.
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

    /// Allows this word too, which gives `None`.
    pub fn unless(self, word: &'static str) -> Kind<Option<T>> {
        let allowed = format!("{}, or {word}", self.allowed);
        let is_secret = self.is_secret;
        let kind = checked(allowed, move |name, text| match text == word {
            true => Ok(None),
            false => (self.parse)(name, text)
                .map(Some)
                .map_err(|what| format!("{what}, or {word}")),
        });
        Kind { is_secret, ..kind }
    }

    pub fn map<U: 'static>(self, to: impl Fn(T) -> U + 'static) -> Kind<U> {
        let is_secret = self.is_secret;
        let kind = checked(self.allowed, move |name, text| {
            (self.parse)(name, text).map(&to)
        });
        Kind { is_secret, ..kind }
    }
}

/// A kind that `parse` reads from the name and the text. The error is that of `parse`.
pub fn checked<T>(
    allowed: impl Into<String>,
    parse: impl Fn(&str, &str) -> Result<T, String> + 'static,
) -> Kind<T> {
    Kind {
        allowed: allowed.into(),
        is_secret: false,
        parse: Box::new(parse),
        absent: None,
    }
}

/// A kind that `parse` reads from the text. `None` means that the text is not allowed.
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

/// A secret. `init.lua` takes it from the file that the variable `…_FILE` names, too.
pub fn secret() -> Kind<SecretString> {
    Kind {
        is_secret: true,
        ..of("a password", |text| Some(text.into()))
    }
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

/// One of two words. The value is whether it is `yes`.
pub fn flag(yes: &'static str, no: &'static str) -> Kind<bool> {
    of(format!("{yes} or {no}"), move |text| {
        (text == yes || text == no).then_some(text == yes)
    })
}

/// A list separated by commas, or `none`.
pub fn list<T: 'static>(
    allowed: &str,
    parse: impl Fn(&str) -> Option<T> + 'static,
) -> Kind<Vec<T>> {
    of(allowed, move |text| match text {
        "none" => Some(Vec::new()),
        _ => items(text).map(&parse).collect(),
    })
}

/// The items of a list separated by commas.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// Several of [`host_and_port`], separated by commas, each once.
pub fn addresses(text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for address in text.split(',').map(str::trim) {
        let address = host_and_port(address)?;
        if all.contains(&address) {
            return None;
        }
        all.push(address);
    }
    Some(all)
}

/// The error for a wrong value. It does not repeat a value that may hold a password.
pub fn invalid(name: &str, text: &str, allowed: &str) -> String {
    match text.contains('@') {
        true => format!("{PREFIX}{name} should be {allowed}"),
        false => format!("{PREFIX}{name} is {text:?}, but should be {allowed}"),
    }
}

/// `host:port`. A user or a password in the text is refused, because addresses are written to the log.
pub fn host_and_port(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let plain = !host.is_empty() && !text.contains('@');
    (plain && port > 0).then(|| text.to_owned())
}
