//! How an instance takes over from an older one, of this image or of an older image of the library, so that no request is lost.
//!
//! The older instance tells its descriptors at its start. The newer one, in the same process, shares the listening sockets,
//! starts, and rings the bell. Then the older one finishes its requests and ends. Runs on the tx thread.

use crate::http::Listener;
use crate::tx::fd;
use authkv_config::Listen;
use authkv_mailbox::doorbell::Doorbell;
use serde::{Deserialize, Serialize};
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// What an instance leaves to its successor.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Handoff {
    /// Addresses, and the descriptors that listen on them.
    listeners: Vec<(String, RawFd)>,
    /// The same of the admin listener.
    #[serde(default)]
    admin: Vec<(String, RawFd)>,
    bell: RawFd,
    /// Milliseconds since the last contact with the instance followed, if one is followed. Set at the moment of taking
    /// over.
    #[serde(default)]
    heard_ago: Option<u64>,
}

/// What the successor takes over.
pub struct Takeover {
    pub listeners: Vec<Listener>,
    pub admin: Vec<Listener>,
    bell: Doorbell,
    pub heard_ago: Option<Duration>,
}

impl Handoff {
    /// The successor rings `bell`.
    pub fn new(listeners: &[Listener], admin: &[Listener], bell: &Doorbell) -> Self {
        let described = |one: &Listener| (one.listen.to_string(), one.socket.as_raw_fd());
        Self {
            listeners: listeners.iter().map(described).collect(),
            admin: admin.iter().map(described).collect(),
            bell: bell.fd().as_raw_fd(),
            heard_ago: None,
        }
    }

    /// With the present descriptors of the instance, if it is in this image: they may have changed since it told them.
    pub fn updated(self, present: Option<Self>) -> Self {
        match present {
            Some(present) => Self {
                heard_ago: self.heard_ago,
                ..present
            },
            None => self,
        }
    }

    /// Duplicates the descriptors that were left. Errors: those of the system.
    pub fn take(self) -> io::Result<Takeover> {
        let share = |(text, number): (String, RawFd)| {
            let unknown = || io::Error::other(format!("{text} is no address"));
            let listen = Listen::parse(&text).ok_or_else(unknown)?;
            let socket: Socket = fd::share(number)?.into();
            if !socket.is_listener()? {
                return Err(io::Error::other("a descriptor is not what it was"));
            }
            Ok::<_, io::Error>(Listener { listen, socket })
        };
        let all = |told: Vec<_>| told.into_iter().map(share).collect::<io::Result<Vec<_>>>();
        Ok(Takeover {
            listeners: all(self.listeners)?,
            admin: all(self.admin)?,
            bell: Doorbell::of(fd::share(self.bell)?),
            heard_ago: self.heard_ago.map(Duration::from_millis),
        })
    }
}

impl Takeover {
    /// Asks the older instance to end.
    pub fn accept(&self) {
        self.bell.force();
    }
}
