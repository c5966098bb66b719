//! Requests that wait until this instance has data which is fresh enough. They wait here and not in a fiber each. Runs on the
//! tx thread.
//!
//! What the others are asked is asked once for all who wait: an answer counts for the requests that had come when the question
//! was sent.

use super::metrics::fresh_after;
use super::{Bridge, Job};
use crate::core::fresh::{Needs, Question};
use crate::core::metrics::refused;
use crate::core::Core;
use crate::tx::fiber::{self, Cond};
use crate::tx::source::{self, Vclock};
use crate::tx::{hop, is_read_only, reach_quorum, Tx};
use authkv_base::error::Error;
use authkv_base::ticks;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many calls of procedures wait at most. Over iproto each takes one of the few requests that Tarantool handles at a time.
const CALLS: usize = 256;
/// How long an answer to a question may take. Then the question is asked again.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long to wait before a question is asked again that could not be answered.
const REST: Duration = Duration::from_millis(50);
/// The pause between two looks at replication while requests wait for it: at first, and after `SOON`.
const OFTEN: Duration = Duration::from_millis(1);
const SELDOM: Duration = Duration::from_millis(10);
const SOON: Duration = Duration::from_millis(50);
/// How long a wait may still take once the instance stops.
const GRACE: Duration = Duration::from_secs(1);

/// Who waits.
enum Who {
    /// A request of a worker thread, which has not begun.
    Job(Box<Job>),
    /// A fiber of tx.
    Fiber(Rc<Turn>),
}

/// The turn of a fiber that waits.
pub struct Turn {
    result: RefCell<Option<Result<(), Error>>>,
    come: Cond,
}

impl Turn {
    /// Yields until the turn has come. Errors: `Behind`, `ShuttingDown`, `Cancelled`.
    pub fn wait(&self, tx: &Tx) -> Result<(), Error> {
        loop {
            if let Some(result) = self.result.take() {
                return result;
            }
            if fiber::is_cancelled(tx) {
                return Err(Error::Cancelled);
            }
            self.come.wait();
        }
    }
}

/// The state of the question that somebody waits for.
enum Answer {
    /// It has to be sent after this many others.
    Open(Question, u64),
    /// This instance has to come as far as this.
    Place(Rc<Vclock>),
    Done,
}

struct Waiter {
    who: Who,
    needs: Needs,
    answer: Answer,
    since: Instant,
}

/// How many wait: in all, for a revision, and unknown to this instance. Each part has a limit, so that who asks for what does not
/// come takes no place from others.
#[derive(Default)]
struct Places {
    all: usize,
    of_revisions: usize,
    of_strangers: usize,
}

impl Places {
    /// The limit that does not allow one more who needs this. `limit` is that of all.
    fn full(&self, needs: &Needs, limit: usize) -> Option<usize> {
        let parts = [
            (true, self.all, limit),
            (
                needs.revision.is_some(),
                self.of_revisions,
                limit.div_ceil(2),
            ),
            (needs.is_stranger, self.of_strangers, limit.div_ceil(8)),
        ];
        let mut full = parts
            .into_iter()
            .filter(|(counts, taken, limit)| *counts && taken >= limit);
        full.next().map(|(_, _, limit)| limit)
    }

    fn take(&mut self, needs: &Needs) {
        self.all += 1;
        self.of_revisions += usize::from(needs.revision.is_some());
        self.of_strangers += usize::from(needs.is_stranger);
    }

    fn give_back(&mut self, needs: &Needs) {
        self.all -= 1;
        self.of_revisions -= usize::from(needs.revision.is_some());
        self.of_strangers -= usize::from(needs.is_stranger);
    }
}

/// What is asked, and how often it was.
struct Asked {
    question: Question,
    sent: Cell<u64>,
    /// Why there was no answer the last time.
    failure: RefCell<Option<Error>>,
    wanted: Cond,
}

/// Those who wait.
pub struct Room {
    waiters: RefCell<Vec<Waiter>>,
    /// Those of requests of workers, and of calls of procedures.
    jobs: RefCell<Places>,
    calls: RefCell<Places>,
    asked: [Asked; 2],
    /// Somebody has come, or an answer, or the end.
    changed: Cond,
    closed: Cell<bool>,
    /// When the instance was found to stop.
    stops_since: Cell<Option<Instant>>,
    /// The fiber that lets them go on has ended.
    ended: Cell<bool>,
}

/// Refuses those who wait, however the fiber ends.
struct End<'a>(&'a Room, &'a Bridge);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.set(true);
        self.0.close();
        for waiter in self.0.waiters.take() {
            waiter.end(self.1, Err(Error::ShuttingDown), drop);
        }
        self.1.ring_back();
    }
}

/// What this instance is and has at a moment.
struct Here {
    leads: bool,
    /// It stops, and nobody should wait any longer.
    is_over: bool,
    revision: u64,
    place: Vclock,
    now: Instant,
}

impl Here {
    /// What comes of a wait, or `None` if it goes on.
    fn verdict(&self, waiter: &Waiter, room: &Room) -> Option<Result<(), Error>> {
        if waiter.is_gone() {
            return Some(Err(Error::Cancelled));
        }
        let has_revision = waiter
            .needs
            .revision
            .is_none_or(|least| self.revision >= least);
        let has_answer = match &waiter.answer {
            Answer::Done => true,
            Answer::Place(place) => self.leads || place.is_within(&self.place),
            Answer::Open(Question::Leader, _) => self.leads,
            Answer::Open(Question::Quorum, _) => false,
        };
        if has_revision && has_answer {
            return Some(Ok(()));
        }
        if self.is_over {
            return Some(Err(Error::ShuttingDown));
        }
        let why = match &waiter.answer {
            _ if self.now < waiter.since + waiter.needs.patience => return None,
            Answer::Open(question, _) => return Some(Err(room.unanswered(*question))),
            Answer::Place(_) => "it did not get in time what its leader has".to_owned(),
            Answer::Done => format!("it has the changes up to revision {}", self.revision),
        };
        Some(Err(Error::Behind { why: why.into() }))
    }
}

impl Waiter {
    /// Ends the wait. `go_on` gets a job that can go on, which has been queued since now.
    fn end(self, bridge: &Bridge, verdict: Result<(), Error>, go_on: impl FnOnce(Job)) {
        match (verdict, self.who) {
            (Ok(()), Who::Job(mut job)) => {
                job.queued = ticks::Instant::now();
                go_on(*job);
            }
            (Err(error), Who::Job(job)) => {
                let operation = job.request.command.operation();
                refused(job.request.origin.transport, operation, &error);
                bridge.answer(job.reply, Err(error));
            }
            (result, Who::Fiber(turn)) => {
                turn.result.replace(Some(result));
                turn.come.signal();
            }
        }
    }

    /// Whether nobody waits any more.
    fn is_gone(&self) -> bool {
        match &self.who {
            Who::Job(job) => job.is_abandoned(),
            Who::Fiber(turn) => Rc::strong_count(turn) == 1,
        }
    }
}

impl Room {
    /// Starts the fibers. `begin` begins a request that can go on; it does not yield.
    pub fn start(
        tx: &Tx,
        bridge: &'static Bridge,
        core: &'static Core,
        begin: impl Fn(&Tx, Job) + 'static,
    ) -> Result<Rc<Self>, Error> {
        let asked = |question| Asked {
            question,
            sent: Cell::new(0),
            failure: RefCell::default(),
            wanted: Cond::new(),
        };
        let room = Rc::new(Self {
            waiters: RefCell::default(),
            jobs: RefCell::default(),
            calls: RefCell::default(),
            asked: [Question::Leader, Question::Quorum].map(asked),
            changed: Cond::new(),
            closed: Cell::new(false),
            stops_since: Cell::new(None),
            ended: Cell::new(false),
        });
        for (place, name) in ["authkv-leader", "authkv-quorum"].into_iter().enumerate() {
            let room = room.clone();
            let ask = move |tx: &Tx| room.ask(tx, &room.asked[place]);
            bridge.life.start_fiber(tx, name, ask)?;
        }
        let started = room.clone();
        bridge.life.start_fiber(tx, "authkv-fresh", move |tx| {
            let _end = End(&started, bridge);
            started.serve(tx, bridge, core, &begin);
        })?;
        Ok(room)
    }

    /// Has a request wait. Gives it back with an error if too many wait.
    pub fn add_job(
        &self,
        bridge: &Bridge,
        job: Job,
        needs: Needs,
    ) -> Result<(), Box<(Job, Error)>> {
        // The others of the queue do not wait for replication.
        let limit = bridge.queue().1.div_ceil(2);
        match self.take_place(&self.jobs, &needs, limit) {
            Ok(()) => self.add(Who::Job(Box::new(job)), needs),
            Err(error) => return Err(Box::new((job, error))),
        }
        Ok(())
    }

    /// Has the calling fiber wait. Errors: `Overloaded`, `ShuttingDown`, `Behind`, `Cancelled`. Yields.
    pub fn wait(&self, tx: &Tx, needs: Needs) -> Result<(), Error> {
        self.take_place(&self.calls, &needs, CALLS)?;
        let turn = Rc::new(Turn {
            result: RefCell::default(),
            come: Cond::new(),
        });
        self.add(Who::Fiber(turn.clone()), needs);
        turn.wait(tx)
    }

    fn take_place(
        &self,
        places: &RefCell<Places>,
        needs: &Needs,
        limit: usize,
    ) -> Result<(), Error> {
        if self.ended.get() || self.closed.get() {
            return Err(Error::ShuttingDown);
        }
        let mut places = places.borrow_mut();
        match places.full(needs, limit) {
            None => places.take(needs),
            Some(limit) => {
                return Err(Error::Overloaded {
                    what: "requests that wait for fresh data",
                    limit,
                })
            }
        }
        Ok(())
    }

    fn add(&self, who: Who, needs: Needs) {
        let since = Instant::now();
        let answer = needs.question.map_or(Answer::Done, |question| {
            let asked = &self.asked[question as usize];
            asked.wanted.signal();
            Answer::Open(question, asked.sent.get())
        });
        self.waiters.borrow_mut().push(Waiter {
            who,
            needs,
            answer,
            since,
        });
        self.changed.signal();
    }

    /// The body of a fiber that asks one question, while somebody waits for the answer.
    fn ask(&self, tx: &Tx, asked: &Asked) {
        let is_wanted = |waiter: &Waiter| matches!(waiter.answer, Answer::Open(question, _) if question == asked.question);
        while !self.closed.get() && !fiber::is_cancelled(tx) {
            if !self.waiters.borrow().iter().any(is_wanted) {
                asked.wanted.wait();
                continue;
            }
            let before = asked.sent.get();
            asked.sent.set(before + 1);
            let answer = match asked.question {
                Question::Leader => hop::leader_position(tx, PATIENCE).map(Some),
                Question::Quorum => reach_quorum(tx, PATIENCE).map(|()| None),
            };
            match answer {
                Ok(place) => self.answered(asked, before, place.map(Rc::new)),
                Err(error) => {
                    asked.failure.replace(Some(error));
                    fiber::sleep(tx, REST);
                }
            }
        }
    }

    /// Gives the answer to all who had come before the question was sent.
    fn answered(&self, asked: &Asked, before: u64, place: Option<Rc<Vclock>>) {
        asked.failure.take();
        for waiter in self.waiters.borrow_mut().iter_mut() {
            match waiter.answer {
                Answer::Open(question, after) if question == asked.question && after <= before => {
                    waiter.answer = place.clone().map_or(Answer::Done, Answer::Place);
                }
                _ => {}
            }
        }
        self.changed.signal();
    }

    /// The body of the fiber that lets those go on who have waited enough.
    fn serve(&self, tx: &Tx, bridge: &Bridge, core: &Core, begin: &impl Fn(&Tx, Job)) {
        /// After how many look-ups the other fibers get their turn.
        const SLICE: usize = 1024;
        loop {
            if self.closed.get() || fiber::is_cancelled(tx) {
                return;
            }
            if self.waiters.borrow().is_empty() {
                self.changed.wait();
                continue;
            }
            let mut done = 0;
            for (waiter, verdict) in self.take_ready(tx, bridge, core) {
                fresh_after(verdict.is_ok(), waiter.since.elapsed());
                waiter.end(bridge, verdict, |job| {
                    done += job.request.command.arguments().look_ups();
                    begin(tx, job);
                });
                if done >= SLICE {
                    done = 0;
                    bridge.ring_back();
                    fiber::pass(tx);
                }
            }
            bridge.ring_back();
            self.rest();
        }
    }

    /// Those whose wait is over, and what comes of it. Evaluates Lua. Does not yield.
    fn take_ready(
        &self,
        tx: &Tx,
        bridge: &Bridge,
        core: &Core,
    ) -> Vec<(Waiter, Result<(), Error>)> {
        let here = self.here(tx, bridge, core);
        let (mut ready, mut others) = (Vec::new(), Vec::new());
        for waiter in self.waiters.take() {
            match here.verdict(&waiter, self) {
                Some(verdict) => ready.push((waiter, verdict)),
                None => others.push(waiter),
            }
        }
        self.waiters.replace(others);
        for (waiter, _) in &ready {
            let places = match waiter.who {
                Who::Job(_) => &self.jobs,
                Who::Fiber(_) => &self.calls,
            };
            places.borrow_mut().give_back(&waiter.needs);
        }
        ready
    }

    fn here(&self, tx: &Tx, bridge: &Bridge, core: &Core) -> Here {
        let now = Instant::now();
        if self.stops_since.get().is_none() && bridge.life.is_stopping() {
            self.stops_since.set(Some(now));
        }
        let waiters = self.waiters.borrow();
        let has = |is_it: fn(&Waiter) -> bool| waiters.iter().any(is_it);
        let place = match has(|one| matches!(one.answer, Answer::Place(_))) {
            true => source::position(tx),
            false => Ok(Vclock::default()),
        };
        let revision = match has(|one| one.needs.revision.is_some()) {
            true => core.kv.known(tx),
            false => Ok(None),
        };
        Here {
            leads: !is_read_only(tx),
            is_over: self
                .stops_since
                .get()
                .is_some_and(|since| now > since + GRACE),
            // Failures are logged, and it is looked again.
            revision: revision.ok().flatten().unwrap_or_default(),
            place: place.unwrap_or_default(),
            now,
        }
    }

    /// Why a question has no answer.
    fn unanswered(&self, question: Question) -> Error {
        let failure = self.asked[question as usize].failure.borrow().clone();
        failure.unwrap_or(Error::Behind {
            why: "there was no answer in time".into(),
        })
    }

    /// Ends the fibers. Those who wait are refused.
    pub fn close(&self) {
        self.closed.set(true);
        self.changed.broadcast();
        for asked in &self.asked {
            asked.wanted.broadcast();
        }
    }

    /// Waits until it is worth looking again. Yields.
    fn rest(&self) {
        let last = self.waiters.borrow().last().map(|one| one.since);
        let Some(last) = last else { return };
        let pause = match last.elapsed() < SOON {
            true => OFTEN,
            false => SELDOM,
        };
        self.changed.wait_timeout(pause);
    }
}
