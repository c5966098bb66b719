//! The HTTP front: worker threads with an event loop each. It never touches a space, a fiber or Lua.

mod api;
mod body;
mod handler;
mod routes;
mod worker;

use crate::instance::Instance;
use crate::threads::spawn;
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
            permits: Arc::new(Semaphore::new(instance.config.http_connections_max)),
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
