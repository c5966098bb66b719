//! The tx side of the bridge: one fiber takes jobs, and pools of a fixed number of fibers execute those that yield. Runs on
//! the tx thread.

use super::fresh::Room;
use super::lane::{has_waited, Lane, Work};
use super::parking::Parking;
use super::{Bridge, Job, Line};
use crate::auth::arrival;
use crate::core::fresh::needs;
use crate::core::metrics::refused;
use crate::core::{execute_undurable, Core};
use crate::tx::{fiber, log, Tx};
use authkv_base::error::Error;
use authkv_base::guard::guard;
use authkv_base::ticks::Instant;
use authkv_command::{Command, Lane as Kind, Outcome, Request};
use authkv_domain::What;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How many fibers commit. More fibers put more commits into one write of the log; beyond this number nothing is gained.
const COMMITTING: usize = 32;
/// How many fibers count pairs.
const SCANNING: usize = 2;
/// How many fibers delete ranges. Each has one transaction at a time.
const PURGING: usize = 2;
/// How many lines are written to the log before jobs get their turn. Each line counts as a look-up.
const LINES: usize = 256;
/// After how many look-ups workers are woken for the answers so far.
const TURN: usize = 256;
/// After how many look-ups other fibers and the event loop get their turn.
const SLICE: usize = 1024;

/// Starts the fibers. They end once the bridge is closed and all jobs are answered.
pub fn start(tx: &Tx, bridge: &'static Bridge, core: &'static Core) -> Result<(), Error> {
    let config = &bridge.config;
    let start = |name, fibers, capacity| Lane::start(tx, bridge, core, name, fibers, capacity);
    let lanes = Rc::new(Lanes {
        commits: start("commit", COMMITTING, usize::MAX)?,
        scans: start("scan", SCANNING, usize::MAX)?,
        purges: start("purge", PURGING, usize::MAX)?,
        counts: start("count", 1, usize::MAX)?,
        // Enough to keep the crypto pool busy. Further jobs wait in the lane and not in the pool, so that they are skipped
        // if their clients go away.
        logins: start("login", 2 * config.crypto_threads, config.crypto_queue)?,
        parking: Parking::start(tx, bridge)?,
        room: OnceCell::new(),
    });
    let _ = bridge.lanes.get(tx).set(lanes.clone());
    let begun = lanes.clone();
    let room = Room::start(tx, bridge, core, move |tx, job| {
        begin(tx, bridge, core, &begun, job, None);
    })?;
    let _ = lanes.room.set(room);
    let watched = lanes.clone();
    bridge.life.start_fiber(tx, "authkv-deadline", move |tx| {
        watch_commits(tx, bridge, core, &watched)
    })?;
    bridge.life.start_fiber(tx, "authkv-bridge", move |tx| {
        take_jobs(tx, bridge, core, &lanes)
    })
}

/// Answers those whose commits take too long. Until their commits end, their fibers cannot go on, and others take their places.
fn watch_commits(tx: &Tx, bridge: &'static Bridge, core: &'static Core, lanes: &Lanes) {
    /// How late an answer may be.
    const PAUSE: Duration = Duration::from_millis(200);
    while !bridge.has_ended() && !fiber::is_cancelled(tx) {
        for lane in lanes.all() {
            lane.replace_overdue(tx, bridge, core);
        }
        fiber::sleep(tx, PAUSE);
    }
}

impl Lanes {
    fn all(&self) -> [&Rc<Lane>; 5] {
        [
            &self.commits,
            &self.scans,
            &self.purges,
            &self.counts,
            &self.logins,
        ]
    }

    /// The lane of a command that yields; `None` for one that does not.
    fn of(&self, command: &Command) -> Option<&Rc<Lane>> {
        Some(match command.operation().row().lane {
            Kind::Inline => return None,
            Kind::Commit => &self.commits,
            Kind::Scan if is_count(command) => &self.counts,
            Kind::Scan => &self.scans,
            Kind::Purge => &self.purges,
            Kind::Crypto => &self.logins,
        })
    }
}

/// Executes a command that may write in a fiber of its lane, for the calling fiber. So the caller gets an answer even if the
/// commit does not end. Errors: those of the command, `OutcomeUnknown`, `Overloaded`, `ShuttingDown`. Yields.
pub fn carry(tx: &Tx, bridge: &Bridge, core: &Core, request: Request) -> Result<Outcome, Error> {
    let lanes = bridge.lanes.get(tx).get();
    let lane = lanes.and_then(|lanes| lanes.of(&request.command));
    let lane = lane.ok_or(Error::ShuttingDown)?;
    let (work, answer) = Work::of_fiber(request);
    match lane.add(work) {
        Ok(()) => answer.wait(tx),
        Err(_) if lane.has_ended() => Err(Error::ShuttingDown),
        Err(_) => Err(core.auth.hashes.full()),
    }
}

/// The fibers for jobs that yield.
pub struct Lanes {
    commits: Rc<Lane>,
    scans: Rc<Lane>,
    purges: Rc<Lane>,
    /// Counts have a lane of their own, because they take long.
    counts: Rc<Lane>,
    logins: Rc<Lane>,
    parking: Rc<Parking>,
    /// Those who wait for fresh data.
    room: OnceCell<Rc<Room>>,
}

/// Ends the bridge however the fiber that takes jobs ends, so that nobody waits for it.
struct End<'a> {
    tx: &'a Tx,
    bridge: &'static Bridge,
    lanes: &'a Lanes,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.bridge.end();
        self.bridge.waits.abandon(self.tx);
        self.lanes.commits.close();
        self.lanes.scans.close();
        self.lanes.purges.close();
        self.lanes.counts.close();
        self.lanes.parking.close();
        if let Some(room) = self.lanes.room.get() {
            room.close();
        }
        self.lanes.logins.close();
    }
}

fn take_jobs(tx: &Tx, bridge: &'static Bridge, core: &'static Core, lanes: &Lanes) {
    let _end = End { tx, bridge, lanes };
    let is_done = || {
        let is_idle = bridge.in_flight() == 0 && bridge.life.calls() == 0;
        bridge.is_closed() && is_idle && bridge.waits.is_empty(tx)
    };
    let mut has_slept = true;
    while !is_done() && !fiber::is_cancelled(tx) {
        bridge.waits.wake(tx);
        let mut done = 0;
        while done < LINES {
            let Some(line) = bridge.lines.pop() else {
                break;
            };
            done += 1;
            match line {
                Line::Warning(line) => log::warn(&line),
                Line::Request(line) => log::request(&line, bridge.config.live().log_json),
            }
        }
        match bridge.lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => log::warn(&format!(
                "{lost} lines of the log came too fast and were lost"
            )),
        }
        // The end of the job before. What does not yield begins then: the clock is read once for each job.
        let mut now = None;
        while done < SLICE {
            let Some(job) = bridge.jobs.pop() else { break };
            let cost = job.request.command.arguments().look_ups();
            // Workers whose answers are ready should not wait for a long job.
            if done / TURN != (done + cost) / TURN {
                bridge.ring_back();
            }
            done += cost;
            now = receive(tx, bridge, core, lanes, job, now);
        }
        bridge.ring_back();
        match done {
            // Other threads may have left jobs meanwhile: looking again costs less than sleeping.
            1.. => {
                has_slept = false;
                fiber::pass(tx);
            }
            // Yielding first is cheaper than sleeping, unless a write of the log is about to wake this thread.
            0 if !has_slept && lanes.commits.is_idle() => {
                has_slept = true;
                std::thread::yield_now();
            }
            0 => bridge.doorbell.sleep(
                || {
                    !bridge.jobs.is_empty()
                        || bridge.waits.has_finished()
                        || !bridge.lines.is_empty()
                },
                |fd| fiber::wait_readable(tx, fd, Duration::from_secs(1)),
            ),
        }
    }
}

/// Whether the command counts the pairs of a range.
fn is_count(command: &Command) -> bool {
    matches!(command, Command::KvList(Ok(listing)) if listing.what == What::Count)
}

/// Waits until this instance has data that is fresh enough for a request of the calling fiber. A rule that is broken is noted in
/// the request. Errors: `Behind`, `Overloaded`, `ShuttingDown`, `Cancelled`. Yields while it waits.
pub fn await_fresh(
    tx: &Tx,
    bridge: &Bridge,
    core: &Core,
    request: &mut Request,
) -> Result<(), Error> {
    let needs = match needs(tx, core, request) {
        Ok(None) => return Ok(()),
        Ok(Some(needs)) => needs,
        Err(error) => {
            request.fresh = Err(error);
            return Ok(());
        }
    };
    let room = bridge
        .lanes
        .get(tx)
        .get()
        .and_then(|lanes| lanes.room.get());
    let waited = room.ok_or(Error::ShuttingDown)?.wait(tx, needs);
    waited.inspect_err(|error| {
        refused(request.origin.transport, request.command.operation(), error);
    })
}

/// Begins a job, or has it wait until this instance has data that is fresh enough. Otherwise like [`begin`].
fn receive(
    tx: &Tx,
    bridge: &Bridge,
    core: &'static Core,
    lanes: &Lanes,
    mut job: Job,
    now: Option<Instant>,
) -> Option<Instant> {
    match (needs(tx, core, &job.request), lanes.room.get()) {
        (Ok(Some(needs)), Some(room)) => {
            if let Err(refusal) = room.add_job(bridge, job, needs) {
                let (job, error) = *refusal;
                refused(
                    job.request.origin.transport,
                    job.request.command.operation(),
                    &error,
                );
                bridge.answer(job.reply, Err(error));
            }
            return now;
        }
        (Err(error), _) => job.request.fresh = Err(error),
        _ => {}
    }
    begin(tx, bridge, core, lanes, job, now)
}

/// Executes a job that does not yield, and returns the time of its end. Queues any other in its lane. `now`: the time, if it is
/// known.
fn begin(
    tx: &Tx,
    bridge: &Bridge,
    core: &'static Core,
    lanes: &Lanes,
    job: Job,
    now: Option<Instant>,
) -> Option<Instant> {
    let lane = match lanes.of(&job.request.command) {
        Some(lane) => lane,
        // The user is made first, which yields.
        None if arrival::is_new(tx, &core.auth, &job.request.caller) => &lanes.commits,
        None => return answer(tx, bridge, core, &lanes.parking, job, now),
    };
    if let Err(work) = lane.add(Work::of_job(job)) {
        let error = match lane.has_ended() {
            true => Error::ShuttingDown,
            false => core.auth.hashes.full(),
        };
        work.asker.answer(bridge, Err(error));
    }
    None
}

/// Executes a job that does not yield. If the answer depends on changes that are not durable yet, it is parked.
fn answer(
    tx: &Tx,
    bridge: &Bridge,
    core: &'static Core,
    parking: &Parking,
    job: Job,
    now: Option<Instant>,
) -> Option<Instant> {
    if job.is_abandoned() {
        bridge.answer(job.reply, Err(Error::Cancelled));
        return now;
    }
    let begun = now.unwrap_or_else(Instant::now);
    has_waited(&job.request, job.queued, begun);
    let Job { request, reply, .. } = job;
    match guard(|| Ok(execute_undurable(tx, core, request, begun))) {
        Ok((result, undurable, ended)) => {
            match undurable {
                Some(mark) => parking.add(bridge, reply, result, mark),
                None => bridge.answer(reply, result),
            }
            Some(ended)
        }
        Err(error) => {
            bridge.answer(reply, Err(error));
            None
        }
    }
}
