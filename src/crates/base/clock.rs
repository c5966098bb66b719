//! The time of day. Any thread.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01 UTC.
pub fn now() -> u64 {
    microseconds() / 1_000_000
}

/// Milliseconds since 1970-01-01 UTC.
pub fn milliseconds() -> u64 {
    microseconds() / 1000
}

/// Microseconds since 1970-01-01 UTC.
pub fn microseconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}
