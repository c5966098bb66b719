//! Fibers, and ways for them to wait.

use super::{log, Tx};
use authkv_base::error::Error;
use authkv_base::guard::guard;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};
use tarantool::ffi::tarantool::{fiber_self, CoIOFlags};

pub use tarantool::fiber::Cond;

/// Starts a long-lived fiber and yields to it at once. A panic in `body` ends the fiber with a line in the log. Below Tarantool
/// 3.0 a start evaluates Lua, so start a fixed number of fibers, not one per request.
pub fn start(_tx: &Tx, name: &str, body: impl FnOnce(&Tx) + 'static) -> Result<(), Error> {
    let label = name.to_owned();
    let run = move || {
        // SAFETY: fibers run on the tx thread.
        let tx = unsafe { Tx::enter() };
        let ended = guard(|| {
            body(&tx);
            Ok(())
        });
        if ended.is_err() {
            log::error(&format!("fiber {label} has ended by a panic"));
        }
    };
    let started = tarantool::fiber::Builder::new()
        .name(name)
        .func(run)
        .start_non_joinable();
    started.map(|_| ()).map_err(|e| {
        log::error(&format!("cannot start the fiber {name}: {e}"));
        Error::Internal
    })
}

/// Tells the fibers that are alive apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiberId(usize);

/// The current fiber.
pub fn this(_tx: &Tx) -> FiberId {
    // SAFETY: takes nothing, on the tx thread. The pointer is not used as one.
    FiberId(unsafe { fiber_self() } as usize)
}

/// Whether the current fiber was cancelled. Waiting no longer yields then, so loops must end.
pub fn is_cancelled(_tx: &Tx) -> bool {
    tarantool::fiber::is_cancelled()
}

/// Waits. Yields.
pub fn sleep(_tx: &Tx, time: Duration) {
    tarantool::fiber::sleep(time);
}

/// Waits until `over` returns `true` or `deadline` has passed. Returns the last result of `over`. Looks every few milliseconds,
/// so it is only for rare waits that nothing wakes. Yields.
pub fn wait_until(tx: &Tx, deadline: Instant, over: impl Fn() -> bool) -> bool {
    while !over() && Instant::now() < deadline && !is_cancelled(tx) {
        sleep(tx, Duration::from_millis(5));
    }
    over()
}

/// Lets the event loop and the other fibers run once. Yields.
pub fn pass(tx: &Tx) {
    // `fiber_reschedule` would return before the event loop has checked its descriptors.
    sleep(tx, Duration::ZERO);
}

/// Runs `body` on a thread that Tarantool has for calls that block, and returns its result. `None` if it panics, or there is no
/// memory for it. Yields.
pub fn apart<T>(_tx: &Tx, body: impl FnOnce() -> T + Send) -> Option<T>
where
    T: Send,
{
    let (mut body, mut result) = (Some(body), None);
    let mut run = |_: Box<()>| {
        let body = body.take();
        result = guard(|| Ok(body.map(|body| body()))).ok().flatten();
        0
    };
    tarantool::coio::coio_call(&mut run, ());
    result
}

/// Waits until `fd` can be read. Yields.
pub fn wait_readable(_tx: &Tx, fd: BorrowedFd<'_>, timeout: Duration) {
    // A time-out is no error: the caller checks again.
    let _ = tarantool::coio::coio_wait(fd.as_raw_fd(), CoIOFlags::READ, timeout.as_secs_f64());
}
