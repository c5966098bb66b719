//! The head of an HTTP/1.1 request (RFC 9112), read strictly: a head that two readers could understand in two ways is refused.
//! Pure.

use super::super::head::check::{self, Fault, Fields, Known, FIELDS_MAX};
use super::super::head::Head;
use authkv_base::error::Error;
use bytes::Bytes;
use http::Method;
use std::mem::MaybeUninit;

/// The most empty lines that are skipped before a request (RFC 9112 §2.2).
const EMPTY_LINES_MAX: usize = 2;

/// How the body ends (RFC 9112 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
}

/// A request up to its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub head: Box<Head>,
    pub framing: Framing,
    /// Whether the connection stays open after the answer.
    pub keep_alive: bool,
    /// The client sends HTTP/1.0, so the answer must say if the connection stays open.
    pub old: bool,
    /// The client waits for `100 Continue`.
    pub expects_continue: bool,
}

/// Finds the end of a head that arrives in pieces.
#[derive(Debug, Default)]
pub struct Finder {
    scanned: usize,
}

impl Finder {
    /// The length of the head, or `None` if it is not complete. `input` must begin with the bytes of the call before. Errors:
    /// `BadRequest` for a line that does not end in CR LF, and for control characters.
    pub fn find(&mut self, input: &[u8]) -> Result<Option<usize>, Error> {
        while let Some(at) = memchr::memchr3(b'\n', b'\r', 0, &input[self.scanned..]) {
            let at = self.scanned + at;
            match (input[at], input.get(at + 1)) {
                (b'\r', Some(b'\n')) => {}
                (b'\r', None) => {
                    self.scanned = at;
                    return Ok(None);
                }
                (b'\r', _) => return Err(Error::BadRequest("a CR should stand before a LF")),
                (b'\n', _) => return Err(Error::BadRequest("a line should end in CR LF")),
                _ => return Err(Error::BadRequest("there is a zero byte")),
            }
            self.scanned = at + 2;
            if input[..at].ends_with(b"\r\n") {
                return Ok(Some(at + 2));
            }
        }
        self.scanned = input.len();
        Ok(None)
    }
}

/// The bytes of the empty lines at the beginning of `input` that are skipped.
pub fn empty_lines(input: &[u8]) -> usize {
    let lines = input.chunks_exact(2).take(EMPTY_LINES_MAX);
    2 * lines.take_while(|line| *line == b"\r\n").count()
}

/// The method and the path of a refused or incomplete head, as far as its first line has them. `false`: more of the path may
/// follow.
pub fn begun(raw: &[u8]) -> Option<(Head, bool)> {
    let end = raw.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = &raw[..end.unwrap_or(raw.len())];
    let (method, rest) = line.split_at(line.iter().position(|byte| *byte == b' ')?);
    let method = check::method(method).ok()?;
    let is_sent = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    let length = rest[1..].iter().take_while(|byte| is_sent(byte)).count();
    let text = std::str::from_utf8(&rest[1..=length]).ok()?;
    let text = match text.split_once("://").filter(|_| !text.starts_with('/')) {
        Some((scheme, rest)) => {
            check::scheme(scheme.as_bytes()).ok()?;
            &rest[rest.find('/')?..]
        }
        None => text,
    };
    let path = text.split('?').next().unwrap_or_default();
    let is_whole = text.len() > path.len() || length + 1 < rest.len() || end.is_some();
    let path = Some(path).filter(|path| path.starts_with('/'))?;
    let head = Head::new(method, Bytes::copy_from_slice(path.as_bytes()));
    Some((head, is_whole))
}

/// Reads a complete head. Errors: `BadRequest`, `BadVersion`, `BadExpectation`, `HeaderTooLarge`.
pub fn parse(raw: &Bytes) -> Result<Request, Error> {
    if raw.starts_with(b"\r") {
        return Err(Error::BadRequest("there are too many empty lines"));
    }
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(raw, &mut fields) {
        Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
        Ok(_) => return Err(Error::BadRequest("the header does not end where it should")),
        Err(error) => return Err(refusal(error)),
    }
    let method = check::method(request.method.unwrap_or_default().as_bytes()).map_err(refuse)?;
    let target = match target(&method, request.path.unwrap_or_default()).map_err(refuse)? {
        "" => Bytes::from_static(b"/"),
        target => raw.slice_ref(target.as_bytes()),
    };
    let old = request.version == Some(0);
    let mut parsed = Request {
        head: Box::new(Head::new(method, target)),
        framing: Framing::Length(0),
        keep_alive: !old,
        old,
        expects_continue: false,
    };
    let (mut fields, mut has_coding, mut closes) = (Fields::default(), false, false);
    for field in request.headers.iter() {
        let (name, value) = (field.name.as_bytes(), field.value);
        match fields.add(name, value) {
            Ok(Some(Known::Length(length))) => parsed.framing = Framing::Length(length),
            Ok(Some(Known::Host)) => {}
            // In HTTP/1.0 an expectation is ignored (RFC 9110 §10.1.1).
            Ok(Some(Known::Expect)) => parsed.expects_continue = !old,
            Err(Fault::Expectation) if old => {}
            Err(fault) => return Err(refuse(fault)),
            Ok(None) => match name.len() {
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    if std::mem::replace(&mut has_coding, true) {
                        return Err(Error::BadRequest("Transfer-Encoding should stand once"));
                    }
                    if !value.eq_ignore_ascii_case(b"chunked") || old {
                        return Err(Error::BadRequest(
                            "Transfer-Encoding should be chunked, in HTTP/1.1",
                        ));
                    }
                    parsed.framing = Framing::Chunked;
                }
                10 if name.eq_ignore_ascii_case(b"connection") => {
                    for option in value.split(|byte| *byte == b',') {
                        let option = option.trim_ascii();
                        closes |= option.eq_ignore_ascii_case(b"close");
                        parsed.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                _ => parsed.head.add(field.name, || raw.slice_ref(value)),
            },
        }
    }
    if fields.has_length() && has_coding {
        return Err(Error::BadRequest(
            "Content-Length and Transfer-Encoding exclude each other",
        ));
    }
    if !fields.has_host() && !old {
        return Err(refuse(Fault::NoHost));
    }
    parsed.keep_alive &= !closes;
    Ok(parsed)
}

/// The path with its query, without the scheme and authority of a complete URI (RFC 9112 §3.2). Empty if the URI has no path.
fn target<'a>(method: &Method, text: &'a str) -> Result<&'a str, Fault> {
    check::uri(text.as_bytes())?;
    let Some((scheme, rest)) = text.split_once("://").filter(|_| !text.starts_with('/')) else {
        return check::path(method, text.as_bytes()).map(|()| text);
    };
    check::scheme(scheme.as_bytes()).map_err(|_| Fault::RelativePath)?;
    // A query ends the authority too (RFC 3986 §3.2). A slash in the query does not begin a path.
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    check::authority(&rest.as_bytes()[..end])?;
    match rest[end..].starts_with('/') {
        true => Ok(&rest[end..]),
        false => Ok(""),
    }
}

/// The error for a head whose length has been checked before.
fn refuse(fault: Fault) -> Error {
    fault.error(0)
}

fn refusal(error: httparse::Error) -> Error {
    match error {
        httparse::Error::Version => Error::BadVersion,
        httparse::Error::TooManyHeaders => refuse(Fault::Fields),
        httparse::Error::HeaderName => refuse(Fault::Name),
        httparse::Error::HeaderValue => refuse(Fault::Value),
        _ => Error::BadRequest("the request line is wrong"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, Error> {
        super::parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_head_is_read() {
        let request = parse(
            "POST /api/read?x HTTP/1.1\r\nhost: a\r\nCONTENT-LENGTH: 012\r\nAuthorization:  Bearer x \r\n\
             Connection: foo, Close\r\nExpect: 100-Continue\r\n\r\n",
        )
        .unwrap();
        assert_eq!(request.head.path(), "/api/read");
        assert_eq!(request.head.authorization.text(), Some("Bearer x"));
        assert_eq!(request.framing, Framing::Length(12));
        assert!(!request.keep_alive && request.expects_continue && !request.old);
        let request = parse("GET http://a:1/b/ HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(request.head.path(), "/b/");
        assert!(!request.keep_alive && request.old);
        let request = parse("GET http://a?b/c HTTP/1.0\r\nExpect: x\r\n\r\n").unwrap();
        assert_eq!(request.head.path(), "/");
        assert!(
            parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                .unwrap()
                .keep_alive
        );
        assert_eq!(
            parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n")
                .unwrap()
                .framing,
            Framing::Chunked
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: \x0bchunked\r\n",
            "Host: b\r\n",
            "Host: b/c\r\n",
            "Content-Length : 5\r\n",
            " Content-Length: 5\r\n",
            "X: a\r\n Content-Length: 5\r\n",
            ": 5\r\n",
            "nothing\r\n",
            "X: \u{1}\r\n",
        ] {
            let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let error = parse(&text).unwrap_err();
            assert!(
                matches!(error, Error::BadRequest(_)),
                "{fields:?}: {error:?}"
            );
        }
        for line in [
            "GET /",
            "GET",
            "G@T / HTTP/1.1",
            "GET /é HTTP/1.1",
            "GET a HTTP/1.1",
            "GET http:// HTTP/1.1",
            "GET http://?b HTTP/1.1",
            "GET http://a#b/c HTTP/1.1",
            "GET http://user@a/b HTTP/1.1",
            "GET https://u:p@a HTTP/1.1",
            "GET ftp://a/b HTTP/1.1",
            "GET ://a/b HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "CONNECT a:1 HTTP/1.1",
            "* * HTTP/1.1",
            " GET / HTTP/1.1",
        ] {
            let error = parse(&format!("{line}\r\nHost: a\r\n\r\n")).unwrap_err();
            assert!(matches!(error, Error::BadRequest(_)), "{line:?}: {error:?}");
        }
        for (text, expected) in [
            ("PRI * HTTP/2.0\r\n\r\n", Error::BadVersion),
            (
                "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                Error::BadRequest("there are too many empty lines"),
            ),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Error::BadVersion),
            (
                "GET / HTTP/1.1\r\n\r\n",
                Error::BadRequest("Host is missing"),
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
                Error::BadExpectation,
            ),
        ] {
            assert_eq!(parse(text), Err(expected), "{text:?}");
        }
        let many = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(100)
        );
        assert!(matches!(
            parse(&many),
            Err(Error::HeaderTooLarge { limit: 100, .. })
        ));
    }

    #[test]
    fn a_head_that_is_refused_tells_what_it_is_for() {
        for (text, path) in [
            ("GET /v1/me HTTP/1.1\r\nHost", Some("/v1/me")),
            ("GET /v1/me HTTP/3", Some("/v1/me")),
            ("GET /v1/me?x#y HTTP/1.1\r\n", Some("/v1/me")),
            ("GET /v1/é HTTP/1.1\r\n", Some("/v1/")),
            ("GET /v1/a#b HTTP/1.1\r\n", Some("/v1/a")),
            ("GET /api/x\n", Some("/api/x")),
            ("GET / ", Some("/")),
            ("GET /\r\n", Some("/")),
            ("GET /v1?", Some("/v1")),
            ("GET /v1#", Some("/v1")),
            ("GET http://a/v1/x HTTP/1.1\r\n", Some("/v1/x")),
            ("GET http://u@a/v1/x ", Some("/v1/x")),
            ("GET ftp://a/v1/x", None),
            ("GET http://a", None),
            ("GET v1/x HTTP/1.1\r\n", None),
            ("G\0T /v1/x HTTP/1.1\r\n", None),
            ("GET", None),
            ("GET ", None),
            ("", None),
            ("\r\nGET /v1/x HTTP/1.1\r\n", None),
        ] {
            let begun = begun(text.as_bytes());
            let told = begun
                .as_ref()
                .map(|(head, is_whole)| (head.path(), *is_whole));
            assert_eq!(told, path.map(|path| (path, true)), "{text:?}");
        }
        for text in ["GET /", "GET /v1/long", "GET http://a/v"] {
            assert!(!begun(text.as_bytes()).unwrap().1, "{text:?}");
        }
        assert_eq!(begun(b"HEAD /v1/me HTTP").unwrap().0.method, Method::HEAD);
    }

    #[test]
    fn the_end_is_found_in_any_pieces() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for split in 0..head.len() {
            let mut finder = Finder::default();
            assert_eq!(finder.find(&head[..split]), Ok(None));
            assert_eq!(
                finder.find(&[head, b"rest" as &[u8]].concat()),
                Ok(Some(head.len()))
            );
        }
        for wrong in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "G\0",
            "GET / HTTP/1.1\r\rHost",
            "A\r\nB\r\n\n",
        ] {
            assert!(
                Finder::default().find(wrong.as_bytes()).is_err(),
                "{wrong:?}"
            );
        }
        assert_eq!(empty_lines(b"\r\n\r\n\r\nGET"), 4);
        assert_eq!(empty_lines(b"\r"), 0);
        assert_eq!(empty_lines(b"GET /\r\n"), 0);
    }
}
