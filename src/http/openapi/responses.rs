//! The responses of a route. Each answer, rendered as clients get it, is an example of its status. Pure.

use super::description::{Context, Description};
use super::failures;
use super::operations::{render_stream, EVENTS};
use super::shapes::{bytes, integer, named, of, Shape};
use crate::http::response::Response as Rendered;
use crate::http::{api, render, v1};
use authkv_base::error::Error;
use authkv_command::{Operation, Outcome};
use authkv_wire::head::{Field, Head};
use authkv_wire::input::{BYTES, NDJSON};
use authkv_wire::routes::{Delivery, Profile, Route};
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Header, Response, ResponseBuilder};

/// The media type of a value that may have any.
const ANY: &str = "*/*";
const JSON: &str = "application/json";

/// The responses with one status.
#[derive(Default)]
struct Status {
    /// Examples by name, for each media type.
    examples: BTreeMap<&'static str, Vec<(&'static str, Value)>>,
    headers: BTreeMap<&'static str, Header>,
}

/// The responses of a route by status.
pub fn of_route(context: &Context<'_>, description: &Description) -> BTreeMap<u16, Response> {
    let route = context.route;
    let mut found: BTreeMap<u16, Status> = BTreeMap::new();
    for (name, outcome) in &description.answers {
        if let Ok(rendered) = success(route, name, outcome) {
            let status = found.entry(rendered.status).or_default();
            status.add(route, name, &rendered);
            status.headers.extend(headers_of_a_success(&rendered));
        }
    }
    let with_path = failures::of_route(context, description).into_iter();
    let with_path = with_path.map(|error| (failure(route, &error), error));
    let without_path = failures::without_a_path(context.http).into_iter();
    let without_path = without_path.map(|error| {
        let rendered = problem(v1::render_error_for_anyone(&error));
        (rendered, error)
    });
    for (rendered, error) in with_path.chain(without_path) {
        let status = found.entry(rendered.status).or_default();
        status.add(route, error.row().name, &rendered);
        status.headers.extend(headers(&error, rendered.status));
    }
    if failures::limits(route, context.config) {
        for status in found.values_mut() {
            status.headers.extend(headers_of_limits());
        }
    }
    let response = |(code, status)| (code, response(route, description, code, status));
    found.into_iter().map(response).collect()
}

impl Status {
    /// Adds an answer as an example.
    fn add(&mut self, route: &Route, name: &'static str, answer: &Rendered) {
        if let Some(media_type) = media_type(route, answer) {
            let body = match media_type {
                JSON | v1::PROBLEM => serde_json::from_slice(&answer.body).unwrap_or_default(),
                _ => String::from_utf8_lossy(&answer.body).into(),
            };
            let examples = self.examples.entry(media_type).or_default();
            examples.push((name, body));
        }
    }
}

/// The media type of an answer in the document, or `None` without a body.
fn media_type(route: &Route, response: &Rendered) -> Option<&'static str> {
    let mut headers = response.headers.iter();
    let (_, text) = headers.find(|(name, _)| *name == "Content-Type")?;
    if route.operation == Operation::PairGet && response.status == 200 {
        return Some(ANY);
    }
    let mut known = [JSON, v1::PROBLEM, NDJSON, EVENTS].into_iter();
    let known = known.find(|known| known == text);
    Some(known.unwrap_or(ANY))
}

/// A success as clients get it. `name` is the name of the example.
fn success(route: &Route, name: &str, outcome: &Outcome) -> Result<Rendered, Error> {
    match route.delivery {
        Delivery::Whole => {
            let mut head = Head::new(Method::GET, Bytes::new());
            if name == "unchanged" {
                head.if_none_match = Field::One(Bytes::from_static(b"\"5\""));
            }
            render::success(&head, route, outcome)
        }
        delivery => render_stream(delivery, name, outcome),
    }
}

/// A failure as clients get it.
fn failure(route: &Route, error: &Error) -> Rendered {
    match route.profile {
        Profile::Api => {
            let (status, body) = api::render_error(Some(route.operation), error);
            Rendered::json(status, body)
        }
        Profile::V1 => problem(v1::render_error(error)),
    }
}

fn problem((status, body): (u16, Vec<u8>)) -> Rendered {
    let mut problem = Rendered::new(status, body);
    problem.set("Content-Type", v1::PROBLEM);
    problem
}

fn response(route: &Route, described: &Description, code: u16, status: Status) -> Response {
    let response = ResponseBuilder::new().description(description(route.profile, code));
    let headers = status.headers.into_iter();
    let response = headers.fold(response, |response, (name, header)| {
        response.header(name, header)
    });
    let contents = status.examples.into_iter();
    let response = contents.fold(response, |response, (media_type, examples)| {
        let examples = examples.into_iter().map(|(name, body)| {
            let example = ExampleBuilder::new().value(Some(body));
            (name, example.build())
        });
        let content = Content::builder()
            .schema(Some(schema(route, described, code, media_type)))
            .examples_from_iter(examples);
        let content = content.build();
        // Some generators do not know `*/*`: they take the first type that they know.
        let response = match media_type == ANY {
            true => response.content(BYTES, content.clone()),
            false => response,
        };
        response.content(media_type, content)
    });
    response.build()
}

fn schema(route: &Route, described: &Description, code: u16, media_type: &str) -> Shape {
    match code {
        _ if media_type == v1::PROBLEM => named("Problem"),
        // Described as bytes, because generators support one form only, and with JSON they would fail on bytes.
        _ if media_type == ANY => bytes(
            "The value: JSON text with `application/json`; a value that is bytes as it is, with the type with which it came",
        ),
        200..300 => described.success.clone(),
        // Wrong credentials, or the service is not offered.
        404 if route.operation == Operation::Login => named("LoginFailure"),
        _ => named("Message"),
    }
}

/// The headers of a success, beside those of all answers.
fn headers_of_a_success(response: &Rendered) -> Vec<(&'static str, Header)> {
    let described = |name: &str| {
        let (name, schema, about) = match name {
            "ETag" => ("ETag", of(Type::String), "The revision, as an entity tag"),
            "Authkv-Revision" => (
                "Authkv-Revision",
                integer(),
                "The revision from which on the write is seen: what a read takes as `min_revision`",
            ),
            "Authkv-Expires-At" => (
                "Authkv-Expires-At",
                of(Type::Number),
                "Seconds since 1970 at which the pair expires, where it does",
            ),
            "X-Authkv-Login" => (
                "X-Authkv-Login",
                of(Type::String),
                "The login, percent-encoded except for ASCII letters, digits and `-._~@+`",
            ),
            "X-Authkv-Roles" => (
                "X-Authkv-Roles",
                of(Type::String),
                "The roles that were granted, with commas between them; empty without any",
            ),
            "X-Total-Count" => (
                "X-Total-Count",
                integer(),
                "How many pairs there are at the start, where all are asked for by one who may read all",
            ),
            _ => return None,
        };
        Some((name, header(schema, about)))
    };
    let names = response.headers.iter().map(|(name, _)| &**name);
    names.filter_map(described).collect()
}

/// The headers of answers to requests that are counted.
fn headers_of_limits() -> [(&'static str, Header); 2] {
    let field = |about| header(of(Type::String), about);
    [
        (
            "RateLimit",
            field("What is left of each limit: `r` requests, and one more in `t` seconds (draft-ietf-httpapi-ratelimit-headers)"),
        ),
        (
            "RateLimit-Policy",
            field("The limits that concern the request: `q` requests, which come back within `w` seconds"),
        ),
    ]
}

/// The headers of this error only.
fn headers(error: &Error, code: u16) -> Vec<(&'static str, Header)> {
    let mut headers = Vec::new();
    if matches!(error, Error::WrongMethod { .. }) {
        let about = "The methods that are allowed";
        headers.push(("Allow", header(of(Type::String), about)));
    }
    if matches!(error, Error::BadMediaType { .. }) {
        let about =
            "The codings that are taken, where it is the coding of the body (RFC 9110 §15.5.16)";
        headers.push(("Accept-Encoding", header(of(Type::String), about)));
    }
    if error.retry_after().is_some() {
        let about = "Seconds after which to try again, where that helps";
        headers.push(("Retry-After", header(integer(), about)));
    }
    if matches!(code, 401 | 403) && v1::challenge(error, true).is_some() {
        let about = match code {
            401 => "`Bearer realm=\"authkv\"`, and `error=\"invalid_token\"` where a token was sent (RFC 6750 §3)",
            _ => "`Bearer realm=\"authkv\", error=\"insufficient_scope\"` (RFC 6750 §3)",
        };
        headers.push(("WWW-Authenticate", header(of(Type::String), about)));
    }
    headers
}

fn header(schema: ObjectBuilder, about: &str) -> Header {
    let mut header = Header::new(schema.build());
    header.description = Some(about.to_owned());
    header
}

fn description(profile: Profile, code: u16) -> &'static str {
    match (code, profile) {
        (200 | 201 | 204, _) => "Done",
        (400, Profile::Api) => "A rule is broken; the first one is named",
        (422, Profile::V1) => "A rule is broken; the first one is named",
        (422, Profile::Api) => "The body is not JSON, or has another shape; it is never repeated",
        (400, Profile::V1) => {
            "The input has another shape, or a name that is not known; no value is repeated"
        }
        (401, _) => "No valid token, or a wrong password",
        (403, _) => "The caller may not do this",
        (404, _) => "Unknown, or not offered by this instance",
        (304, _) => "The client has it already",
        (405, _) => "Another method than those of this path",
        (408, _) => "The request did not come in time",
        (409, _) => "It is in the way of what is there",
        (410, _) => "It is no longer kept",
        (412, _) => "The key is not as the request wants it",
        (413, _) => "The input is too large",
        (415, _) => "The body is of another type",
        (417, _) => "An expectation that cannot be met",
        (429, _) => "Too many connections, or too many failed logins",
        (431, _) => "The header is too large",
        (501, _) => "Another server than authkv's own took the request",
        (503, _) => "Not now",
        (507, _) => "The storage is full",
        _ => "Internal error",
    }
}
