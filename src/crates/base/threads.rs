//! authkv's own threads, beside Tarantool's.

use crate::guard::guard;
use nix::sys::signal::SigSet;
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use std::io;
use std::thread::{Builder, JoinHandle};

/// The lowest priority, as a nice value (sched(7)).
const LAST: i32 = 19;

/// Lowers the priority of the current thread: it runs when other threads of this process do not. If every core is busy it gets
/// a small share of one.
pub fn give_way() {
    // On Linux each thread has a nice value of its own, and raising it is always allowed.
    let _ = setpriority_process(Some(gettid()), LAST);
}

/// Runs `body` on a new thread and returns its result. `wait` gets a function that says whether the thread has ended, and has
/// to wait for that. Signals and panics: see [`spawn`].
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

/// Starts a thread. It blocks all signals, because Tarantool handles them. A panic in `body` ends the thread, not the process.
pub fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(move || {
        // Fails only for an invalid mask.
        let _ = SigSet::all().thread_block();
        let _ = guard(|| {
            body();
            Ok(())
        });
    })
}
