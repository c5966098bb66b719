//! Pools of a fixed number of fibers for requests that yield. Runs on the tx thread.

use super::metrics::waited;
use super::{Bridge, CancelFlag, Job, Reply};
use crate::core::{execute_begun, Core};
use crate::tx::fiber::{self, Cond, FiberId};
use crate::tx::{commits_begun, is_overdue, outcome_unknown, Tx};
use authkv_base::error::Error;
use authkv_base::guard::guard;
use authkv_base::ticks::Instant;
use authkv_command::{Outcome, Request};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// A request for a fiber of a lane.
pub struct Work {
    request: Request,
    pub asker: Asker,
    queued: Instant,
}

/// Who waits for an answer.
pub enum Asker {
    /// A worker thread, while its client has not gone.
    Worker(Reply, CancelFlag),
    /// A fiber of tx.
    Fiber(Rc<Answer>),
}

/// The answer for a fiber.
pub struct Answer {
    result: RefCell<Option<Result<Outcome, Error>>>,
    /// The request is being executed, and will be to its end.
    begun: Cell<bool>,
    given: Cond,
}

impl Answer {
    /// Yields until there is an answer. Errors, if the fiber is cancelled: `Cancelled` if the request has not begun,
    /// `OutcomeUnknown` if it has.
    pub fn wait(&self, tx: &Tx) -> Result<Outcome, Error> {
        loop {
            if let Some(result) = self.result.take() {
                return result;
            }
            if fiber::is_cancelled(tx) {
                return Err(match self.begun.get() {
                    true => outcome_unknown(tx),
                    false => Error::Cancelled,
                });
            }
            self.given.wait();
        }
    }
}

impl Asker {
    pub fn answer(self, bridge: &Bridge, result: Result<Outcome, Error>) {
        match self {
            Asker::Worker(reply, _) => bridge.answer(reply, result),
            Asker::Fiber(answer) => {
                answer.result.replace(Some(result));
                answer.given.signal();
            }
        }
    }

    /// Notes that the request is being executed.
    fn begin(&self) {
        if let Asker::Fiber(answer) = self {
            answer.begun.set(true);
        }
    }

    /// Whether nobody waits any more.
    fn is_gone(&self) -> bool {
        match self {
            Asker::Worker(reply, gone) => reply.is_closed() || gone.load(Ordering::Relaxed),
            Asker::Fiber(answer) => Rc::strong_count(answer) == 1,
        }
    }
}

impl Work {
    pub fn of_job(job: Job) -> Self {
        Self {
            request: job.request,
            asker: Asker::Worker(job.reply, job.gone),
            queued: job.queued,
        }
    }

    /// For a fiber of tx, which waits for the answer.
    pub fn of_fiber(request: Request) -> (Self, Rc<Answer>) {
        let answer = Rc::new(Answer {
            result: RefCell::new(None),
            begun: Cell::new(false),
            given: Cond::new(),
        });
        let work = Self {
            request,
            asker: Asker::Fiber(answer.clone()),
            queued: Instant::now(),
        };
        (work, answer)
    }
}

/// Counts how long a request has waited until now.
pub fn has_waited(request: &Request, queued: Instant, now: Instant) {
    let lane = request.command.operation().row().lane;
    waited(lane, now.since(queued));
}

/// A queue of requests with the fibers that execute them.
pub struct Lane {
    name: String,
    waiting: RefCell<VecDeque<Work>>,
    /// How many requests may wait while no fiber is free.
    capacity: usize,
    idle: Cell<usize>,
    /// Fibers that have not ended and were not replaced.
    alive: Cell<usize>,
    /// Who waits for what a fiber does at present. If the fiber was replaced, nobody does.
    running: RefCell<HashMap<FiberId, Asker>>,
    closed: Cell<bool>,
    added: Cond,
}

impl Lane {
    pub fn start(
        tx: &Tx,
        bridge: &'static Bridge,
        core: &'static Core,
        name: &str,
        fibers: usize,
        capacity: usize,
    ) -> Result<Rc<Self>, Error> {
        let lane = Rc::new(Self {
            name: format!("authkv-{name}"),
            waiting: RefCell::default(),
            capacity,
            idle: Cell::new(0),
            alive: Cell::new(0),
            running: RefCell::default(),
            closed: Cell::new(false),
            added: Cond::new(),
        });
        for _ in 0..fibers {
            lane.start_one(tx, bridge, core)?;
        }
        Ok(lane)
    }

    fn start_one(
        self: &Rc<Self>,
        tx: &Tx,
        bridge: &'static Bridge,
        core: &'static Core,
    ) -> Result<(), Error> {
        let lane = self.clone();
        bridge.life.start_fiber(tx, &self.name, move |tx| {
            lane.alive.set(lane.alive.get() + 1);
            while let Some(work) = lane.next(tx) {
                let before = commits_begun(tx);
                let was_replaced = lane.finish(tx, bridge, core, work);
                bridge.ring_back();
                if was_replaced {
                    return;
                }
                // After a request that did not yield, other fibers run before the next one.
                if commits_begun(tx) == before {
                    fiber::pass(tx);
                }
            }
            lane.end_one(bridge);
        })
    }

    /// Executes a request. Returns whether this fiber was replaced meanwhile.
    fn finish(&self, tx: &Tx, bridge: &Bridge, core: &'static Core, work: Work) -> bool {
        let Work {
            request,
            asker,
            queued,
        } = work;
        let begun = Instant::now();
        has_waited(&request, queued, begun);
        if asker.is_gone() {
            asker.answer(bridge, Err(Error::Cancelled));
            return false;
        }
        asker.begin();
        let this = fiber::this(tx);
        self.running.borrow_mut().insert(this, asker);
        let result = guard(|| execute_begun(tx, core, request, begun));
        let asker = self.running.borrow_mut().remove(&this);
        let was_replaced = asker.is_none();
        if let Some(asker) = asker {
            asker.answer(bridge, result);
        }
        was_replaced
    }

    /// Answers those whose commits take too long, and starts a fiber in place of each that commits. Yields.
    pub fn replace_overdue(self: &Rc<Self>, tx: &Tx, bridge: &'static Bridge, core: &'static Core) {
        let is_late = |fiber: &FiberId, _: &mut Asker| is_overdue(tx, *fiber);
        let overdue: Vec<_> = self.running.borrow_mut().extract_if(is_late).collect();
        for (_, asker) in overdue {
            asker.answer(bridge, Err(outcome_unknown(tx)));
            self.end_one(bridge);
            if !self.closed.get() {
                // Without memory for a fiber the lane goes on with fewer.
                let _ = self.start_one(tx, bridge, core);
            }
        }
        bridge.ring_back();
    }

    /// Queues a request. Gives it back if the lane is full.
    pub fn add(&self, work: Work) -> Result<(), Box<Work>> {
        let mut waiting = self.waiting.borrow_mut();
        if self.has_ended() || waiting.len() >= self.capacity.saturating_add(self.idle.get()) {
            return Err(Box::new(work));
        }
        waiting.push_back(work);
        self.added.signal();
        Ok(())
    }

    /// Whether no fiber is left.
    pub fn has_ended(&self) -> bool {
        self.alive.get() == 0
    }

    /// Whether no fiber of the lane has work.
    pub fn is_idle(&self) -> bool {
        self.idle.get() == self.alive.get() && self.waiting.borrow().is_empty()
    }

    /// The next request, or `None` at the end. Yields until there is one.
    fn next(&self, tx: &Tx) -> Option<Work> {
        self.idle.set(self.idle.get() + 1);
        let work = loop {
            let work = self.waiting.borrow_mut().pop_front();
            if work.is_some() || self.closed.get() || fiber::is_cancelled(tx) {
                break work;
            }
            self.added.wait();
        };
        self.idle.set(self.idle.get() - 1);
        work
    }

    /// Notes that a fiber has ended or is replaced. After the last one the requests that still wait are refused.
    fn end_one(&self, bridge: &Bridge) {
        self.alive.set(self.alive.get() - 1);
        if self.closed.get() && self.has_ended() {
            for work in self.waiting.borrow_mut().drain(..) {
                work.asker.answer(bridge, Err(Error::ShuttingDown));
            }
            bridge.ring_back();
        }
    }

    pub fn close(&self) {
        self.closed.set(true);
        self.added.broadcast();
    }
}
