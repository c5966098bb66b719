//! The fibers that remove what has expired, load keys that other instances have changed, and write what could not be written
//! before. Runs on the tx thread.

use crate::auth::{first_admin, key_user, outside, rotation};
use crate::core::Core;
use crate::tx::life::Life;
use crate::tx::{fiber, log, Tx};
use authkv_base::error::Error;
use authkv_base::steady::{self, Record, Steady};
use std::time::{Duration, Instant};

/// How many tuples of a space are removed in one transaction.
const SLICE: usize = 500;
const PAUSE: Duration = Duration::from_secs(1);
/// The pause before what has failed is done again: the file of the clock, and a look at the leader.
const AGAIN: Duration = Duration::from_secs(60);

/// How many expired pairs are removed in one transaction: few, because reads wait meanwhile.
const SWEEP: usize = 50;
/// The pause between two removals of pairs, in which reads have tx to themselves. Without a pause if the oldest pair is
/// overdue by `LATE` milliseconds.
const REST: Duration = Duration::from_millis(2);
const LATE: u64 = 10_000;

/// A piece of work that is tried again and again. Its failure is logged when it begins or changes, not each time.
struct Work {
    /// What fails, in the past tense.
    what: &'static str,
    failed: Option<&'static str>,
}

impl Work {
    fn new(what: &'static str) -> Self {
        Self { what, failed: None }
    }

    /// Logs a failure that is new. A read-only instance is no failure. Returns the result of the work.
    fn done<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        let failed = match &result {
            Ok(_) | Err(Error::ReadOnly { .. }) => None,
            Err(error) => Some(error.row().name),
        };
        match (failed, self.failed) {
            (Some(name), before) if before != Some(name) => {
                log::warn(&format!("{}: {name}, it is tried again", self.what));
            }
            (None, Some(name)) => log::info(&format!("no longer: {}: {name}", self.what)),
            _ => {}
        }
        self.failed = failed;
        result.ok()
    }
}

/// The body of the fiber that removes expired pairs. Returns once the instance ends.
pub fn sweep(tx: &Tx, core: &'static Core, life: &Life) {
    let mut work = Work::new("what has expired was not removed");
    while core.config.services.kv && !life.has_ended() && !fiber::is_cancelled(tx) {
        match work.done(core.kv.sweep(tx, steady::passed(), SWEEP)) {
            Some(Some(LATE..)) => fiber::pass(tx),
            Some(Some(_)) => fiber::sleep(tx, REST),
            Some(None) => life.pause(tx, PAUSE / 4),
            None => life.pause(tx, PAUSE),
        }
    }
}

/// The body of the fiber that notes what a member of a replica set hears from its leader. Returns once the instance ends.
pub fn keep_contact(tx: &Tx, core: &'static Core, life: &Life) {
    while core.config.follow.is_none() && !life.has_ended() && !fiber::is_cancelled(tx) {
        // It fails, with a line in the log, if the Lua code of the process is older than the library.
        let pause = match core.auth.following().look_at_leader(tx) {
            Ok(()) => PAUSE / 5,
            Err(_) => AGAIN,
        };
        life.pause(tx, pause);
    }
}

/// The body of the fiber that does the other upkeep. With `lacks_admin`, the user `admin` could not be made at the start. Returns
/// once the instance ends.
pub fn run(tx: &Tx, core: &'static Core, life: &Life, mut clock: Clock, mut lacks_admin: bool) {
    let auth = &core.auth;
    let mut cover = Work::new("how long tokens hold was not written down");
    let mut attempts = Work::new("failed logins were not written");
    let mut keys = Work::new("keys were not read anew");
    let mut uses = Work::new("when API keys were used was not written");
    let mut refused = outside::Refused::default();
    let mut forget = Work::new("what has expired was not forgotten");
    while !life.has_ended() && !fiber::is_cancelled(tx) {
        clock.look(tx, core);
        core.forward.look(tx);
        core.audit.flush(tx);
        cover.done(auth.cover(tx, PAUSE));
        attempts.done(auth.write_attempts(tx, SLICE));
        uses.done(key_user::write_uses(tx, auth));
        lacks_admin = lacks_admin && !first_admin::make_late(tx, auth);
        core.kv.fill_reserve(tx);
        keys.done(rotation::refresh(tx, auth));
        rotation::write_public(tx, auth);
        outside::report(auth, &mut refused);
        match forget.done(auth.forget(tx, SLICE)) {
            Some(true) => fiber::pass(tx),
            _ => life.pause(tx, PAUSE),
        }
    }
}

/// Does what a start of the leader does, when an instance begins to lead later: its key is published, and the user `admin` made.
/// Errors: as [`rotation::refresh`]. Yields.
pub fn begin_to_lead(tx: &Tx, core: &'static Core) -> Result<(), Error> {
    core.forward.look(tx);
    rotation::refresh(tx, &core.auth)?;
    first_admin::make_late(tx, &core.auth);
    Ok(())
}

/// The steady clock, and its record in the data directory.
pub struct Clock {
    steady: Steady,
    record: Option<Record>,
    /// When the record could not be written.
    failed_at: Option<Instant>,
}

impl Clock {
    /// `record` was read at the start; see [`Steady::begin`].
    pub fn begin(record: Option<Record>, is_new: bool) -> Self {
        let steady = Steady::begin(record.as_ref(), is_new);
        if !steady.is_trusted() {
            log::info(
                "the clock is not known from this boot of the machine: what expires is kept for ten minutes",
            );
        }
        Self {
            steady,
            record,
            failed_at: None,
        }
    }

    /// Looks at the clock, and writes its course to a file if it has changed. Yields while it writes.
    fn look(&mut self, tx: &Tx, core: &'static Core) {
        // Pairs that have ended must not come back with an earlier time.
        let end_pairs = || {
            let sweep = || core.kv.sweep(tx, steady::milliseconds(), SWEEP);
            while let Ok(Some(_)) = sweep() {
                fiber::pass(tx);
            }
        };
        let Some(course) = self.steady.look(end_pairs) else {
            return;
        };
        let is_known = self.record.as_ref().is_some_and(|old| old.says(course));
        if is_known || self.failed_at.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        let Some(new) = Record::of(course) else {
            return;
        };
        let (record, directory) = (new.clone(), &core.config.data_dir);
        let written = core
            .auth
            .hashes
            .run(tx, move || Ok(record.write(directory).is_ok()));
        match written {
            Ok(true) => (self.record, self.failed_at) = (Some(new), None),
            _ => self.failed_at = Some(Instant::now()),
        }
    }
}
