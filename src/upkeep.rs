//! The fibers that forget what nobody needs any more, and take over keys that others have changed. Runs on the tx thread.

use crate::auth::rotation;
use crate::core::Core;
use crate::tx::life::Life;
use crate::tx::{fiber, log, Tx};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_base::steady::{boot, Steady};
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
pub fn sweep(tx: &Tx, core: &'static Core, life: &Life) {
    while core.config.services.kv && !life.has_ended() && !fiber::is_cancelled(tx) {
        match core.kv.sweep(tx, SWEEP) {
            Ok(Some(LATE..)) => fiber::pass(tx),
            Ok(Some(_)) => fiber::sleep(tx, REST),
            Ok(None) | Err(Error::ReadOnly) => life.pause(tx, PAUSE / 4),
            Err(error) => {
                warn("what has expired was not removed", &error);
                life.pause(tx, 10 * PAUSE);
            }
        }
    }
}

/// The body of the other fiber. Returns once the instance ends.
pub fn run(tx: &Tx, core: &'static Core, life: &Life) {
    let auth = &core.auth;
    let mut steady = Steady::default();
    while !life.has_ended() && !fiber::is_cancelled(tx) {
        core.audit.flush(tx);
        match auth.cover(tx, PAUSE) {
            Ok(()) | Err(Error::ReadOnly) => {}
            Err(error) => warn("how long tokens hold was not written down", &error),
        }
        core.kv.fill_reserve(tx);
        if let Err(error) = rotation::refresh(tx, auth) {
            warn("keys were not read anew", &error);
        }
        rotation::write_public(tx, auth);
        match auth.forget(tx, steady.time(now(), boot()), SLICE) {
            Ok(true) => fiber::pass(tx),
            Ok(false) | Err(Error::ReadOnly) => life.pause(tx, PAUSE),
            Err(error) => {
                warn("what has expired was not forgotten", &error);
                life.pause(tx, 10 * PAUSE);
            }
        }
    }
}

fn warn(what: &str, error: &Error) {
    log::warn(&format!("{what}: {}", error.row().name));
}
