//! The HTTP front: worker threads with an event loop each. It never touches a space, a fiber or Lua.

mod api;
mod body;
mod docs;
mod handler;
mod openapi;
mod routes;
mod worker;

use crate::instance::Instance;
use crate::threads::spawn;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{watch, Semaphore};
use worker::Shared;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// The workers and what ends them.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` and starts the workers, which share the listening socket.
    pub fn start(instance: &'static Instance, address: SocketAddr) -> io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Shared {
            instance,
            stopped,
            permits: Arc::new(Semaphore::new(connections_max(instance))),
        };
        let mut workers = Vec::new();
        for number in 0..instance.config.http_workers {
            let (listener, shared) = (listener.try_clone()?, shared.clone());
            let body = move || worker::run(shared, listener);
            workers.push(spawn(format!("authkv-http-{number}"), body)?);
        }
        Ok(Self {
            address,
            stop,
            workers,
        })
    }

    /// The address it listens on, with the port the system chose where that was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting; connections end with the request they are at. Does not wait.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the workers have ended.
    pub fn has_ended(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }
}

/// The connections that may be open: what the settings say, or less where the process may not open as many
/// descriptors. Tarantool needs some of them itself, and floods its log without them.
fn connections_max(instance: &Instance) -> usize {
    const RESERVED: u64 = 256;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it cannot be raised, it stays as it is.
    let _ = setrlimit(Resource::Nofile, raised);
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = instance.config.http_connections_max;
    let possible = usize::try_from(descriptors.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    if possible < wanted {
        instance.bridge.log(format!(
            "{possible} HTTP connections may be open, not {wanted}: the limit of descriptors (ulimit -n) is {descriptors}"
        ));
    }
    wanted.min(possible.max(1))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
