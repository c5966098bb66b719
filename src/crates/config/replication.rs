//! The values of the settings of a replica set. Pure.

use super::text::{host_and_port, items, of, Kind};
use std::collections::BTreeSet;
use std::time::Duration;

/// Whether an instance takes part in elections: Tarantool's `election_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElectionMode {
    /// There are no elections: the leader is the instance that is not read-only.
    Off,
    /// It votes and may be elected.
    Candidate,
    /// It votes only.
    Voter,
    /// It votes, and is elected if `box.ctl.promote()` is called.
    Manual,
}

impl ElectionMode {
    pub const ALLOWED: &'static str = "off, candidate, voter or manual";

    const NAMED: [(&'static str, Self); 4] = [
        ("off", Self::Off),
        ("candidate", Self::Candidate),
        ("voter", Self::Voter),
        ("manual", Self::Manual),
    ];

    pub fn parse(text: &str) -> Option<Self> {
        let mut named = Self::NAMED.into_iter();
        named.find_map(|(name, mode)| (name == text).then_some(mode))
    }

    pub fn name(self) -> &'static str {
        let mut named = Self::NAMED.into_iter();
        named
            .find_map(|(name, mode)| (mode == self).then_some(name))
            .unwrap_or_default()
    }
}

/// What a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// What the instance has.
    StaleOk,
    /// What the leader had when the read began.
    Leader,
    /// What most instances had when the read began: Tarantool's level of isolation of that name.
    Linearizable,
}

impl Consistency {
    pub const ALLOWED: &'static str = "stale_ok, leader or linearizable";

    const NAMED: [(&'static str, Self); 3] = [
        ("stale_ok", Self::StaleOk),
        ("leader", Self::Leader),
        ("linearizable", Self::Linearizable),
    ];

    pub fn parse(text: &str) -> Option<Self> {
        let mut named = Self::NAMED.into_iter();
        named.find_map(|(name, one)| (name == text).then_some(one))
    }

    pub fn name(self) -> &'static str {
        let mut named = Self::NAMED.into_iter();
        named
            .find_map(|(name, one)| (one == self).then_some(name))
            .unwrap_or_default()
    }
}

/// The addresses of all instances of a replica set, each once.
pub fn members() -> Kind<Vec<String>> {
    const ALLOWED: &str = "host:port of each instance of the replica set with commas between them";
    of(ALLOWED, |text| {
        let all: Option<Vec<String>> = items(text).map(host_and_port).collect();
        let all = all?;
        let distinct: BTreeSet<_> = all.iter().collect();
        (!all.is_empty() && distinct.len() == all.len()).then_some(all)
    })
}

/// A name that is shown in logs and errors.
pub fn instance_name() -> Kind<String> {
    const MAX: usize = 63;
    of(
        "1 to 63 letters, digits, dots, hyphens and underscores",
        |text| {
            let is_plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            (text.len() <= MAX && text.bytes().all(is_plain)).then(|| text.to_owned())
        },
    )
}

/// An URL without a path, a query and a user.
pub fn origin() -> Kind<String> {
    of(
        "http:// or https:// with host:port or a host name after it",
        |text| {
            let text = text.strip_suffix('/').unwrap_or(text);
            let (scheme, host) = text.split_once("://")?;
            let is_plain = |byte: u8| {
                byte.is_ascii_graphic()
                    && !matches!(byte, b'/' | b'?' | b'#' | b'@' | b'"' | b'\\' | b',')
            };
            let is_right = matches!(scheme, "http" | "https")
                && !host.is_empty()
                && host.bytes().all(is_plain);
            is_right.then(|| text.to_owned())
        },
    )
}

/// Seconds, also a part of one. Milliseconds are the smallest part.
pub fn short_seconds(min: f64, max: f64) -> Kind<Duration> {
    of(
        format!("a number from {min} to {max}, such as 0.5"),
        move |text| {
            let is_plain = text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
            let seconds: f64 = text.parse().ok().filter(|_| is_plain)?;
            let milliseconds = (seconds * 1000.0).round();
            (min..=max)
                .contains(&seconds)
                .then(|| Duration::from_millis(milliseconds as u64))
        },
    )
}
