//! The crypto pool: a few threads for hashes and signatures, with a bounded queue before them.

use crate::instance::Instance;
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_base::guard::guard;
use authkv_base::threads::spawn;
use crossbeam_channel::{bounded, Receiver, Sender, TrySendError};
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

type Work = Box<dyn FnOnce() + Send>;

/// What a thread does beside its work.
#[derive(Clone, Copy)]
pub struct Habits {
    /// Before its first work.
    pub begin: fn(),
    /// Once there has been no work for a while.
    pub idle: fn(),
    pub idle_after: Duration,
}

impl Habits {
    /// Nothing.
    pub const NONE: Self = Self {
        begin: || (),
        idle: || (),
        idle_after: Duration::MAX,
    };
}

/// The threads.
pub struct Crypto {
    /// `None` once it has been stopped.
    queue: Mutex<Option<Sender<Work>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Pieces of work that may wait.
    limit: usize,
}

/// Why work was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Full,
    Stopped,
}

impl Crypto {
    /// Starts `threads` threads of that name, before which at most `queue` pieces of work wait.
    pub fn start(name: &str, threads: usize, queue: usize, habits: Habits) -> io::Result<Self> {
        let (sender, receiver) = bounded::<Work>(queue);
        let start = |number| {
            let receiver = receiver.clone();
            let body = move || {
                (habits.begin)();
                while let Some(work) = next(&receiver, habits) {
                    work();
                }
            };
            spawn(format!("authkv-{name}-{number}"), body)
        };
        let threads = (0..threads).map(start).collect::<io::Result<_>>()?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            threads: Mutex::new(threads),
            limit: queue,
        })
    }

    /// Queues work, which must not panic. Does not block.
    pub fn submit(&self, work: Work) -> Result<(), Refused> {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        match queue.as_ref().map(|queue| queue.try_send(work)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(Refused::Full),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(Refused::Stopped),
        }
    }

    /// What to say where too much work waits.
    pub fn full(&self) -> Error {
        Error::Overloaded {
            what: "hashes and signatures that wait",
            limit: self.limit,
        }
    }

    /// Takes no more work, and ends the threads once what is queued is done. Blocks until then where `join` says
    /// so, which is for an empty queue.
    pub fn stop(&self, join: bool) {
        drop(
            self.queue
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .take(),
        );
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(|p| p.into_inner()));
        for thread in threads.into_iter().filter(|_| join) {
            let _ = thread.join();
        }
    }
}

/// Waits for work. None once the pool has been stopped.
fn next(receiver: &Receiver<Work>, habits: Habits) -> Option<Work> {
    let got = receiver.recv_timeout(habits.idle_after).or_else(|error| {
        if error.is_timeout() {
            (habits.idle)();
        }
        receiver.recv()
    });
    got.ok()
}

/// Runs `work` on the threads of `crypto`. Errors: `Overloaded` where the queue is full, `ShuttingDown`, and
/// those of the work; a panic in it is `Internal`. Yields.
pub fn run<T: Send + 'static>(
    tx: &Tx,
    instance: &'static Instance,
    crypto: &Crypto,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let slot = Arc::new(Mutex::new(None));
    let wait = instance.waits.begin(tx);
    let (result, id) = (slot.clone(), wait.id());
    let user = instance.users.add();
    let submitted = crypto.submit(Box::new(move || {
        let done = guard(work);
        *result
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(done);
        instance.bridge.finish(id);
        drop(user);
    }));
    submitted.map_err(|refused| match refused {
        Refused::Full => crypto.full(),
        Refused::Stopped => Error::ShuttingDown,
    })?;
    wait.until_finished(tx);
    // A fiber that was cancelled has no result.
    let result = slot
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .take();
    result.unwrap_or(Err(Error::ShuttingDown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{mpsc, Barrier};

    #[test]
    fn an_idle_thread_is_there_for_what_comes() {
        static IDLES: Barrier = Barrier::new(2);
        let idle = || {
            IDLES.wait();
        };
        let habits = Habits {
            idle,
            idle_after: Duration::from_millis(1),
            ..Habits::NONE
        };
        let crypto = Crypto::start("test", 1, 1, habits).unwrap();
        let (done, finished) = mpsc::channel();
        for _ in 0..2 {
            IDLES.wait();
            let done = done.clone();
            let work = move || done.send(()).unwrap();
            crypto.submit(Box::new(work)).unwrap();
            finished.recv().unwrap();
        }
        IDLES.wait();
        crypto.stop(true);
    }

    #[test]
    fn work_beyond_the_queue_is_refused() {
        let crypto = Crypto::start("test", 1, 1, Habits::NONE).unwrap();
        let (release, held) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let (done, finished) = mpsc::channel();
        crypto
            .submit(Box::new(move || {
                started.send(()).unwrap();
                held.recv().unwrap();
            }))
            .unwrap();
        has_started.recv().unwrap();
        crypto
            .submit(Box::new(move || done.send(()).unwrap()))
            .unwrap();
        assert_eq!(crypto.submit(Box::new(|| ())), Err(Refused::Full));
        release.send(()).unwrap();
        finished.recv().unwrap();
        crypto.stop(true);
        assert_eq!(crypto.submit(Box::new(|| ())), Err(Refused::Stopped));
    }
}
