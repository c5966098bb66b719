//! Between threads: jobs from the HTTP workers to tx, their answers, and lines for the log.
//!
//! Queues in both directions are bounded. The tx thread never blocks; its fibers wait.

pub mod dispatch;
mod fresh;
mod lane;
mod metrics;
mod parking;

use crate::offload::Waits;
use crate::tx::life::Life;
use crate::tx::{Tx, TxCell};
use authkv_base::error::Error;
use authkv_base::memory::{Memory, Reservation};
use authkv_base::ticks::Instant;
use authkv_command::{Outcome, Request};
use authkv_config::Config;
use authkv_domain::{ChangePage, ListPage};
use authkv_mailbox::doorbell::Doorbell;
use authkv_mailbox::{Mailbox, Mailboxes};
use crossbeam_queue::ArrayQueue;
use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use tokio::sync::{oneshot, watch};

use dispatch::Lanes;

/// One command on its way to tx.
pub struct Job {
    request: Request,
    reply: Reply,
    gone: CancelFlag,
    queued: Instant,
}

impl Job {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed() || self.gone.load(Ordering::Relaxed)
    }
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
    /// Delivers the answers to this thread's jobs. Does not return.
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

/// Set if the client is probably gone. Its jobs are not begun then.
pub type CancelFlag = Arc<AtomicBool>;

/// The result of a job, and the memory reserved for its outcome.
type Answer = (Result<Outcome, Error>, Reservation);

/// A command that was queued for tx, with a future of its answer, or one that was refused.
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

/// What other threads queue for tx, and the bell that wakes it.
pub struct Bridge {
    jobs: ArrayQueue<Job>,
    /// The mailboxes of the workers.
    mailboxes: Mailboxes<Answer>,
    /// Lines for Tarantool's log, which may be written on the tx thread only.
    lines: ArrayQueue<Line>,
    /// How many lines were lost.
    lost: AtomicUsize,
    /// The limit on the memory of bodies and answers.
    pub memory: Arc<Memory>,
    /// The revision of the last committed change of a pair, for watches.
    pub notifications: Arc<watch::Sender<u64>>,
    doorbell: Arc<Doorbell>,
    /// Fibers that wait for other threads. The fiber that takes jobs wakes them.
    waits: Arc<Waits>,
    config: Arc<Config>,
    life: Arc<Life>,
    /// The fibers for jobs that yield, once they run.
    lanes: TxCell<OnceCell<Rc<Lanes>>>,
    /// Accepted jobs without an answer yet, at most the capacity of `jobs`.
    in_flight: AtomicUsize,
    /// No new jobs are accepted.
    closed: AtomicBool,
    /// The fiber that takes jobs has ended.
    ended: AtomicBool,
}

/// A line for the log.
pub enum Line {
    Warning(String),
    /// Words or a JSON object, by the format of the log.
    Request(String),
}

impl Bridge {
    /// `waits` rings the same doorbell.
    pub fn new(
        tx: &Tx,
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
            lanes: TxCell::new(tx, OnceCell::new()),
            in_flight: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// Opens a mailbox for this thread. A thread needs one to have commands executed, and a task that runs
    /// [`OwnMailbox::serve`].
    pub fn open_mailbox(&self) -> OwnMailbox<'_> {
        let mailbox = self.mailboxes.add();
        OWN.set(Some(mailbox.clone()));
        OwnMailbox {
            bridge: self,
            mailbox,
        }
    }

    /// Wakes the workers that have answers. To be called after one or several answers.
    fn ring_back(&self) {
        self.mailboxes.ring_back();
    }

    /// Has a command executed on tx. Errors: `Overloaded` at once if too many jobs are in flight, `ShuttingDown`, and those
    /// of the command. The command is not executed if the result is dropped, or `gone` is set, before tx begins it.
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
                    queued: Instant::now(),
                })
                .is_err()
        {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            metrics::refused();
            let limit = self.jobs.capacity();
            let what = "requests before the database";
            return Err(Error::Overloaded { what, limit });
        }
        mailbox.job_queued(&self.doorbell);
        if self.has_ended() {
            self.refuse_waiting();
        }
        Ok(answer)
    }

    /// Writes a warning to Tarantool's log, soon. If lines come too fast, the oldest are lost.
    pub fn log(&self, line: String) {
        self.push_line(Line::Warning(line));
    }

    /// Writes a line of the access log, in the same way.
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

    /// Notes that the fiber which takes jobs has ended, and refuses the jobs that wait.
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

    /// How many accepted jobs have no answer yet, and how many may have none.
    pub fn queue(&self) -> (usize, usize) {
        (self.in_flight(), self.jobs.capacity())
    }

    /// How many accepted jobs have no answer yet.
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

    /// Reserves memory for the outcome and for its JSON text. Errors: `Overloaded` if there is not enough.
    fn hold(&self, result: Result<Outcome, Error>) -> Answer {
        let bytes = match &result {
            Ok(
                Outcome::Found(data)
                | Outcome::Encoded(data)
                | Outcome::Applied { members: data, .. }
                | Outcome::Pair(data)
                | Outcome::Carried(data)
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

    /// The error if the memory for bodies and answers is used up.
    pub fn memory_error(&self) -> Error {
        Error::Overloaded {
            what: "bytes of bodies and answers at a time",
            limit: self.memory.max(),
        }
    }
}
