//! Whether this instance may write. Runs on the tx thread.
//!
//! An instance whose `replication` is changed while it runs is an orphan until it has caught up, and read-only meanwhile. In
//! Tarantool 2 `box.cfg` waits for that (`replication_sync_timeout`), in Tarantool 3 it does not: the leader of a replica
//! set refuses to write for some milliseconds. So a command that writes waits for the end of it.

use super::{fiber, Tx};
use std::cell::Cell;
use std::ffi::c_int;
use std::time::{Duration, Instant};

extern "C" {
    fn box_is_ro() -> bool;
    fn box_wait_ro(ro: bool, timeout: f64) -> c_int;
}

/// How long commands wait for an orphan, reckoned from when the first one began to.
const PATIENCE: Duration = Duration::from_secs(3);

/// Since when commands have met an orphan, and when the last one did.
type Met = (Instant, Instant);

thread_local! {
    /// Of the tx thread.
    static MET: Cell<Option<Met>> = const { Cell::new(None) };
}

/// Whether nothing that is replicated can be written here. Does not yield.
pub fn is_read_only(_tx: &Tx) -> bool {
    // SAFETY: it reads variables of the tx thread, on which we are.
    unsafe { box_is_ro() }
}

/// Waits while this instance is an orphan that could write otherwise, for a bounded time. Where it has waited in vain,
/// the next ones do not wait before that has ended. It yields then only.
pub fn outlast(tx: &Tx) {
    if !is_read_only(tx) {
        return;
    }
    let now = Instant::now();
    // One that nobody has met for so long was another.
    let is_same = |met: &Met| now.duration_since(met.1) < PATIENCE;
    let since = MET.get().filter(is_same).map_or(now, |met| met.0);
    let left = (since + PATIENCE).saturating_duration_since(now);
    if !is_orphan() {
        return;
    }
    if !left.is_zero() && !fiber::is_cancelled(tx) {
        // SAFETY: as above; it yields, which a procedure or a fiber of ours may. Its result says what is asked below.
        unsafe { box_wait_ro(false, left.as_secs_f64()) };
    }
    let met = is_read_only(tx).then(|| (since, Instant::now()));
    MET.set(met);
}

/// Whether it is read-only for that reason only. Evaluates Lua.
fn is_orphan() -> bool {
    tarantool::lua_state()
        .eval("return require('authkv.schema').is_orphan()")
        .unwrap_or_default()
}
