//! Between threads: jobs from the HTTP workers to tx, their answers, and lines for the log.
//!
//! Both ways are bounded. The tx thread never blocks; its fibers wait.

pub mod dispatch;
mod parking;

use crate::offload::Waits;
use crate::tx::life::Life;
use authkv_base::error::Error;
use authkv_base::memory::{Memory, Reservation};
use authkv_command::{Outcome, Request};
use authkv_config::Config;
use authkv_domain::{ChangePage, ListPage};
use authkv_mailbox::doorbell::Doorbell;
use authkv_mailbox::{Mailbox, Mailboxes};
use crossbeam_queue::ArrayQueue;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use tokio::sync::{oneshot, watch};

/// One command on its way to tx.
pub struct Job {
    request: Request,
    reply: Reply,
    gone: CancelFlag,
}

/// Where the answer to a job goes.
type Reply = authkv_mailbox::Reply<Answer>;

thread_local! {
    static OWN: RefCell<Option<Arc<Mailbox<Answer>>>> = const { RefCell::new(None) };
}

/// The mailbox of this thread, until it is dropped.
pub struct OwnMailbox<'a> {
    bridge: &'a Bridge,
    mailbox: Arc<Mailbox<Answer>>,
}

impl<'a> OwnMailbox<'a> {
    /// Hands out the answers to this thread's jobs. Does not return.
    pub fn serve(&self) -> impl Future<Output = ()> + use<'a> {
        let (bridge, mailbox) = (self.bridge, self.mailbox.clone());
        async move { mailbox.serve(&bridge.doorbell).await }
    }
}

impl Drop for OwnMailbox<'_> {
    fn drop(&mut self) {
        OWN.set(None);
        self.bridge.mailboxes.remove(&self.mailbox);
    }
}

/// Set once a client is most likely gone; its jobs are then not begun.
pub type CancelFlag = Arc<AtomicBool>;

/// What came of a job, and what its outcome holds of the memory.
type Answer = (Result<Outcome, Error>, Reservation);

/// A command that was left for tx. The future is its answer.
pub enum Call {
    Left(oneshot::Receiver<Answer>),
    Refused(Option<Error>),
}

impl Future for Call {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let failed = |error| (Err(error), Reservation::default());
        match self.get_mut() {
            Call::Left(answer) => {
                let answer = ready!(Pin::new(answer).poll(context));
                Poll::Ready(answer.unwrap_or_else(|_| failed(Error::Internal)))
            }
            Call::Refused(error) => Poll::Ready(failed(error.take().unwrap_or(Error::Internal))),
        }
    }
}

/// What other threads leave for tx, and the bell that wakes it.
pub struct Bridge {
    jobs: ArrayQueue<Job>,
    /// Those of the workers.
    mailboxes: Mailboxes<Answer>,
    /// Lines for Tarantool's log, which is not promised to work on other threads.
    lines: ArrayQueue<Line>,
    /// Lines that were lost.
    lost: AtomicUsize,
    /// The limit of what bodies and answers hold.
    pub memory: Arc<Memory>,
    /// The revision of the last change of a pair that was committed, for those who wait for one.
    pub notifications: Arc<watch::Sender<u64>>,
    doorbell: Arc<Doorbell>,
    /// Fibers that wait for other threads, woken by the same fiber that takes jobs.
    waits: Arc<Waits>,
    config: Arc<Config>,
    life: Arc<Life>,
    /// Jobs that were taken in and not answered yet, at most the capacity of `jobs`.
    in_flight: AtomicUsize,
    /// No new jobs are taken in.
    closed: AtomicBool,
    /// The fiber that takes jobs is gone.
    ended: AtomicBool,
}

/// A line for the log.
pub enum Line {
    Warning(String),
    /// Words or a JSON object, as the log is.
    Request(String),
}

impl Bridge {
    /// The doorbell is also that of `waits`.
    pub fn new(
        config: Arc<Config>,
        doorbell: Arc<Doorbell>,
        waits: Arc<Waits>,
        life: Arc<Life>,
    ) -> Self {
        let capacity = config.queue;
        Self {
            memory: Memory::new(config.http.memory_max),
            lost: AtomicUsize::new(0),
            jobs: ArrayQueue::new(capacity),
            mailboxes: Mailboxes::default(),
            lines: ArrayQueue::new(1024),
            notifications: Arc::new(watch::Sender::new(0)),
            doorbell,
            waits,
            config,
            life,
            in_flight: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// Opens a mailbox for this thread, which needs one to have commands executed, and a task that runs
    /// [`OwnMailbox::serve`].
    pub fn open_mailbox(&self) -> OwnMailbox<'_> {
        let mailbox = self.mailboxes.add();
        OWN.set(Some(mailbox.clone()));
        OwnMailbox {
            bridge: self,
            mailbox,
        }
    }

    /// Wakes the workers that have answers. To be called after one or several of them.
    fn ring_back(&self) {
        self.mailboxes.ring_back();
    }

    /// Has a command executed on tx. Errors: `Overloaded` at once where too many are in flight,
    /// `ShuttingDown`, and those of the command. Where the result is dropped, or `gone` is set, before tx has
    /// begun, the command is not executed.
    pub fn call(&self, request: Request, gone: CancelFlag) -> Call {
        match self.leave(request, gone) {
            Ok(answer) => Call::Left(answer),
            Err(error) => Call::Refused(Some(error)),
        }
    }

    fn leave(
        &self,
        request: Request,
        gone: CancelFlag,
    ) -> Result<oneshot::Receiver<Answer>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::ShuttingDown);
        }
        let mailbox = OWN.with_borrow(Option::clone).ok_or(Error::Internal)?;
        let (reply, answer) = Reply::new(mailbox.clone());
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= self.jobs.capacity()
            || self
                .jobs
                .push(Job {
                    request,
                    reply,
                    gone,
                })
                .is_err()
        {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            let limit = self.jobs.capacity();
            let what = "requests before the database";
            return Err(Error::Overloaded { what, limit });
        }
        mailbox.left_one(&self.doorbell);
        if self.has_ended() {
            self.refuse_waiting();
        }
        Ok(answer)
    }

    /// Writes a line to Tarantool's log, soon. When lines come too fast, the oldest are lost.
    pub fn log(&self, line: String) {
        self.push_line(Line::Warning(line));
    }

    /// The same for the line of a request.
    pub fn log_request(&self, line: String) {
        self.push_line(Line::Request(line));
    }

    fn push_line(&self, line: Line) {
        if self.lines.force_push(line).is_some() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
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
        self.ring_back();
    }

    /// Jobs that were taken in and not answered yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn answer(&self, reply: Reply, result: Result<Outcome, Error>) {
        let answer = self.hold(result);
        self.send(reply, answer);
    }

    fn send(&self, reply: Reply, answer: Answer) {
        reply.send(answer);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts what was found as held, and its JSON text with it. Errors: `Overloaded` where that is too much.
    fn hold(&self, result: Result<Outcome, Error>) -> Answer {
        let bytes = match &result {
            Ok(
                Outcome::Found(data)
                | Outcome::Encoded(data)
                | Outcome::Pair(data)
                | Outcome::Listed(ListPage { items: data, .. })
                | Outcome::Changed(ChangePage { items: data, .. }),
            ) => 2 * data.len(),
            _ => 0,
        };
        match self.memory.hold(bytes) {
            Some(held) => (result, held),
            None => (Err(self.memory_error()), Reservation::default()),
        }
    }

    /// What to say where memory for bodies and answers is used up.
    pub fn memory_error(&self) -> Error {
        Error::Overloaded {
            what: "bytes of bodies and answers at a time",
            limit: self.memory.max(),
        }
    }
}
