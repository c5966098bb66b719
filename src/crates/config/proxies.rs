//! The proxies in front of the HTTP server, and how they report the address of a client. Pure.

use super::http::Listen;
use super::text::{items, PREFIX};
use ipnet::IpNet;
use std::net::IpAddr;

/// Which peers are trusted to report the addresses of clients, and in which header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxies {
    pub networks: Vec<IpNet>,
    /// Whether the clients of unix sockets are trusted.
    pub unix: bool,
    pub header: ForwardedHeader,
}

/// The header with the addresses of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    None,
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl ForwardedHeader {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "x-forwarded-for" => Some(Self::XForwardedFor),
            "forwarded" => Some(Self::Forwarded),
            _ => None,
        }
    }
}

impl Proxies {
    /// Reads the networks. `unix` stands for the clients of unix sockets.
    pub fn trusted(text: &str) -> Option<(Vec<IpNet>, bool)> {
        if text == "none" {
            return Some((Vec::new(), false));
        }
        let mut unix = false;
        let mut networks = Vec::new();
        for item in items(text) {
            match item {
                "unix" => unix = true,
                _ => networks.push(network(item)?),
            }
        }
        Some((networks, unix))
    }

    /// Combines the settings. Reporting needs somebody who is trusted.
    pub fn new(
        (networks, unix): (Vec<IpNet>, bool),
        header: ForwardedHeader,
        listen: &[Listen],
    ) -> Result<Self, String> {
        let needs = |what: &str| {
            Err(format!(
                "{PREFIX}{what} needs {PREFIX}HTTP_TRUSTED_PROXIES, the networks of the proxies"
            ))
        };
        if networks.is_empty() {
            if listen.iter().any(Listen::is_proxied) {
                return needs(
                    "HTTP_LISTEN or HTTP_ADMIN_LISTEN with proxy+http:// or proxy+https://",
                );
            }
            if header != ForwardedHeader::None && !unix {
                return needs("HTTP_FORWARDED_HEADER");
            }
        }
        Ok(Self {
            networks,
            unix,
            header,
        })
    }

    /// Whether this address is that of a trusted proxy. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|one| one.contains(&address))
    }
}

/// A network, or one address.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_addresses_and_unix_sockets_can_be_trusted() {
        let (networks, unix) = Proxies::trusted("10.0.0.0/8, 192.0.2.7,fd00::/8,unix").unwrap();
        assert!(unix);
        let proxies = Proxies::new((networks, unix), ForwardedHeader::None, &[]).unwrap();
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd00::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(
                proxies.trust(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
        for wrong in [
            "10.0.0.0/33",
            "proxy.example",
            "10.0.0.0/8;11.0.0.0/8",
            "any",
        ] {
            assert_eq!(Proxies::trusted(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reports_need_somebody_who_is_trusted() {
        let nobody = || (Vec::new(), false);
        let header = ForwardedHeader::Forwarded;
        let error = Proxies::new(nobody(), header, &[]).unwrap_err();
        assert!(error.contains("HTTP_FORWARDED_HEADER needs AUTHKV_HTTP_TRUSTED_PROXIES"));
        let listen = Listen::parse_all("HTTP_LISTEN", "proxy+http://127.0.0.1:80").unwrap();
        let error = Proxies::new((Vec::new(), true), ForwardedHeader::None, &listen).unwrap_err();
        assert!(error.contains("proxy+http://"));
        assert!(Proxies::new((Vec::new(), true), header, &[]).is_ok());
    }
}
