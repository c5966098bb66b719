//! The tx side of the bridge: one fiber takes jobs, and pools of a fixed number of fibers execute those that yield. Runs on
//! the tx thread.

use super::metrics::waited;
use super::parking::Parking;
use super::{Bridge, Job, Line};
use crate::auth::arrival;
use crate::core::{execute_begun, execute_undurable, Core};
use crate::tx::fiber::{self, Cond};
use crate::tx::{commits_begun, log, Tx};
use authkv_base::error::Error;
use authkv_base::guard::guard;
use authkv_command::{Command, Lane as Kind};
use authkv_domain::What;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

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
    });
    bridge.life.start_fiber(tx, "authkv-bridge", move |tx| {
        take_jobs(tx, bridge, core, &lanes)
    })
}

struct Lanes {
    commits: Rc<Lane>,
    scans: Rc<Lane>,
    purges: Rc<Lane>,
    /// Counts have a lane of their own, because they take long.
    counts: Rc<Lane>,
    logins: Rc<Lane>,
    parking: Rc<Parking>,
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
        self.lanes.logins.close();
    }
}

fn take_jobs(tx: &Tx, bridge: &'static Bridge, core: &'static Core, lanes: &Lanes) {
    let _end = End { tx, bridge, lanes };
    let is_done = || bridge.is_closed() && bridge.in_flight() == 0 && bridge.waits.is_empty(tx);
    let mut has_waited = true;
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
            now = begin(tx, bridge, core, lanes, job, now);
        }
        bridge.ring_back();
        match done {
            // Other threads may have left jobs meanwhile: looking again costs less than sleeping.
            1.. => {
                has_waited = false;
                fiber::pass(tx);
            }
            // Yielding first is cheaper than sleeping, unless a write of the log is about to wake this thread.
            0 if !has_waited && lanes.commits.is_idle() => {
                has_waited = true;
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

impl Job {
    /// Counts how long the job has waited until now.
    fn begin(&self, now: Instant) {
        let lane = self.request.command.operation().row().lane;
        waited(lane, now.saturating_duration_since(self.queued));
    }
}

/// Whether the command counts the pairs of a range.
fn is_count(command: &Command) -> bool {
    matches!(command, Command::KvList(Ok(listing)) if listing.what == What::Count)
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
    let lane = match job.request.command.operation().row().lane {
        // The user is made first, which yields.
        Kind::Inline if arrival::is_new(tx, &core.auth, &job.request.caller) => &lanes.commits,
        Kind::Inline => return answer(tx, bridge, core, &lanes.parking, job, now),
        Kind::Commit => &lanes.commits,
        Kind::Scan if is_count(&job.request.command) => &lanes.counts,
        Kind::Scan => &lanes.scans,
        Kind::Purge => &lanes.purges,
        Kind::Crypto => &lanes.logins,
    };
    if let Err(job) = lane.add(job) {
        let error = match lane.alive.get() {
            0 => Error::ShuttingDown,
            _ => core.auth.hashes.full(),
        };
        bridge.answer(job.reply, Err(error));
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
    job.begin(begun);
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

fn finish(tx: &Tx, bridge: &Bridge, core: &'static Core, job: Job) {
    let result = match job.is_abandoned() {
        true => Err(Error::Cancelled),
        false => {
            let begun = Instant::now();
            job.begin(begun);
            guard(|| execute_begun(tx, core, job.request, begun))
        }
    };
    bridge.answer(job.reply, result);
}

/// A queue of jobs with the fibers that execute them.
struct Lane {
    waiting: RefCell<VecDeque<Job>>,
    /// How many jobs may wait while no fiber is free.
    capacity: usize,
    idle: Cell<usize>,
    /// Fibers that have not ended.
    alive: Cell<usize>,
    closed: Cell<bool>,
    added: Cond,
}

impl Lane {
    fn start(
        tx: &Tx,
        bridge: &'static Bridge,
        core: &'static Core,
        name: &str,
        fibers: usize,
        capacity: usize,
    ) -> Result<Rc<Self>, Error> {
        let lane = Rc::new(Self {
            waiting: RefCell::default(),
            capacity,
            idle: Cell::new(0),
            alive: Cell::new(0),
            closed: Cell::new(false),
            added: Cond::new(),
        });
        for _ in 0..fibers {
            let lane = lane.clone();
            bridge
                .life
                .start_fiber(tx, &format!("authkv-{name}"), move |tx| {
                    lane.alive.set(lane.alive.get() + 1);
                    while let Some(job) = lane.next(tx) {
                        let before = commits_begun(tx);
                        finish(tx, bridge, core, job);
                        bridge.ring_back();
                        // After a job that did not yield, other fibers run before the next job.
                        if commits_begun(tx) == before {
                            fiber::pass(tx);
                        }
                    }
                    lane.end_one(bridge);
                })?;
        }
        Ok(lane)
    }

    /// Queues a job. Gives it back if the lane is full.
    fn add(&self, job: Job) -> Result<(), Box<Job>> {
        let mut waiting = self.waiting.borrow_mut();
        if self.alive.get() == 0 || waiting.len() >= self.capacity.saturating_add(self.idle.get()) {
            return Err(Box::new(job));
        }
        waiting.push_back(job);
        self.added.signal();
        Ok(())
    }

    /// Whether no fiber of the lane has work.
    fn is_idle(&self) -> bool {
        self.idle.get() == self.alive.get() && self.waiting.borrow().is_empty()
    }

    /// The next job, or `None` at the end. Yields until there is one.
    fn next(&self, tx: &Tx) -> Option<Job> {
        self.idle.set(self.idle.get() + 1);
        let job = loop {
            let job = self.waiting.borrow_mut().pop_front();
            if job.is_some() || self.closed.get() || fiber::is_cancelled(tx) {
                break job;
            }
            self.added.wait();
        };
        self.idle.set(self.idle.get() - 1);
        job
    }

    /// A fiber calls this at its end. The last one refuses the jobs that still wait.
    fn end_one(&self, bridge: &Bridge) {
        self.alive.set(self.alive.get() - 1);
        if self.alive.get() == 0 {
            for job in self.waiting.borrow_mut().drain(..) {
                bridge.answer(job.reply, Err(Error::ShuttingDown));
            }
            bridge.ring_back();
        }
    }

    fn close(&self) {
        self.closed.set(true);
        self.added.broadcast();
    }
}
