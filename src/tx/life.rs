//! The lifetime of the parts of an instance: their users, whether the instance stops, and the fibers that end with it.

use super::fiber::{self, Cond};
use super::lent::{User, Users};
use super::{Tx, TxCell};
use authkv_base::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Shared by all parts of an instance.
pub struct Life {
    /// Fibers, procedures, and threads with their work.
    users: Users,
    /// Set first when the instance stops.
    stopping: AtomicBool,
    /// The fibers of the instance must end.
    ended: AtomicBool,
    /// Wakes paused fibers when they must end.
    ending: TxCell<Cond>,
    /// The number of running procedures of clients.
    calls: AtomicUsize,
}

/// A running procedure.
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

    /// Counts a user of the parts of the instance, until the result is dropped. For use beyond the next yield or on another
    /// thread.
    pub fn add_user(&self) -> User {
        self.users.add()
    }

    pub fn users(&self) -> &Users {
        &self.users
    }

    /// Starts a fiber that uses the parts of the instance. See [`fiber::start`].
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

    /// Stops accepting requests.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether requests are no longer accepted.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Makes the fibers end at their next pause.
    pub fn end(&self, tx: &Tx) {
        self.ended.store(true, Ordering::Relaxed);
        self.ending.get(tx).broadcast();
    }

    /// Whether the fibers must end.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits, but not longer than until the fibers must end. Yields.
    pub fn pause(&self, tx: &Tx, time: Duration) {
        if !self.has_ended() {
            self.ending.get(tx).wait_timeout(time);
        }
    }

    /// Counts a running procedure, until the result is dropped. Errors: `ShuttingDown`.
    pub fn begin_call(&self) -> Result<Call<'_>, Error> {
        if self.is_stopping() {
            return Err(Error::ShuttingDown);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Call(&self.calls))
    }

    /// The number of running procedures.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}
