//! Whether the instance lives, and whether it is ready for requests: named checks, as Kubernetes has them.
//!
//! A fiber looks at the state of the instance once a second ([`watch`]) and leaves what it found in [`Health`]. Whoever asks, on
//! any thread, only reads that, so that no check costs more under load, and an answer does not need the tx thread.

use crate::tx::life::Life;
use crate::tx::{fiber, Tx};
use arc_swap::ArcSwapOption;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time between two looks.
pub const PAUSE: Duration = Duration::from_secs(1);
/// A loop that has not turned for so long makes the instance not ready.
const SLOW: Duration = Duration::from_secs(3);
/// A loop that has not turned for so long is stuck: a new process would help.
const STUCK: Duration = Duration::from_secs(10);

/// A named check, and why it fails, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub failed: Option<Cow<'static, str>>,
}

impl Check {
    fn new(name: &'static str, failed: Option<Cow<'static, str>>) -> Self {
        Self { name, failed }
    }
}

/// When a loop has turned last. Any thread.
pub struct Beat {
    begun: Instant,
    /// Milliseconds since `begun`.
    at: AtomicU64,
}

impl Beat {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            at: AtomicU64::new(0),
        }
    }

    /// Notes that the loop turns.
    pub fn turn(&self) {
        let now = self.begun.elapsed().as_millis() as u64;
        self.at.store(now, Ordering::Relaxed);
    }

    /// How long ago the loop has turned.
    fn age(&self) -> Duration {
        let at = Duration::from_millis(self.at.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(at)
    }
}

/// The event loops of an HTTP server.
pub struct Loops(Vec<Beat>);

impl Loops {
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self((0..count).map(|_| Beat::new()).collect()))
    }

    /// The loop of this number.
    pub fn get(&self, number: usize) -> Option<&Beat> {
        self.0.get(number)
    }

    /// How many of them are stuck or have ended.
    fn stuck(&self) -> usize {
        self.0.iter().filter(|beat| beat.age() > STUCK).count()
    }
}

/// The health of an instance. Any thread.
pub struct Health {
    /// The event loop of tx.
    tx: Beat,
    /// Those of the HTTP server, if one serves.
    workers: ArcSwapOption<Loops>,
    /// The instance has begun to stop.
    stopping: AtomicBool,
}

impl Health {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            tx: Beat::new(),
            workers: ArcSwapOption::empty(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Notes the event loops of the HTTP server that serves now, if there is one.
    pub fn serve(&self, workers: Option<Arc<Loops>>) {
        self.workers.store(workers);
    }

    /// Notes that the instance begins to stop: from now on it is not ready.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The checks of `/livez`: if one fails, a new process helps.
    pub fn live(&self) -> Vec<Check> {
        let stuck = self.workers.load().as_ref().map_or(0, |all| all.stuck());
        let workers = (stuck > 0).then(|| {
            let time = STUCK.as_secs();
            format!("{stuck} of the threads that serve HTTP did nothing for {time} s").into()
        });
        vec![self.turns(STUCK), Check::new("workers", workers)]
    }

    /// The checks of `/readyz`: if one fails, requests should go to other instances.
    pub fn ready(&self) -> Vec<Check> {
        let stopping = self.stopping.load(Ordering::Relaxed);
        let stopping = stopping.then(|| Cow::from("the instance is stopping"));
        vec![self.turns(SLOW), Check::new("shutdown", stopping)]
    }

    /// Whether the event loop of tx has turned lately.
    fn turns(&self, limit: Duration) -> Check {
        let failed = (self.tx.age() > limit).then(|| {
            let age = self.tx.age().as_secs();
            format!("the tx thread did nothing else for {age} s").into()
        });
        Check::new("tx", failed)
    }
}

/// The body of the fiber that looks. Returns once the instance ends.
pub fn watch(tx: &Tx, life: &Life, health: &Health) {
    while !life.has_ended() && !fiber::is_cancelled(tx) {
        health.tx.turn();
        life.pause(tx, PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_turn_is_noticed() {
        let health = Health::new();
        let names = |checks: Vec<Check>| -> Vec<&str> {
            let failing = checks.into_iter().filter(|check| check.failed.is_some());
            failing.map(|check| check.name).collect()
        };
        assert!(names(health.live()).is_empty() && names(health.ready()).is_empty());
        let before = |age| Beat {
            begun: Instant::now().checked_sub(age).unwrap(),
            at: AtomicU64::new(0),
        };
        let with = |age| Health {
            tx: before(age),
            workers: ArcSwapOption::empty(),
            stopping: AtomicBool::new(false),
        };
        let slow = with(SLOW + PAUSE);
        assert_eq!(names(slow.ready()), ["tx"]);
        assert!(names(slow.live()).is_empty());
        let stuck = with(STUCK + PAUSE);
        assert_eq!(names(stuck.live()), ["tx"]);
        stuck.tx.turn();
        assert!(names(stuck.live()).is_empty());
        health.serve(Some(Arc::new(Loops(vec![
            before(STUCK + PAUSE),
            Beat::new(),
        ]))));
        assert_eq!(names(health.live()), ["workers"]);
        health.serve(None);
        health.stop();
        assert_eq!(names(health.ready()), ["shutdown"]);
    }
}
