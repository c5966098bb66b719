//! How an instance takes over from the one of an older image of the library, so that no request is lost.
//!
//! The older one tells its descriptors at its start; the newer one, in the same process, shares the listening sockets,
//! starts, and rings the bell; then the older one finishes what it has and ends. Runs on the tx thread.

use crate::http::Listener;
use crate::tx::fd;
use authkv_config::Listen;
use authkv_mailbox::doorbell::Doorbell;
use serde::{Deserialize, Serialize};
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// What an instance leaves to the next.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Handoff {
    /// Addresses and the descriptors that listen on them.
    listeners: Vec<(String, RawFd)>,
    bell: RawFd,
    /// Milliseconds since revocations were last heard of, where they are followed. Told at the moment of taking over.
    #[serde(default)]
    heard_ago: Option<u64>,
}

/// The same on the other side.
pub struct Takeover {
    pub listeners: Vec<Listener>,
    bell: Doorbell,
    pub heard_ago: Option<Duration>,
}

impl Handoff {
    /// `bell` is to be rung by the heir.
    pub fn new(listeners: &[Listener], bell: &Doorbell) -> Self {
        let told = |one: &Listener| (one.listen.to_string(), one.socket.as_raw_fd());
        Self {
            listeners: listeners.iter().map(told).collect(),
            bell: bell.fd().as_raw_fd(),
            heard_ago: None,
        }
    }

    /// Shares what was left.
    pub fn take(self) -> io::Result<Takeover> {
        let share = |(text, number): (String, RawFd)| {
            let listen = Listen::parse(&text).map_err(io::Error::other)?;
            let socket: Socket = fd::share(number)?.into();
            if !socket.is_listener()? {
                return Err(io::Error::other("a descriptor is not what it was"));
            }
            Ok::<_, io::Error>(Listener { listen, socket })
        };
        Ok(Takeover {
            listeners: self
                .listeners
                .into_iter()
                .map(share)
                .collect::<Result<_, _>>()?,
            bell: Doorbell::of(fd::share(self.bell)?),
            heard_ago: self.heard_ago.map(Duration::from_millis),
        })
    }
}

impl Takeover {
    /// Tells the older instance to end.
    pub fn accept(&self) {
        self.bell.force();
    }
}
