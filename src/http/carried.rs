//! The form of requests over HTTP that a read-only instance carries to the leader, and of their answers: see
//! [`crate::core::forward`]. Pure.

use super::response::Response;
use authkv_base::error::Error;
use authkv_base::origin::Peer;
use authkv_wire::head::Head;
use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::borrow::Cow;

/// What begins a carried request that came over HTTP.
pub const KIND: u8 = b'h';

/// A request. The fields are those that matter for an operation, and the id.
#[derive(Serialize, Deserialize)]
struct Request<'a> {
    method: Cow<'a, str>,
    #[serde(borrow, with = "serde_bytes")]
    target: Cow<'a, [u8]>,
    fields: Vec<(Cow<'a, str>, ByteBuf)>,
    /// The client, as logs show it.
    peer: String,
    #[serde(borrow, with = "serde_bytes")]
    body: Cow<'a, [u8]>,
}

#[derive(Serialize, Deserialize)]
struct Answer<'a> {
    status: u16,
    headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(borrow, with = "serde_bytes")]
    body: Cow<'a, [u8]>,
    /// The name of the error.
    error: Option<Cow<'a, str>>,
}

/// A request in the form in which it is carried. `None` if it cannot be.
pub fn encode(head: &Head, id: &str, peer: &Peer, body: &[u8]) -> Option<Box<[u8]>> {
    let fields = head.of_operation();
    let id = ("x-request-id", Bytes::copy_from_slice(id.as_bytes()));
    let owned = |(name, value): (&'static str, Bytes)| (name.into(), ByteBuf::from(value));
    let request = Request {
        method: head.method.as_str().into(),
        target: head.target().into(),
        fields: fields.chain([id]).map(owned).collect(),
        peer: peer.to_string(),
        body: body.into(),
    };
    let mut encoded = Vec::with_capacity(512 + body.len());
    encoded.push(KIND);
    rmp_serde::encode::write(&mut encoded, &request).ok()?;
    Some(encoded.into())
}

/// Reads a carried request, without its kind: its head, the client and the body. Errors: `Malformed`.
pub fn read(carried: &[u8]) -> Result<(Head, Peer, Vec<u8>), Error> {
    let malformed = || Error::malformed("The request that was carried cannot be read");
    let request: Request<'_> = rmp_serde::from_slice(carried).map_err(|_| malformed())?;
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| malformed())?;
    let mut head = Head::new(method, request.target.into_owned().into());
    for (name, value) in request.fields {
        head.add(&name, || value.into_vec().into());
    }
    Ok((
        head,
        Peer::shown_as(request.peer),
        request.body.into_owned(),
    ))
}

/// The answer to a request with the name of its error, as it goes back. Errors: `Internal`.
pub fn write(response: &Response, error: Option<&'static str>) -> Result<Vec<u8>, Error> {
    let headers = response.headers.iter();
    let answer = Answer {
        status: response.status,
        headers: headers
            .map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value)))
            .collect(),
        body: Cow::Borrowed(&response.body[..]),
        error: error.map(Cow::Borrowed),
    };
    rmp_serde::to_vec(&answer).map_err(|_| Error::Internal)
}

/// The answer of the leader, and the name of its error. `None` if it cannot be read.
pub fn decode(answer: &[u8]) -> Option<(Response, Option<&'static str>)> {
    let answer: Answer<'_> = rmp_serde::from_slice(answer).ok()?;
    let headers = answer.headers.into_iter();
    let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
        (name.into_owned().into(), value.into_owned().into())
    };
    let response = Response {
        status: answer.status,
        headers: headers.map(owned).collect(),
        body: answer.body.into_owned().into(),
    };
    let rows = Error::ROWS.iter();
    let mut names = rows.map(|(row, _)| row.name);
    let error = answer.error;
    let error = error.map(|name| names.find(|known| *known == name).unwrap_or("unknown"));
    Some((response, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_carried_with_what_matters_for_it() {
        let mut head = Head::new(
            Method::PUT,
            Bytes::from_static(b"/v1/kv/pair?key=%C3%A9&ttl=1"),
        );
        for (name, value) in [
            ("Authorization", "Bearer a.b.c"),
            ("Content-Type", "application/octet-stream"),
            ("If-Match", "\"1\""),
            ("User-Agent", "one"),
            ("User-Agent", "two"),
            ("Accept-Encoding", "gzip"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("X-Request-Id", "of-the-client"),
        ] {
            head.add(name, || Bytes::from_static(value.as_bytes()));
        }
        let peer = Peer::Behind([10, 1, 2, 3].into());
        let encoded = encode(&head, "7f", &peer, b"\xff\x00").unwrap();
        assert_eq!(encoded[0], KIND);
        let (again, client, body) = read(&encoded[1..]).unwrap();
        assert_eq!((&again.method, &again.path), (&head.method, &head.path));
        assert_eq!(again.query, &b"key=%C3%A9&ttl=1"[..]);
        assert_eq!((client, &body[..]), (peer, &b"\xff\x00"[..]));
        assert_eq!(again.authorization, head.authorization);
        assert_eq!(again.content_type, head.content_type);
        assert_eq!(again.if_match, head.if_match);
        assert_eq!(again.request_id.text(), Some("7f"));
        // It appeared twice, so it has no text.
        assert_eq!(again.user_agent, authkv_wire::head::Field::Many);
        assert_eq!(again.accept_encoding, authkv_wire::head::Field::None);
        assert_eq!(again.x_forwarded_for, authkv_wire::head::Field::None);
    }

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let mut response = Response::new(503, &b"\xffx"[..]);
        response.set("Retry-After", "1");
        let encoded = write(&response, Some("read_only")).unwrap();
        let (response, error) = decode(&encoded).unwrap();
        assert_eq!(response.status, 503);
        assert_eq!(
            response.headers,
            [(Cow::from("Retry-After"), Cow::from("1"))]
        );
        assert_eq!(&response.body[..], b"\xffx");
        assert_eq!(error, Some("read_only"));
        assert!(decode(b"\xc1").is_none() && read(b"\xc1").is_err());
    }
}
