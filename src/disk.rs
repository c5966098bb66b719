//! The disk under the database: the fiber that notices that the files are gone, and the one that notices that nothing can be
//! written. Runs on the tx thread; the files are touched on a thread of Tarantool's.

use crate::core::Core;
use crate::tx::life::Life;
use crate::tx::{commits_ended, disk_fails, fiber, log, lua, refuse_transactions, Tx, TxCell};
use authkv_xlog::{try_room, Watch};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// If no commit has succeeded for so long, something is written to see whether it can be.
const QUIET: Duration = Duration::from_secs(10);
/// The time between two such tries after a commit has failed.
const AGAIN: Duration = Duration::from_secs(5);
/// A write that takes longer counts as a failure.
const LATE: Duration = Duration::from_secs(5);

/// The body of the fiber. Returns once the instance ends, or writes are refused.
pub fn watch(tx: &Tx, life: &Life) {
    let Some((logs, snapshots)) = lua::directories(tx) else {
        return;
    };
    let mut watch = match fiber::apart(tx, || Watch::new(logs, snapshots)) {
        Some(Ok(watch)) => watch,
        Some(Err(e)) => {
            return log::error(&format!("the directory of the data is not watched: {e}"))
        }
        None => return log::error("the directory of the data is not watched"),
    };
    while !life.has_ended() && !fiber::is_cancelled(tx) {
        if let Some(Err(what)) = fiber::apart(tx, || watch.look()) {
            refuse_transactions(tx);
            return log::error(&format!(
                "{what}: writes are refused from now on, because they would be lost with the process. Reads go on. Bring the \
                 files back, or a back-up of them, and start the process again; this one does not take writes any more"
            ));
        }
        life.pause(tx, PAUSE);
    }
}

/// What is known of the disk.
pub struct Disk(TxCell<RefCell<State>>);

struct State {
    /// When a write has succeeded last.
    written: Instant,
    /// Why the last try to write has failed.
    fault: Option<String>,
    /// When the write has begun that has not ended yet.
    writing: Option<Instant>,
}

impl Disk {
    pub fn new(tx: &Tx) -> Self {
        let state = State {
            written: Instant::now(),
            fault: None,
            writing: None,
        };
        Self(TxCell::new(tx, RefCell::new(state)))
    }

    /// Why nothing can be written, if that is so. Does not yield.
    pub fn fault(&self, tx: &Tx) -> Option<String> {
        let state = self.0.get(tx).borrow();
        if disk_fails(tx) {
            return Some("the log of writes cannot be written".to_owned());
        }
        let waits = state.writing.map(|begun| begun.elapsed());
        let late = waits.filter(|time| *time > LATE);
        let late = late.map(|time| format!("a write waits for the disk for {} s", time.as_secs()));
        late.or_else(|| state.fault.clone())
    }

    /// How long ago a write has succeeded. Does not yield.
    pub fn written_ago(&self, tx: &Tx) -> Duration {
        self.0.get(tx).borrow().written.elapsed()
    }

    fn note(&self, tx: &Tx, change: impl FnOnce(&mut State)) {
        change(&mut self.0.get(tx).borrow_mut());
    }

    /// Tries whether the log of writes, which failed, can be written again.
    fn try_log(&self, tx: &Tx, core: &'static Core) {
        // What it was is known from the commit.
        let _ = core.auth.try_disk(tx);
        self.note(tx, |state| state.fault = None);
    }

    /// Tries whether there is room for the log.
    fn try_room(&self, tx: &Tx, logs: &std::path::Path) {
        self.note(tx, |state| state.writing = Some(Instant::now()));
        let tried = fiber::apart(tx, || try_room(logs));
        self.note(tx, |state| {
            state.writing = None;
            match tried {
                Some(Err(e)) => state.fault = Some(format!("cannot write to the disk: {e}")),
                Some(Ok(())) => (state.fault, state.written) = (None, Instant::now()),
                None => {}
            }
        });
    }
}

/// The body of the fiber that tries to write when nobody else does. Returns once the instance ends.
pub fn probe(tx: &Tx, core: &'static Core, life: &Life, disk: &Disk) {
    let Some((logs, _)) = lua::directories(tx) else {
        return;
    };
    let (mut before, _) = commits_ended(tx);
    let mut tried = Instant::now();
    while !life.has_ended() && !fiber::is_cancelled(tx) {
        let (succeeded, open) = commits_ended(tx);
        disk.note(tx, |state| {
            if succeeded != before {
                (state.fault, state.written) = (None, Instant::now());
            }
            // A commit that waits is a try, too.
            state.writing = match (open > 0, succeeded != before) {
                (true, false) => state.writing.or_else(|| Some(Instant::now())),
                (true, true) => Some(Instant::now()),
                (false, _) => None,
            };
        });
        before = succeeded;
        let is_quiet = open == 0 && disk.written_ago(tx) >= QUIET;
        if disk_fails(tx) && tried.elapsed() >= AGAIN {
            tried = Instant::now();
            disk.try_log(tx, core);
        } else if is_quiet && tried.elapsed() >= QUIET {
            tried = Instant::now();
            disk.try_room(tx, &logs);
        }
        life.pause(tx, PAUSE);
    }
}
