//! The time at which a pair expires. Pure; any thread.

use authkv_base::error::Error;
use rmp::encode::{write_f64, write_uint};

/// A time in milliseconds since 1970-01-01 UTC. Clients see seconds, with a fraction if there is one (RFC 7519 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(u64);

/// The most seconds that a pair may live: a hundred years of 365 days.
pub const TTL_MAX: f64 = 3_153_600_000.0;

impl Expiry {
    /// The error for a time that is not in the future, or too far in it.
    pub const OUT_OF_RANGE: Error = Error::BadOption {
        name: "expires_at",
        allowed: "seconds since 1970, in the future and at most 3153600000 seconds ahead",
    };

    /// The time in a tuple.
    pub fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    pub fn ms(self) -> u64 {
        self.0
    }

    /// Makes the time from seconds to live or from a time in seconds; `None` if neither is given. `now` is in milliseconds.
    /// Errors: `BadOption`.
    pub fn new(ttl: Option<f64>, expires_at: Option<f64>, now: u64) -> Result<Option<Self>, Error> {
        let ms = |seconds: f64| (seconds * 1000.0).round() as u64;
        match (ttl, expires_at) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Error::BadOption {
                name: "ttl",
                allowed: "given without expires_at",
            }),
            (Some(ttl), None) if (0.001..=TTL_MAX).contains(&ttl) => Ok(Some(Self(now + ms(ttl)))),
            (Some(_), None) => Err(Error::BadOption {
                name: "ttl",
                allowed: "from 0.001 to 3153600000 seconds",
            }),
            (None, Some(at)) if at <= now as f64 / 1000.0 + TTL_MAX && ms(at) > now => {
                Ok(Some(Self(ms(at))))
            }
            (None, Some(_)) => Err(Self::OUT_OF_RANGE),
        }
    }

    /// Appends the seconds in msgpack: as a whole number if there is no fraction.
    pub fn write_seconds(self, out: &mut Vec<u8>) {
        // Writing to a vector does not fail.
        let _ = match self.0 % 1000 {
            0 => write_uint(out, self.0 / 1000).map(drop),
            _ => write_f64(out, self.0 as f64 / 1000.0),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_500;

    #[test]
    fn seconds_may_have_a_fraction() {
        let at = |ttl, expires_at| Expiry::new(ttl, expires_at, NOW).map(|at| at.map(Expiry::ms));
        assert_eq!(at(None, None), Ok(None));
        assert_eq!(at(Some(1.0), None), Ok(Some(NOW + 1000)));
        assert_eq!(at(Some(0.001), None), Ok(Some(NOW + 1)));
        assert_eq!(at(None, Some(1_700_000_000.501)), Ok(Some(NOW + 1)));
        for (ttl, expires_at) in [
            (Some(0.0), None),
            (Some(-1.0), None),
            (Some(4e9), None),
            (Some(f64::NAN), None),
            (None, Some(1_700_000_000.5)),
            (None, Some(1e300)),
            (None, Some(f64::NAN)),
            (Some(1.0), Some(1_800_000_000.0)),
        ] {
            assert!(at(ttl, expires_at).is_err(), "{ttl:?} {expires_at:?}");
        }
    }

    #[test]
    fn whole_seconds_are_whole_numbers() {
        let seconds = |ms| {
            let mut out = Vec::new();
            Expiry::from_ms(ms).write_seconds(&mut out);
            out
        };
        assert_eq!(seconds(5000), b"\x05");
        assert_eq!(seconds(1500), b"\xcb\x3f\xf8\0\0\0\0\0\0");
    }
}
