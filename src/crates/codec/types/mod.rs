//! The msgpack extension types of Tarantool: their valid payloads and their texts. Pure; runs on any thread.
//!
//! Tarantool stores an extension from a client without a check and reads its payload only to print it. On a bad payload some
//! versions then read or write out of bounds. So only payloads that every version could have made are accepted.

mod datetime;
mod decimal;
mod interval;
mod uuid;

use authkv_base::error::Error;
use datetime::Datetime;
use decimal::Decimal;

pub const DECIMAL: i8 = 1;
pub const UUID: i8 = 2;
pub const DATETIME: i8 = 4;
pub const INTERVAL: i8 = 6;

/// The extension types that a version of Tarantool knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types {
    /// Datetime and interval.
    dates: bool,
}

impl Types {
    /// Decimal and uuid; from Tarantool 2.10 on also datetime and interval.
    pub const fn of_version(major: u32, minor: u32) -> Self {
        Self {
            dates: major > 2 || (major == 2 && minor >= 10),
        }
    }

    /// Fails with `BadValue` unless the type is known and the payload is valid for it.
    pub fn check(self, kind: i8, payload: &[u8]) -> Result<(), Error> {
        match kind {
            DECIMAL => Decimal::decode(payload).map(drop),
            UUID => uuid::check(payload),
            DATETIME if self.dates => Datetime::decode(payload).map(drop),
            INTERVAL if self.dates => interval::check(payload),
            _ => Err(self.unknown()),
        }
    }

    /// The payload for a text. Errors: `BadValue`, also if the type is unknown or has no text form.
    pub fn read(self, kind: i8, text: &str) -> Result<Vec<u8>, Error> {
        match kind {
            DECIMAL => Decimal::parse(text).map(|decimal| decimal.encode()),
            UUID => uuid::parse(text).map(|bytes| bytes.to_vec()),
            DATETIME if self.dates => Datetime::parse(text).map(|datetime| datetime.encode()),
            _ => Err(self.unknown()),
        }
    }

    fn unknown(self) -> Error {
        Error::BadValue(match self.dates {
            true => {
                "an extension should be a decimal (1), a uuid (2), a datetime (4) or an interval (6)"
            }
            false => {
                "an extension should be a decimal (1) or a uuid (2): this Tarantool has no other"
            }
        })
    }
}

/// The text from which [`Types::read`] makes exactly this payload, or `None` if there is none.
pub fn text(kind: i8, payload: &[u8]) -> Option<String> {
    match kind {
        DECIMAL => {
            let decimal = Decimal::decode(payload).ok()?;
            (decimal.encode() == payload).then(|| decimal.to_string())
        }
        UUID => uuid::text(payload),
        DATETIME => {
            let datetime = Datetime::decode(payload).ok()?;
            datetime.text().filter(|_| datetime.encode() == payload)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Types = Types::of_version(2, 6);
    const NEW: Types = Types::of_version(2, 10);

    #[test]
    fn a_version_has_its_types() {
        assert_eq!(Types::of_version(1, 10), OLD);
        assert_eq!(Types::of_version(3, 0), NEW);
        for (kind, payload, old, new) in [
            (DECIMAL, b"\0\x1c" as &[u8], true, true),
            (UUID, &[0; 16], true, true),
            (DATETIME, &[0; 8], false, true),
            (INTERVAL, b"\0", false, true),
            (0, b"\0", false, false),
            (3, b"\x80", false, false),
            (7, b"\0", false, false),
            (-1, &[0; 12], false, false),
        ] {
            assert_eq!(OLD.check(kind, payload).is_ok(), old, "{kind}");
            assert_eq!(NEW.check(kind, payload).is_ok(), new, "{kind}");
            assert!(NEW.check(kind, b"").is_err(), "{kind}");
        }
        assert!(OLD.read(DATETIME, "2030-01-01T00:00:00Z").is_err());
    }

    #[test]
    fn only_what_comes_back_from_a_text_has_one() {
        for (kind, payload, expected) in [
            (DECIMAL, b"\x02\x15\x0c" as &[u8], Some("1.50")),
            // A scale in two bytes, another sign for plus, a needless zero.
            (DECIMAL, b"\xcc\x02\x15\x0c", None),
            (DECIMAL, b"\x02\x15\x0f", None),
            (DECIMAL, b"\x02\x00\x15\x0c", None),
            (UUID, &[1; 16], Some("01010101-0101-0101-0101-010101010101")),
            (DATETIME, &[0; 8], Some("1970-01-01T00:00:00Z")),
            // The second half is needless.
            (DATETIME, &[0; 16], None),
            (INTERVAL, b"\x01\x00\x01", None),
        ] {
            NEW.check(kind, payload).unwrap();
            assert_eq!(text(kind, payload).as_deref(), expected, "{payload:?}");
        }
    }
}
