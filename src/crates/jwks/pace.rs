//! When the next fetch is due. Pure.

use authkv_token::issuers::Remote;
use std::time::Duration;

/// The time between two fetches if the issuer says nothing.
const USUAL: u64 = 300;
/// The longest time between two fetches while they fail.
const PATIENCE: u64 = 300;

/// The seconds for which an answer is fresh, by the values of `Cache-Control` (RFC 9111 §5.2.2).
pub fn max_age<'a>(values: impl Iterator<Item = &'a str>) -> Option<u64> {
    let mut fresh = None;
    for directive in values.flat_map(|value| value.split(',')) {
        let directive = directive.trim().to_ascii_lowercase();
        match directive.split_once('=') {
            None if matches!(&*directive, "no-store" | "no-cache") => return Some(0),
            // Too many digits are a long time; anything else is stale (RFC 9111 §4.2.1).
            Some(("max-age", seconds)) => {
                let seconds = seconds.trim_matches('"');
                let is_number = !seconds.is_empty() && seconds.bytes().all(|b| b.is_ascii_digit());
                let seconds = seconds
                    .parse()
                    .unwrap_or(if is_number { u64::MAX } else { 0 });
                fresh = Some(fresh.map_or(seconds, |before: u64| before.min(seconds)));
            }
            _ => {}
        }
    }
    fresh
}

/// The time until the next fetch, after one that has succeeded.
pub fn after_success(remote: &Remote, max_age: Option<u64>) -> Duration {
    let seconds = max_age.unwrap_or(USUAL);
    Duration::from_secs(seconds.clamp(remote.refresh_min, remote.refresh_max))
}

/// The time until the next fetch, after so many that have failed, one or more.
pub fn after_failure(remote: &Remote, failures: u32) -> Duration {
    let doubled = 1u64
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(PATIENCE);
    Duration::from_secs(doubled.min(PATIENCE).min(remote.refresh_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Remote {
        Remote {
            url: String::new(),
            ca_file: None,
            timeout: 5,
            bytes_max: 1 << 20,
            refresh_min: 60,
            refresh_max: 3600,
            refetch_pause: 10,
        }
    }

    #[test]
    fn the_age_of_an_answer_is_read_as_the_standard_says() {
        for (values, age) in [
            (&[][..], None),
            (&["public"], None),
            (&["public, max-age=600"], Some(600)),
            (&["MAX-AGE=\"7\""], Some(7)),
            (&["max-age=600", "max-age=5"], Some(5)),
            (&["max-age=99999999999999999999999"], Some(u64::MAX)),
            (&["max-age=-1"], Some(0)),
            (&["max-age=600, no-cache"], Some(0)),
            (&["no-store"], Some(0)),
            (&["s-maxage=5"], None),
        ] {
            assert_eq!(max_age(values.iter().copied()), age, "{values:?}");
        }
    }

    #[test]
    fn fetches_keep_their_bounds() {
        let remote = remote();
        for (age, seconds) in [
            (None, 300),
            (Some(0), 60),
            (Some(601), 601),
            (Some(u64::MAX), 3600),
        ] {
            assert_eq!(after_success(&remote, age).as_secs(), seconds);
        }
        for (failures, seconds) in [
            (1, 1),
            (2, 2),
            (5, 16),
            (10, 300),
            (64, 300),
            (u32::MAX, 300),
        ] {
            assert_eq!(after_failure(&remote, failures).as_secs(), seconds);
        }
    }
}
