//! Transactions that end in every case.

use super::fiber::{self, Cond, FiberId};
use super::isolation::{sees_committing, Open};
use super::{log, lua, retry, Failure, Tx};
use authkv_base::error::Error;
use authkv_metrics::{list, per_thread, Buckets, Family};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tarantool::ffi::tarantool::fiber_time64;

/// The commits of this library, in the order in which the log of writes takes them.
struct Commits {
    begun: Cell<u64>,
    ended: Cell<u64>,
    failed: Cell<u64>,
    /// Those that have not ended, in their order.
    open: RefCell<VecDeque<OpenCommit>>,
    /// How many have failed that changed something else than pairs.
    failed_others: Cell<u64>,
    /// How long a commit may take before its outcome counts as unknown.
    limit: Cell<Duration>,
    end: Cond,
    /// What is written is lost with the process.
    data_gone: Cell<bool>,
    /// Another instance writes too.
    is_split: Cell<bool>,
    /// The log of writes could not be written when it was tried last.
    disk_fails: Cell<bool>,
    /// The turn of the event loop in which a commit has last ended, and how many have ended in it.
    turn: Cell<u64>,
    together: Cell<u64>,
    /// A read since the last take has seen changes of a commit that had not ended.
    undurable: Cell<Option<Mark>>,
}

/// A commit that has not ended.
struct OpenCommit {
    number: u64,
    since: Instant,
    fiber: FiberId,
    /// It changes pairs only.
    of_pairs: bool,
}

/// What a transaction changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Pairs, and what belongs to them.
    Pairs,
    /// Anything else, such as users and tokens.
    Others,
}

/// How long a commit may take if the settings are not known yet.
const LIMIT: Duration = Duration::from_secs(10);

impl Commits {
    /// The time until which the oldest open commit has to end, or `None` without one.
    fn deadline(&self) -> Option<Instant> {
        let oldest = self.open.borrow().front().map(|one| one.since);
        oldest.map(|since| since + self.limit.get())
    }

    /// Waits until `is_over`, at most until the oldest commit has taken too long. Errors: `OutcomeUnknown`, `NotDurable` if the
    /// fiber is cancelled. Yields.
    fn wait(&self, tx: &Tx, is_over: impl Fn() -> bool) -> Result<(), Error> {
        while !is_over() {
            if fiber::is_cancelled(tx) {
                return Err(Error::NotDurable);
            }
            let now = Instant::now();
            let deadline = self.deadline().unwrap_or(now + self.limit.get());
            if deadline <= now {
                return Err(self.unknown());
            }
            self.end.wait_timeout(deadline - now);
        }
        Ok(())
    }

    fn unknown(&self) -> Error {
        Error::OutcomeUnknown {
            seconds: self.limit.get().as_secs(),
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            begun: self.begun.get(),
            failed: self.failed.get(),
        }
    }

    /// Counts a commit. Commits that share a write of the log end in the same turn of the event loop.
    fn count_together(&self, commits: u64) {
        // SAFETY: takes nothing, on the tx thread. The time is that of the turn.
        let turn = unsafe { fiber_time64() };
        if turn != self.turn.replace(turn) {
            match self.together.replace(0) {
                0 => {}
                together => COUNTS.with(|own| TOGETHER.observe(own, RESULTS.len(), together)),
            }
        }
        self.together.set(self.together.get() + commits);
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

/// The results of transactions, in the order of their counters.
const RESULTS: [&str; 3] = ["committed", "aborted", "failed"];
const COMMITTED: usize = 0;
const ABORTED: usize = 1;
const FAILED: usize = 2;
const TOGETHER: Buckets = Buckets::TRANSACTIONS;

per_thread! {
    /// Transactions by their results; then how many commits ended together.
    static COUNTS: RESULTS.len() + TOGETHER.cells();
}

/// What is counted of transactions.
pub fn transactions(_tx: &Tx) -> Vec<Family> {
    // Tells the commits of a turn that has passed.
    COMMITS.with(|commits| commits.count_together(0));
    let sums = COUNTS.sums();
    let (results, together) = sums.split_at(RESULTS.len());
    let results = RESULTS.into_iter().zip(results.iter().copied());
    let together = TOGETHER.read(together).into_iter();
    vec![
        list::TRANSACTIONS.labelled(results),
        list::COMMIT_BATCH.family(together.map(|value| ([], value))),
    ]
}

thread_local! {
    /// Used on the tx thread only, the only thread that commits.
    static COMMITS: Commits = Commits {
        begun: Cell::new(0),
        ended: Cell::new(0),
        failed: Cell::new(0),
        open: RefCell::default(),
        failed_others: Cell::new(0),
        limit: Cell::new(LIMIT),
        is_split: Cell::new(false),
        disk_fails: Cell::new(false),
        end: Cond::new(),
        data_gone: Cell::new(false),
        turn: Cell::new(0),
        together: Cell::new(0),
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
    retry(tx, || attempt(tx, Changes::Others, &mut body))
}

/// Like [`transaction_if`], with a single try.
pub fn attempt<T>(
    tx: &Tx,
    changes: Changes,
    body: impl FnOnce() -> Result<(T, bool), Error>,
) -> Result<T, Error> {
    if COMMITS.with(|commits| commits.data_gone.get()) {
        return Err(Error::DataGone);
    }
    if COMMITS.with(|commits| commits.is_split.get()) {
        return Err(Error::SplitBrain);
    }
    // It would have to wait for them, and nobody could tell how it ended.
    if has_overdue(tx) {
        return Err(Error::Unconfirmed);
    }
    let open = Open::begin(tx)?;
    let (result, wanted) = body()?;
    if wanted {
        std::mem::forget(open);
        commit(tx, changes)?;
    }
    Ok(result)
}

/// Commits the open transaction. Errors: `TransactionAborted`, `NotDurable`; the transaction is rolled back then. Yields.
fn commit(tx: &Tx, changes: Changes) -> Result<(), Error> {
    COMMITS.with(|commits| {
        let number = commits.begun.get() + 1;
        commits.begun.set(number);
        commits.open.borrow_mut().push_back(OpenCommit {
            number,
            since: Instant::now(),
            fiber: fiber::this(tx),
            of_pairs: changes == Changes::Pairs,
        });
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
        let this = fiber::this(tx);
        commits.open.borrow_mut().retain(|one| one.fiber != this);
        // An aborted commit has not reached the log, and nobody has seen its changes.
        if committed == Err(Error::TransactionAborted) && commits.begun.get() == number {
            commits.begun.set(number - 1);
            COUNTS.add(ABORTED, 1);
            return committed;
        }
        commits.ended.set(commits.ended.get() + 1);
        if committed.is_ok() {
            commits.note_disk(false);
            commits.count_together(1);
            COUNTS.add(COMMITTED, 1);
        } else {
            COUNTS.add(FAILED, 1);
            if changes == Changes::Others {
                let failed = &commits.failed_others;
                failed.set(failed.get() + 1);
            }
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

/// Waits until the changes that others are committing now are durable, except for those of pairs. Tarantool shows changes
/// before that, and an answer should not depend on changes that may be undone. Errors: `NotDurable` if one of these commits
/// fails, `OutcomeUnknown` if one takes too long. Yields.
pub fn await_durability(tx: &Tx) -> Result<(), Error> {
    COMMITS.with(|commits| {
        let (begun, failed) = (commits.begun.get(), commits.failed_others.get());
        commits.wait(tx, || {
            let open = commits.open.borrow();
            !open.iter().any(|one| !one.of_pairs && one.number <= begun)
        })?;
        match commits.failed_others.get() == failed {
            true => Ok(()),
            false => Err(Error::NotDurable),
        }
    })
}

/// Like [`await_durability`], for all commits of an earlier moment.
pub fn await_durability_since(tx: &Tx, mark: Mark) -> Result<(), Error> {
    COMMITS.with(|commits| {
        commits.wait(tx, || commits.ended.get() >= mark.begun)?;
        match commits.failed.get() == mark.failed {
            true => Ok(()),
            false => Err(Error::NotDurable),
        }
    })
}

/// Makes all transactions fail with `SplitBrain`, or lets them succeed again.
pub fn note_split(_tx: &Tx, is_split: bool) {
    COMMITS.with(|commits| commits.is_split.set(is_split));
}

/// Whether transactions fail because of [`note_split`].
pub fn is_split(_tx: &Tx) -> bool {
    COMMITS.with(|commits| commits.is_split.get())
}

/// Sets how long a commit may take before its outcome counts as unknown.
pub fn limit_commits(_tx: &Tx, limit: Duration) {
    COMMITS.with(|commits| commits.limit.set(limit));
}

/// For how long the oldest commit has been open, if that is longer than a commit may take.
pub fn overdue(_tx: &Tx) -> Option<Duration> {
    COMMITS.with(|commits| {
        let oldest = commits.open.borrow().front().map(|one| one.since)?;
        let time = oldest.elapsed();
        (time > commits.limit.get()).then_some(time)
    })
}

fn has_overdue(tx: &Tx) -> bool {
    overdue(tx).is_some()
}

/// Whether what this fiber commits takes longer than a commit may.
pub fn is_overdue(_tx: &Tx, fiber: FiberId) -> bool {
    COMMITS.with(|commits| {
        let open = commits.open.borrow();
        let one = open.iter().find(|one| one.fiber == fiber);
        one.is_some_and(|one| one.since.elapsed() > commits.limit.get())
    })
}

/// The error for a commit that takes longer than a commit may.
pub fn outcome_unknown(_tx: &Tx) -> Error {
    COMMITS.with(Commits::unknown)
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
