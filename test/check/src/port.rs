//! Ports for servers that are started here, by `make bench` too.

use crate::Result;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

const FIRST: u32 = 10_000;
const WINDOW: u32 = 100;
const WINDOWS: u32 = 220;

/// The first port of a window, and what keeps other processes from it until this one ends.
struct Window(u32, #[allow(dead_code)] UnixListener);

/// A port on which nothing listens, not given before until the window is used up. Below the ephemeral ports, so that no
/// outgoing connection takes it while an instance restarts, in a window that no other process has, as in test/harness.py.
pub fn free_port() -> Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    static OWN: OnceLock<Option<Window>> = OnceLock::new();
    let own = OWN.get_or_init(claim).as_ref();
    let Window(first, _) = own.ok_or("every window of ports is taken")?;
    for _ in 0..WINDOW {
        let port = u16::try_from(first + GIVEN.fetch_add(1, Ordering::Relaxed) % WINDOW)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no free port in {first}..{}", first + WINDOW).into())
}

/// By an abstract socket, which is gone with the process, whatever ends it.
fn claim() -> Option<Window> {
    let own = std::process::id();
    (own..own + WINDOWS).find_map(|number| {
        let first = FIRST + number % WINDOWS * WINDOW;
        let name = format!("authkv-test-ports-{first}");
        let address = SocketAddr::from_abstract_name(name).ok()?;
        let claim = UnixListener::bind_addr(&address).ok()?;
        Some(Window(first, claim))
    })
}
