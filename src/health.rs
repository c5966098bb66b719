//! Whether the instance lives, and whether it is ready for requests: named checks, as Kubernetes has them.
//!
//! A fiber looks at the state of the instance once a second ([`watch`]) and leaves what it found in [`Health`]. Whoever asks, on
//! any thread, only reads that, so that no check costs more under load, and an answer does not need the tx thread.

use crate::bridge::Bridge;
use crate::core::Core;
use crate::disk::Disk;
use crate::offload::Pool;
use crate::tx::life::Life;
use crate::tx::{fiber, is_read_only, lua, overdue, refuses_transactions, source, Tx};
use arc_swap::ArcSwapOption;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time between two looks.
pub const PAUSE: Duration = Duration::from_secs(1);
/// A loop that has not turned for so long makes the instance not ready.
const SLOW: Duration = Duration::from_secs(3);
/// A loop that has not turned for so long is stuck: a new process would help.
const STUCK: Duration = Duration::from_secs(10);

/// A queue that is full for so long makes the instance not ready. A moment is no failure: the next request may find room.
const SATURATED: Duration = Duration::from_secs(5);

/// A named check, and why it fails, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    #[serde(rename = "reason", skip_serializing_if = "Option::is_none")]
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
    /// What the fiber found when it looked last.
    seen: ArcSwapOption<Vec<Check>>,
    /// HTTP was stopped, and not started again.
    http_stopped: AtomicBool,
    /// The instance has begun to stop.
    stopping: AtomicBool,
}

impl Health {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            tx: Beat::new(),
            workers: ArcSwapOption::empty(),
            seen: ArcSwapOption::empty(),
            http_stopped: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        })
    }

    /// Notes the event loops of the HTTP server that serves from now on, if the settings want one.
    pub fn begin_http(&self, workers: Option<Arc<Loops>>) {
        self.workers.store(workers);
        self.http_stopped.store(false, Ordering::Relaxed);
    }

    /// Notes that HTTP is stopped until it is started again.
    pub fn end_http(&self) {
        self.workers.store(None);
        self.http_stopped.store(true, Ordering::Relaxed);
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
        let http = self.http_stopped.load(Ordering::Relaxed);
        let http = http.then(|| Cow::from("HTTP was stopped by authkv.http.stop()"));
        let mut checks = vec![
            Check::new("shutdown", stopping),
            self.turns(SLOW),
            Check::new("http", http),
        ];
        checks.extend(
            self.seen
                .load()
                .iter()
                .flat_map(|seen| seen.iter().cloned()),
        );
        checks
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

/// A queue: its name, how many wait in it, and how many may.
type Queue = (&'static str, usize, usize);

/// Since when each queue is full.
#[derive(Default)]
struct Full(BTreeMap<&'static str, Instant>);

impl Full {
    /// Why the instance is not ready, if one of these queues has been full for too long.
    fn look(&mut self, queues: &[Queue], now: Instant) -> Option<Cow<'static, str>> {
        let mut failed = None;
        for (name, waiting, limit) in queues {
            if waiting < limit {
                self.0.remove(name);
                continue;
            }
            let time = now.duration_since(*self.0.entry(name).or_insert(now));
            if time >= SATURATED {
                let seconds = time.as_secs();
                failed =
                    Some(format!("{name} is full for {seconds} s: {waiting} of {limit}").into());
            }
        }
        failed
    }
}

fn job_queue(bridge: &Bridge) -> Queue {
    let (waiting, limit) = bridge.queue();
    ("queue", waiting, limit)
}

fn pools(core: &Core) -> Vec<Queue> {
    let queue = |(name, pool): (&'static str, &Pool)| {
        let (waiting, limit) = pool.queue();
        (name, waiting, limit)
    };
    core.auth.pools().into_iter().map(queue).collect()
}

/// The body of the fiber that looks. Returns once the instance ends.
pub fn watch(tx: &Tx, parts: (&Core, &Bridge, &Disk), life: &Life, health: &Health) {
    let (mut queue, mut in_pools) = (Full::default(), Full::default());
    while !life.has_ended() && !fiber::is_cancelled(tx) {
        health.tx.turn();
        let (core, bridge, disk) = parts;
        let mut checks = look(tx, core, disk);
        let now = Instant::now();
        checks.push(Check::new("queue", queue.look(&[job_queue(bridge)], now)));
        checks.push(Check::new("pools", in_pools.look(&pools(core), now)));
        health.seen.store(Some(Arc::new(checks)));
        life.pause(tx, PAUSE);
    }
}

/// Looks at the parts of the instance. Does not yield.
fn look(tx: &Tx, core: &Core, disk: &Disk) -> Vec<Check> {
    let (auth, config) = (&core.auth, &core.config);
    let lost = auth
        .lost_space(tx)
        .map(|name| format!("the space {name} is not what it was at the start").into());
    let mut checks = vec![Check::new("schema", lost)];
    if config.services.auth {
        let lacks = auth.tokens.signing_key().is_none();
        let key = lacks.then(|| Cow::from("there is no key that signs tokens"));
        checks.push(Check::new("key", key));
    }
    // Asking Lua costs more, and a writable instance is ready whatever its replicas do.
    let (write, replication) = match is_read_only(tx) {
        true => lua::standby(tx, config.read_only),
        false => (None, None),
    };
    checks.push(Check::new("write", write.map(Cow::from)));
    checks.push(Check::new("replication", replication.map(Cow::from)));
    let leader = || {
        auth.following()
            .has_leader()
            .then(|| "the leader".to_owned())
    };
    let whom = config.follow.as_ref().map(|all| all.join(" or "));
    if let Some(whom) = whom.or_else(leader) {
        let failed = auth.check_following().err();
        let failed = failed.map(|_| format!("nothing was heard of {whom} for too long").into());
        checks.push(Check::new("follow", failed));
    }
    checks.push(Check::new("disk", disk.fault(tx).map(Cow::from)));
    let late = overdue(tx).map(|time| {
        let time = time.as_secs();
        format!("a write that began {time} s ago has not been confirmed").into()
    });
    checks.push(Check::new("commits", late));
    let split = source::split_brain(tx);
    checks.push(Check::new("split", split.map(Cow::from)));
    let gone = refuses_transactions(tx);
    let gone = gone.then(|| Cow::from("the files of the data are gone"));
    checks.push(Check::new("data", gone));
    checks
}

/// The health of an instance, for the console.
#[derive(Serialize)]
pub struct Report {
    live: Vec<Check>,
    ready: Vec<Check>,
    /// The id of the key that signs tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    queue: Queue,
    pools: Vec<Queue>,
    /// Seconds since a write has succeeded.
    written_ago: u64,
    services: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    follow: Option<String>,
}

/// The health now. Does not yield.
pub fn report(tx: &Tx, parts: (&Core, &Bridge, &Disk), health: &Health) -> Report {
    let (core, bridge, disk) = parts;
    let services = core.config.services;
    let offered = [("auth", services.auth), ("kv", services.kv)];
    let offered = offered.into_iter().filter(|(_, is_offered)| *is_offered);
    Report {
        live: health.live(),
        ready: health.ready(),
        key: core.auth.tokens.signing_key().filter(|_| services.auth),
        queue: job_queue(bridge),
        pools: pools(core),
        written_ago: disk.written_ago(tx).as_secs(),
        services: offered.map(|(name, _)| name).collect(),
        follow: core.config.follow.as_ref().map(|all| all.join(", ")),
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
            seen: ArcSwapOption::empty(),
            http_stopped: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        };
        let slow = with(SLOW + PAUSE);
        assert_eq!(names(slow.ready()), ["tx"]);
        assert!(names(slow.live()).is_empty());
        let stuck = with(STUCK + PAUSE);
        assert_eq!(names(stuck.live()), ["tx"]);
        stuck.tx.turn();
        assert!(names(stuck.live()).is_empty());
        health.begin_http(Some(Arc::new(Loops(vec![
            before(STUCK + PAUSE),
            Beat::new(),
        ]))));
        assert_eq!(names(health.live()), ["workers"]);
        health.end_http();
        assert!(names(health.live()).is_empty());
        assert_eq!(names(health.ready()), ["http"]);
        health.begin_http(None);
        health.stop();
        assert_eq!(names(health.ready()), ["shutdown"]);
    }

    #[test]
    fn only_a_queue_that_stays_full_is_a_failure() {
        let now = Instant::now();
        let mut full = Full::default();
        let mut look = |waiting, after| full.look(&[("a", 0, 9), ("b", waiting, 9)], now + after);
        assert_eq!(look(9, Duration::ZERO), None);
        assert_eq!(look(9, SATURATED / 2), None);
        assert_eq!(look(8, SATURATED), None);
        assert_eq!(look(9, SATURATED), None);
        let reason = look(9, SATURATED * 2).unwrap();
        assert_eq!(reason, "b is full for 5 s: 9 of 9");
        assert_eq!(look(0, SATURATED * 2), None);
    }
}
