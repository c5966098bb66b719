//! The one place that holds the instances of this image. It is emptied and filled again. Runs on the tx thread.

use super::Instance;
use crate::allocator;
use crate::tx::lent::Lent;
use crate::tx::{fiber, log, Tx};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

struct Slot {
    /// Procedures use it. It may be stopped.
    current: Option<&'static Instance>,
    /// `current`, its successor while that starts, and its predecessor until that has ended.
    all: Vec<Lent<Instance>>,
}

static SLOT: Mutex<Slot> = Mutex::new(Slot {
    current: None,
    all: Vec::new(),
});

/// How long users of an ended instance may take to let go of it, beyond the time for running requests.
const LEAVING: Duration = Duration::from_secs(2);

fn slot() -> MutexGuard<'static, Slot> {
    SLOT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The instance that procedures use, which may be stopped.
pub fn current() -> Option<&'static Instance> {
    slot().current
}

/// Puts an instance in. Procedures use it at once if there is no other.
pub fn add(instance: Instance) -> &'static Instance {
    let lent = Lent::new(instance);
    let instance = lent.get();
    let mut slot = slot();
    slot.all.push(lent);
    slot.current.get_or_insert(instance);
    instance
}

/// Makes procedures use this instance.
pub fn make_current(instance: &'static Instance) {
    slot().current = Some(instance);
}

/// Whether another instance has replaced this one and has been stopped since.
pub fn is_successor_stopping(instance: &Instance) -> bool {
    current().is_some_and(|one| !std::ptr::eq(one, instance) && one.life.is_stopping())
}

/// Waits until the predecessor of the current instance has ended. So there are never more than two instances and a new one.
/// `time`: how long its running requests may take. Yields.
pub fn wait_for_predecessor(tx: &Tx, time: Duration) {
    let deadline = Instant::now() + time + 2 * LEAVING;
    fiber::wait_until(tx, deadline, || slot().all.len() <= 1);
}

/// Takes out an instance that has ended, and frees it once nobody uses it. Yields.
pub fn free(tx: &Tx, instance: &'static Instance) {
    let lent = {
        let mut slot = slot();
        slot.current.take_if(|one| std::ptr::eq(*one, instance));
        let is_it = |lent: &Lent<Instance>| std::ptr::eq(lent.get(), instance);
        let place = slot.all.iter().position(is_it);
        place.map(|place| slot.all.remove(place))
    };
    let Some(lent) = lent else { return };
    let is_unused = || {
        instance.forget_shared();
        instance.life.users().is_empty()
    };
    let left = fiber::wait_until(tx, Instant::now() + LEAVING, is_unused);
    if !(left && lent.free(tx, |instance| instance.life.users())) {
        log::warn("something still uses what was stopped: its memory stays until the process ends");
    }
    // Threads that have ended leave their memory to the others, and in an image without an instance there are none.
    allocator::give_back();
}
