//! The queue of answers of each worker, and the doorbell that wakes tx. Each side wakes the other once for many items, because
//! a wake-up costs more than a look-up. Any thread.

#![forbid(unsafe_code)]

pub mod doorbell;

use arc_swap::ArcSwap;
use crossbeam_queue::SegQueue;
use doorbell::Doorbell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use tokio::sync::{oneshot, Notify};

/// A worker wakes tx after at most this many jobs.
const TOGETHER: usize = 16;

/// The mailboxes of all workers.
pub struct Mailboxes<T>(ArcSwap<Vec<Arc<Mailbox<T>>>>);

/// The answers to the jobs of one worker.
pub struct Mailbox<T> {
    answers: SegQueue<(oneshot::Sender<T>, T)>,
    /// The worker was woken for answers and has not looked yet.
    rung: AtomicBool,
    /// Jobs of this worker for which tx has not been woken. Only the worker's thread changes it.
    left: AtomicUsize,
    wake: Notify,
}

/// The way back for the answer to one job.
pub struct Reply<T> {
    sender: oneshot::Sender<T>,
    mailbox: Arc<Mailbox<T>>,
}

impl<T> Default for Mailboxes<T> {
    fn default() -> Self {
        Self(ArcSwap::default())
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            answers: SegQueue::new(),
            rung: AtomicBool::new(false),
            left: AtomicUsize::new(0),
            wake: Notify::new(),
        }
    }
}

impl<T> Mailboxes<T> {
    /// Adds a mailbox. [`Mailbox::serve`] must serve it until it is removed.
    pub fn add(&self) -> Arc<Mailbox<T>> {
        let mailbox = Arc::<Mailbox<T>>::default();
        self.0.rcu(|all| {
            let mut all = all.to_vec();
            all.push(mailbox.clone());
            all
        });
        mailbox
    }

    /// Removes a mailbox whose worker ends.
    pub fn remove(&self, mailbox: &Arc<Mailbox<T>>) {
        self.0.rcu(|all| {
            let others = all.iter().filter(|one| !Arc::ptr_eq(one, mailbox));
            others.cloned().collect::<Vec<_>>()
        });
    }

    /// Wakes the workers that have answers. Call it after sending one or more answers.
    pub fn ring_back(&self) {
        for mailbox in self.0.load().iter() {
            // If the worker was woken already, it will look at the queue after this.
            if !mailbox.answers.is_empty() && !mailbox.rung.swap(true, Ordering::AcqRel) {
                mailbox.wake.notify_one();
            }
        }
    }
}

impl<T> Mailbox<T> {
    /// Counts a queued job, and makes sure that tx is woken soon.
    pub fn job_queued(&self, doorbell: &Doorbell) {
        match self.left.fetch_add(1, Ordering::Relaxed) + 1 {
            // The task of `serve` runs after the tasks that can run now.
            1 => self.wake.notify_one(),
            TOGETHER.. => {
                self.left.store(0, Ordering::Relaxed);
                doorbell.ring();
            }
            _ => {}
        }
    }

    /// Hands out answers, and wakes tx for the worker's jobs once the runnable tasks have queued theirs. Does not return.
    pub async fn serve(&self, doorbell: &Doorbell) {
        loop {
            self.wake.notified().await;
            if self.left.swap(0, Ordering::Relaxed) > 0 {
                doorbell.ring();
            }
            // Reset before looking at the queue, so that any answer sent from now on wakes the worker again.
            self.rung.swap(false, Ordering::AcqRel);
            while let Some((sender, answer)) = self.answers.pop() {
                // Fails if the client has gone.
                let _ = sender.send(answer);
            }
        }
    }
}

impl<T> Reply<T> {
    /// Makes the way back for an answer, and the receiver that waits for the answer.
    pub fn new(mailbox: Arc<Mailbox<T>>) -> (Self, oneshot::Receiver<T>) {
        let (sender, answer) = oneshot::channel();
        (Self { sender, mailbox }, answer)
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Queues the answer. Wake the worker with [`Mailboxes::ring_back`] afterwards.
    pub fn send(self, answer: T) {
        self.mailbox.answers.push((self.sender, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// The data that workers and tx share.
    struct Shared {
        jobs: SegQueue<(usize, Reply<usize>)>,
        mailboxes: Mailboxes<usize>,
        doorbell: Doorbell,
    }

    /// Answers `jobs` jobs as tx would.
    fn answer(shared: &Shared, mut jobs: usize) {
        while jobs > 0 {
            while let Some((job, reply)) = shared.jobs.pop() {
                reply.send(job);
                jobs -= 1;
            }
            shared.mailboxes.ring_back();
            let is_done = || jobs == 0 || !shared.jobs.is_empty();
            shared.doorbell.sleep(is_done, |fd| {
                let timeout = Timespec {
                    tv_sec: DEADLINE.as_secs() as i64,
                    tv_nsec: 0,
                };
                let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout));
                assert_eq!(ready, Ok(1), "nobody has rung for a job");
            });
        }
    }

    #[test]
    fn every_job_is_rung_for_and_every_answer() {
        const ROUNDS: usize = 2000;
        /// More than one wake-up's worth of jobs.
        const AT_A_TIME: usize = 2 * TOGETHER + 1;
        let shared: &Shared = Box::leak(Box::new(Shared {
            jobs: SegQueue::new(),
            mailboxes: Mailboxes::default(),
            doorbell: Doorbell::new().unwrap(),
        }));
        let jobs = (0..ROUNDS).map(|round| 1 + round % AT_A_TIME).sum();
        let tx = std::thread::spawn(move || answer(shared, jobs));
        let mailbox = shared.mailboxes.add();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let served = mailbox.clone();
        runtime.spawn(async move { served.serve(&shared.doorbell).await });
        let call = |job| {
            let mailbox = mailbox.clone();
            tokio::spawn(async move {
                let (reply, answer) = Reply::new(mailbox.clone());
                shared.jobs.push((job, reply));
                mailbox.job_queued(&shared.doorbell);
                answer.await
            })
        };
        runtime.block_on(async {
            for round in 0..ROUNDS {
                let calls: Vec<_> = (0..1 + round % AT_A_TIME).map(call).collect();
                for (job, call) in calls.into_iter().enumerate() {
                    let answered = tokio::time::timeout(DEADLINE, call).await;
                    let answer = answered.expect("nobody has rung for an answer").unwrap();
                    assert_eq!(answer, Ok(job));
                }
            }
        });
        tx.join().unwrap();
        shared.mailboxes.remove(&mailbox);
        assert!(shared.mailboxes.0.load().is_empty());
    }
}
