//! The fiber that forgets what nobody needs any more, and takes over keys that others have changed. Runs on the tx thread.

use crate::auth::{keyring, rotation};
use crate::instance::Instance;
use crate::tx::{fiber, log, Tx};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_base::steady::{boot, Steady};
use authkv_token::Tokens;
use std::time::Duration;

/// Tuples of a space that are forgotten in one transaction.
const SLICE: usize = 500;
const PAUSE: Duration = Duration::from_secs(1);

/// Pairs that are removed in one transaction once they have expired: few, because reads wait for it.
const SWEEP: usize = 50;
/// How long reads have tx and the log of writes for themselves between two of these, and milliseconds that a pair may be
/// late before they do not any more.
const REST: Duration = Duration::from_millis(2);
const LATE: u64 = 10_000;

/// The body of the fiber that removes pairs which have expired. Returns once the instance ends.
pub fn sweep(tx: &Tx, instance: &'static Instance) {
    let Some(store) = &instance.storage.key_values else {
        return;
    };
    while !instance.bridge.is_closed() && !fiber::is_cancelled(tx) {
        match store.sweep(tx, SWEEP) {
            Ok(Some(LATE..)) => fiber::pass(tx),
            Ok(Some(_)) => fiber::sleep(tx, REST),
            Ok(None) | Err(Error::ReadOnly) => instance.pause(tx, PAUSE / 4),
            Err(error) => {
                warn("what has expired was not removed", &error);
                instance.pause(tx, 10 * PAUSE);
            }
        }
    }
}

/// The body of the fiber. Returns once the instance ends.
pub fn run(tx: &Tx, instance: &'static Instance) {
    let mut steady = Steady::default();
    while !instance.bridge.is_closed() && !fiber::is_cancelled(tx) {
        instance.audit.flush(tx, instance);
        match cover(tx, instance) {
            Ok(()) | Err(Error::ReadOnly) => {}
            Err(error) => warn("how long tokens hold was not written down", &error),
        }
        instance.storage.reserve.keep(tx);
        if let Err(error) = keyring::refresh(tx, instance) {
            warn("keys were not read anew", &error);
        }
        rotation::write_public(tx, instance);
        match forget(tx, instance, steady.time(now(), boot())) {
            Ok(true) => fiber::pass(tx),
            Ok(false) | Err(Error::ReadOnly) => instance.pause(tx, PAUSE),
            Err(error) => {
                warn("what has expired was not forgotten", &error);
                instance.pause(tx, 10 * PAUSE);
            }
        }
    }
}

/// Writes down ahead when the tokens expire that are issued next, so that a login seldom waits for it, and a replica can
/// issue some too. Yields if there is something to write.
fn cover(tx: &Tx, instance: &Instance) -> Result<(), Error> {
    if !instance.config.services.auth {
        return Ok(());
    }
    let exp = now() + instance.tokens.ttl().as_secs() + PAUSE.as_secs();
    instance.storage.issued.cover(tx, exp)
}

/// Forgets one slice of each space: what had expired at `time`, if nobody who sets the clock could want it back. Returns
/// whether there may be more. Yields.
fn forget(tx: &Tx, instance: &Instance, time: u64) -> Result<bool, Error> {
    let storage = &instance.storage;
    // First, because it can be written on a read-only instance too.
    let attempts = storage.attempts.forget(tx, now(), SLICE)?;
    let sessions = storage.sessions.forget(tx, time, SLICE)?;
    let before = Tokens::forgotten_before(time);
    let mirrored = storage.mirror.forget(tx, before, SLICE)?;
    Ok(attempts || sessions || mirrored)
}

fn warn(what: &str, error: &Error) {
    log::warn(&format!("{what}: {}", error.row().name));
}
