//! Answers that depend on changes which are not durable yet: Tarantool shows changes before they are committed. Runs on the
//! tx thread.

use super::{Answer, Bridge, Reply};
use crate::tx::fiber::{self, Cond};
use crate::tx::{await_durability_since, Mark, Tx};
use authkv_base::error::Error;
use authkv_command::Outcome;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// An answer, its reserved memory, where it goes, and what it waits for.
struct Parked {
    reply: Reply,
    answer: Answer,
    mark: Mark,
}

/// Answers that wait until the changes they depend on are durable, and the fiber that sends them.
pub struct Parking {
    waiting: RefCell<Vec<Parked>>,
    closed: Cell<bool>,
    /// The fiber has ended.
    ended: Cell<bool>,
    added: Cond,
}

/// Answers the waiting clients with an error, however the fiber ends.
struct End<'a>(&'a Parking, &'a Bridge);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.set(true);
        for one in self.0.waiting.take() {
            self.1.answer(one.reply, Err(Error::ShuttingDown));
        }
        self.1.ring_back();
    }
}

impl Parking {
    pub fn start(tx: &Tx, bridge: &'static Bridge) -> Result<Rc<Self>, Error> {
        let parking = Rc::new(Self {
            waiting: RefCell::default(),
            closed: Cell::new(false),
            ended: Cell::new(false),
            added: Cond::new(),
        });
        let started = parking.clone();
        bridge.life.start_fiber(tx, "authkv-settle", move |tx| {
            let _end = End(&started, bridge);
            while !(fiber::is_cancelled(tx) || started.closed.get() && started.is_empty()) {
                if started.is_empty() {
                    started.added.wait();
                }
                started.send(tx, bridge);
            }
        })?;
        Ok(parking)
    }

    /// Parks an answer until everything that was being committed at `mark` is durable.
    pub fn add(&self, bridge: &Bridge, reply: Reply, result: Result<Outcome, Error>, mark: Mark) {
        if self.ended.get() {
            return bridge.answer(reply, Err(Error::ShuttingDown));
        }
        let answer = bridge.hold(result);
        self.waiting.borrow_mut().push(Parked {
            reply,
            answer,
            mark,
        });
        self.added.signal();
    }

    fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Sends the waiting answers, each once it may be sent. Yields.
    fn send(&self, tx: &Tx, bridge: &Bridge) {
        for Parked {
            reply,
            answer,
            mark,
        } in self.waiting.take()
        {
            match await_durability_since(tx, mark) {
                Ok(()) => bridge.send(reply, answer),
                Err(error) => bridge.answer(reply, Err(error)),
            }
            bridge.ring_back();
        }
    }

    /// Ends the fiber once no answer waits.
    pub fn close(&self) {
        self.closed.set(true);
        self.added.broadcast();
    }
}
