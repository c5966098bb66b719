//! A response, whatever carries it. Pure.

use bytes::Bytes;
use hyper::StatusCode;
use std::borrow::Cow;

/// Status, fields and body. Carriers add their own fields: `Date`, `Content-Length`, `Connection`.
#[derive(Default)]
pub struct Response {
    pub status: u16,
    /// Values hold visible ASCII and spaces only.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub body: Bytes,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: Vec::with_capacity(8),
            ..Self::default()
        }
    }

    pub fn json(status: u16, body: Vec<u8>) -> Self {
        let mut response = Self::new(status, body);
        response.set("Content-Type", "application/json");
        response
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<Cow<'static, str>>) {
        self.headers.push((name, value.into()));
    }

    /// Says that the answer depends on this field of the request (RFC 9110 §12.5.5).
    pub fn vary(&mut self, name: &'static str) {
        match self.headers.iter_mut().find(|(field, _)| *field == "Vary") {
            Some((_, value)) => *value = format!("{value}, {name}").into(),
            None => self.set("Vary", name),
        }
    }
}

/// The words for a status, as RFC 9110 has them.
pub fn reason(status: u16) -> &'static str {
    match status {
        // The crate has those of RFC 7231 and 4918.
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        _ => StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default(),
    }
}
