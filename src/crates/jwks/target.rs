//! The address of a key set: https, or http at this machine. Pure.

use http::Uri;
use std::net::IpAddr;

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// A name or a numeric address, without the brackets of IPv6.
    pub host: String,
    pub port: u16,
    pub is_tls: bool,
    /// For the header `Host`.
    pub authority: String,
    /// With the query.
    pub path: String,
}

impl Target {
    /// The error says what is wrong, and does not repeat a URL that may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "its url is none".to_owned())?;
        let authority = uri.authority().ok_or("its url names no host")?;
        if authority.as_str().contains('@') {
            return Err("its url should have no user and no password".into());
        }
        if url.contains('#') {
            return Err("its url should have no fragment".into());
        }
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("its url should begin with https://".into()),
        };
        let host = authority.host();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        // A name may lead anywhere, so its addresses are checked before each connection too.
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip| is_loopback(&ip));
        if !is_tls && !is_here {
            return Err(
                "its url should begin with https:// (http:// only at a loopback address)".into(),
            );
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            port: authority
                .port_u16()
                .unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: path.to_owned(),
            host,
            is_tls,
        })
    }
}

pub fn is_loopback(ip: &IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_or_at_this_machine() {
        let parsed =
            |url: &str| Target::parse(url).map(|one| (one.host, one.port, one.is_tls, one.path));
        for (url, host, port, is_tls, path) in [
            (
                "https://id.example/jwks?a=b",
                "id.example",
                443,
                true,
                "/jwks?a=b",
            ),
            ("https://id.example:8443", "id.example", 8443, true, "/"),
            ("https://[2001:db8::1]/x", "2001:db8::1", 443, true, "/x"),
            ("http://127.0.0.1:80/x", "127.0.0.1", 80, false, "/x"),
            ("http://[::1]/x", "::1", 80, false, "/x"),
            ("http://localhost/", "localhost", 80, false, "/"),
        ] {
            let found = (host.to_owned(), port, is_tls, path.to_owned());
            assert_eq!(parsed(url), Ok(found), "{url}");
        }
        for (url, what) in [
            ("http://id.example/jwks", "https://"),
            ("http://10.0.0.1/", "https://"),
            ("http://localhost.example/", "https://"),
            ("file:///etc/passwd", "none"),
            ("/jwks", "names no host"),
            ("ftp://id.example/", "https://"),
            ("https://a:secret@id.example/", "no user"),
            ("https://id.example/#x", "fragment"),
            ("", "none"),
        ] {
            let said = Target::parse(url).unwrap_err();
            assert!(
                said.contains(what) && !said.contains("secret"),
                "{url}: {said}"
            );
        }
    }
}
