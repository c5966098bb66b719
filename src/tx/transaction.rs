//! Transactions that end in every case.

use super::fiber::{self, Cond};
use super::isolation::{sees_committing, Open};
use super::{log, lua, retry, Failure, Tx};
use authkv_base::error::Error;
use std::cell::Cell;

/// The commits of this library, in the order in which the log of writes takes them.
struct Commits {
    begun: Cell<u64>,
    ended: Cell<u64>,
    failed: Cell<u64>,
    end: Cond,
    /// What is written is lost with the process.
    data_gone: Cell<bool>,
    /// The log of writes could not be written when it was tried last.
    disk_fails: Cell<bool>,
    /// A read since the last take has seen changes of a commit that had not ended.
    undurable: Cell<Option<Mark>>,
}

impl Commits {
    fn mark(&self) -> Mark {
        Mark {
            begun: self.begun.get(),
            failed: self.failed.get(),
        }
    }

    /// Logs when the log of writes begins to fail, and when it can be written again. Tarantool logs each failure.
    fn note_disk(&self, fails: bool) {
        match (self.disk_fails.replace(fails), fails) {
            (false, true) => log::error(
                "the log of writes cannot be written: reads and checks of tokens go on, writes are refused until it can",
            ),
            (true, false) => log::info("the log of writes can be written again"),
            _ => {}
        }
    }
}

/// A moment in the order of commits: how many commits had begun and how many had failed.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    begun: u64,
    failed: u64,
}

thread_local! {
    /// Used on the tx thread only, the only thread that commits.
    static COMMITS: Commits = Commits {
        begun: Cell::new(0),
        ended: Cell::new(0),
        failed: Cell::new(0),
        disk_fails: Cell::new(false),
        end: Cond::new(),
        data_gone: Cell::new(false),
        undurable: Cell::new(None),
    };
}

/// Runs `body` in a transaction. Commits if it succeeds, rolls back if it fails or panics. The commit waits for the log of
/// writes, so it yields; `body` must not. If others abort the transaction, `body` runs again, so it must change nothing but
/// spaces and read there everything it depends on. Errors: also `TransactionAborted`, `NotDurable`, `DataGone`.
pub fn transaction<T>(tx: &Tx, mut body: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    transaction_if(tx, || body().map(|result| (result, true)))
}

/// Like [`transaction`], and also rolls back if `body` returns `false`.
pub fn transaction_if<T>(
    tx: &Tx,
    mut body: impl FnMut() -> Result<(T, bool), Error>,
) -> Result<T, Error> {
    retry(tx, || attempt(tx, &mut body))
}

/// Like [`transaction_if`], with a single try.
pub fn attempt<T>(tx: &Tx, body: impl FnOnce() -> Result<(T, bool), Error>) -> Result<T, Error> {
    if COMMITS.with(|commits| commits.data_gone.get()) {
        return Err(Error::DataGone);
    }
    let open = Open::begin(tx)?;
    let (result, wanted) = body()?;
    if wanted {
        std::mem::forget(open);
        commit()?;
    }
    Ok(result)
}

/// Commits the open transaction. Errors: `TransactionAborted`, `NotDurable`; the transaction is rolled back then. Yields.
fn commit() -> Result<(), Error> {
    COMMITS.with(|commits| {
        let number = commits.begun.get() + 1;
        commits.begun.set(number);
        // This commit comes after the commits whose changes were read, and fails if they fail.
        commits.undurable.set(None);
        let committed = tarantool::transaction::commit().map_err(|e| {
            let text = e.message().to_owned();
            match Failure::from(e) {
                Failure::Aborted => Error::TransactionAborted,
                Failure::Disk => {
                    commits.note_disk(true);
                    Error::NotDurable
                }
                // Newer versions have several reasons. With each of them, nothing was written.
                _ => {
                    log::error(&format!("a commit failed: {text}"));
                    Error::NotDurable
                }
            }
        });
        // An aborted commit has not reached the log, and nobody has seen its changes.
        if committed == Err(Error::TransactionAborted) && commits.begun.get() == number {
            commits.begun.set(number - 1);
            return committed;
        }
        commits.ended.set(commits.ended.get() + 1);
        if committed.is_ok() {
            commits.note_disk(false);
        } else {
            commits.failed.set(commits.failed.get() + 1);
        }
        commits.end.broadcast();
        // It may have been noticed while the commit waited for the log.
        match commits.data_gone.get() {
            true => committed.and(Err(Error::DataGone)),
            false => committed,
        }
    })
}

/// Makes all transactions fail from now on with `DataGone`, until the process ends.
pub fn refuse_transactions(tx: &Tx) {
    COMMITS.with(|commits| commits.data_gone.set(true));
    lua::note_data_gone(tx);
}

/// Makes all transactions fail if an older image has called [`refuse_transactions`]. Evaluates Lua.
pub fn learn_refusal(tx: &Tx) {
    if lua::is_data_gone(tx) {
        COMMITS.with(|commits| commits.data_gone.set(true));
    }
}

/// Whether transactions fail because of [`refuse_transactions`].
pub fn refuses_transactions(_tx: &Tx) -> bool {
    COMMITS.with(|commits| commits.data_gone.get())
}

/// Waits until the changes that others are committing now are durable. Tarantool shows changes before that, and an answer
/// should not depend on changes that may be undone. Errors: `NotDurable` if one of these commits fails. Yields.
pub fn await_durability(tx: &Tx) -> Result<(), Error> {
    let now = COMMITS.with(Commits::mark);
    await_durability_since(tx, now)
}

/// Like [`await_durability`], for the commits of an earlier moment.
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

/// The number of commits that have begun so far.
pub fn commits_begun(_tx: &Tx) -> u64 {
    COMMITS.with(|commits| commits.begun.get())
}

/// The number of commits that have succeeded so far, and of those that have not ended.
pub fn commits_ended(_tx: &Tx) -> (u64, u64) {
    COMMITS.with(|commits| {
        let ended = commits.ended.get();
        let succeeded = ended - commits.failed.get();
        (succeeded, commits.begun.get() - ended)
    })
}

/// Whether the log of writes could not be written when it was tried last.
pub fn disk_fails(_tx: &Tx) -> bool {
    COMMITS.with(|commits| commits.disk_fails.get())
}

/// Whether a read may see changes that are not durable: a commit has not ended, and the read sees its changes.
pub fn sees_undurable(tx: &Tx) -> bool {
    COMMITS.with(|commits| commits.ended.get() < commits.begun.get()) && sees_committing(tx)
}

/// Notes that the last read depends on a commit that has not ended. `since`: the earliest moment of such a read.
pub fn note_undurable(_tx: &Tx, since: Option<Mark>) {
    COMMITS.with(|commits| {
        let mut mark = commits.mark();
        if let Some(before) = commits.undurable.get().or(since) {
            mark.failed = before.failed;
        }
        commits.undurable.set(Some(mark));
    });
}

/// The moment that [`note_undurable`] noted. Call this before anything yields.
pub fn take_undurable(_tx: &Tx) -> Option<Mark> {
    COMMITS.with(|commits| commits.undurable.take())
}
