//! One request: bytes, command, outcome, bytes. HTTP workers only.

use super::{api, body, docs, routes};
use crate::auth::token::bearer;
use crate::codec::{self, Document};
use crate::command::{Caller, Command, Operation, Outcome};
use crate::error::Error;
use crate::instance::Instance;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use routes::Route;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

/// Answers a request. A panic on the way becomes an internal error of this request only.
pub async fn handle(
    instance: &'static Instance,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = AssertUnwindSafe(answer(instance, request))
        .catch_unwind()
        .await;
    Ok(answer.unwrap_or_else(|_| failure(&Error::Internal)))
}

async fn answer(instance: &'static Instance, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if let Some(page) = docs::find(&instance.config, request.uri().path()) {
        let readable = matches!(*request.method(), Method::GET | Method::HEAD);
        body::discard(request.into_body());
        return match readable {
            true => document(page),
            false => failure(&Error::WrongMethod { allow: docs::ALLOW }),
        };
    }
    let route = match routes::find(
        instance.config.services,
        request.method(),
        request.uri().path(),
    ) {
        Ok(route) => route,
        Err(error) => {
            body::discard(request.into_body());
            return failure(&error);
        }
    };
    let result = execute(instance, route, request).await;
    let (status, body) = api::render(route.operation, &result);
    response(status, body, result.err().as_ref())
}

async fn execute(
    instance: &'static Instance,
    route: &Route,
    request: Request<Incoming>,
) -> Result<Outcome, Error> {
    let config = &instance.config;
    let (head, body) = request.into_parts();
    let (command, token) = match route.has_body() {
        false => {
            body::discard(body);
            (Command::Logout, bearer_of(&head.headers))
        }
        true => {
            let limit = route.operation.input_max(config);
            let text = body::read(body, limit, config.http_body_timeout).await?;
            let input = Document::from_json(&text, config.json_depth_max)?;
            match route.operation {
                // The contract has the token of a check in the body.
                Operation::Check => {
                    let [authorization] = input.fields(["authorization"], 0)?;
                    let authorization = codec::string("authorization", authorization)?;
                    (Command::Check, bearer(&authorization).map(str::to_owned))
                }
                operation => {
                    let command = Command::decode(operation, &input, 0, &config.limits)?;
                    (command, bearer_of(&head.headers))
                }
            }
        }
    };
    let claims = token.and_then(|token| instance.tokens.verify(&token));
    let caller = claims.map_or(Caller::Anonymous, Caller::Bearer);
    instance.bridge.call(caller, command).await
}

/// The token of the one `Authorization` header.
fn bearer_of(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => bearer(value.to_str().ok()?).map(str::to_owned),
        _ => None,
    }
}

/// A page of the documentation. Of an answer to HEAD, hyper sends the head only.
fn document(page: &docs::Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page.body.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    for (name, value) in docs::HEADERS {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    response
}

fn failure(error: &Error) -> Response<Full<Bytes>> {
    let (status, body) = api::render_error(error);
    response(status, body, Some(error))
}

fn response(status: u16, body: Vec<u8>, error: Option<&Error>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(Error::WrongMethod { allow }) = error {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(seconds) = error.and_then(Error::retry_after) {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}
