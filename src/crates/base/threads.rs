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

/// Runs `body` on a thread of its own, while `wait` waits until what it is given says that it has ended. Signals and panics: as
/// for [`spawn`].
pub fn apart<T: Send>(
    name: &str,
    body: impl FnOnce() -> T + Send,
    wait: impl FnOnce(&dyn Fn() -> bool),
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, || {
                let _ = SigSet::all().thread_block();
                guard(|| Ok(body())).ok()
            })?;
        wait(&|| thread.is_finished());
        let ended = thread.join().ok().flatten();
        ended.ok_or_else(|| io::Error::other("the thread has ended by a panic"))
    })
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
