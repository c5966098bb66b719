//! Limits of rates: requests from one address, requests of one user, registrations from one address. Any thread.
//!
//! All limits are off by default. A restart begins with full buckets, and so does a limit that a reload changes.

use arc_swap::ArcSwapOption;
use authkv_base::error::Error;
use authkv_base::origin::Peer;
use authkv_base::rate::{Buckets, Left, Rate};
use authkv_config::{Config, LiveConfig};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

/// The limits of an instance, with what is left of them.
pub struct Limits {
    per_address: Limiter,
    per_user: Limiter,
    registrations: Limiter,
    config: Arc<Config>,
}

/// A limit that may be set, changed and taken back while requests are counted.
struct Limiter {
    /// Its name in errors and in the field `RateLimit`.
    policy: &'static str,
    buckets: ArcSwapOption<Buckets>,
}

const PER_ADDRESS: &str = "requests-per-address";
const PER_USER: &str = "requests-per-user";
const REGISTRATIONS: &str = "registrations-per-address";

/// A limit that concerns a request, and what is left of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Limit {
    pub policy: &'static str,
    pub rate: Rate,
    pub left: Left,
}

impl Limits {
    pub fn new(config: &Arc<Config>) -> Self {
        let limits = Self {
            per_address: Limiter::off(PER_ADDRESS),
            per_user: Limiter::off(PER_USER),
            registrations: Limiter::off(REGISTRATIONS),
            config: config.clone(),
        };
        limits.go_on_with(&config.live());
        limits
    }

    /// Goes on with the limits of these settings. A limit that has changed begins with full buckets.
    pub fn go_on_with(&self, live: &LiveConfig) {
        self.per_address.set(live.requests_per_address);
        self.per_user.set(live.requests_per_user);
        self.registrations.set(live.registrations_per_address);
    }

    /// Whether requests are counted by address.
    pub fn counts_addresses(&self) -> bool {
        self.per_address.is_on()
    }

    /// Whether there is any limit.
    pub fn any(&self) -> bool {
        self.per_address.is_on() || self.per_user.is_on() || self.registrations.is_on()
    }

    /// Counts a request from this peer. Errors: `TooManyRequests`.
    pub fn admit(&self, peer: &Peer) -> Result<(), Error> {
        self.per_address.take(|| self.network(peer))
    }

    /// Counts a registration from this peer. Errors: `TooManyRequests`.
    pub fn admit_registration(&self, peer: &Peer) -> Result<(), Error> {
        self.registrations.take(|| self.network(peer))
    }

    /// Counts a request of this user. Errors: `TooManyRequests`.
    pub fn admit_user(&self, login: &str) -> Result<(), Error> {
        self.per_user.take(|| Some(login))
    }

    /// The limits that concern a request from this peer, of this user; `registers`: it is a registration.
    pub fn of(&self, peer: &Peer, login: Option<&str>, registers: bool) -> Vec<Limit> {
        let network = self.network(peer);
        let registrations = || self.registrations.state(network);
        [
            self.per_address.state(network),
            self.per_user.state(login),
            registers.then(registrations).flatten(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What is counted as one address. `None` for unix sockets, the console, and addresses that identify no client.
    fn network(&self, peer: &Peer) -> Option<IpAddr> {
        let address = peer.address()?;
        let is_exempt = self.config.live().login_delay.exempts(address);
        peer.network().filter(|_| !is_exempt)
    }
}

impl Limiter {
    fn off(policy: &'static str) -> Self {
        Self {
            policy,
            buckets: ArcSwapOption::empty(),
        }
    }

    fn set(&self, rate: Option<Rate>) {
        let before = self.buckets.load().as_ref().map(|buckets| buckets.rate);
        if rate != before {
            let buckets = rate.map(|rate| Arc::new(Buckets::new(rate)));
            self.buckets.store(buckets);
        }
    }

    fn is_on(&self) -> bool {
        self.buckets.load().is_some()
    }

    /// Takes a token from the bucket of the key, if the limit is set and there is a key. Errors: `TooManyRequests`.
    fn take<K: Hash>(&self, key: impl FnOnce() -> Option<K>) -> Result<(), Error> {
        let buckets = self.buckets.load();
        let Some((buckets, key)) = buckets.as_ref().and_then(|all| Some((all, key()?))) else {
            return Ok(());
        };
        let policy = self.policy;
        let refused = |seconds| Error::TooManyRequests { policy, seconds };
        buckets.take(&key).map_err(refused)
    }

    /// The limit, and what is left of the bucket of the key. `None` if it is not set, or there is no key.
    fn state<K: Hash>(&self, key: Option<K>) -> Option<Limit> {
        let buckets = self.buckets.load();
        let buckets = buckets.as_ref()?;
        Some(Limit {
            policy: self.policy,
            rate: buckets.rate,
            left: buckets.left(&key?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(settings: &[(&str, &str)]) -> Limits {
        let given = settings.iter();
        let given = given.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Limits::new(&Arc::new(Config::new(given.collect()).unwrap()))
    }

    fn peer(address: &str) -> Peer {
        Peer::Behind(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_one_network_share_a_limit_and_some_have_none() {
        let limits = limits(&[
            ("REQUESTS_PER_ADDRESS", "1/60"),
            ("LOGIN_DELAY_EXEMPT", "10.0.0.0/8,2001:db8:ffff::/48"),
        ]);
        for (address, admitted) in [
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8:1:2::1", true),
            ("2001:db8:1:2:ffff::9", false),
            ("2001:db8:1:3::1", true),
            ("10.1.2.3", true),
            ("10.1.2.3", true),
            ("2001:db8:ffff::1", true),
            ("2001:db8:ffff::1", true),
        ] {
            assert_eq!(limits.admit(&peer(address)).is_ok(), admitted, "{address}");
        }
        for _ in 0..3 {
            assert_eq!(limits.admit(&Peer::Unix), Ok(()));
            assert_eq!(limits.admit(&Peer::Session), Ok(()));
        }
    }

    #[test]
    fn each_limit_counts_alone_and_is_off_by_default() {
        let off = limits(&[]);
        assert!(!off.any() && off.of(&peer("192.0.2.1"), Some("alice"), true).is_empty());
        let limits = limits(&[
            ("REQUESTS_PER_ADDRESS", "3/60"),
            ("REQUESTS_PER_USER", "2/60"),
            ("REGISTRATIONS_PER_ADDRESS", "1/60"),
        ]);
        let one = peer("192.0.2.1");
        assert_eq!(limits.admit_registration(&one), Ok(()));
        let refused = limits.admit_registration(&one);
        let policy = REGISTRATIONS;
        assert_eq!(
            refused,
            Err(Error::TooManyRequests {
                policy,
                seconds: 60
            })
        );
        assert_eq!(limits.admit_user("alice"), Ok(()));
        let left = |login, registers| -> Vec<_> {
            let all = limits.of(&one, login, registers).into_iter();
            all.map(|limit| (limit.policy, limit.left.tokens)).collect()
        };
        assert_eq!(left(None, false), [(PER_ADDRESS, 3)]);
        assert_eq!(
            left(Some("alice"), false),
            [(PER_ADDRESS, 3), (PER_USER, 1)]
        );
        assert_eq!(
            left(Some("bob"), true),
            [(PER_ADDRESS, 3), (PER_USER, 2), (REGISTRATIONS, 0)]
        );
        assert!(limits.of(&Peer::Unix, None, true).is_empty());
    }

    #[test]
    fn a_limit_that_changes_begins_anew_and_the_others_go_on() {
        let config = |settings: &[(&str, &str)]| {
            let given = settings.iter();
            let given = given.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            Arc::new(Config::new(given.collect()).unwrap())
        };
        let one = peer("192.0.2.1");
        let per_user = ("REQUESTS_PER_USER", "1/60");
        let limits = Limits::new(&config(&[per_user]));
        assert_eq!(limits.admit_user("alice"), Ok(()));
        limits.go_on_with(&config(&[per_user, ("REQUESTS_PER_ADDRESS", "1/60")]).live());
        assert!(limits.counts_addresses());
        assert_eq!(limits.admit(&one), Ok(()));
        assert!(limits.admit(&one).is_err() && limits.admit_user("alice").is_err());
        limits.go_on_with(&config(&[per_user, ("REQUESTS_PER_ADDRESS", "2/60")]).live());
        assert_eq!(limits.admit(&one), Ok(()));
        assert_eq!(limits.of(&one, None, false)[0].left.tokens, 1);
        assert!(limits.admit_user("alice").is_err());
        limits.go_on_with(&config(&[]).live());
        assert!(!limits.any());
        assert!((0..9).all(|_| limits.admit(&one).is_ok() && limits.admit_user("alice").is_ok()));
    }
}
