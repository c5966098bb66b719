//! How long the parts of an instance live: who uses them, whether the instance stops, and the fibers that end with it.

use super::fiber::{self, Cond};
use super::lent::{User, Users};
use super::{Tx, TxCell};
use authkv_base::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Shared by all parts of one instance.
pub struct Life {
    /// Fibers, procedures, threads and their work.
    users: Users,
    /// Set first of all when the instance stops.
    stopping: AtomicBool,
    /// The fibers of the instance end.
    ended: AtomicBool,
    /// Wakes fibers that pause, for the end.
    ending: TxCell<Cond>,
    /// Procedures of clients that run.
    calls: AtomicUsize,
}

/// A call of a procedure that runs.
pub struct Call<'a>(&'a AtomicUsize);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Life {
    pub fn new(tx: &Tx) -> Arc<Self> {
        Arc::new(Self {
            users: Users::default(),
            stopping: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            ending: TxCell::new(tx, Cond::new()),
            calls: AtomicUsize::new(0),
        })
    }

    /// Counts who uses the parts of the instance beyond the next yield, or on another thread, until the result is dropped.
    pub fn add_user(&self) -> User {
        self.users.add()
    }

    pub fn users(&self) -> &Users {
        &self.users
    }

    /// Starts a fiber that uses parts of the instance. See [`fiber::start`].
    pub fn start_fiber(
        &self,
        tx: &Tx,
        name: &str,
        body: impl FnOnce(&Tx) + 'static,
    ) -> Result<(), Error> {
        let user = self.users.add();
        fiber::start(tx, name, move |tx| {
            body(tx);
            drop(user);
        })
    }

    /// No new requests are taken from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether no new requests are taken any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Has the fibers end that pause now and then.
    pub fn end(&self, tx: &Tx) {
        self.ended.store(true, Ordering::Relaxed);
        self.ending.get(tx).broadcast();
    }

    /// Whether the fibers are to end.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits, but not beyond the end of the fibers. Yields.
    pub fn pause(&self, tx: &Tx, time: Duration) {
        if !self.has_ended() {
            self.ending.get(tx).wait_timeout(time);
        }
    }

    /// Counts a call of a procedure, until the result is dropped. Errors: `ShuttingDown`.
    pub fn begin_call(&self) -> Result<Call<'_>, Error> {
        if self.is_stopping() {
            return Err(Error::ShuttingDown);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Call(&self.calls))
    }

    /// Calls of procedures that run.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}
