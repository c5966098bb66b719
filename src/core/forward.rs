//! Forwarding: a read-only instance carries requests that write to the leader of its replica set, in the form in which its
//! transports got them. A request is sent once. Runs on the tx thread, except for what workers ask.

use super::Core;
use crate::auth::arrival;
use crate::tx::hop::{self, Told};
use crate::tx::{is_read_only, Tx};
use authkv_base::error::Error;
use authkv_base::memory::Memory;
use authkv_command::{Caller, Command, Lane, Operation, Outcome};
use authkv_config::Config;
use authkv_metrics::{list, per_thread, Family};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The procedure of the leader.
const PROCEDURE: &str = "carried";

/// How much longer than the leader's commits its answer may take: the request may wait there for a fiber, or for a hash.
const MARGIN: Duration = Duration::from_secs(5);
/// The same for a deletion of a range, which has many commits.
const MARGIN_OF_RANGES: Duration = Duration::from_secs(60);

/// The most bytes of requests that are on their way at a time. They are copied into Lua.
const BYTES_MAX: usize = 64 << 20;

/// The results of forwarding, in the order of their counters.
const RESULTS: [&str; 3] = ["answered", "refused", "unknown"];

per_thread! {
    /// Requests that were to be forwarded, by their results.
    static COUNTS: RESULTS.len();
}

/// Whether this instance forwards.
pub struct Forward {
    /// The settings want it.
    by_setting: bool,
    /// This instance is read-only, so that transports have to keep requests as they got them.
    is_on: AtomicBool,
    /// Whether users of other issuers are made when they come.
    makes_users: bool,
    on_the_way: Arc<Memory>,
}

impl Forward {
    pub fn new(config: &Config) -> Self {
        Self {
            by_setting: config.forwards,
            is_on: AtomicBool::new(false),
            makes_users: config.trusted_issuers.is_some(),
            on_the_way: Memory::new(BYTES_MAX),
        }
    }

    /// Notes whether this instance leads. Does not yield.
    pub fn look(&self, tx: &Tx) {
        if self.by_setting {
            let is_on = is_read_only(tx);
            self.is_on.store(is_on, Ordering::Relaxed);
        }
    }

    /// Whether a request for this operation may have to be forwarded, so that its transport has to keep it. Any thread.
    pub fn may_carry(&self, operation: Operation) -> bool {
        self.is_on.load(Ordering::Relaxed) && (operation.may_write() || self.makes_users)
    }

    /// Whether a request of this caller may have to be forwarded. Any thread.
    pub fn may_carry_for(&self, operation: Operation, caller: &Caller) -> bool {
        let arrives = || match caller {
            Caller::Bearer(claims) => claims.outside.as_ref().is_some_and(|one| one.creates),
            _ => false,
        };
        self.may_carry(operation) && (operation.may_write() || arrives())
    }

    /// What was counted. Any thread.
    pub fn metrics(&self) -> Vec<Family> {
        if !self.by_setting {
            return Vec::new();
        }
        let counts = COUNTS.sums();
        vec![list::FORWARDED.labelled(RESULTS.into_iter().zip(counts.iter().copied()))]
    }
}

/// Has the leader execute a request, if this instance may not and the request was kept as it came. `None` if this instance is to
/// execute it: then the leader has done nothing. After the answer this instance waits for a moment until it has what the leader
/// had then, so that its client reads what it wrote. Errors: `OutcomeUnknown` if the answer is lost, `Overloaded`. Yields.
pub fn forward(
    tx: &Tx,
    core: &'static Core,
    caller: &Caller,
    command: &Command,
    carried: Option<&[u8]>,
) -> Option<Result<Outcome, Error>> {
    core.forward.look(tx);
    let carried = carried.filter(|_| is_read_only(tx))?;
    let operation = command.operation();
    if !operation.may_write() && !arrival::is_new(tx, &core.auth, caller) {
        return None;
    }
    // One that is larger goes alone.
    let bytes = carried.len().min(BYTES_MAX);
    let Some(_held) = core.forward.on_the_way.hold(bytes) else {
        return Some(Err(Error::Overloaded {
            what: "bytes of requests on their way to the leader",
            limit: BYTES_MAX,
        }));
    };
    let begun = Instant::now();
    let margin = match operation.row().lane {
        Lane::Purge => MARGIN_OF_RANGES,
        _ => MARGIN,
    };
    let patience = core.config.live().commit_timeout + margin;
    let (place, result) = match hop::ask(tx, PROCEDURE, carried, patience) {
        Told::Answered(text) => (0, Some(answered(tx, core, &text, patience, begun))),
        Told::Refused | Told::Unsent => (1, None),
        Told::Lost => (2, Some(Err(lost(begun)))),
    };
    COUNTS.add(place, 1);
    result
}

/// The answer is lost.
fn lost(begun: Instant) -> Error {
    let seconds = begun.elapsed().as_secs_f64().ceil();
    Error::OutcomeUnknown {
        seconds: (seconds as u64).max(1),
    }
}

/// Takes the answer of the leader. Yields until this instance has what the leader had, or for a moment.
fn answered(
    tx: &Tx,
    core: &Core,
    text: &[u8],
    patience: Duration,
    begun: Instant,
) -> Result<Outcome, Error> {
    let (position, answer) = hop::read_reply(text).ok_or_else(|| lost(begun))?;
    if let Some(position) = position {
        let left = patience.saturating_sub(begun.elapsed());
        hop::await_position(tx, &position, left.min(core.config.replication_timeout));
    }
    Ok(Outcome::Carried(answer))
}
