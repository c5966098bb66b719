//! The origin of a request: its transport and its peer. Pure; any thread.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The transport of a request, and its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub transport: Transport,
    pub peer: Peer,
    /// What the client calls itself, for operations that are audited: the field `User-Agent` (RFC 9110 §10.1.5).
    pub agent: Option<String>,
}

/// The transports. Their names appear in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    Iproto,
    Console,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Transport::Http => "http",
            Transport::Iproto => "iproto",
            Transport::Console => "console",
        }
    }

    /// The transport with this name, as `name` gives it. `None` if there is none.
    pub fn by_name(name: &str) -> Option<Self> {
        let all = [Transport::Http, Transport::Iproto, Transport::Console];
        all.into_iter().find(|transport| transport.name() == name)
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// The client behind a trusted proxy, as the proxy reported it.
    Behind(IpAddr),
    Unix,
    /// As another server, or Tarantool, reported it.
    Reported(String),
    /// The peer of the session that the current fiber of tx serves.
    Session,
}

impl Peer {
    /// Makes a peer from reported text: an address, or any other text as it is.
    pub fn reported(text: String) -> Self {
        match text.parse() {
            Ok(address) => Peer::Tcp(address),
            Err(_) => Peer::Reported(text),
        }
    }

    /// The peer that is shown as this text, as another instance reports it.
    pub fn shown_as(text: String) -> Self {
        match text.parse() {
            Ok(address) => Peer::Behind(address),
            Err(_) if text == "unix" => Peer::Unix,
            Err(_) => Peer::reported(text),
        }
    }

    /// The IP address. An IPv4 address mapped into IPv6 becomes IPv4.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(address.ip().to_canonical()),
            Peer::Behind(address) => Some(address.to_canonical()),
            Peer::Unix | Peer::Reported(_) | Peer::Session => None,
        }
    }

    /// The unit by which connections and failed logins are counted: an IPv4 address, or the /64 network of an IPv6 address,
    /// because one client has 2^64 addresses.
    pub fn network(&self) -> Option<IpAddr> {
        Some(match self.address()? {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            v4 => v4,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Behind(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
            Peer::Reported(text) => f.write_str(text),
            Peer::Session => f.write_str("-"),
        }
    }
}
