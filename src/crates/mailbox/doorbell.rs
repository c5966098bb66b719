//! An eventfd that wakes a waiting fiber. It is written only if the fiber sleeps.

use rustix::event::{eventfd, EventfdFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Any thread rings it; one fiber answers.
pub struct Doorbell {
    fd: OwnedFd,
    sleeping: AtomicBool,
}

impl Doorbell {
    pub fn new() -> io::Result<Self> {
        eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map(Self::of)
            .map_err(Into::into)
    }

    /// Wraps the doorbell of another image of the library. Only `force` can ring it.
    pub fn of(fd: OwnedFd) -> Self {
        Self {
            fd,
            sleeping: AtomicBool::new(false),
        }
    }

    /// Rings even if nobody sleeps.
    pub fn force(&self) {
        // Fails only after 2^64 - 2 rings without an answer.
        let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
    }

    /// Rings if the fiber sleeps. Call it after queueing work for the fiber.
    pub fn ring(&self) {
        // SeqCst pairs with `sleep`: either the sleeper sees the new work, or this thread sees that it sleeps.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel) {
            self.force();
        }
    }

    /// Consumes the pending rings. Returns whether there were any.
    pub fn take_ring(&self) -> bool {
        rustix::io::read(&self.fd, &mut [0; 8]).is_ok()
    }

    /// The descriptor to wait on: readable after a ring.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Waits for the next ring by calling `wait`, unless `found` says that there is work already.
    pub fn sleep(&self, found: impl FnOnce() -> bool, wait: impl FnOnce(BorrowedFd<'_>)) {
        self.sleeping.store(true, Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::SeqCst);
        let waits = !found();
        if waits {
            wait(self.fd.as_fd());
        }
        // Consumes a ring even if nobody seems to have rung: it may be a late ring for an earlier sleep.
        if !self.sleeping.swap(false, Ordering::AcqRel) || waits {
            self.take_ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{poll, PollFd, PollFlags};
    use std::sync::atomic::AtomicUsize;
    use std::sync::Arc;

    fn wait(fd: BorrowedFd<'_>) {
        let timeout = rustix::event::Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap();
        assert_eq!(ready, 1, "a ring was lost");
    }

    #[test]
    fn a_ring_that_comes_late_wakes_no_more_than_once() {
        let bell = Doorbell::new().unwrap();
        bell.force();
        let woken = |bell: &Doorbell| {
            let mut ready = false;
            bell.sleep(
                || false,
                |fd| {
                    let now = rustix::event::Timespec {
                        tv_sec: 0,
                        tv_nsec: 0,
                    };
                    ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).unwrap() > 0;
                },
            );
            ready
        };
        assert!(woken(&bell));
        assert!(!woken(&bell));
    }

    #[test]
    fn no_ring_is_lost() {
        let bell = Arc::new((Doorbell::new().unwrap(), AtomicUsize::new(0)));
        let ringer = bell.clone();
        let thread = std::thread::spawn(move || {
            for _ in 0..100_000 {
                ringer.1.fetch_add(1, Ordering::Relaxed);
                ringer.0.ring();
            }
        });
        let mut taken = 0;
        while taken < 100_000 {
            let (doorbell, left) = &*bell;
            taken += left.swap(0, Ordering::Relaxed);
            if taken < 100_000 {
                doorbell.sleep(|| left.load(Ordering::Relaxed) > 0, wait);
            }
        }
        thread.join().unwrap();
    }
}
