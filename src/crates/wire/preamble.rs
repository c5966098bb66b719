//! The header of the PROXY protocol, versions 1 and 2, with which a proxy begins a connection
//! (<https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>). Pure.

use ppp::{v1, v2, HeaderResult};
use std::net::SocketAddr;

/// The most bytes of a header of version 1 (§2.1).
const V1_MAX: usize = 107;
/// The beginning of a header of version 2 (§2.2). Headers of both versions are longer.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes of version 2 before the addresses. The last two are the length of the rest.
const FIXED: usize = 16;

/// Whose connection it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    Client(SocketAddr),
    /// That of the proxy itself, or of a client without an IP address.
    Proxy,
}

/// Input that does not begin with a valid header.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid;

/// How many bytes to read next. They do not reach beyond the header. `0`: the header is whole.
pub fn missing(input: &[u8]) -> Result<usize, Invalid> {
    let begins = |prefix: &[u8]| input.iter().zip(prefix).all(|(byte, known)| byte == known);
    match input.len() {
        length if length < SIGNATURE.len() => Ok(SIGNATURE.len() - length),
        length if begins(SIGNATURE) => Ok(match input.get(14..FIXED) {
            Some(&[high, low]) => {
                let whole = FIXED + usize::from(u16::from_be_bytes([high, low]));
                whole.saturating_sub(length)
            }
            _ => FIXED - length,
        }),
        _ if begins(b"PROXY ") && input.ends_with(b"\n") => Ok(0),
        length if begins(b"PROXY ") && length < V1_MAX => Ok(1),
        _ => Err(Invalid),
    }
}

/// Reads a whole header.
pub fn source(input: &[u8]) -> Result<Source, Invalid> {
    let source = match HeaderResult::parse(input) {
        HeaderResult::V1(Ok(header)) => match header.addresses {
            v1::Addresses::Tcp4(tcp) => Some((tcp.source_address, tcp.source_port).into()),
            v1::Addresses::Tcp6(tcp) => Some((tcp.source_address, tcp.source_port).into()),
            v1::Addresses::Unknown => None,
        },
        HeaderResult::V2(Ok(header)) => match (header.command, header.addresses) {
            (v2::Command::Local, _) => None,
            (_, v2::Addresses::IPv4(ip)) => Some((ip.source_address, ip.source_port).into()),
            (_, v2::Addresses::IPv6(ip)) => Some((ip.source_address, ip.source_port).into()),
            (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
        },
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => return Err(Invalid),
    };
    Ok(source.map_or(Source::Proxy, Source::Client))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a header as a connection does: never a byte more than is missing.
    fn read(input: &[u8]) -> Result<(Source, usize), Invalid> {
        let mut length = 0;
        loop {
            match missing(&input[..length])? {
                0 => return Ok((source(&input[..length])?, length)),
                more if length + more > input.len() => return Err(Invalid),
                more => length += more,
            }
        }
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, addresses].concat()
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x67, 0, 80];

    #[test]
    fn headers_give_the_client_and_leave_the_rest_unread() {
        let ipv6 = [
            &[0x20, 1, 0xd, 0xb8][..],
            &[0; 11],
            &[1],
            &[0; 16],
            &[0x12, 0x67, 0, 80],
        ];
        let with_tlv = [&IPV4[..], &[0x04, 0, 1, 0]].concat();
        for (header, expected) in [
            (
                b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n".to_vec(),
                "192.0.2.1:4711",
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\n".to_vec(),
                "[2001:db8::1]:4711",
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), "-"),
            (b"PROXY UNKNOWN whatever there is\r\n".to_vec(), "-"),
            (v2(0x21, 0x11, &IPV4), "192.0.2.1:4711"),
            (v2(0x21, 0x11, &with_tlv), "192.0.2.1:4711"),
            (v2(0x21, 0x21, &ipv6.concat()), "[2001:db8::1]:4711"),
            (v2(0x20, 0x00, &[]), "-"),
            (v2(0x20, 0x11, &IPV4), "-"),
            (v2(0x21, 0x00, &[]), "-"),
            (v2(0x21, 0x31, &[b'/'; 216]), "-"),
        ] {
            let whole = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let (found, length) = read(&whole).unwrap();
            let found = match found {
                Source::Client(address) => address.to_string(),
                Source::Proxy => "-".to_owned(),
            };
            assert_eq!(
                (found.as_str(), length),
                (expected, header.len()),
                "{header:?}"
            );
        }
    }

    #[test]
    fn anything_else_is_invalid() {
        let long = [
            b"PROXY UNKNOWN ".to_vec(),
            vec![b'x'; 200],
            b"\r\n".to_vec(),
        ]
        .concat();
        let mut short = v2(0x21, 0x11, &IPV4);
        short[15] = 11;
        for input in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 99999\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 ::1 4711 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\n".to_vec(),
            b"proxy tcp4 192.0.2.1 10.0.0.1 4711 80\r\n".to_vec(),
            v2(0x31, 0x11, &IPV4),
            v2(0x2f, 0x11, &IPV4),
            v2(0x21, 0x11, &IPV4[..11]),
            v2(0x21, 0xff, &IPV4),
            long,
            short,
        ] {
            assert_eq!(read(&input), Err(Invalid), "{input:?}");
        }
    }
}
