//! A deadline that moves with every request. To save work, its timer is reset only when it fires.

use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;
use tokio::time::{sleep_until, Instant, Sleep};

/// One per connection.
pub struct Deadline {
    at: Instant,
    /// Fires no later than `at`, and usually long before.
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    pub fn new(time: Duration) -> Self {
        let at = Instant::now() + time;
        Self {
            at,
            timer: Box::pin(sleep_until(at)),
        }
    }

    /// Moves the deadline to `time` from now.
    pub fn set(&mut self, time: Duration) {
        self.at = Instant::now() + time;
        if self.at < self.timer.deadline() {
            self.timer.as_mut().reset(self.at);
        }
    }

    /// Moves the deadline, unless `done` is set already.
    pub fn set_once(&mut self, done: &mut bool, time: Duration) {
        if !std::mem::replace(done, true) {
            self.set(time);
        }
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }

    /// Ready once the deadline has passed.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // The timer alone is not enough: tokio keeps it pending if the task has used up its turn.
        while !self.is_over() {
            ready!(self.timer.as_mut().poll(context));
            self.timer.as_mut().reset(self.at);
        }
        Poll::Ready(())
    }
}
