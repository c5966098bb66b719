//! The rules for the head of a request that HTTP/1.1 and HTTP/2 share. Rules of the syntax of one version are in its own
//! module. Pure.

use authkv_base::error::Error;
use http::Method;

/// The most fields in a head.
pub const FIELDS_MAX: usize = 100;

/// A mistake in a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The head has more bytes than `HTTP_HEADER_MAX`.
    Bytes,
    /// It has more than `FIELDS_MAX` fields.
    Fields,
    Expectation,
    Method,
    Path,
    RelativePath,
    Scheme,
    NoUriHost,
    Authority,
    NoHost,
    TwoHosts,
    Host,
    OtherHost,
    Name,
    Value,
    Blanks,
    TwoLengths,
    Length,
}

impl Fault {
    /// All faults. The index of each is its number.
    pub const ALL: [Fault; 18] = [
        Fault::Bytes,
        Fault::Fields,
        Fault::Expectation,
        Fault::Method,
        Fault::Path,
        Fault::RelativePath,
        Fault::Scheme,
        Fault::NoUriHost,
        Fault::Authority,
        Fault::NoHost,
        Fault::TwoHosts,
        Fault::Host,
        Fault::OtherHost,
        Fault::Name,
        Fault::Value,
        Fault::Blanks,
        Fault::TwoLengths,
        Fault::Length,
    ];

    /// The error for this fault. `bytes_max` is the limit on the bytes of a head.
    pub fn error(self, bytes_max: usize) -> Error {
        Error::BadRequest(match self {
            Fault::Bytes => {
                return Error::HeaderTooLarge {
                    limit: bytes_max,
                    unit: "bytes",
                }
            }
            Fault::Fields => {
                return Error::HeaderTooLarge {
                    limit: FIELDS_MAX,
                    unit: "lines",
                }
            }
            Fault::Expectation => return Error::BadExpectation,
            Fault::Method => "there is no such method",
            Fault::Path => "the path should be ASCII, without a fragment",
            Fault::RelativePath => "the path should begin with a slash",
            Fault::Scheme => "the scheme should be http or https",
            Fault::NoUriHost => "the URI has no host",
            Fault::Authority => "the authority should be a host, with or without a port",
            Fault::NoHost => "Host is missing",
            Fault::TwoHosts => "Host should stand once",
            Fault::Host => "Host should be a name or an address, with or without a port",
            Fault::OtherHost => "Host should be the same as the authority",
            Fault::Name => "the name of a header field is wrong",
            Fault::Value => "the value of a header field is wrong",
            Fault::Blanks => "the value of a header field should not begin or end with a blank",
            Fault::TwoLengths => "Content-Length should stand once",
            Fault::Length => "Content-Length should be a number",
        })
    }
}

/// The method. Errors: `Method`.
pub fn method(text: &[u8]) -> Result<Method, Fault> {
    Method::from_bytes(text).map_err(|_| Fault::Method)
}

/// Checks a path with its query: `/…`, or `*` for OPTIONS (RFC 9110 §7.1). Errors: `Path`, `RelativePath`.
pub fn path(method: &Method, text: &[u8]) -> Result<(), Fault> {
    uri(text)?;
    match text.starts_with(b"/") || text == b"*" && method == Method::OPTIONS {
        true => Ok(()),
        false => Err(Fault::RelativePath),
    }
}

/// Checks the bytes of a URI or of a part of it: ASCII without blanks and without a fragment, which clients do not send (RFC
/// 9110 §7.1). Errors: `Path`.
pub fn uri(text: &[u8]) -> Result<(), Fault> {
    let is_sent = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    match text.iter().all(is_sent) {
        true => Ok(()),
        false => Err(Fault::Path),
    }
}

/// The scheme, `http` or `https`. Case does not count (RFC 3986 §3.1). Errors: `Scheme`.
pub fn scheme(text: &[u8]) -> Result<&'static str, Fault> {
    let known = ["http", "https"].into_iter();
    let mut known = known.filter(|known| text.eq_ignore_ascii_case(known.as_bytes()));
    known.next().ok_or(Fault::Scheme)
}

/// Checks the authority of a URI. A user in it is refused (RFC 9110 §4.2.4, RFC 9113 §8.3.1). Errors: `NoUriHost`, `Authority`.
pub fn authority(text: &[u8]) -> Result<(), Fault> {
    match text {
        b"" => Err(Fault::NoUriHost),
        _ if is_host(text) => Ok(()),
        _ => Err(Fault::Authority),
    }
}

/// Whether the text may be the value of `Host` (RFC 3986 §3.2.2, 3.2.3).
fn is_host(text: &[u8]) -> bool {
    let is_of_host =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    text.iter().all(is_of_host)
}

/// Whether two authorities of a scheme are equal. Case and the default port of the scheme do not count (RFC 9110 §4.2.3).
pub fn is_same(scheme: &str, one: &[u8], other: &[u8]) -> bool {
    let port: &[u8] = match scheme {
        "http" => b":80",
        _ => b":443",
    };
    let without = |text: &[u8]| {
        let end = [port, b":"].into_iter().find(|end| text.ends_with(end));
        text.len() - end.map_or(0, <[u8]>::len)
    };
    one[..without(one)].eq_ignore_ascii_case(&other[..without(other)])
}

/// Whether the text is a valid name of a field (RFC 9110 §5.6.2).
pub fn is_name(text: &[u8]) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_of_token)
}

/// Whether the text is a valid value of a field, with or without blanks around it (RFC 9110 §5.5).
pub fn is_value(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

/// The fields that determine how the request is read.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    Length(usize),
    Host,
    /// `100-continue`.
    Expect,
}

/// The fields of a head so far.
#[derive(Debug, Default)]
pub struct Fields {
    count: usize,
    has_length: bool,
    has_host: bool,
}

impl Fields {
    /// Takes a field whose name and value have valid bytes. Returns the field if it is known. Errors: `Fields`, `TwoLengths`,
    /// `Length`, `TwoHosts`, `Host`, `Expectation`.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<Option<Known>, Fault> {
        self.count += 1;
        if self.count > FIELDS_MAX {
            return Err(Fault::Fields);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if std::mem::replace(&mut self.has_host, true) {
                    return Err(Fault::TwoHosts);
                }
                match is_host(value) {
                    true => Ok(Some(Known::Host)),
                    false => Err(Fault::Host),
                }
            }
            // RFC 9110 §10.1.1.
            6 if name.eq_ignore_ascii_case(b"expect") => {
                match value.eq_ignore_ascii_case(b"100-continue") {
                    true => Ok(Some(Known::Expect)),
                    false => Err(Fault::Expectation),
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                match std::mem::replace(&mut self.has_length, true) {
                    true => Err(Fault::TwoLengths),
                    false => Ok(Some(Known::Length(length(value)?))),
                }
            }
            _ => Ok(None),
        }
    }

    pub fn has_length(&self) -> bool {
        self.has_length
    }

    pub fn has_host(&self) -> bool {
        self.has_host
    }
}

/// The number in a `Content-Length`: only digits (RFC 9110 §8.6).
fn length(value: &[u8]) -> Result<usize, Fault> {
    let digits = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|text| text.parse().ok())
        .ok_or(Fault::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_found_by_its_number() {
        for (number, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, number);
        }
    }

    #[test]
    fn authorities_compare_as_those_of_uris() {
        for (scheme, one, other, same) in [
            ("https", "a", "A", true),
            ("https", "a", "a:443", true),
            ("https", "a:443", "a:", true),
            ("https", "a", "a:80", false),
            ("http", "a:80", "a", true),
            ("http", "a:443", "a", false),
            ("https", "a", "b", false),
            ("https", "a", "a.", false),
            ("https", "[::1]", "[::1]:443", true),
            ("https", "a", "", false),
        ] {
            let is_same = is_same(scheme, one.as_bytes(), other.as_bytes());
            assert_eq!(is_same, same, "{scheme} {one} {other}");
        }
        for (text, result) in [
            ("a", Ok(())),
            ("[::1]:1", Ok(())),
            ("", Err(Fault::NoUriHost)),
            ("user@a", Err(Fault::Authority)),
            ("u:p@a:1", Err(Fault::Authority)),
            ("a/b", Err(Fault::Authority)),
            ("a b", Err(Fault::Authority)),
            ("é", Err(Fault::Authority)),
        ] {
            assert_eq!(authority(text.as_bytes()), result, "{text}");
        }
    }

    /// The reader of HTTP/1.1 leaves the check of these bytes to `httparse`.
    #[test]
    fn fields_are_of_the_bytes_that_httparse_lets_in() {
        let lets_in = |line: &[u8]| {
            let mut fields = [httparse::EMPTY_HEADER; 2];
            let head = [line, b"\r\n\r\n"].concat();
            let read = httparse::parse_headers(&head, &mut fields);
            matches!(read, Ok(httparse::Status::Complete((length, [_]))) if length == head.len())
        };
        for byte in 0..=255 {
            if !matches!(byte, b'\r' | b'\n' | b':') {
                let name = [b'a', byte, b'b'];
                let line = [&name[..], b": x"].concat();
                assert_eq!(is_name(&name), lets_in(&line), "{byte}");
            }
            if !matches!(byte, b'\r' | b'\n') {
                let value = [b'a', byte, b'b'];
                let line = [b"x: ", &value[..]].concat();
                assert_eq!(is_value(&value), lets_in(&line), "{byte}");
            }
        }
        assert!(!is_name(b"") && !is_name(b"a:b") && !is_value(b"a\r\nb"));
    }
}
