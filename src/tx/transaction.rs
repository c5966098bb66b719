//! Transactions that cannot be left open.

use super::fiber::{self, Cond};
use super::isolation::{sees_committing, Open};
use super::{log, retry, Failure, Tx};
use authkv_base::error::Error;
use std::cell::Cell;

/// Commits of this library, in the order in which the log of writes takes them.
struct Commits {
    begun: Cell<u64>,
    ended: Cell<u64>,
    failed: Cell<u64>,
    end: Cond,
    /// What was read since this was last taken rests on commits that had not ended.
    undurable: Cell<Option<Mark>>,
}

impl Commits {
    fn mark(&self) -> Mark {
        Mark {
            begun: self.begun.get(),
            failed: self.failed.get(),
        }
    }
}

/// A moment in the order of commits: those that have begun before it, and those that have failed.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    begun: u64,
    failed: u64,
}

thread_local! {
    /// Those of the tx thread, the only one that commits.
    static COMMITS: Commits = Commits {
        begun: Cell::new(0),
        ended: Cell::new(0),
        failed: Cell::new(0),
        end: Cond::new(),
        undurable: Cell::new(None),
    };
}

/// Runs `body` in a transaction: committed where it succeeds, rolled back where it fails or panics. The commit waits for the
/// log of writes, so it yields; `body` must not. If others abort the transaction, `body` runs again, so it changes nothing
/// but spaces, and reads there what it rests on. Errors: also `TransactionAborted`, `NotDurable`.
pub fn transaction<T>(tx: &Tx, mut body: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    transaction_if(tx, || body().map(|result| (result, true)))
}

/// The same, but rolled back also where `body` says so with its result.
pub fn transaction_if<T>(
    tx: &Tx,
    mut body: impl FnMut() -> Result<(T, bool), Error>,
) -> Result<T, Error> {
    retry(tx, || attempt(tx, &mut body))
}

/// The same, tried once.
pub fn attempt<T>(tx: &Tx, body: impl FnOnce() -> Result<(T, bool), Error>) -> Result<T, Error> {
    let open = Open::begin(tx)?;
    let (result, wanted) = body()?;
    if wanted {
        std::mem::forget(open);
        commit()?;
    }
    Ok(result)
}

/// Commits the open transaction. Errors: `TransactionAborted`, `NotDurable`; it is rolled back then. Yields.
fn commit() -> Result<(), Error> {
    COMMITS.with(|commits| {
        let number = commits.begun.get() + 1;
        commits.begun.set(number);
        // This commit comes after those that were seen, and does not succeed without them.
        commits.undurable.set(None);
        let committed = tarantool::transaction::commit().map_err(|e| {
            let text = e.message().to_owned();
            match Failure::from(e) {
                Failure::Aborted => Error::TransactionAborted,
                // Whatever the reason, newer versions have several, nothing was written.
                _ => {
                    log::error(&format!("a commit failed: {text}"));
                    Error::NotDurable
                }
            }
        });
        // One that was aborted has not reached the log, and nobody has seen what it changed.
        if committed == Err(Error::TransactionAborted) && commits.begun.get() == number {
            commits.begun.set(number - 1);
            return committed;
        }
        commits.ended.set(commits.ended.get() + 1);
        if committed.is_err() {
            commits.failed.set(commits.failed.get() + 1);
        }
        commits.end.broadcast();
        committed
    })
}

/// Waits until what others were committing is durable: Tarantool shows changes before they are, and an answer
/// should not rest on what may be undone. Errors: `NotDurable` where one of those commits fails. Yields.
pub fn await_durability(tx: &Tx) -> Result<(), Error> {
    let now = COMMITS.with(Commits::mark);
    await_durability_since(tx, now)
}

/// The same for what was being committed at an earlier moment.
pub fn await_durability_since(tx: &Tx, mark: Mark) -> Result<(), Error> {
    COMMITS.with(|commits| {
        while commits.ended.get() < mark.begun && !fiber::is_cancelled(tx) {
            commits.end.wait();
        }
        match commits.ended.get() >= mark.begun && commits.failed.get() == mark.failed {
            true => Ok(()),
            false => Err(Error::NotDurable),
        }
    })
}

/// How many commits have begun so far.
pub fn commits_begun(_tx: &Tx) -> u64 {
    COMMITS.with(|commits| commits.begun.get())
}

/// Whether a read that is made now may see what is not durable: a commit has not ended yet, and the read sees it.
pub fn sees_undurable(tx: &Tx) -> bool {
    COMMITS.with(|commits| commits.ended.get() < commits.begun.get()) && sees_committing(tx)
}

/// Notes that what was just read rests on a commit that has not ended; `since`: that something has done so since then.
pub fn note_undurable(_tx: &Tx, since: Option<Mark>) {
    COMMITS.with(|commits| {
        let mut mark = commits.mark();
        if let Some(before) = commits.undurable.get().or(since) {
            mark.failed = before.failed;
        }
        commits.undurable.set(Some(mark));
    });
}

/// Since when that was noted, which is to be asked before anything yields.
pub fn take_undurable(_tx: &Tx) -> Option<Mark> {
    COMMITS.with(|commits| commits.undurable.take())
}
