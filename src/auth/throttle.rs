//! Failed logins delay the next ones: those of the same login, and those from the same address. Runs on the tx thread.
//!
//! After some failures each further one doubles the delay, up to a limit; attempts meanwhile are refused unseen. Nobody
//! can lock a user out for good: an address from which that login has logged in before has a count of its own, so that
//! the failures of others do not matter there (as with the device cookies of OWASP's "Slow Down Online Guessing
//! Attacks"). Counts are forgotten in time, and by a success.

use super::Auth;
use crate::storage::Count;
use crate::tx::{latest, log, Tx};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use ring::digest::{digest, SHA256};
use std::net::IpAddr;

/// Seconds after the last failure, or the end of its delay.
const FORGOTTEN_AFTER: u64 = 15 * 60;
/// Seconds for which an address is known to a login, and for which that is not written anew.
const KNOWN_FOR: u64 = 30 * 86_400;
const KNOWN_AGAIN_AFTER: u64 = 86_400;

/// One attempt to log in, and what its failure is counted by.
pub struct Attempt {
    keys: Vec<String>,
    /// Says that the login is known at its address, where there is an address that says something.
    marker: Option<String>,
}

impl Attempt {
    /// Errors: `TooManyAttempts`. Does not yield.
    pub fn begin(tx: &Tx, auth: &Auth, login: &str, origin: &Origin) -> Result<Self, Error> {
        let peer = &origin.peer;
        let exempt = &auth.config.login_delay.exempt;
        let is_exempt = |address: IpAddr| exempt.iter().any(|network| network.contains(&address));
        let network = match peer.address() {
            Some(address) if !is_exempt(address) => peer.network(),
            _ => None,
        };
        let login = digest_of(login);
        let (keys, marker) = match network {
            None => (vec![format!("login {login}")], None),
            Some(network) => {
                let marker = format!("known {login} {network}");
                let keys = match count(tx, auth, &marker)? {
                    Some(_) => vec![format!("pair {login} {network}")],
                    None => vec![format!("login {login}"), format!("address {network}")],
                };
                (keys, Some(marker))
            }
        };
        let attempt = Self { keys, marker };
        attempt.check(tx, auth)?;
        Ok(attempt)
    }

    /// Whether it may be made, or its result be told. Errors: `TooManyAttempts`. Does not yield.
    pub fn check(&self, tx: &Tx, auth: &Auth) -> Result<(), Error> {
        let mut wait = 0;
        // Failures count from the moment they are being committed.
        latest(tx, || {
            for key in &self.keys {
                if let Some(count) = count(tx, auth, key)? {
                    wait = wait.max(count.delayed_until.saturating_sub(now()));
                }
            }
            Ok(())
        })?;
        // The clock may have been set back, and the limit be a lower one.
        match wait.min(auth.config.login_delay.max) {
            0 => Ok(()),
            seconds => Err(Error::TooManyAttempts { seconds }),
        }
    }

    /// Counts a failure. Yields.
    pub fn failed(self, tx: &Tx, auth: &Auth) {
        let delay = &auth.config.login_delay;
        if delay.max == 0 {
            return;
        }
        let is_short = auth.storage.reserve.admit(tx).is_err();
        let counted = |key: &str, before: Option<Count>| {
            if is_short && before.is_none() {
                // Strangers do not get what is reserved for administrators.
                return Err(Error::StorageFull);
            }
            let before = before.filter(is_counting);
            let failures = before.map_or(0, |count| count.failures) + 1;
            let delayed_until = match failures.checked_sub(delay.failures) {
                Some(beyond) => now() + delay.max.min(1 << beyond.min(20)),
                None => 0,
            };
            Ok(Count {
                key: key.to_owned(),
                expires_at: delayed_until.max(now()) + FORGOTTEN_AFTER,
                failures,
                delayed_until,
            })
        };
        tell(auth.storage.attempts.change(tx, &self.keys, counted));
    }

    /// Forgets the failures of this login, and notes that it is known at this address. Yields where there is something
    /// to note.
    pub fn succeeded(self, tx: &Tx, auth: &Auth) {
        if auth.config.login_delay.max > 0 {
            tell(self.note_success(tx, auth));
        }
    }

    fn note_success(self, tx: &Tx, auth: &Auth) -> Result<(), Error> {
        let attempts = &auth.storage.attempts;
        // The first is that of the login; those from the address may be of other logins.
        if let Some(key) = self.keys.first() {
            if attempts.get(tx, key)?.is_some() {
                attempts.delete(tx, key)?;
            }
        }
        let Some(key) = self.marker else {
            return Ok(());
        };
        let expires_at = now() + KNOWN_FOR;
        let known = count(tx, auth, &key)?;
        if known.is_some_and(|known| known.expires_at + KNOWN_AGAIN_AFTER > expires_at) {
            return Ok(());
        }
        attempts.change(tx, &[key], |key, _| {
            Ok(Count {
                key: key.to_owned(),
                expires_at,
                failures: 0,
                delayed_until: 0,
            })
        })
    }
}

/// A count that is not to be forgotten yet.
fn count(tx: &Tx, auth: &Auth, key: &str) -> Result<Option<Count>, Error> {
    let count = auth.storage.attempts.get(tx, key)?;
    Ok(count.filter(is_counting))
}

fn is_counting(count: &Count) -> bool {
    count.expires_at > now()
}

/// What stands for a login: any text may be sent as one, a password too.
fn digest_of(login: &str) -> String {
    let digest = digest(&SHA256, login.as_bytes());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// A login does not fail because its count cannot be written.
fn tell(noted: Result<(), Error>) {
    if let Err(error) = noted {
        let name = error.row().name;
        log::warn(&format!("failed logins could not be counted: {name}"));
    }
}
