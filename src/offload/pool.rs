//! Threads that do slow work for fibers.

use super::threads::{Load, Refused, ThreadHooks, Threads};
use super::waits::Waits;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_base::guard::guard;
use std::io;
use std::sync::{Arc, Mutex};

/// A few threads, with a bounded queue before them.
pub struct Pool {
    threads: Threads,
    waits: Arc<Waits>,
    what: &'static str,
}

impl Pool {
    /// Starts `threads` threads named `name`, with a queue for at most `queue` pieces of work. `what` names the work, in the
    /// plural, for the message about a full queue.
    pub fn start(
        waits: Arc<Waits>,
        name: &str,
        what: &'static str,
        (threads, queue): (usize, usize),
        hooks: ThreadHooks,
    ) -> io::Result<Self> {
        Ok(Self {
            threads: Threads::start(name, threads, queue, hooks)?,
            waits,
            what,
        })
    }

    /// The error for a full queue.
    pub fn full(&self) -> Error {
        Error::Overloaded {
            what: self.what,
            limit: self.threads.limit(),
        }
    }

    /// How many pieces of work wait, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        let load = self.threads.load();
        (load.queued, load.queued_max)
    }

    /// How much there is to do. Any thread.
    pub fn load(&self) -> Load {
        self.threads.load()
    }

    /// Stops accepting work and ends the threads. See [`Threads::stop`].
    pub fn stop(&self, join: bool) {
        self.threads.stop(join);
    }

    /// Runs `work` on one of the threads. Errors: `Overloaded` if the queue is full, `ShuttingDown`, and the errors of the
    /// work. A panic in the work is `Internal`. Yields.
    pub fn run<T: Send + 'static>(
        &self,
        tx: &Tx,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let slot = Arc::new(Mutex::new(None));
        let wait = self.waits.begin(tx);
        let (result, finish) = (slot.clone(), wait.finisher());
        let submitted = self.threads.submit(Box::new(move || {
            let done = guard(work);
            *result
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(done);
            finish();
        }));
        submitted.map_err(|refused| match refused {
            Refused::Full => self.full(),
            Refused::Stopped => Error::ShuttingDown,
        })?;
        wait.until_finished(tx);
        // A cancelled fiber has no result.
        let result = slot
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        result.unwrap_or(Err(Error::ShuttingDown))
    }
}
