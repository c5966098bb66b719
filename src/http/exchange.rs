//! One request and its answer, whatever carried them: routing, checks, execution, rendering, the log.
//!
//! The carrier reads the head, asks whether and how large a body is wanted, reads it, and sends the answer.
//! HTTP workers; `decode`, `refuse` and `finish` also serve the tx thread, for requests that another server took.

use super::access_log::Entry;
use super::compress;
use super::cors::{self, Allowed};
use super::head::Head;
use super::input::{check_type, form, is_form};
use super::request_id;
use super::response::Response;
use super::routes::{self, Input, Kind, Members, Profile, Route, Target};
use super::site::{InFlight, Site};
use super::{api, docs, v1};
use crate::auth::token::bearer;
use crate::bridge::Gone;
use crate::codec::{self, Document};
use crate::command::{Caller, Command, Operation, Outcome, Request};
use crate::config::AccessLog;
use crate::error::Error;
use crate::memory::Held;
use crate::origin::{Front, Origin, Peer};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::Method;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

/// A request whose head was read.
pub struct Exchange {
    site: Arc<Site>,
    peer: Peer,
    head: Head,
    target: Result<Target, Error>,
    id: String,
    started: Instant,
    allowed: Option<Allowed>,
    caller: Caller,
    gone: Gone,
    body_length: usize,
    in_flight: Option<InFlight>,
}

impl Exchange {
    /// Begins with a head. `gone` is set where the client goes away.
    pub fn begin(site: &Arc<Site>, peer: &Peer, gone: &Gone, head: Head) -> Self {
        let target = check(site, &head);
        let in_flight = site.begin_request();
        let given = head.request_id.text().filter(|id| request_id::is_valid(id));
        Self {
            id: given.map_or_else(|| site.ids.next(), str::to_owned),
            allowed: cors::allowed(&site.config.cors, &head),
            target: match &in_flight {
                Some(_) => target,
                None => Err(Error::Overloaded {
                    what: "requests at a time",
                    limit: site.config.requests_max,
                }),
            },
            site: site.clone(),
            peer: peer.clone(),
            head,
            started: Instant::now(),
            caller: Caller::Anonymous,
            gone: gone.clone(),
            body_length: 0,
            in_flight,
        }
    }

    /// The answer to bytes that have no head.
    pub fn refuse_without_head(site: &Arc<Site>, peer: &Peer, error: Error) -> Response {
        let head = Head::new(Method::default(), Bytes::new());
        Self::begin(site, peer, &Gone::default(), head).refuse(error)
    }

    /// Bytes the body may have, or `None` where it is not looked at.
    pub fn body_max(&self) -> Option<usize> {
        match &self.target {
            Ok(Target::Operation(route, _)) if route.has_body() => {
                Some(route.operation.input_max(&self.site.instance.config))
            }
            _ => None,
        }
    }

    /// Answers. `body` is empty where none was wanted. `held` is what it holds of the memory for bodies.
    /// A panic while it is executed becomes an internal error of this request only.
    pub async fn answer(mut self, body: Bytes, held: Held) -> Response {
        let coding = self.head.accept_encoding.text().and_then(compress::choose);
        let compression = self.site.config.compression;
        let is_read = self.operation() == Some(Operation::Get);
        let executed = AssertUnwindSafe(self.execute(body, held)).catch_unwind();
        let (result, held) = executed
            .await
            .unwrap_or_else(|_| (Err(Error::Internal), Held::default()));
        let mut response = self.finish(result, held);
        // Answers with a token in them, and texts of the client's, are not compressed (CVE-2013-3587).
        if compression && is_read && response.status == 200 && response.body.len() >= compress::MIN
        {
            // In a box, because it is large and few answers have one.
            Box::pin(compress::compress(&mut response, coding)).await;
        }
        response
    }

    /// The operation, where it is one and nothing speaks against it.
    pub fn operation(&self) -> Option<Operation> {
        self.route().map(|route| route.operation)
    }

    fn route(&self) -> Option<&'static Route> {
        self.target.as_ref().ok().and_then(Target::route)
    }

    async fn execute(&mut self, body: Bytes, held: Held) -> (Result<Outcome, Error>, Held) {
        let (command, token) = match self.decode(&body) {
            Ok(decoded) => decoded,
            Err(error) => return (Err(error), Held::default()),
        };
        let body_length = body.len();
        drop(body);
        let instance = self.site.instance;
        let caller = match token.map(|token| instance.tokens.verify(&token)) {
            None => Caller::Anonymous,
            Some(None) => Caller::Refused,
            Some(Some(claims)) => Caller::Bearer(claims),
        };
        let request = self.request(caller, command, body_length);
        let answer = instance.bridge.call(request, self.gone.clone()).await;
        // Until now a write has held what came with the body.
        drop(held);
        answer
    }

    /// The command, and the token as it was sent. Errors: `Malformed`, `TooDeep`, `InputTooLarge`; `Internal` where there
    /// is no operation.
    pub fn decode(&self, body: &[u8]) -> Result<(Command, Option<String>), Error> {
        let Ok(Target::Operation(route, members)) = &self.target else {
            return Err(Error::Internal);
        };
        let config = &self.site.instance.config;
        let limit = route.operation.input_max(config);
        if body.len() > limit {
            return Err(Error::InputTooLarge { limit });
        }
        let depth = config.json_depth_max;
        if route.input == Input::Authorization {
            let input = Document::from_json(body, depth)?;
            let [authorization] = input.fields(["authorization"], 0)?;
            let authorization = codec::string("authorization", authorization)?;
            return Ok((Command::Check, bearer(&authorization).map(str::to_owned)));
        }
        let input = match (route.profile, route.input) {
            (Profile::Api, Input::Json) => Document::from_json(body, depth)?,
            (_, input) => {
                let mut members = members.clone();
                members.extend(self.query(route)?);
                let is_form = input == Input::Form && is_form(&self.head);
                let body = match input {
                    Input::Nothing => &[],
                    Input::Form if is_form => {
                        members.extend(form(body, &[("token", Kind::Text)])?);
                        &[]
                    }
                    _ => body,
                };
                Document::from_json_and(body, depth, &members)?
            }
        };
        let command = Command::decode(route.operation, &input, 0, &config.limits)?;
        Ok((command, self.bearer()))
    }

    fn query(&self, route: &Route) -> Result<Members, Error> {
        match route.query {
            [] => Ok(Members::new()),
            kinds => form(&self.head.query, kinds),
        }
    }

    /// The request as the core takes it. Notes for the log who called, and with how long a body.
    pub fn request(&mut self, caller: Caller, command: Command, body_length: usize) -> Request {
        self.body_length = body_length;
        self.caller = caller.clone();
        Request {
            origin: Origin {
                front: Front::Http,
                peer: self.peer.clone(),
            },
            caller,
            command,
        }
    }

    /// The token of the one `Authorization` header.
    fn bearer(&self) -> Option<String> {
        bearer(self.head.authorization.text()?).map(str::to_owned)
    }

    /// Answers with an error that the carrier found.
    pub fn refuse(mut self, error: Error) -> Response {
        self.target = Err(error);
        self.finish(Err(Error::Internal), Held::default())
    }

    /// The answer. `result` counts where an operation was executed; `held` is what its outcome holds.
    pub fn finish(self, result: Result<Outcome, Error>, held: Held) -> Response {
        let operation = self.operation();
        let path = self.head.path();
        let profile = routes::profile(path);
        let (mut response, error) = match &self.target {
            Ok(Target::Options(allow)) => (options(allow), None),
            Ok(Target::Page(page)) => {
                let accepted = self.head.accept_encoding.text();
                let accepted = accepted.filter(|_| self.site.config.compression);
                (docs::response(page, accepted.unwrap_or_default()), None)
            }
            Ok(Target::Operation(route, _)) => {
                let rendered = result.and_then(|outcome| success(route, &outcome));
                match rendered {
                    Ok(response) => (response, None),
                    Err(error) => (self.failure(profile, &error), Some(error)),
                }
            }
            Err(error) => (self.failure(profile, error), Some(error.clone())),
        };
        response.held = held;
        // It is there already; others that come have to wait for it.
        let bridge = &self.site.instance.bridge;
        response.held.grow_to(&bridge.memory, response.body.len());
        response.in_flight = self.in_flight;
        response.head_only = self.head.method == Method::HEAD;
        let config = &self.site.config;
        let methods = self.target.as_ref().map_or("", Target::allow);
        cors::add(&config.cors, self.allowed, methods, &mut response);
        if let Some(value) = cache_control(profile, operation, error.is_some()) {
            response.set("Cache-Control", value);
        }
        if let Some(server) = &config.server {
            response.set("Server", server.clone());
        }
        let wanted = match config.access_log {
            AccessLog::Off => false,
            AccessLog::Errors => response.status >= 500,
            AccessLog::All => true,
        };
        if wanted {
            let entry = Entry {
                request_id: &self.id,
                remote: &self.peer,
                method: known(&self.head.method),
                path: match self.target {
                    Ok(Target::Page(page)) => page.path,
                    _ => routes::known(path),
                },
                status: response.status,
                error: error.map(|error| error.row().name),
                login: match &self.caller {
                    Caller::Bearer(claims) => Some(&*claims.sub),
                    _ => None,
                },
                bytes_in: self.body_length,
                bytes_out: response.body.len(),
                microseconds: self.started.elapsed().as_micros(),
            };
            let instance = self.site.instance;
            instance
                .bridge
                .log_request(entry.line(instance.config.log_json));
        }
        response.set("X-Request-Id", self.id);
        response
    }

    fn failure(&self, profile: Profile, error: &Error) -> Response {
        let mut response = match profile {
            Profile::Api => {
                let (status, body) = api::render_error(self.operation(), error);
                Response::json(status, body)
            }
            Profile::V1 => {
                let (status, body) = v1::render_error(error);
                let mut response = Response::new(status, body);
                response.set("Content-Type", v1::PROBLEM);
                response
            }
        };
        if let Error::WrongMethod { allow } = error {
            response.set("Allow", *allow);
        }
        if let Some(seconds) = error.retry_after() {
            response.set("Retry-After", seconds.to_string());
        }
        let has_token = !matches!(self.caller, Caller::Anonymous);
        let is_told = matches!(response.status, 401 | 403);
        if let Some(challenge) = v1::challenge(error, has_token).filter(|_| is_told) {
            response.set("WWW-Authenticate", challenge);
        }
        response
    }
}

fn success(route: &Route, outcome: &Outcome) -> Result<Response, Error> {
    let (status, body) = match route.profile {
        Profile::Api => api::render_outcome(outcome)?,
        Profile::V1 => v1::render_outcome(route.operation, outcome)?,
    };
    Ok(Response::json(status, body))
}

/// A token is not to be kept (RFC 6749 §5.1), nor is the answer to a GET that does something; the keys that verify are.
fn cache_control(
    profile: Profile,
    operation: Option<Operation>,
    failed: bool,
) -> Option<&'static str> {
    match (profile, operation) {
        (_, Some(Operation::KeySet)) if !failed => Some("public, max-age=60"),
        (_, Some(Operation::Login | Operation::Logout)) | (Profile::V1, _) => Some("no-store"),
        (Profile::Api, _) => None,
    }
}

/// What a request is for, as far as its head says. Errors: those of routing, `BadMediaType`.
fn check(site: &Site, head: &Head) -> Result<Target, Error> {
    let config = &site.instance.config;
    let page = |path: &str| match site.config.docs {
        true => docs::find(config, path),
        false => None,
    };
    let target = routes::find(config.services, &head.method, head.path(), page)?;
    if let Target::Operation(route, _) = &target {
        if route.has_body() {
            check_type(head)?;
        }
    }
    Ok(target)
}

fn options(allow: &str) -> Response {
    let mut response = Response::new(204, Bytes::new());
    response.set("Allow", format!("{allow}, OPTIONS"));
    response
}

/// The name of a standard method; another could be anything.
fn known(method: &Method) -> &str {
    match method.as_str() {
        name @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => name,
        _ => "-",
    }
}
