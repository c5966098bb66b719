//! The HTTP servers of an instance: started, replaced and stopped.

use super::{slot, Instance};
use crate::handoff::{Handoff, Takeover};
use crate::http::shared::{Parts, Shared, Site};
use crate::http::{Listener, Server};
use crate::tx::{fiber, Tx};
use authkv_base::error::Error;
use authkv_config::HttpConfig;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the start of the HTTP server reports.
#[derive(Debug, serde::Serialize)]
pub struct HttpStarted {
    /// The addresses it listens on, written as in the settings.
    pub http: Vec<String>,
    /// The addresses of the admin listener, if it is on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub admin: Vec<String>,
    #[serde(rename = "legacy")]
    pub handoff: Handoff,
}

/// The HTTP server, and replaced servers that still finish their requests.
#[derive(Default)]
pub struct Http {
    pub(super) server: Option<Server>,
    pub(super) admin: Option<Server>,
    pub(super) leaving: Vec<Server>,
    /// For embedded requests, if this instance runs no HTTP server of its own.
    pub(super) shared: Option<Arc<Shared>>,
}

impl Instance {
    /// Starts the HTTP server and the admin listener, or replaces the running ones. The new ones take over sockets on unchanged
    /// addresses, of `takeover` if nothing runs yet. Connections of the old ones end after their next answer. The error says
    /// what is wrong; nothing has changed then. Does not yield.
    pub fn start_http(
        &'static self,
        config: Arc<HttpConfig>,
        takeover: Option<&Takeover>,
    ) -> Result<HttpStarted, String> {
        if self.life.is_stopping() {
            return Err(Error::ShuttingDown.to_string());
        }
        let mut http = self.http();
        let parts = self.parts();
        // An address may move from one server to the other.
        let mut open: Vec<&Listener> = [&http.server, &http.admin]
            .into_iter()
            .flat_map(listeners)
            .collect();
        if let Some(left) = takeover {
            open.extend(left.listeners.iter().chain(&left.admin));
        }
        let start = |config, site| Server::start(&parts, config, site, &open);
        let admin = config.admin().map(Arc::new);
        let admin = admin.map(|config| start(config, Site::Admin)).transpose()?;
        let serves = (!config.listen.is_empty()).then(|| config.clone());
        let server = serves.map(|config| start(config, Site::Main)).transpose()?;
        self.bridge.memory.set_max(config.memory_max);
        let loops = server.as_ref().map(|server| server.loops.clone());
        self.health.begin_http(loops);
        let addresses = |server: &Option<Server>| {
            let all = listeners(server).iter();
            all.map(|one| one.listen.to_string()).collect()
        };
        let started = HttpStarted {
            http: addresses(&server),
            admin: addresses(&admin),
            handoff: Handoff::new(listeners(&server), listeners(&admin), &self.successor),
        };
        let Http {
            server: serving,
            admin: administering,
            leaving,
            ..
        } = &mut *http;
        let replaced = [
            std::mem::replace(serving, server),
            std::mem::replace(administering, admin),
        ];
        let kept: Vec<&Listener> = [serving, administering]
            .into_iter()
            .flat_map(|new| listeners(new))
            .collect();
        for mut replaced in replaced.into_iter().flatten() {
            replaced.close_listeners(&kept);
            replaced.leave();
            leaving.push(replaced);
        }
        leaving.retain(|server| !server.has_ended());
        http.shared = Some(Shared::new(&parts, config, Site::Main, usize::MAX));
        Ok(started)
    }

    /// Stops the HTTP server and finishes its requests, until this time. With `at_once`, idle connections close without one more
    /// request. The admin listener goes on. Returns whether all requests were finished. Yields.
    pub(super) fn end_http(&self, tx: &Tx, deadline: Instant, at_once: bool) -> bool {
        let servers = {
            let mut http = self.http();
            let mut servers = std::mem::take(&mut http.leaving);
            servers.extend(http.server.take());
            servers
        };
        self.finish(tx, servers, deadline, at_once)
    }

    /// Stops the HTTP server until it is started again, which makes the instance not ready, and finishes its requests within the
    /// limit of the configuration. The admin listener goes on. Returns whether all requests were finished. Yields.
    pub fn pause_http(&self, tx: &Tx) -> bool {
        self.health.end_http();
        self.end_http(tx, self.deadline(), true)
    }

    /// Accepts no more connections on the admin listener.
    pub(super) fn leave_admin(&self) {
        if let Some(admin) = &self.http().admin {
            admin.leave();
        }
    }

    /// Stops the admin listener, within this time. Yields.
    pub(super) fn end_admin(&self, tx: &Tx, deadline: Instant, at_once: bool) {
        let admin = self.http().admin.take();
        self.finish(tx, admin.into_iter().collect(), deadline, at_once);
    }

    /// When running requests have to be finished that are told to end now.
    pub(super) fn deadline(&self) -> Instant {
        // Workers apply the limit themselves; the extra time is for their threads to end.
        Instant::now() + self.core.config.live().shutdown_timeout + Duration::from_millis(500)
    }

    fn finish(&self, tx: &Tx, mut servers: Vec<Server>, deadline: Instant, at_once: bool) -> bool {
        for server in &mut servers {
            match at_once {
                true => {
                    // A successor still needs the files of unix sockets.
                    server.close_listeners(&[]);
                    server.stop();
                }
                false => server.leave(),
            }
        }
        fiber::wait_until(tx, deadline, || {
            if slot::is_successor_stopping(self) {
                servers.iter().for_each(Server::stop);
            }
            servers.iter().all(Server::has_ended)
        })
    }

    /// The shared state for embedded requests.
    pub fn shared(&'static self) -> Arc<Shared> {
        let mut http = self.http();
        let shared = http.server.as_ref().map(|server| server.shared.clone());
        shared.unwrap_or_else(|| {
            let config = self.core.config.http.clone();
            let new = || Shared::new(&self.parts(), config, Site::Main, usize::MAX);
            http.shared.get_or_insert_with(new).clone()
        })
    }

    /// The parts of this instance that the HTTP server uses.
    pub(super) fn parts(&'static self) -> Parts {
        Parts {
            core: &self.core,
            bridge: &self.bridge,
            life: self.life.clone(),
            types: self.types,
            health: self.health.clone(),
        }
    }

    /// What a successor takes over.
    pub(super) fn handoff(&self) -> Handoff {
        let http = self.http();
        Handoff::new(
            listeners(&http.server),
            listeners(&http.admin),
            &self.successor,
        )
    }

    /// Drops the shared state for embedded requests. A request after the end may have made it.
    pub(super) fn forget_shared(&self) {
        self.http().shared = None;
    }

    pub(super) fn http(&self) -> MutexGuard<'_, Http> {
        self.http.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listening sockets of a server, if there is one.
fn listeners(server: &Option<Server>) -> &[Listener] {
    server.as_ref().map_or(&[], Server::listeners)
}
