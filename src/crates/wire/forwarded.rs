//! The address of a client behind proxies: the header `X-Forwarded-For`, and `Forwarded` of RFC 7239. Pure.
//!
//! Each proxy appends the address of its own peer to the list. So the list is read from its end, and no further than the
//! proxies are trusted: a client can write anything at the beginning.

use authkv_config::{ForwardedHeader, Proxies};
use std::net::{IpAddr, SocketAddr};

/// The address of the client, if the peer is a trusted proxy that reports one: the last one in the list that is not a
/// trusted proxy itself. An element without a readable address ends the search at the proxy that reported it.
pub fn client(proxies: &Proxies, peer: Option<IpAddr>, list: &[u8]) -> Option<IpAddr> {
    let trusts_peer = match peer {
        Some(address) => proxies.trust(address),
        None => proxies.unix,
    };
    if !trusts_peer {
        return None;
    }
    let mut elements = Elements(list);
    let mut client = None;
    while let Some(address) = elements.next().and_then(|one| of(proxies.header, one)) {
        client = Some(address);
        if !proxies.trust(address) {
            break;
        }
    }
    client
}

/// The address in an element of the list.
fn of(header: ForwardedHeader, element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    match header {
        ForwardedHeader::None => None,
        ForwardedHeader::XForwardedFor => node(text),
        ForwardedHeader::Forwarded => parameter(text).and_then(node),
    }
}

/// The value of the parameter `for`, without quotes. A parameter may occur once (RFC 7239 §4). No address has an escape.
fn parameter(element: &str) -> Option<&str> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    let value = found?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"'),
        // A colon or a bracket needs quotes (RFC 7239 §6).
        None => (!value.contains([':', '[', ']'])).then_some(value),
    }
}

/// The address of a node: IPv4 or IPv6, in brackets or not, with a port or without. `None` for `unknown` and for an
/// obfuscated identifier (RFC 7239 §6.2, §6.3).
fn node(text: &str) -> Option<IpAddr> {
    let address = if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else if let Ok(address) = text.parse::<SocketAddr>() {
        address.ip()
    } else if let Some(bare) = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        IpAddr::V6(bare.parse().ok()?)
    } else {
        let (address, port) = text.rsplit_once(':')?;
        // An obfuscated port begins with an underscore (RFC 7239 §6.3).
        if !port.starts_with('_') {
            return None;
        }
        match address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(bare) => IpAddr::V6(bare.parse().ok()?),
            None => IpAddr::V4(address.parse().ok()?),
        }
    };
    Some(address.to_canonical())
}

/// The elements of a list, the last one first. A comma between quotes separates nothing.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // Empty elements do not count (RFC 9110 §5.6.1.2).
        loop {
            let list = self.0.trim_ascii();
            if list.is_empty() {
                return None;
            }
            let mut quoted = false;
            let start = list.iter().rposition(|byte| {
                quoted ^= *byte == b'"';
                *byte == b',' && !quoted
            });
            self.0 = &list[..start.unwrap_or(0)];
            let element = list[start.map_or(0, |comma| comma + 1)..].trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

#[cfg(test)]
mod tests;
