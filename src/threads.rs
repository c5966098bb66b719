//! Threads of our own, beside Tarantool's.

use crate::guard::guard;
use nix::sys::signal::SigSet;
use std::io;
use std::thread::{Builder, JoinHandle};

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
