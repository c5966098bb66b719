//! A response, whatever carries it. Pure.

use super::site::InFlight;
use crate::memory::Held;
use bytes::Bytes;
use std::borrow::Cow;

/// Status, fields and body. Those who carry it add what belongs to the carrier: `Date`, `Content-Length`,
/// `Connection`.
#[derive(Default)]
pub struct Response {
    pub status: u16,
    /// Values hold visible ASCII and spaces only.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub body: Bytes,
    /// The method was `HEAD`: the length is that of the body, which is not sent (RFC 9110 §9.3.2).
    pub head_only: bool,
    /// What the body holds of the memory for answers.
    pub held: Held,
    /// The request counts until its answer is sent.
    pub in_flight: Option<InFlight>,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
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
