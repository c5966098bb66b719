//! One request and its answer, whatever carried them: routing, checks, execution, rendering, the log.
//!
//! The carrier reads the head, asks whether and how large a body is wanted, reads it, and sends the answer.
//! HTTP workers; `decode`, `refuse` and `finish` also serve the tx thread, for requests that another server took.

use super::access_log::Entry;
use super::compress;
use super::cors::{self, Allowed};
use super::head::{Field, Head};
use super::peer::Peer;
use super::request_id;
use super::response::Response;
use super::routes::{self, Target};
use super::site::{InFlight, Site};
use super::{api, docs};
use crate::auth::token::bearer;
use crate::bridge::Gone;
use crate::codec::{self, Document};
use crate::command::{Caller, Command, Operation, Outcome};
use crate::config::AccessLog;
use crate::domain::Claims;
use crate::error::Error;
use crate::memory::Held;
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
    claims: Option<Arc<Claims>>,
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
            claims: None,
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
            Ok(Target::Operation(route)) if route.has_body() => {
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
        let mut response = match self.operation() {
            None => self.finish(Err(Error::Internal), Held::default()),
            Some(operation) => {
                let executed = AssertUnwindSafe(self.execute(operation, body, held))
                    .catch_unwind()
                    .await;
                let (result, held) =
                    executed.unwrap_or_else(|_| (Err(Error::Internal), Held::default()));
                self.finish(result, held)
            }
        };
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
        match &self.target {
            Ok(Target::Operation(route)) => Some(route.operation),
            _ => None,
        }
    }

    async fn execute(
        &mut self,
        operation: Operation,
        body: Bytes,
        held: Held,
    ) -> (Result<Outcome, Error>, Held) {
        let (command, token) = match self.decode(operation, &body) {
            Ok(decoded) => decoded,
            Err(error) => return (Err(error), Held::default()),
        };
        let body_length = body.len();
        drop(body);
        let instance = self.site.instance;
        let claims = token.and_then(|token| instance.tokens.verify(&token));
        let caller = claims.map_or(Caller::Anonymous, Caller::Bearer);
        self.note(&caller, body_length);
        let call = instance.bridge.call(caller, command, self.gone.clone());
        let answer = call.await;
        // Until now a write has held what came with the body.
        drop(held);
        answer
    }

    /// The command, and the token as it was sent. Errors: `Malformed`, `TooDeep`, `InputTooLarge`.
    pub fn decode(
        &self,
        operation: Operation,
        body: &[u8],
    ) -> Result<(Command, Option<String>), Error> {
        let config = &self.site.instance.config;
        if operation == Operation::Logout {
            return Ok((Command::Logout, self.bearer()));
        }
        let limit = operation.input_max(config);
        if body.len() > limit {
            return Err(Error::InputTooLarge { limit });
        }
        let input = Document::from_json(body, config.json_depth_max)?;
        if operation == Operation::Check {
            // The contract has the token of a check in the body.
            let [authorization] = input.fields(["authorization"], 0)?;
            let authorization = codec::string("authorization", authorization)?;
            return Ok((Command::Check, bearer(&authorization).map(str::to_owned)));
        }
        let command = Command::decode(operation, &input, 0, &config.limits)?;
        Ok((command, self.bearer()))
    }

    /// Notes for the log who called, and with how long a body.
    pub fn note(&mut self, caller: &Caller, body_length: usize) {
        self.body_length = body_length;
        if let Caller::Bearer(claims) = caller {
            self.claims = Some(claims.clone());
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
        let result = match &self.target {
            Ok(Target::Operation(route)) => result.map(|outcome| (route.operation, outcome)),
            Ok(_) => Err(Error::Internal),
            Err(error) => Err(error.clone()),
        };
        let (mut response, error) = match (&self.target, result) {
            (Ok(Target::Options(allow)), _) => (options(allow), None),
            (Ok(Target::Page(page)), _) => {
                let accepted = self.head.accept_encoding.text();
                let accepted = accepted.filter(|_| self.site.config.compression);
                (docs::response(page, accepted.unwrap_or_default()), None)
            }
            (_, Ok((operation, outcome))) => match api::render_outcome(&outcome) {
                Ok((status, body)) => (Response::json(status, body), None),
                Err(error) => (failure(Some(operation), &error), Some(error)),
            },
            (target, Err(error)) => {
                let operation = target.as_ref().ok().and_then(Target::operation);
                (failure(operation, &error), Some(error))
            }
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
        if matches!(operation, Some(Operation::Login | Operation::Logout)) {
            // A token is not to be kept (RFC 6749 §5.1), nor is the answer to a GET that does something.
            response.set("Cache-Control", "no-store");
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
                    _ => routes::known(self.head.path()),
                },
                status: response.status,
                error: error.map(|error| error.row().name),
                login: self.claims.as_ref().map(|claims| &*claims.sub),
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
}

/// What a request is for, as far as its head says. Errors: those of routing, `BadMediaType`.
fn check(site: &Site, head: &Head) -> Result<Target, Error> {
    let config = &site.instance.config;
    let page = |path: &str| match site.config.docs {
        true => docs::find(config, path),
        false => None,
    };
    let target = routes::find(config.services, &head.method, head.path(), page)?;
    if let Target::Operation(route) = &target {
        if route.has_body() {
            check_type(head)?;
        }
    }
    Ok(target)
}

fn check_type(head: &Head) -> Result<(), Error> {
    const TYPE: Error = Error::BadMediaType("application/json");
    match &head.content_encoding {
        Field::None => {}
        Field::One(coding) if coding.eq_ignore_ascii_case(b"identity") => {}
        Field::One(_) | Field::Many => {
            return Err(Error::BadMediaType("sent without Content-Encoding"))
        }
    }
    match &head.content_type {
        Field::None => Ok(()),
        Field::Many => Err(TYPE),
        Field::One(_) => {
            let text = head.content_type.text().ok_or(TYPE)?;
            // Parameters say nothing: JSON is UTF-8 (RFC 8259 §11).
            let essence = text.split(';').next().unwrap_or_default().trim();
            let essence = essence.to_ascii_lowercase();
            let json = essence == "application/json"
                || (essence.starts_with("application/") && essence.ends_with("+json"));
            // What `curl -d` says of any body.
            match json || essence == "application/x-www-form-urlencoded" {
                true => Ok(()),
                false => Err(TYPE),
            }
        }
    }
}

fn options(allow: &str) -> Response {
    let mut response = Response::new(204, Bytes::new());
    response.set("Allow", format!("{allow}, OPTIONS"));
    response
}

fn failure(operation: Option<Operation>, error: &Error) -> Response {
    let (status, body) = api::render_error(operation, error);
    let mut response = Response::json(status, body);
    if let Error::WrongMethod { allow } = error {
        response.set("Allow", *allow);
    }
    if let Some(seconds) = error.retry_after() {
        response.set("Retry-After", seconds.to_string());
    }
    response
}

/// The name of a standard method; another could be anything.
fn known(method: &Method) -> &str {
    match method.as_str() {
        name @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => name,
        _ => "-",
    }
}
