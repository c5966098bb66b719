//! Trying again what others have aborted. Runs on the tx thread.
//!
//! No transaction of this library yields before it commits, and each sees what is being committed (`isolation.rs`), so they
//! do not abort one another. What aborts them needs MVCC, and code of others: a trigger of an application that yields in the
//! middle, or a version of Tarantool that cannot be told what a transaction sees.

use super::{fiber, log, Tx};
use authkv_base::error::Error;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Pauses before the tries after the first. The other transaction has to end meanwhile, which takes a write of the log,
/// about a millisecond; beyond that the pauses grow, so that many who want the same tuple spread. All of them together
/// take 0.2 s on average, so that one of the few fibers that commit is not kept for long.
const PAUSES: [u64; 9] = [1, 2, 4, 8, 16, 32, 32, 32, 64];
/// No try begins later: one that was aborted by its time-out has waited for that long already.
const PATIENCE: Duration = Duration::from_secs(1);

thread_local! {
    /// Of the tx thread.
    static LAST: Cell<u32> = const { Cell::new(0) };
}

/// Runs `once`, and again if it was aborted, which has had no effect: at most ten times, with pauses. Errors:
/// `TransactionAborted` if no try has succeeded, and those of `once`. Yields between tries.
pub fn retry<T>(tx: &Tx, mut once: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    match once() {
        Err(Error::TransactionAborted) => again(tx, &mut once),
        done => done,
    }
}

#[cold]
fn again<T>(tx: &Tx, once: &mut dyn FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let begun = Instant::now();
    for pause in PAUSES {
        fiber::sleep(tx, Duration::from_millis(pause).mul_f64(0.5 + fraction()));
        if begun.elapsed() > PATIENCE || fiber::is_cancelled(tx) {
            break;
        }
        match once() {
            Err(Error::TransactionAborted) => {}
            done => return done,
        }
    }
    log::warn("a transaction was aborted by others at every try, and given up");
    Err(Error::TransactionAborted)
}

/// From 0 to 1, each another one, so that those who were aborted together do not come back together. The steps are those of
/// the golden ratio, which leave no large gaps.
fn fraction() -> f64 {
    let next = LAST.get().wrapping_add(0x9e37_79b9);
    LAST.set(next);
    f64::from(next) / f64::from(u32::MAX)
}
