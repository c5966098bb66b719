//! Whether this instance may write. Runs on the tx thread.
//!
//! If `replication` changes on a running instance, the instance is an orphan and read-only until it has caught up. In Tarantool
//! 2 `box.cfg` waits for that (`replication_sync_timeout`). In Tarantool 3 it does not, so the leader of a replica set refuses
//! to write for some milliseconds. So commands that write wait until the instance has caught up.

use super::{fiber, Tx};
use std::cell::Cell;
use std::ffi::c_int;
use std::time::{Duration, Instant};

extern "C" {
    fn box_is_ro() -> bool;
    fn box_wait_ro(ro: bool, timeout: f64) -> c_int;
}

/// How long commands wait for an orphan, counted from the first command that waited.
const PATIENCE: Duration = Duration::from_secs(3);

/// When commands first and last found this instance to be an orphan.
type Met = (Instant, Instant);

thread_local! {
    /// Used on the tx thread only.
    static MET: Cell<Option<Met>> = const { Cell::new(None) };
}

/// Whether replicated spaces cannot be written here. Does not yield.
pub fn is_read_only(_tx: &Tx) -> bool {
    // SAFETY: reads variables of the tx thread, on the tx thread.
    unsafe { box_is_ro() }
}

/// Waits a limited time while this instance is read-only only because it is an orphan. If the wait was in vain, later commands
/// return at once, until the instance has caught up. Yields only while it waits.
pub fn outlast(tx: &Tx) {
    if !is_read_only(tx) {
        return;
    }
    let now = Instant::now();
    // If no command has met an orphan for so long, this is a new case.
    let is_same = |met: &Met| now.duration_since(met.1) < PATIENCE;
    let since = MET.get().filter(is_same).map_or(now, |met| met.0);
    let left = (since + PATIENCE).saturating_duration_since(now);
    if !is_orphan() {
        return;
    }
    if !left.is_zero() && !fiber::is_cancelled(tx) {
        // SAFETY: as above. It yields, which procedures and fibers of authkv may. Its result does not matter: the state is
        // checked below.
        unsafe { box_wait_ro(false, left.as_secs_f64()) };
    }
    let met = is_read_only(tx).then(|| (since, Instant::now()));
    MET.set(met);
}

/// Whether this instance is read-only only because it is an orphan. Evaluates Lua.
fn is_orphan() -> bool {
    tarantool::lua_state()
        .eval("return require('authkv.schema').is_orphan()")
        .unwrap_or_default()
}
