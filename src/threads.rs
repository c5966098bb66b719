//! Threads of our own, beside Tarantool's.

use crate::guard::guard;
use nix::sys::signal::SigSet;
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use std::io;
use std::thread::{Builder, JoinHandle};

/// The nice value of threads that others should not wait for (sched(7)).
const LAST: i32 = 19;

/// Has the present thread run when others of this process do not want to. Where every core is busy it gets a small
/// share of one.
pub fn give_way() {
    // In Linux a thread has a nice value of its own; to raise it is always allowed.
    let _ = setpriority_process(Some(gettid()), LAST);
}

/// Starts a thread. Signals are Tarantool's to handle, so it blocks them all; a panic in `body` ends the
/// thread, not the process.
pub fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(move || {
        // It fails for a mask that is not valid only.
        let _ = SigSet::all().thread_block();
        let _ = guard(|| {
            body();
            Ok(())
        });
    })
}
