//! A response, for any carrier. Pure.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use std::borrow::Cow;

/// Status, fields and body. Carriers add `Date`, `Content-Length` and `Connection`.
#[derive(Default)]
pub struct Response {
    pub status: u16,
    /// Values have visible ASCII and spaces only.
    pub headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    pub body: Bytes,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: Vec::with_capacity(8),
        }
    }

    pub fn json(status: u16, body: Vec<u8>) -> Self {
        let mut response = Self::new(status, body);
        response.set("Content-Type", "application/json");
        response
    }

    /// The value of `Content-Length`, or `None` if there is none: if the body is sent in pieces (`streams`), and with 204
    /// and 304, where it would be the length of another answer (RFC 9110 §8.6).
    pub fn content_length(&self, streams: bool) -> Option<usize> {
        match self.status {
            204 | 304 => None,
            _ => (!streams).then_some(self.body.len()),
        }
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        self.headers.push((name.into(), value.into()));
    }

    /// Notes in `Vary` that the answer depends on this field of the request (RFC 9110 §12.5.5).
    pub fn vary(&mut self, name: &'static str) {
        match self.headers.iter_mut().find(|(field, _)| *field == "Vary") {
            Some((_, value)) => *value = format!("{value}, {name}").into(),
            None => self.set("Vary", name),
        }
    }
}

/// The JSON text of a value whose serialization cannot fail, such as a structure of strings and numbers.
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The reason phrase of a status, as in RFC 9110.
pub fn reason(status: u16) -> &'static str {
    match status {
        // The crate `http` has the older phrases of RFC 7231 and RFC 4918.
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        _ => StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_where_there_may_be_a_body() {
        for (status, body, length) in [
            (200, &b"hello"[..], Some(5)),
            (200, b"", Some(0)),
            (404, b"no", Some(2)),
            (204, b"", None),
            (304, b"", None),
        ] {
            let response = Response::new(status, body);
            assert_eq!(response.content_length(false), length, "{status}");
            assert_eq!(response.content_length(true), None, "{status}");
        }
    }
}
