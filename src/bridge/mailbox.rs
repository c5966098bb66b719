//! Where a worker finds the answers to its jobs. Both sides wake the other once for many: a wake-up costs more than a
//! look-up.

use super::{Answer, Bridge};
use crate::error::Error;
use crossbeam_queue::SegQueue;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use tokio::sync::{oneshot, Notify};

/// Jobs that a worker leaves before it wakes tx, at most.
const TOGETHER: usize = 16;

thread_local! {
    static OWN: RefCell<Option<Arc<Mailbox>>> = const { RefCell::new(None) };
}

/// The answers to the jobs of one thread.
#[derive(Default)]
pub struct Mailbox {
    answers: SegQueue<(oneshot::Sender<Answer>, Answer)>,
    /// The worker was woken for answers, and has not looked yet.
    rung: AtomicBool,
    /// Jobs of this thread for which tx was not woken. Only this thread changes it.
    left: AtomicUsize,
    wake: Notify,
}

/// The mailbox of this thread, until it is dropped.
pub struct Open<'a> {
    bridge: &'a Bridge,
    pub mailbox: Arc<Mailbox>,
}

/// Where an answer goes.
pub struct Reply {
    sender: oneshot::Sender<Answer>,
    mailbox: Arc<Mailbox>,
}

impl Bridge {
    /// Opens a mailbox for this thread, which needs one to have commands executed, and a task that runs
    /// [`Mailbox::serve`].
    pub fn open_mailbox(&self) -> Open<'_> {
        let mailbox = Arc::<Mailbox>::default();
        OWN.set(Some(mailbox.clone()));
        self.mailboxes.rcu(|all| {
            let mut all = all.to_vec();
            all.push(mailbox.clone());
            all
        });
        Open {
            bridge: self,
            mailbox,
        }
    }

    /// Wakes the workers that have answers. To be called after one or several of them.
    pub fn ring_back(&self) {
        for mailbox in self.mailboxes.load().iter() {
            // Where it was rung already, the worker looks after this.
            if !mailbox.answers.is_empty() && !mailbox.rung.swap(true, Ordering::AcqRel) {
                mailbox.wake.notify_one();
            }
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        OWN.set(None);
        self.bridge.mailboxes.rcu(|all| {
            let others = all.iter().filter(|one| !Arc::ptr_eq(one, &self.mailbox));
            others.cloned().collect::<Vec<_>>()
        });
    }
}

impl Mailbox {
    /// That of this thread. Errors: `Internal` where it has none.
    pub fn own() -> Result<Arc<Self>, Error> {
        OWN.with_borrow(Option::clone).ok_or(Error::Internal)
    }

    /// Notes that a job was left, and has tx woken soon.
    pub fn left_one(&self, bridge: &Bridge) {
        match self.left.fetch_add(1, Ordering::Relaxed) + 1 {
            // The task runs behind those that can run now.
            1 => self.wake.notify_one(),
            TOGETHER.. => {
                self.left.store(0, Ordering::Relaxed);
                bridge.doorbell.ring();
            }
            _ => {}
        }
    }

    /// Wakes tx for the jobs of this thread, once the tasks that could run have left theirs, and hands out the answers.
    /// Does not return.
    pub async fn serve(&self, bridge: &Bridge) {
        loop {
            self.wake.notified().await;
            if self.left.swap(0, Ordering::Relaxed) > 0 {
                bridge.doorbell.ring();
            }
            // Before it looks: what is left from now on is rung for.
            self.rung.swap(false, Ordering::AcqRel);
            while let Some((sender, answer)) = self.answers.pop() {
                // A client that is gone does not take its answer.
                let _ = sender.send(answer);
            }
        }
    }
}

impl Reply {
    /// Where the answer to a job from this mailbox goes, and how it is waited for.
    pub fn new(mailbox: Arc<Mailbox>) -> (Self, oneshot::Receiver<Answer>) {
        let (sender, answer) = oneshot::channel();
        (Self { sender, mailbox }, answer)
    }

    /// Whether nobody waits for it any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Leaves the answer, for which the worker is to be woken by [`Bridge::ring_back`].
    pub fn send(self, answer: Answer) {
        self.mailbox.answers.push((self.sender, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Job;
    use super::*;
    use crate::command::{Caller, Command, Request};
    use crate::config::Config;
    use crate::memory::Held;
    use crate::origin::{Front, Origin, Peer};
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    use std::collections::BTreeMap;
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn check() -> Request {
        Request {
            origin: Origin {
                front: Front::Http,
                peer: Peer::Unix,
            },
            caller: Caller::Anonymous,
            command: Command::Check,
        }
    }

    /// Answers as tx does, so many jobs.
    fn answer(bridge: &Bridge, mut jobs: usize) {
        while jobs > 0 {
            while let Some(Job { reply, .. }) = bridge.jobs.pop() {
                bridge.send(reply, (Err(Error::NoKeys), Held::default()));
                jobs -= 1;
            }
            bridge.ring_back();
            let is_done = || jobs == 0 || !bridge.jobs.is_empty();
            bridge.doorbell.sleep(is_done, |fd| {
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
        /// Up to more than are left together.
        const AT_A_TIME: usize = 2 * TOGETHER + 1;
        let config = Config::new(BTreeMap::new()).unwrap();
        let bridge: &Bridge = Box::leak(Box::new(Bridge::new(&config).unwrap()));
        let jobs = (0..ROUNDS).map(|round| 1 + round % AT_A_TIME).sum();
        let tx = std::thread::spawn(move || answer(bridge, jobs));
        let open = bridge.open_mailbox();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let mailbox = open.mailbox.clone();
        runtime.spawn(async move { mailbox.serve(bridge).await });
        runtime.block_on(async {
            for round in 0..ROUNDS {
                let call = |_| tokio::spawn(bridge.call(check(), Arc::default()));
                let calls: Vec<_> = (0..1 + round % AT_A_TIME).map(call).collect();
                for call in calls {
                    let answered = tokio::time::timeout(DEADLINE, call).await;
                    let (result, _) = answered.expect("nobody has rung for an answer").unwrap();
                    assert_eq!(result.err(), Some(Error::NoKeys));
                }
            }
        });
        tx.join().unwrap();
        assert_eq!(bridge.in_flight(), 0);
    }
}
