//! The setting `HTTP_CORS_ORIGINS`: the web pages that may call. Pure.

use super::text::{invalid, items};
use std::net::{Ipv4Addr, Ipv6Addr};

const NAME: &str = "HTTP_CORS_ORIGINS";
pub const ALLOWED: &str = "scheme://host or scheme://host:port with http or https as the scheme and a host that may begin with *. \
                       for the names below it, with commas between several, or * alone";

/// The origins of the web pages that may call (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    These(Vec<Origin>),
    All,
}

/// An origin as browsers send it (RFC 6454 §6.2): in lower case, without the default port of the scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// With `://` at the end.
    scheme: &'static str,
    /// If `is_below` is set: the end of the host, with a dot at the beginning.
    host: String,
    /// With a colon at the beginning, or empty.
    port: String,
    /// The setting begins with `*.`: it means all hosts with at least one more label, and not the host itself.
    is_below: bool,
}

impl Origins {
    /// Reads the setting. The error names the setting and the mistake.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "*" => Ok(Origins::All),
            _ => Ok(Origins::These(
                items(text).map(Origin::parse).collect::<Result<_, _>>()?,
            )),
        }
    }
}

impl Origin {
    fn parse(text: &str) -> Result<Self, String> {
        Self::read(&text.to_ascii_lowercase()).map_err(|why| {
            let allowed = format!("{ALLOWED}: {why}");
            invalid(NAME, text, &allowed)
        })
    }

    /// Errors: the mistake.
    fn read(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = ["https://", "http://"]
            .into_iter()
            .find_map(|scheme| Some((scheme, text.strip_prefix(scheme)?)))
            .ok_or("it should begin with http:// or https://")?;
        if rest.contains('@') {
            return Err("an origin has no user");
        }
        if rest.contains(['/', '?', '#', '\\']) {
            return Err("an origin has no path");
        }
        // An IPv6 address has colons inside the brackets.
        let end = rest.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match rest[end..].find(':') {
            Some(colon) => rest.split_at(end + colon),
            None => (rest, ""),
        };
        let port = match (port.strip_prefix(':'), scheme) {
            (None, _) | (Some("80"), "http://") | (Some("443"), "https://") => String::new(),
            (Some(digits), _) => {
                let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
                let number = digits
                    .parse()
                    .ok()
                    .filter(|_| is_number && !digits.starts_with('0'));
                let number: u16 = number.ok_or("the port should be a number from 1 to 65535")?;
                format!(":{number}")
            }
        };
        let (is_below, name) = match host.strip_prefix('*') {
            Some(name) => (
                true,
                name.strip_prefix('.')
                    .ok_or("after * there should be a dot and a name")?,
            ),
            None => (false, host),
        };
        if name.contains('*') {
            return Err("* should stand once, at the beginning");
        }
        let address = match name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
        {
            Some(address) => Some(
                address
                    .parse::<Ipv6Addr>()
                    .map_err(|_| "the address is wrong")?
                    .to_string(),
            ),
            None => name.parse::<Ipv4Addr>().ok().map(|_| String::new()),
        };
        if is_below && address.is_some() {
            return Err("below an address there are no names");
        }
        let host = match address {
            Some(address) if !address.is_empty() => format!("[{address}]"),
            Some(_) => name.to_owned(),
            None if !is_name(name) => {
                return Err("the host should be a name of letters, digits, - and _, or an address")
            }
            None if is_below => format!(".{name}"),
            None => name.to_owned(),
        };
        Ok(Self {
            scheme,
            host,
            port,
            is_below,
        })
    }

    /// Whether pages of this origin may call.
    pub fn covers(&self, origin: &str) -> bool {
        let Some(prefix) = origin.get(..self.scheme.len()) else {
            return false;
        };
        let host = &origin[self.scheme.len()..];
        if !prefix.eq_ignore_ascii_case(self.scheme) {
            return false;
        }
        let end = [&self.host[..], &self.port].concat();
        match self.is_below {
            false => host.eq_ignore_ascii_case(&end),
            true => {
                let below = host.len().checked_sub(end.len());
                let below = below.and_then(|length| host.split_at_checked(length));
                below.is_some_and(|(below, rest)| rest.eq_ignore_ascii_case(&end) && is_name(below))
            }
        }
    }
}

/// Whether the text is labels separated by dots. Host names have no `_`, but browsers send it.
fn is_name(text: &str) -> bool {
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(is_of_label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_itself_and_one_with_a_star_what_is_below_it() {
        for (setting, covered, others) in [
            (
                "https://shop.example",
                &["https://shop.example", "HTTPS://Shop.Example"][..],
                &[
                    "http://shop.example",
                    "https://a.shop.example",
                    "https://shop.example:444",
                    "https://shop.example.",
                    "null",
                    "",
                ][..],
            ),
            (
                "https://*.shop.example",
                &[
                    "https://a.shop.example",
                    "https://a.b.shop.example",
                    "https://a-b_c.SHOP.example",
                ],
                &[
                    "https://shop.example",
                    "https://evilshop.example",
                    "https://.shop.example",
                    "https://a..shop.example",
                    "http://a.shop.example",
                    "https://a.shop.example:8443",
                    "https://a.shop.example.evil",
                    "https://evil/.shop.example",
                    "https://evil@a.shop.example",
                    "https://evil:1.shop.example",
                    "https://*.shop.example",
                    "https://a.shop.example/",
                    "https://é.shop.example",
                    "https://a%2e.shop.example",
                    "https://[::1].shop.example",
                ],
            ),
            (
                "http://*.localhost:3000",
                &["http://a.localhost:3000"],
                &[
                    "http://a.localhost",
                    "http://a.localhost:30000",
                    "http://localhost:3000",
                ],
            ),
            (
                "HTTPS://Shop.Example:443",
                &["https://shop.example"],
                &["https://shop.example:443"],
            ),
            ("http://a:80", &["http://a"], &["https://a"]),
            ("http://a:443", &["http://a:443"], &["http://a"]),
            (
                "http://127.0.0.1:65535",
                &["http://127.0.0.1:65535"],
                &["http://127.0.0.1"],
            ),
            ("http://[0::1]:1", &["http://[::1]:1"], &["http://[::1]"]),
            (
                "https://*.xn--bcher-kva.example",
                &["https://a.xn--bcher-kva.example"],
                &["https://xn--bcher-kva.example"],
            ),
        ] {
            let origin = Origin::parse(setting).unwrap();
            for one in covered {
                assert!(origin.covers(one), "{setting} {one}");
            }
            for one in others {
                assert!(!origin.covers(one), "{setting} {one}");
            }
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for setting in [
            "https://*",
            "https://*:443",
            "https://*.",
            "https://*shop.example",
            "https://a.*.b",
            "https://*.*.b",
            "https://a.*",
            "https://**.b",
            "https://*.127.0.0.1",
            "https://*.[::1]",
            "*",
            "*.shop.example",
            "*://shop.example",
            "https://a:99999",
            "https://a:65536",
            "https://a:0",
            "https://a:",
            "https://a:x",
            "https://a:+1",
            "https://a:080",
            "https://a:1:2",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://user@a",
            "https://u:p@a",
            "https://",
            "http://:80",
            "https://a b",
            "https://a..b",
            "https://.a",
            "https://a.",
            "https://[::1",
            "https://::1",
            "https://[x]",
            "https://[::1]x",
            "https://é",
            "https://a%20",
            "https:/a",
            "https:a",
            "ftp://a",
            "a",
            "null",
            "",
            "http://a\\b",
        ] {
            assert!(Origin::parse(setting).is_err(), "{setting}");
        }
    }
}
