//! Transactions that cannot be left open.

use super::fiber::{self, Cond};
use super::{log, Failure, Tx};
use crate::error::Error;
use std::cell::Cell;
use tarantool::transaction::{begin, commit, is_in_transaction, rollback};

/// Whether the caller of a procedure has a transaction open.
pub fn in_transaction(_tx: &Tx) -> bool {
    is_in_transaction()
}

/// Commits of this library, in the order in which the log of writes takes them.
struct Commits {
    begun: Cell<u64>,
    ended: Cell<u64>,
    failed: Cell<u64>,
    end: Cond,
}

thread_local! {
    /// Those of the tx thread, the only one that commits.
    static COMMITS: Commits = Commits {
        begun: Cell::new(0),
        ended: Cell::new(0),
        failed: Cell::new(0),
        end: Cond::new(),
    };
}

/// Runs `body` in a transaction: committed where it succeeds, rolled back where it fails or panics. The
/// commit waits for the log of writes, so it yields; `body` must not.
pub fn transaction<T>(_tx: &Tx, body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    begin().map_err(|e| Error::from(Failure::Other(Box::new(e))))?;
    let open = Open;
    let result = body()?;
    std::mem::forget(open);
    COMMITS.with(|commits| {
        commits.begun.set(commits.begun.get() + 1);
        let committed = commit().map_err(|e| {
            // Whatever the reason, newer versions have several, nothing was written.
            log::error(&format!("a commit failed: {}", e.message()));
            Error::NotDurable
        });
        commits.ended.set(commits.ended.get() + 1);
        if committed.is_err() {
            commits.failed.set(commits.failed.get() + 1);
        }
        commits.end.broadcast();
        committed
    })?;
    Ok(result)
}

/// Waits until what others were committing is durable: Tarantool shows changes before they are, and an answer
/// should not rest on what may be undone. Errors: `NotDurable` where one of those commits fails. Yields.
pub fn settle(tx: &Tx) -> Result<(), Error> {
    COMMITS.with(|commits| {
        let (last, failed) = (commits.begun.get(), commits.failed.get());
        while commits.ended.get() < last && !fiber::is_cancelled(tx) {
            commits.end.wait();
        }
        match commits.ended.get() >= last && commits.failed.get() == failed {
            true => Ok(()),
            false => Err(Error::NotDurable),
        }
    })
}

/// Rolls back when dropped.
struct Open;

impl Drop for Open {
    fn drop(&mut self) {
        // It fails for a transaction that is gone already, which is what is wanted.
        let _ = rollback();
    }
}
