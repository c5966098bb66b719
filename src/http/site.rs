//! What all connections of the HTTP front share: the settings, and how much there is of what is limited.

use super::request_id::Ids;
use crate::config::HttpConfig;
use crate::error::Error;
use crate::instance::Instance;
use crate::origin::Peer;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that are told at a time why they are turned away; others are just closed.
const TURNING_AWAY_MAX: usize = 64;

/// Shared by the workers, and by the tx thread for requests that another server took.
pub struct Site {
    pub instance: &'static Instance,
    pub config: Arc<HttpConfig>,
    pub ids: Ids,
    /// Connections end after the request they are at.
    pub leaving: AtomicBool,
    requests: AtomicUsize,
    connections: AtomicUsize,
    /// Connections that are being turned away.
    turning_away: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    connections_max: usize,
}

/// A request between its head and its answer.
pub struct InFlight(Arc<Site>);

/// A connection that is open.
pub struct Permit {
    site: Arc<Site>,
    network: Option<IpAddr>,
}

impl Site {
    /// `descriptors` is how many connections the process has room for.
    pub fn new(
        instance: &'static Instance,
        config: Arc<HttpConfig>,
        descriptors: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            instance,
            connections_max: config.connections_max.min(descriptors),
            config,
            ids: Ids::new(),
            leaving: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            turning_away: Arc::new(Semaphore::new(TURNING_AWAY_MAX)),
            by_address: Mutex::default(),
        })
    }

    /// Counts a request until the result is dropped, or `None` where there are too many.
    pub fn begin_request(self: &Arc<Self>) -> Option<InFlight> {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        let counted = InFlight(self.clone());
        (before < self.config.requests_max).then_some(counted)
    }

    /// Counts a connection until the result is dropped. Errors: `Overloaded`, `TooManyConnections`.
    pub fn admit(self: &Arc<Self>, peer: &Peer) -> Result<Permit, Error> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let mut permit = Permit {
            site: self.clone(),
            network: None,
        };
        if before >= self.connections_max {
            return Err(Error::Overloaded {
                what: "connections",
                limit: self.connections_max,
            });
        }
        if let Some(network) = peer.network() {
            let mut by_address = self.by_address();
            let limit = self.config.connections_per_address;
            let count = by_address.entry(network).or_default();
            if *count >= limit {
                return Err(Error::TooManyConnections { limit });
            }
            *count += 1;
            permit.network = Some(network);
        }
        Ok(permit)
    }

    /// Counts a connection that is told why it is turned away, or `None` where there are too many of those.
    pub fn turn_away(&self) -> Option<OwnedSemaphorePermit> {
        self.turning_away.clone().try_acquire_owned().ok()
    }

    fn by_address(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.site.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(network) = self.network else { return };
        let mut by_address = self.site.by_address();
        if let Some(count) = by_address.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&network);
            }
        }
    }
}
