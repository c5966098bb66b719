//! What is counted and measured of users, tokens and logins.

use super::Auth;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_metrics::{list, per_thread, Family, Value};

/// The results of proofs of a password, in the order of their counters. A counter of delays follows.
const RESULTS: [&str; 4] = ["succeeded", "refused", "delayed", "failed"];
const DELAYS: usize = RESULTS.len();

per_thread! {
    /// Proofs of passwords by their results, and delays.
    static LOGINS: RESULTS.len() + 1;
}

/// Counts the proof of a password.
pub fn proved<T>(result: &Result<T, Error>) {
    let result = match result {
        Ok(_) => 0,
        Err(Error::InvalidCredentials) => 1,
        Err(Error::TooManyAttempts { .. }) => 2,
        Err(_) => 3,
    };
    LOGINS.add(result, 1);
}

/// Counts a failed login that began a delay.
pub fn delayed() {
    LOGINS.add(DELAYS, 1);
}

impl Auth {
    /// What is known without the tx thread. Any thread.
    pub fn metrics_of_threads(&self) -> Vec<Family> {
        let logins = LOGINS.sums();
        let pools = [
            ("crypto", self.hashes.load()),
            ("verify", self.verifier.load()),
            ("keys", self.key_maker.load()),
        ];
        let of = |value: fn(&crate::offload::Load) -> u64| {
            pools.iter().map(move |(name, load)| (*name, value(load)))
        };
        let mut families = vec![
            list::LOGINS.labelled(RESULTS.into_iter().zip(logins.iter().copied())),
            list::LOGIN_DELAYS.single(logins[DELAYS]),
            list::POOL_THREADS.labelled(of(|load| load.threads as u64)),
            list::POOL_BUSY.labelled(of(|load| load.busy as u64)),
            list::POOL_QUEUED.labelled(of(|load| load.queued as u64)),
            list::POOL_QUEUED_MAX.labelled(of(|load| load.queued_max as u64)),
            list::POOL_REFUSED.labelled(of(|load| load.refused)),
        ];
        families.extend(self.tokens.metrics());
        if self.config.follow.is_some() || self.following.has_leader() {
            let lag = self.following.lag().as_secs_f64();
            families.push(list::FOLLOW_LAG.single(lag));
            let max = self.config.live().follow_max_lag;
            let max = max.map(|max| ([], Value::from(max.as_secs_f64())));
            families.push(list::FOLLOW_LAG_MAX.family(max));
        }
        families
    }

    /// What only the tx thread knows. Does not yield.
    pub fn metrics(&self, tx: &Tx) -> Vec<Family> {
        let storage = &self.storage;
        let users = storage.users.as_ref().map(|users| users.len(tx));
        vec![
            list::USERS.family(users.map(|users| ([], users.into()))),
            list::SESSIONS.single(storage.sessions.len(tx)),
            list::REVOCATIONS_KEPT.single(storage.revoked.len(tx)),
            list::LOGIN_ATTEMPTS.single(storage.attempts.len(tx)),
        ]
    }
}
