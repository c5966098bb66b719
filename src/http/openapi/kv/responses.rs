//! Successes of the key-value operations, as clients get them.

use super::super::shapes::{bytes, integer, of, Shape};
use super::streams;
use crate::http::render;
use crate::http::response::Response;
use authkv_base::error::Error;
use authkv_command::Outcome;
use authkv_wire::head::{Field, Head};
use authkv_wire::routes::{Delivery, Route};
use bytes::Bytes;
use hyper::Method;
use utoipa::openapi::schema::Type;
use utoipa::openapi::Header;

/// The media type of a value that may have any.
pub const ANY: &str = "*/*";

/// A success of any route. `name` is the name of the example.
pub fn render(route: &Route, name: &str, outcome: &Outcome) -> Result<Response, Error> {
    match route.delivery {
        Delivery::Whole => {
            let mut head = Head::new(Method::GET, Bytes::new());
            if name == "unchanged" {
                head.if_none_match = Field::One(Bytes::from_static(b"\"5\""));
            }
            render::success(&head, route, outcome)
        }
        delivery => streams::render(delivery, name, outcome),
    }
}

/// The headers of an answer, beside those of all answers.
pub fn headers(response: &Response) -> Vec<(&'static str, Header)> {
    let mut headers = Vec::new();
    for (name, _) in &response.headers {
        let (schema, about) = match *name {
            "ETag" => (of(Type::String), "The revision, as an entity tag"),
            "Authkv-Expires-At" => (
                of(Type::Number),
                "Seconds since 1970 at which the pair expires, where it does",
            ),
            "X-Total-Count" => (
                integer(),
                "How many pairs there are at the start, where all are asked for by one who may read all",
            ),
            _ => continue,
        };
        let mut header = Header::new(schema.build());
        header.description = Some(about.to_owned());
        headers.push((*name, header));
    }
    headers
}

/// A body that is a value: described as bytes, because generators support one form only, and with JSON they would fail on
/// bytes.
pub fn value() -> Shape {
    bytes(
        "The value: JSON text with `application/json`; a value that is bytes as it is, with the type with which it came",
    )
}
