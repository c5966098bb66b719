//! Ports for servers that are started here, by `make bench` too.

use crate::Result;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port on which nothing listens, not given before until the window is used up. Below the ephemeral ports, so that no
/// outgoing connection takes it while an instance restarts, in a window of this process.
pub fn free_port() -> Result<u16> {
    const WINDOW: u32 = 100;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = 10_000 + std::process::id() % 220 * WINDOW;
    for _ in 0..WINDOW {
        let port = u16::try_from(first + GIVEN.fetch_add(1, Ordering::Relaxed) % WINDOW)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no free port in {first}..{}", first + WINDOW).into())
}
