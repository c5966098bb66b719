//! The fibers that remove what has expired, and load keys that other instances have changed. Runs on the tx thread.

use crate::auth::rotation;
use crate::core::Core;
use crate::tx::life::Life;
use crate::tx::{fiber, log, Tx};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_base::steady::{boot, Steady};
use std::time::Duration;

/// How many tuples of a space are removed in one transaction.
const SLICE: usize = 500;
const PAUSE: Duration = Duration::from_secs(1);

/// How many expired pairs are removed in one transaction: few, because reads wait meanwhile.
const SWEEP: usize = 50;
/// The pause between two removals of pairs, in which reads have tx to themselves. Without a pause if the oldest pair is
/// overdue by `LATE` milliseconds.
const REST: Duration = Duration::from_millis(2);
const LATE: u64 = 10_000;

/// The body of the fiber that removes expired pairs. Returns once the instance ends.
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

/// The body of the fiber that does the other upkeep. Returns once the instance ends.
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
