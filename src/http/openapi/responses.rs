//! The responses of a route. Each answer, rendered as clients get it, is an example of its status. Pure.

use super::kv::EVENTS;
use super::shapes::{integer, named, of, Shape};
use super::{answers, kv, schemas};
use crate::http::response::Response as Rendered;
use crate::http::{api, v1};
use authkv_base::error::Error;
use authkv_command::{Operation, Outcome};
use authkv_config::{Config, HttpConfig};
use authkv_wire::input::{BYTES, NDJSON};
use authkv_wire::routes::{Profile, Route};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Header, Response, ResponseBuilder};

const JSON: &str = "application/json";

/// The responses with one status.
#[derive(Default)]
struct Status {
    /// Examples by name, for each media type.
    examples: BTreeMap<&'static str, Vec<(&'static str, Value)>>,
    headers: BTreeMap<&'static str, Header>,
}

/// The responses of a route by status.
pub fn of_route(route: &Route, config: &Config, http: &HttpConfig) -> BTreeMap<u16, Response> {
    let mut found: BTreeMap<u16, Status> = BTreeMap::new();
    let with_head = answers::of_route(route, config, http).into_iter();
    let without_head = answers::without_a_head(http).into_iter();
    let with_path = with_head.chain(without_head);
    let with_path = with_path.filter_map(|(name, result)| {
        let rendered = render(route, name, &result)?;
        Some((name, result, rendered))
    });
    let without_path = answers::without_a_path(http).into_iter();
    let without_path = without_path.filter_map(|(name, result)| {
        let rendered = for_anyone(result.as_ref().err()?);
        Some((name, result, rendered))
    });
    for (name, result, rendered) in with_path.chain(without_path) {
        let status = found.entry(rendered.status).or_default();
        if let Some(media_type) = media_type(route, &rendered) {
            let body = match media_type {
                JSON | v1::PROBLEM => serde_json::from_slice(&rendered.body).unwrap_or_default(),
                _ => String::from_utf8_lossy(&rendered.body).into(),
            };
            let examples = status.examples.entry(media_type).or_default();
            examples.push((name, body));
        }
        match &result {
            Ok(_) => status.headers.extend(kv::responses::headers(&rendered)),
            Err(error) => status.headers.extend(headers(error, rendered.status)),
        }
    }
    let response = |(code, status)| (code, response(route, code, status));
    found.into_iter().map(response).collect()
}

/// The media type of an answer in the document, or `None` without a body.
fn media_type(route: &Route, response: &Rendered) -> Option<&'static str> {
    let mut headers = response.headers.iter();
    let (_, text) = headers.find(|(name, _)| *name == "Content-Type")?;
    if route.operation == Operation::PairGet && response.status == 200 {
        return Some(kv::responses::ANY);
    }
    let mut known = [JSON, v1::PROBLEM, NDJSON, EVENTS].into_iter();
    let known = known.find(|known| known == text);
    Some(known.unwrap_or(kv::responses::ANY))
}

/// An answer as clients get it.
fn render(route: &Route, name: &str, result: &Result<Outcome, Error>) -> Option<Rendered> {
    let (status, body) = match (result, route.profile) {
        (Ok(outcome), _) => return kv::responses::render(route, name, outcome).ok(),
        (Err(error), Profile::Api) => api::render_error(Some(route.operation), error),
        (Err(error), Profile::V1) => return Some(problem(v1::render_error(error))),
    };
    Some(Rendered::json(status, body))
}

/// The answer to a request whose path is not known.
fn for_anyone(error: &Error) -> Rendered {
    problem(v1::render_error_for_anyone(error))
}

fn problem((status, body): (u16, Vec<u8>)) -> Rendered {
    let mut problem = Rendered::new(status, body);
    problem.set("Content-Type", v1::PROBLEM);
    problem
}

fn response(route: &Route, code: u16, status: Status) -> Response {
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
            .schema(Some(schema(route, code, media_type)))
            .examples_from_iter(examples);
        let content = content.build();
        // Some generators do not know `*/*`: they take the first type that they know.
        let response = match media_type == kv::responses::ANY {
            true => response.content(BYTES, content.clone()),
            false => response,
        };
        response.content(media_type, content)
    });
    response.build()
}

fn schema(route: &Route, code: u16, media_type: &str) -> Shape {
    match code {
        _ if media_type == v1::PROBLEM => named("Problem"),
        _ if media_type == kv::responses::ANY => kv::responses::value(),
        200..300 => schemas::of_success(route),
        // Wrong credentials, or the service is not offered.
        404 if route.operation == Operation::Login => named("LoginFailure"),
        _ => named("Message"),
    }
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
        (200 | 201, _) => "Done",
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
