//! Limits of rates: requests from one address, requests of one user, registrations from one address. Any thread.
//!
//! All limits are off by default. A restart begins with full buckets.

use authkv_base::error::Error;
use authkv_base::origin::Peer;
use authkv_base::rate::{Buckets, Left, Rate};
use authkv_config::Config;
use std::net::IpAddr;
use std::sync::Arc;

/// The limits of an instance, with what is left of them.
pub struct Limits {
    per_address: Option<Buckets>,
    per_user: Option<Buckets>,
    registrations: Option<Buckets>,
    config: Arc<Config>,
}

/// The names of the limits in errors and in the field `RateLimit`.
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
        Self {
            per_address: config.requests_per_address.map(Buckets::new),
            per_user: config.requests_per_user.map(Buckets::new),
            registrations: config.registrations_per_address.map(Buckets::new),
            config: config.clone(),
        }
    }

    /// Whether requests are counted by address.
    pub fn counts_addresses(&self) -> bool {
        self.per_address.is_some()
    }

    /// Whether there is any limit.
    pub fn any(&self) -> bool {
        self.per_address.is_some() || self.per_user.is_some() || self.registrations.is_some()
    }

    /// Counts a request from this peer. Errors: `TooManyRequests`.
    pub fn admit(&self, peer: &Peer) -> Result<(), Error> {
        self.take(&self.per_address, PER_ADDRESS, peer)
    }

    /// Counts a registration from this peer. Errors: `TooManyRequests`.
    pub fn admit_registration(&self, peer: &Peer) -> Result<(), Error> {
        self.take(&self.registrations, REGISTRATIONS, peer)
    }

    /// Counts a request of this user. Errors: `TooManyRequests`.
    pub fn admit_user(&self, login: &str) -> Result<(), Error> {
        match &self.per_user {
            Some(buckets) => buckets.take(login).map_err(refused(PER_USER)),
            None => Ok(()),
        }
    }

    /// The limits that concern a request from this peer, of this user; `registers`: it is a registration.
    pub fn of(&self, peer: &Peer, login: Option<&str>, registers: bool) -> Vec<Limit> {
        let network = self.network(peer);
        let by_network = |policy, buckets: &Option<Buckets>| {
            let buckets = buckets.as_ref()?;
            Some(limit(policy, buckets, buckets.left(&network?)))
        };
        let by_user = || {
            let buckets = self.per_user.as_ref()?;
            Some(limit(PER_USER, buckets, buckets.left(login?)))
        };
        let registrations = || by_network(REGISTRATIONS, &self.registrations);
        [
            by_network(PER_ADDRESS, &self.per_address),
            by_user(),
            registers.then(registrations).flatten(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn take(
        &self,
        buckets: &Option<Buckets>,
        policy: &'static str,
        peer: &Peer,
    ) -> Result<(), Error> {
        match (buckets, self.network(peer)) {
            (Some(buckets), Some(network)) => buckets.take(&network).map_err(refused(policy)),
            _ => Ok(()),
        }
    }

    /// What is counted as one address. `None` for unix sockets, the console, and addresses that identify no client.
    fn network(&self, peer: &Peer) -> Option<IpAddr> {
        let address = peer.address()?;
        let is_exempt = self.config.live().login_delay.exempts(address);
        peer.network().filter(|_| !is_exempt)
    }
}

fn limit(policy: &'static str, buckets: &Buckets, left: Left) -> Limit {
    let rate = buckets.rate;
    Limit { policy, rate, left }
}

fn refused(policy: &'static str) -> impl Fn(u64) -> Error {
    move |seconds| Error::TooManyRequests { policy, seconds }
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
}
