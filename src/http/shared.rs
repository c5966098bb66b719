//! The shared state of the HTTP server: the settings, and the use of what is limited.

use super::docs::{self, File};
use super::metrics;
use super::request_id::Ids;
use crate::bridge::Bridge;
use crate::core::limits::Limits;
use crate::core::Core;
use crate::health::Health;
use crate::tx::lent::User;
use crate::tx::life::Life;
use arc_swap::ArcSwapOption;
use authkv_base::error::Error;
use authkv_base::memory::Memory;
use authkv_base::origin::Peer;
use authkv_codec::types::Types;
use authkv_config::{Config, ForwardedHeader, HttpConfig, LiveConfig};
use authkv_token::Tokens;
use authkv_wire::forwarded;
use authkv_wire::head::{Field, Head};
use authkv_wire::routes::Delivery;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How many refused connections get an explanation at a time. Others are just closed.
const TURNING_AWAY_MAX: usize = 64;

/// What a server is for, which decides what it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Operations and pages, for clients.
    Main,
    /// Pages for the operator.
    Admin,
}

/// Used by the workers, and by the tx thread for embedded requests.
pub struct Shared {
    pub site: Site,
    pub health: Arc<Health>,
    pub bridge: &'static Bridge,
    pub core: &'static Core,
    pub tokens: &'static Tokens,
    pub limits: &'static Limits,
    pub life: Arc<Life>,
    pub config: Arc<HttpConfig>,
    /// The settings of the instance.
    pub settings: Arc<Config>,
    /// The extension types that this Tarantool knows.
    pub types: Types,
    pub ids: Ids,
    /// Connections end after their present request.
    pub leaving: AtomicBool,
    /// Wakes tasks that wait when `leaving` is set.
    pub leave: CancellationToken,
    /// The memory of changes that clients of watches have not taken yet. It is a share of the memory for answers, so that
    /// slow clients leave the rest to others.
    pub watched: Arc<Memory>,
    /// The revision of the last change of which watches were notified.
    pub notifications: watch::Sender<u64>,
    /// The OpenAPI document, made at the first request, and the live settings that it describes.
    document: ArcSwapOption<(Arc<LiveConfig>, Arc<File>)>,
    requests: AtomicUsize,
    watches: AtomicUsize,
    /// Answers in pieces that are being sent, by the numbers of [`metrics::STREAMS`].
    streams: [AtomicUsize; metrics::STREAMS.len()],
    connections: AtomicUsize,
    /// Connections that are being refused.
    turning_away: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    connections_max: usize,
    /// Keeps the instance alive.
    _user: User,
}

/// The parts of the instance that the HTTP server uses.
pub struct Parts {
    pub core: &'static Core,
    pub bridge: &'static Bridge,
    pub life: Arc<Life>,
    pub types: Types,
    pub health: Arc<Health>,
}

/// The shortest time between two change notifications: watches then read together, and a commit wakes one task only.
const NOTIFY_EVERY: Duration = Duration::from_millis(20);
/// Extra time per watch, because each read takes time on tx, more for users with many permissions.
const LOOK: Duration = Duration::from_micros(200);

/// A request between its head and the end of its answer. It is released before the last bytes are sent, so that the client
/// can send its next request at once.
pub struct InFlight(Arc<Shared>);

/// A watch that is sending.
pub struct Watching(Arc<Shared>);

/// An answer in pieces that is being sent.
pub struct Streaming(Arc<Shared>, usize);

/// How much is in use.
pub struct Used {
    pub connections: usize,
    pub requests: usize,
    pub streams: [usize; metrics::STREAMS.len()],
}

/// An open connection.
pub struct Permit {
    shared: Arc<Shared>,
    network: Option<IpAddr>,
}

impl Shared {
    /// `descriptors` is how many connections the process can open.
    pub fn new(
        parts: &Parts,
        config: Arc<HttpConfig>,
        site: Site,
        descriptors: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            site,
            health: parts.health.clone(),
            bridge: parts.bridge,
            core: parts.core,
            tokens: &parts.core.auth.tokens,
            limits: &parts.core.limits,
            life: parts.life.clone(),
            settings: parts.core.config.clone(),
            types: parts.types,
            _user: parts.life.add_user(),
            connections_max: config.connections_max.min(descriptors),
            watched: Memory::new(config.memory_max / 4),
            config,
            ids: Ids::new(),
            leaving: AtomicBool::new(false),
            leave: CancellationToken::new(),
            notifications: watch::Sender::new(0),
            document: ArcSwapOption::empty(),
            requests: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
            streams: Default::default(),
            connections: AtomicUsize::new(0),
            turning_away: Arc::new(Semaphore::new(TURNING_AWAY_MAX)),
            by_address: Mutex::default(),
        })
    }

    /// The file of the documentation with this path, if the settings enable them.
    pub fn file(&self, path: &str) -> Option<Arc<File>> {
        if !self.config.docs {
            return None;
        }
        if path != docs::DOCUMENT {
            return docs::find(path);
        }
        let live = Arc::clone(&self.settings.live());
        match &*self.document.load() {
            Some(made) if Arc::ptr_eq(&made.0, &live) => Some(made.1.clone()),
            _ => {
                let page = docs::document(&self.settings, &self.config);
                self.document.store(Some(Arc::new((live, page.clone()))));
                Some(page)
            }
        }
    }

    /// Counts a request until the result is dropped. `None` if there are too many.
    pub fn begin_request(self: &Arc<Self>) -> Option<InFlight> {
        take(&self.requests, self.config.requests_max).then(|| InFlight(self.clone()))
    }

    /// Counts a watch until the result is dropped. Errors: `Overloaded`.
    pub fn begin_watch(self: &Arc<Self>) -> Result<Watching, Error> {
        let limit = self.settings.live().watch_max;
        let what = "watches at a time";
        match take(&self.watches, limit) {
            true => Ok(Watching(self.clone())),
            false => Err(Error::Overloaded { what, limit }),
        }
    }

    /// Counts an answer in pieces until the result is dropped.
    pub fn begin_stream(self: &Arc<Self>, delivery: Delivery) -> Option<Streaming> {
        let kind = match delivery {
            Delivery::Whole => return None,
            Delivery::Watch => 0,
            Delivery::Export => 1,
            Delivery::Import => 2,
        };
        self.streams[kind].fetch_add(1, Ordering::Relaxed);
        Some(Streaming(self.clone(), kind))
    }

    pub fn used(&self) -> Used {
        let number = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Used {
            connections: number(&self.connections),
            requests: number(&self.requests),
            streams: self.streams.each_ref().map(number),
        }
    }

    /// The most connections that may be open.
    pub fn connections_max(&self) -> usize {
        self.connections_max
    }

    /// Notifies watches of changes that tx has committed. Does not return.
    pub async fn notify_watches(&self) {
        let mut notifications = self.bridge.notifications.subscribe();
        // The sender is never dropped.
        while notifications.changed().await.is_ok() {
            let revision = *notifications.borrow_and_update();
            self.notifications.send_replace(revision);
            let watches = self.watches.load(Ordering::Relaxed) as u32;
            tokio::time::sleep(NOTIFY_EVERY.max(LOOK * watches)).await;
        }
    }

    /// Counts a connection until the result is dropped. Errors: `Overloaded`; those of [`Permit::count`].
    pub fn admit(self: &Arc<Self>, peer: &Peer) -> Result<Permit, Error> {
        if !take(&self.connections, self.connections_max) {
            metrics::refused(false);
            return Err(Error::Overloaded {
                what: "connections",
                limit: self.connections_max,
            });
        }
        let mut permit = Permit {
            shared: self.clone(),
            network: None,
        };
        permit.count(peer)?;
        metrics::accepted();
        Ok(permit)
    }

    /// Whose request it is: the client that a trusted proxy reports, otherwise the peer of the connection.
    pub fn client(&self, peer: &Peer, head: &Head) -> Peer {
        let proxies = &self.config.proxies;
        let list = match proxies.header {
            ForwardedHeader::None => return peer.clone(),
            ForwardedHeader::XForwardedFor => &head.x_forwarded_for,
            ForwardedHeader::Forwarded => &head.forwarded,
        };
        let address = match peer {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix => None,
            _ => return peer.clone(),
        };
        let Field::One(list) = list else {
            return peer.clone();
        };
        forwarded::client(proxies, address, list).map_or_else(|| peer.clone(), Peer::Behind)
    }

    /// Whether limits of rates concern this client: neither a trusted proxy, nor whoever asks the admin listener.
    pub fn is_limited(&self, client: &Peer) -> bool {
        self.site == Site::Main && self.limits.any() && !self.is_proxy(client)
    }

    /// Counts a request for the address of its client, if limits concern it. Errors: `TooManyRequests`.
    pub fn admit_request(&self, client: &Peer) -> Result<(), Error> {
        match self.is_limited(client) {
            true => self.limits.admit(client),
            false => Ok(()),
        }
    }

    /// Whether a peer is a trusted proxy.
    fn is_proxy(&self, peer: &Peer) -> bool {
        let proxies = &self.config.proxies;
        peer.address().is_some_and(|address| proxies.trust(address))
    }

    /// Counts a connection that is refused with an explanation. `None` if there are too many of them.
    pub fn turn_away(&self) -> Option<OwnedSemaphorePermit> {
        self.turning_away.clone().try_acquire_owned().ok()
    }

    fn by_address(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes one of `limit` places, if one is free. A refused attempt never counts, not even for a moment.
fn take(taken: &AtomicUsize, limit: usize) -> bool {
    let more = |taken| (taken < limit).then_some(taken + 1);
    taken
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .is_ok()
}

impl Permit {
    /// Counts the connection for the network of its peer, unless that is a trusted proxy. Errors: `TooManyConnections`.
    pub fn count(&mut self, peer: &Peer) -> Result<(), Error> {
        let config = &self.shared.config;
        let is_proxy = self.shared.is_proxy(peer);
        let Some(network) = peer.network().filter(|_| !is_proxy) else {
            return Ok(());
        };
        let mut by_address = self.shared.by_address();
        let limit = config.connections_per_address;
        let count = by_address.entry(network).or_default();
        if *count >= limit {
            metrics::refused(true);
            return Err(Error::TooManyConnections { limit });
        }
        *count += 1;
        self.network = Some(network);
        Ok(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.streams[self.1].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(network) = self.network else { return };
        let mut by_address = self.shared.by_address();
        if let Some(count) = by_address.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&network);
            }
        }
    }
}
