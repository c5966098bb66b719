//! Where a request came from. Pure; any thread.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The way a request came, and from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub transport: Transport,
    pub peer: Peer,
}

/// The ways there are, by the names they have in the log.
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
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    Unix,
    /// As another server, or Tarantool, told it.
    Reported(String),
    /// That of the session which the present fiber of tx serves.
    Session,
}

impl Peer {
    /// The peer of that text: an address, or what else it says.
    pub fn told(text: String) -> Self {
        match text.parse() {
            Ok(address) => Peer::Tcp(address),
            Err(_) => Peer::Reported(text),
        }
    }

    /// The address, one that is IPv4 in IPv6 as IPv4.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(address.ip().to_canonical()),
            Peer::Unix | Peer::Reported(_) | Peer::Session => None,
        }
    }

    /// What connections and failed logins are counted by: an IPv4 address, or the network of an IPv6 one, where one client has
    /// 2^64 addresses.
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
            Peer::Unix => f.write_str("unix"),
            Peer::Reported(text) => f.write_str(text),
            Peer::Session => f.write_str("-"),
        }
    }
}
