//! The HTTP server: worker threads with an event loop each. They never use spaces, fibers or Lua. Only [`embedded`], which
//! answers requests from another server, runs on the tx thread.

mod access_log;
mod access_log_guard;
mod api;
mod balancer;
pub mod carried;
mod commands;
mod compress;
mod cors;
mod deadline;
mod docs;
pub mod embedded;
mod events;
mod exchange;
mod h1;
mod h2;
mod lines;
mod listen;
pub mod metrics;
mod metrics_page;
mod openapi;
mod outgoing;
mod pages;
mod pair;
mod piece;
mod probe;
mod proxy_auth;
mod rate_limit;
mod render;
mod request_id;
mod response;
pub mod shared;
mod stop;
mod stream;
mod tls;
pub mod usage;
mod v1;
mod worker;

use crate::bridge::Bridge;
use crate::health::Loops;
use authkv_base::descriptors::{self, RESERVED};
use authkv_base::threads::spawn;
use authkv_config::{HttpConfig, ADMIN_CONNECTIONS};
use balancer::Balancer;
pub use listen::Listener;
use shared::{Parts, Shared, Site};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::thread::JoinHandle;
use stop::Signals;
use worker::Worker;

/// The running workers, and how to stop them.
pub struct Server {
    pub shared: Arc<Shared>,
    /// The event loops of the workers.
    pub loops: Arc<Loops>,
    listeners: Vec<Listener>,
    signals: Signals,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts the workers, which share the listening sockets. Sockets that already listen on an address of `config` are
    /// taken over. The error says what is wrong.
    pub fn start(
        parts: &Parts,
        config: Arc<HttpConfig>,
        site: Site,
        taken_over: &[&Listener],
    ) -> Result<Self, String> {
        let mut listeners = Vec::new();
        for listen in &config.listen {
            let known = taken_over.iter().find(|one| listen.is(&one.listen));
            let listener = known.map_or_else(|| Listener::bind(listen), |one| one.share(listen));
            let setting = match site {
                Site::Main => "AUTHKV_HTTP_LISTEN",
                Site::Admin => "AUTHKV_HTTP_ADMIN_LISTEN",
            };
            listeners
                .push(listener.map_err(|e| format!("{setting}: cannot listen on {listen}: {e}"))?);
        }
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let room = match site {
            Site::Main => connections(parts.bridge, &config),
            Site::Admin => config.connections_max,
        };
        let shared = Shared::new(parts, config, site, room);
        // Dropped if a later step fails, which ends the workers that have started.
        let mut server = Self {
            signals: Signals {
                leave: shared.leave.clone(),
                ..Signals::default()
            },
            loops: Loops::new(shared.config.workers),
            shared,
            listeners,
            workers: Vec::new(),
        };
        let (balancer, incoming) = Balancer::new(server.shared.config.workers);
        for (number, incoming) in incoming.into_iter().enumerate() {
            let shared = server.listeners.iter().map(|one| one.share(&one.listen));
            let worker = Worker {
                shared: server.shared.clone(),
                loops: server.loops.clone(),
                signals: server.signals.clone(),
                listeners: shared
                    .collect::<Result<_, _>>()
                    .map_err(|e| format!("cannot share a socket: {e}"))?,
                tls: tls.clone(),
                balancer: balancer.clone(),
                number,
                incoming,
            };
            let name = match site {
                Site::Main => format!("authkv-http-{number}"),
                Site::Admin => "authkv-admin".to_owned(),
            };
            let started = spawn(name, move || worker.run());
            let worker = started.map_err(|e| format!("cannot start threads: {e}"))?;
            server.workers.push(worker);
        }
        Ok(server)
    }

    /// The listening sockets, with the ports that the system chose for 0.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Closes this server's handles of the sockets, and removes the files of unix sockets that are not in `kept`.
    pub fn close_listeners(&mut self, kept: &[&Listener]) {
        for closed in self.listeners.drain(..) {
            if !kept.iter().any(|one| one.listen.is(&closed.listen)) {
                closed.remove_file();
            }
        }
    }

    /// Accepts no more connections. Open ones end after their next answer. Does not wait.
    pub fn leave(&self) {
        self.shared.leaving.store(true, Ordering::Relaxed);
        self.signals.leave.cancel();
    }

    /// Like `leave`, but idle connections end at once.
    pub fn stop(&self) {
        self.leave();
        self.signals.end.cancel();
    }

    /// Whether the workers have ended.
    pub fn has_ended(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How many connections the main listener can open.
fn connections(bridge: &Bridge, config: &HttpConfig) -> usize {
    let descriptors = descriptors::raise();
    let wanted = config.connections_max;
    let for_admin = match config.admin_listen.is_empty() {
        true => 0,
        false => ADMIN_CONNECTIONS,
    };
    let possible = usize::try_from(descriptors.saturating_sub(RESERVED)).unwrap_or(usize::MAX);
    let possible = possible.saturating_sub(for_admin);
    if possible < wanted {
        bridge.log(format!(
            "{possible} HTTP connections may be open, not {wanted}: the limit of descriptors (ulimit -n) is {descriptors}"
        ));
    }
    possible.max(1)
}
