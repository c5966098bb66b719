//! Failed logins delay further attempts: those for the same login, and those from the same address. Times are those of the steady
//! clock. Runs on the tx thread.
//!
//! After some failures each further one doubles the delay, up to a limit. Attempts during a delay are refused without a
//! check of the password. Nobody can lock a user out for good: an address from which the user has logged in before has its
//! own count, so that failures elsewhere do not matter there (like the device cookies of OWASP's "Slow Down Online Guessing
//! Attacks"). Counts expire, and a success clears the count of the login.

use super::metrics::delayed;
use super::Auth;
use crate::storage::Count;
use crate::tx::{latest, log, Tx};
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_base::steady::now;
use ring::digest::{digest, SHA256};
use std::cell::Cell;

/// Seconds until a count is removed, from its last failure or the end of its delay.
const FORGOTTEN_AFTER: u64 = 15 * 60;
/// Seconds for which a login is known at an address, and how old this record gets before it is renewed.
const KNOWN_FOR: u64 = 30 * 86_400;
const KNOWN_AGAIN_AFTER: u64 = 86_400;

/// One attempt to log in, with the keys of the counts that its failure raises.
pub struct Attempt {
    keys: Vec<String>,
    /// The key of the record that the login is known at its address. `None` if there is no address, or an exempt one.
    marker: Option<String>,
}

impl Attempt {
    /// Begins an attempt. Errors: `TooManyAttempts`. Does not yield.
    pub fn begin(tx: &Tx, auth: &Auth, login: &str, origin: &Origin) -> Result<Self, Error> {
        let peer = &origin.peer;
        let live = auth.config.live();
        let delay = &live.login_delay;
        let network = match peer.address() {
            Some(address) if !delay.exempts(address) => peer.network(),
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

    /// Whether the attempt may be made, or its result be sent. Errors: `TooManyAttempts`. Does not yield.
    pub fn check(&self, tx: &Tx, auth: &Auth) -> Result<(), Error> {
        let (mut wait, max) = (0, auth.config.live().login_delay.max);
        // A failure counts even before it is committed.
        latest(tx, || {
            for key in &self.keys {
                if let Some(count) = count(tx, auth, key)? {
                    let left = count.delayed_until.saturating_sub(now());
                    // A longer delay is from before the clock was set back, or the limit lowered. Nobody knows how long ago.
                    wait = wait.max(if left > max { 0 } else { left });
                }
            }
            Ok(())
        })?;
        match wait {
            0 => Ok(()),
            seconds => Err(Error::TooManyAttempts { seconds }),
        }
    }

    /// Counts a failure. Yields.
    pub fn failed(self, tx: &Tx, auth: &Auth) {
        let (free, max) = {
            let delay = &auth.config.live().login_delay;
            (delay.failures, delay.max)
        };
        if max == 0 {
            return;
        }
        let is_short = auth.storage.reserve.admit(tx).is_err();
        // Failed logins must not use the memory that is reserved for administrators.
        let may_write = |before: Option<&Count>| !is_short || before.is_some();
        let begins_delay = Cell::new(false);
        let counted = |key: &str, before: Option<Count>| {
            let before = before.filter(is_counting);
            let failures = before.map_or(0, |count| count.failures) + 1;
            let delayed_until = match failures.checked_sub(free) {
                Some(beyond) => now() + max.min(1 << beyond.min(20)),
                None => 0,
            };
            begins_delay.set(begins_delay.get() || delayed_until > 0);
            Count {
                key: key.to_owned(),
                expires_at: delayed_until.max(now()) + FORGOTTEN_AFTER,
                failures,
                delayed_until,
            }
        };
        let attempts = &auth.storage.attempts;
        log_failure(attempts.change(tx, &self.keys, may_write, counted));
        if begins_delay.get() {
            delayed();
        }
    }

    /// Clears the failures of this login, and records that it is known at this address. Yields if there is something to
    /// write.
    pub fn succeeded(self, tx: &Tx, auth: &Auth) {
        if auth.config.live().login_delay.max > 0 {
            log_failure(self.note_success(tx, auth));
        }
    }

    fn note_success(self, tx: &Tx, auth: &Auth) -> Result<(), Error> {
        let attempts = &auth.storage.attempts;
        // The first key is that of the login. Failures of the address may belong to other logins.
        if let Some(key) = self.keys.first() {
            if count(tx, auth, key)?.is_some_and(|count| count.failures > 0) {
                attempts.clear(tx, key, now() + FORGOTTEN_AFTER);
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
        let marked = |key: &str, _| Count {
            key: key.to_owned(),
            expires_at,
            failures: 0,
            delayed_until: 0,
        };
        let has_memory = auth.storage.reserve.admit(tx).is_ok();
        attempts.change(tx, &[key], |before| has_memory || before.is_some(), marked)
    }
}

/// A count that has not expired.
fn count(tx: &Tx, auth: &Auth, key: &str) -> Result<Option<Count>, Error> {
    let count = auth.storage.attempts.get(tx, key)?;
    Ok(count.filter(is_counting))
}

fn is_counting(count: &Count) -> bool {
    count.expires_at > now()
}

/// The digest of a login, because any text may be sent as a login, even a password.
fn digest_of(login: &str) -> String {
    let digest = digest(&SHA256, login.as_bytes());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// Logs a failure. A login does not fail if its count cannot be written.
fn log_failure(noted: Result<(), Error>) {
    if let Err(error) = noted {
        let name = error.row().name;
        log::warn(&format!("failed logins could not be counted: {name}"));
    }
}
