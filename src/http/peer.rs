//! Who is at the other end of a connection. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    Unix,
    /// As another server told it.
    Told(String),
}

impl Peer {
    /// What connections are counted by: an IPv4 address, or the network of an IPv6 one, where one client has
    /// 2^64 addresses.
    pub fn network(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(match address.ip().to_canonical() {
                IpAddr::V4(address) => address.into(),
                IpAddr::V6(address) => {
                    let network = address.to_bits() >> 64 << 64;
                    std::net::Ipv6Addr::from_bits(network).into()
                }
            }),
            Peer::Unix | Peer::Told(_) => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
            Peer::Told(text) => f.write_str(text),
        }
    }
}
