//! What must hold of a request that was let in, found out by other means than the library's.

use authkv_wire::h1::head::{Framing, Request};
use http::Uri;

/// Looks at a head line by line, as the most careless of readers does.
pub fn check_head(raw: &[u8], request: &Request) {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let theirs = httparse::Request::new(&mut fields).parse(raw);
    assert_eq!(theirs, Ok(httparse::Status::Complete(raw.len())));

    let text: String = raw.iter().map(|&byte| char::from(byte)).collect();
    let text = text
        .strip_suffix("\r\n\r\n")
        .expect("it ends in an empty line");
    let mut lines = text.split("\r\n").skip_while(|line| line.is_empty());
    let start: Vec<&str> = lines.next().expect("there is a line").split(' ').collect();
    let [method, target, version] = start[..] else {
        panic!("there are three words: {start:?}");
    };
    assert_eq!(method, request.head.method.as_str());
    assert_eq!(version, if request.old { "HTTP/1.0" } else { "HTTP/1.1" });
    let path = request.head.path();
    assert!(target.contains(path) && (path.starts_with('/') || path == "*"));
    if let Ok(uri) = target.parse::<Uri>() {
        assert_eq!(uri.path(), path, "{target}");
    }
    assert!(path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)));

    let (mut lengths, mut codings, mut hosts, mut close) = (Vec::new(), Vec::new(), 0, false);
    for line in lines {
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
        let (name, value) = line.split_once(':').expect("a field has a colon");
        let value = value.trim_matches([' ', '\t']);
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
        match &*name.to_ascii_lowercase() {
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value.to_ascii_lowercase()),
            "host" => hosts += 1,
            "connection" => close |= value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    match (request.framing, &lengths[..], &codings[..]) {
        (Framing::Length(0), [], []) => {}
        (Framing::Length(length), [one], []) => {
            assert!(one.bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(one.parse(), Ok(length));
        }
        (Framing::Chunked, [], [one]) => assert_eq!(one, "chunked"),
        other => panic!("the body ends in one way: {other:?}"),
    }
    assert!(hosts == 1 || hosts == 0 && request.old);
    assert!(!(close && request.keep_alive));
}

/// What chunks that are all there hold together.
pub fn joined(mut raw: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    loop {
        let line = line(&mut raw);
        let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
        let (digits, extensions) =
            line.split_at(line.iter().take_while(|byte| is_digit(byte)).count());
        assert!(are_extensions(extensions), "{extensions:?}");
        let digits = std::str::from_utf8(digits).expect("it is a number");
        match usize::from_str_radix(digits, 16).expect("it is a number") {
            0 => break,
            size => {
                joined.extend_from_slice(&raw[..size]);
                raw = &raw[size..];
                assert!(line_is_empty(&mut raw));
            }
        }
    }
    while !line_is_empty(&mut raw) {}
    assert!(raw.is_empty(), "the end is not where it should be");
    joined
}

/// Where in the extensions of a chunk a reader is that takes one byte after another (RFC 9112 §7.1.1).
#[derive(Clone, Copy, PartialEq)]
enum At {
    /// After the size or a value, and the same after a blank.
    End,
    EndBlank,
    /// After `;`.
    Semicolon,
    Name,
    NameBlank,
    /// After `=`.
    Equals,
    Value,
    Quoted,
    Escaped,
}

fn are_extensions(text: &[u8]) -> bool {
    let last = text.iter().try_fold(At::End, |at, &byte| {
        let is_token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_text = byte == b'\t' || byte >= b' ' && byte != 127;
        Some(match (at, byte) {
            (At::Escaped, _) if is_text => At::Quoted,
            (At::Quoted, b'"') => At::End,
            (At::Quoted, b'\\') => At::Escaped,
            (At::Quoted, _) if is_text => At::Quoted,
            (At::Quoted | At::Escaped, _) => return None,
            (At::End | At::Value | At::EndBlank, b' ' | b'\t') => At::EndBlank,
            (At::Name | At::NameBlank, b' ' | b'\t') => At::NameBlank,
            (At::Semicolon | At::Equals, b' ' | b'\t') => at,
            (At::End | At::Value | At::EndBlank | At::Name | At::NameBlank, b';') => At::Semicolon,
            (At::Name | At::NameBlank, b'=') => At::Equals,
            (At::Equals, b'"') => At::Quoted,
            (At::Equals | At::Value, _) if is_token => At::Value,
            (At::Semicolon | At::Name, _) if is_token => At::Name,
            _ => return None,
        })
    });
    matches!(last, Some(At::End | At::Name | At::Value))
}

fn line_is_empty(raw: &mut &[u8]) -> bool {
    line(raw).is_empty()
}

/// Takes a line, without its end.
fn line<'a>(raw: &mut &'a [u8]) -> &'a [u8] {
    let end = raw.windows(2).position(|two| two == b"\r\n");
    let (line, rest) = raw.split_at(end.expect("a line ends"));
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r') && !line.contains(&0));
    *raw = &rest[2..];
    line
}
