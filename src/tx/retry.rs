//! Retries transactions that others have aborted. Runs on the tx thread.
//!
//! Transactions of this library do not abort one another: none yields before it commits, and each sees the changes that are
//! being committed (`isolation.rs`). An abort needs MVCC and foreign code: a trigger of an application that yields in the
//! middle, or a version of Tarantool that cannot set the isolation level.

use super::{fiber, log, Tx};
use authkv_base::error::Error;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Milliseconds to pause before each retry. The other transaction must end in the pause, which takes a write of the log: about
/// a millisecond. Longer pauses spread fibers that change the same tuple. All pauses together take 0.2 s on average, so that a
/// committing fiber, of which there are few, is not blocked for long.
const PAUSES: [u64; 9] = [1, 2, 4, 8, 16, 32, 32, 32, 64];
/// No retry begins later than this. A transaction that was aborted by its time-out has already waited that long.
const PATIENCE: Duration = Duration::from_secs(1);

thread_local! {
    /// Used on the tx thread only.
    static LAST: Cell<u32> = const { Cell::new(0) };
}

/// Runs `once`, and runs it again if it was aborted, which had no effect: at most ten times, with pauses. Errors:
/// `TransactionAborted` if every try was aborted, and the errors of `once`. Yields between tries.
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

/// A number from 0 to 1, different at each call, so that transactions aborted together are not retried together. Steps of the
/// golden ratio leave no large gaps.
fn fraction() -> f64 {
    let next = LAST.get().wrapping_add(0x9e37_79b9);
    LAST.set(next);
    f64::from(next) / f64::from(u32::MAX)
}
