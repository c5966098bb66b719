//! Between threads: jobs from the HTTP workers to tx, work from tx to the crypto pool, and back.
//!
//! Both ways are bounded. The tx thread never blocks; its fibers wait.

pub mod crypto;
pub mod dispatch;
mod doorbell;

use crate::command::{Caller, Command, Outcome};
use crate::error::Error;
use crossbeam_queue::{ArrayQueue, SegQueue};
use doorbell::Doorbell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::oneshot;

/// One command on its way to tx.
pub struct Job {
    caller: Caller,
    command: Command,
    reply: oneshot::Sender<Result<Outcome, Error>>,
}

/// What other threads leave for tx, and the bell that wakes it.
pub struct Bridge {
    jobs: ArrayQueue<Job>,
    /// Ids of the waits on tx that are over.
    finished: SegQueue<u64>,
    /// Lines for Tarantool's log, which is not promised to work on other threads.
    lines: ArrayQueue<String>,
    doorbell: Doorbell,
    /// Jobs that were taken in and not answered yet, at most the capacity of `jobs`.
    in_flight: AtomicUsize,
    /// No new jobs are taken in.
    closed: AtomicBool,
    /// The fiber that takes jobs is gone.
    ended: AtomicBool,
}

impl Bridge {
    /// A bridge for at most `capacity` jobs in flight.
    pub fn new(capacity: usize) -> io::Result<Self> {
        Ok(Self {
            jobs: ArrayQueue::new(capacity),
            finished: SegQueue::new(),
            lines: ArrayQueue::new(1024),
            doorbell: Doorbell::new()?,
            in_flight: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    /// Has a command executed on tx. Errors: `Overloaded` at once where too many are in flight,
    /// `ShuttingDown`, and those of the command. Where the future is dropped before tx has begun, the command
    /// is not executed.
    pub async fn call(&self, caller: Caller, command: Command) -> Result<Outcome, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::ShuttingDown);
        }
        let (reply, answer) = oneshot::channel();
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= self.jobs.capacity()
            || self
                .jobs
                .push(Job {
                    caller,
                    command,
                    reply,
                })
                .is_err()
        {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::Overloaded);
        }
        self.doorbell.ring();
        if self.has_ended() {
            self.refuse_waiting();
        }
        answer.await.unwrap_or(Err(Error::Internal))
    }

    /// Ends the wait on tx that has this id.
    pub fn finish(&self, wait: u64) {
        self.finished.push(wait);
        self.doorbell.ring();
    }

    /// Writes a line to Tarantool's log, soon. When lines come too fast, the oldest are lost.
    pub fn log(&self, line: String) {
        self.lines.force_push(line);
        self.doorbell.ring();
    }

    /// Refuses jobs from now on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.doorbell.ring();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Says that nobody takes jobs any more, and refuses those that wait.
    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.close();
        self.refuse_waiting();
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn refuse_waiting(&self) {
        while let Some(job) = self.jobs.pop() {
            self.answer(job.reply, Err(Error::ShuttingDown));
        }
    }

    /// Jobs that were taken in and not answered yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn answer(
        &self,
        reply: oneshot::Sender<Result<Outcome, Error>>,
        result: Result<Outcome, Error>,
    ) {
        // A client that is gone does not take its answer.
        let _ = reply.send(result);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
