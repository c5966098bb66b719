//! A few threads for slow work, with a bounded queue before them.

use authkv_base::threads::spawn;
use crossbeam_channel::{bounded, Receiver, Sender, TrySendError};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

type Work = Box<dyn FnOnce() + Send>;

/// Callbacks of a thread beside its work.
#[derive(Clone, Copy)]
pub struct ThreadHooks {
    /// Runs before the first work.
    pub begin: fn(),
    /// Runs after a while without work.
    pub idle: fn(),
    pub idle_after: Duration,
}

impl ThreadHooks {
    /// No callbacks.
    pub const NONE: Self = Self {
        begin: || (),
        idle: || (),
        idle_after: Duration::MAX,
    };
}

pub struct Threads {
    /// `None` after the stop.
    queue: Mutex<Option<Sender<Work>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The most pieces of work that may wait.
    limit: usize,
    count: usize,
    /// How many threads work.
    busy: Arc<AtomicUsize>,
    /// How often work was refused because the queue was full.
    refused: AtomicU64,
}

/// How much threads have to do.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub threads: usize,
    pub busy: usize,
    pub queued: usize,
    pub queued_max: usize,
    /// How often work was refused because the queue was full.
    pub refused: u64,
}

/// Why work was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Full,
    Stopped,
}

impl Threads {
    /// Starts `threads` threads named `name`, with a queue for at most `queue` pieces of work.
    pub fn start(name: &str, threads: usize, queue: usize, hooks: ThreadHooks) -> io::Result<Self> {
        let (sender, receiver) = bounded::<Work>(queue);
        let busy = Arc::new(AtomicUsize::new(0));
        let start = |number| {
            let (receiver, busy) = (receiver.clone(), busy.clone());
            let body = move || {
                (hooks.begin)();
                while let Some(work) = next(&receiver, hooks) {
                    busy.fetch_add(1, Ordering::Relaxed);
                    work();
                    busy.fetch_sub(1, Ordering::Relaxed);
                }
            };
            spawn(format!("authkv-{name}-{number}"), body)
        };
        let running = (0..threads).map(start).collect::<io::Result<_>>()?;
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            threads: Mutex::new(running),
            limit: queue,
            count: threads,
            busy,
            refused: AtomicU64::new(0),
        })
    }

    /// Queues work, which must not panic. Does not block. Errors: [`Refused`].
    pub fn submit(&self, work: Work) -> Result<(), Refused> {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        match queue.as_ref().map(|queue| queue.try_send(work)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(Refused::Full)
            }
            Some(Err(TrySendError::Disconnected(_))) | None => Err(Refused::Stopped),
        }
    }

    pub fn load(&self) -> Load {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        Load {
            threads: self.count,
            busy: self.busy.load(Ordering::Relaxed),
            queued: queue.as_ref().map_or(0, Sender::len),
            queued_max: self.limit,
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// The most pieces of work that may wait.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Stops accepting work. The threads end once the queue is empty. If `join` is set, blocks until then; use that only with
    /// an empty queue.
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

/// Waits for work. `None` after the stop.
fn next(receiver: &Receiver<Work>, hooks: ThreadHooks) -> Option<Work> {
    let got = receiver.recv_timeout(hooks.idle_after).or_else(|error| {
        if error.is_timeout() {
            (hooks.idle)();
        }
        receiver.recv()
    });
    got.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{mpsc, Barrier};

    fn one_thread(hooks: ThreadHooks) -> Threads {
        Threads::start("test", 1, 1, hooks).unwrap()
    }

    #[test]
    fn an_idle_thread_is_there_for_what_comes() {
        static IDLES: Barrier = Barrier::new(2);
        let idle = || {
            IDLES.wait();
        };
        let hooks = ThreadHooks {
            idle,
            idle_after: Duration::from_millis(1),
            ..ThreadHooks::NONE
        };
        let thread = one_thread(hooks);
        let (done, finished) = mpsc::channel();
        for _ in 0..2 {
            IDLES.wait();
            let done = done.clone();
            let work = move || done.send(()).unwrap();
            thread.submit(Box::new(work)).unwrap();
            finished.recv().unwrap();
        }
        IDLES.wait();
        thread.stop(true);
    }

    #[test]
    fn work_beyond_the_queue_is_refused() {
        let thread = one_thread(ThreadHooks::NONE);
        let (release, held) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let (done, finished) = mpsc::channel();
        thread
            .submit(Box::new(move || {
                started.send(()).unwrap();
                held.recv().unwrap();
            }))
            .unwrap();
        has_started.recv().unwrap();
        thread
            .submit(Box::new(move || done.send(()).unwrap()))
            .unwrap();
        assert_eq!(thread.submit(Box::new(|| ())), Err(Refused::Full));
        let load = thread.load();
        let counts = (load.threads, load.busy, load.queued, load.queued_max);
        assert_eq!((counts, load.refused), ((1, 1, 1, 1), 1));
        release.send(()).unwrap();
        finished.recv().unwrap();
        thread.stop(true);
        assert_eq!(thread.submit(Box::new(|| ())), Err(Refused::Stopped));
    }
}
