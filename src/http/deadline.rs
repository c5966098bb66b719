//! A deadline that moves with every request, and costs a timer only when it comes near.

use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;
use tokio::time::{sleep_until, Instant, Sleep};

/// One per connection.
pub struct Deadline {
    at: Instant,
    /// Wakes no later than `at`, and most often far before it.
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

    /// The same, unless that was done.
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
        // The timer alone would not do: it says that it is not over where the task has done much in one turn.
        while !self.is_over() {
            ready!(self.timer.as_mut().poll(context));
            self.timer.as_mut().reset(self.at);
        }
        Poll::Ready(())
    }
}
