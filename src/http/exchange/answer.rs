//! The answer to a request: the rendered result, and the headers of every answer.

use super::super::access_log_guard::AccessLogGuard;
use super::super::carried;
use super::super::metrics::Answered;
use super::super::outgoing::Outgoing;
use super::super::pages::Target;
use super::super::piece::{Pieces, Stream};
use super::super::render::success;
use super::super::response::Response;
use super::super::{api, cors, rate_limit, v1};
use super::Exchange;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_command::{Caller, Operation, Outcome};
use authkv_wire::routes::{Delivery, Profile};
use authkv_wire::trace::TraceParent;
use bytes::Bytes;
use hyper::Method;

impl Exchange {
    /// Answers with an error that the carrier found.
    pub fn refuse(mut self, error: Error) -> Outgoing {
        self.target = Err(error);
        self.finish(Err(Error::Internal), Reservation::default())
    }

    /// The answer. `result` counts only if an operation was executed; `held` is the memory reserved for its outcome.
    pub fn finish(self, result: Result<Outcome, Error>, held: Reservation) -> Outgoing {
        let result = match result {
            Ok(Outcome::Carried(answer)) => match carried::decode(&answer) {
                Some((response, error)) => return self.relay(response, error, held),
                None => Err(Error::Internal),
            },
            other => other,
        };
        let (response, error) = match &self.target {
            Ok(Target::Options(allow)) => (options(allow), None),
            Ok(Target::Page(page)) => (page.answer(&self.head, &self.shared), None),
            Ok(Target::Operation(route, _)) => {
                let rendered = result.and_then(|outcome| success(&self.head, route, &outcome));
                match rendered {
                    Ok(response) => (response, None),
                    Err(error) => (self.problem(&error), Some(error)),
                }
            }
            Err(error) => (self.problem(error), Some(error.clone())),
        };
        self.close(response, error.as_ref(), held)
    }

    /// The answer to a request that was executed in several commands, with the error that it reports.
    pub fn close(
        mut self,
        mut response: Response,
        error: Option<&Error>,
        held: Reservation,
    ) -> Outgoing {
        self.add_fields(&mut response, error);
        self.end(response, error.map(|error| error.row().name), held)
    }

    /// The answer that the leader has given, with all its fields, and the name of its error.
    fn relay(
        mut self,
        response: Response,
        error: Option<&'static str>,
        held: Reservation,
    ) -> Outgoing {
        self.forwarded = true;
        self.end(response, error, held)
    }

    /// A whole answer, which is counted and logged here.
    fn end(
        mut self,
        response: Response,
        error: Option<&'static str>,
        held: Reservation,
    ) -> Outgoing {
        let in_flight = self.in_flight.take();
        let is_logged = AccessLogGuard::is_wanted(&self.shared, response.status);
        Answered {
            place: self.place,
            method: &self.head.method,
            status: response.status,
            bytes_in: self.body_length,
            bytes_out: response.body.len(),
            time: self.started.elapsed(),
        }
        .count();
        // The access-log guard is dropped here, which writes its line.
        let (mut outgoing, _) = self.seal(response, error, held, is_logged);
        outgoing.in_flight = in_flight;
        outgoing
    }

    /// The head of an answer that is sent in pieces. Its access-log guard lives until the last piece. A watch does not
    /// count as a request from here on, because it has no end.
    pub fn open(mut self, mut response: Response, pieces: Pieces) -> Outgoing {
        self.add_fields(&mut response, None);
        let in_flight = self.in_flight.take();
        let is_watch = self.delivery() == Delivery::Watch;
        let (place, streaming) = (self.place, self.shared.begin_stream(self.delivery()));
        let (mut outgoing, mut access_log_guard) =
            self.seal(response, None, Reservation::default(), true);
        if let Some(guard) = &mut access_log_guard {
            guard.place = Some(place);
            guard.streaming = streaming;
        }
        outgoing.in_flight = in_flight.filter(|_| !is_watch);
        outgoing.stream = Some(Box::new(Stream::new(pieces, access_log_guard, is_watch)));
        outgoing
    }

    /// Adds the headers of every answer.
    fn add_fields(&mut self, response: &mut Response, error: Option<&Error>) {
        let config = &self.shared.config;
        let streams = self.delivery() != Delivery::Whole && error.is_none();
        let methods = self.target.as_ref().map_or("", Target::allow);
        self.add_limits(error, response);
        cors::add(&config.cors, self.allowed.take(), methods, response);
        let operation = self.target.as_ref().ok().and_then(Target::route);
        let operation = operation.map(|route| route.operation);
        if streams {
            // For proxies: they must not buffer the pieces (nginx) or compress them.
            response.set("Cache-Control", "no-store, no-transform");
            response.set("X-Accel-Buffering", "no");
        } else if let Some(value) = cache_control(self.profile, operation, error.is_some()) {
            response.set("Cache-Control", value);
        }
        if let Some(server) = &config.server {
            response.set("Server", server.clone());
        }
        response.set("X-Request-Id", self.id.clone());
    }

    /// The finished response with the name of its error, on its way, and the guard of its line.
    fn seal(
        self,
        response: Response,
        error: Option<&'static str>,
        mut held: Reservation,
        is_logged: bool,
    ) -> (Outgoing, Option<AccessLogGuard>) {
        // The body exists already, so it counts even above the limit; later bodies wait.
        let memory = &self.shared.bridge.memory;
        held.grow_to(memory, response.body.len());
        let head_only = self.head.method == Method::HEAD;
        let request_id = is_logged.then_some(self.id);
        let access_log_guard = request_id.map(|request_id| AccessLogGuard {
            request_id,
            path: match &self.target {
                Ok(Target::Page(page)) => page.path(),
                _ => self.path,
            },
            remote: self.peer,
            method: self.head.method,
            status: response.status,
            error,
            failed: false,
            forwarded: self.forwarded,
            place: None,
            streaming: None,
            login: match &self.caller {
                Caller::Bearer(claims) => Some(claims.sub.clone()),
                Caller::Key(key) => key.login().map(str::to_owned),
                _ => None,
            },
            bytes_in: self.body_length,
            bytes_out: response.body.len(),
            started: self.started,
            trace: self.head.traceparent.text().and_then(TraceParent::parse),
            shared: self.shared,
        });
        let outgoing = Outgoing {
            response,
            error,
            held,
            head_only,
            ..Outgoing::default()
        };
        (outgoing, access_log_guard)
    }

    /// Adds what is left of the limits that concern the request. Whose token was refused is nobody.
    fn add_limits(&self, error: Option<&Error>, response: &mut Response) {
        let limits = self.shared.limits;
        // Only the leader knows what is left of its limits.
        if self.forwarded || !self.shared.is_limited(&self.peer) {
            return;
        }
        let login = match &self.caller {
            _ if error.is_some_and(|error| error.is(&Error::Unauthenticated)) => None,
            Caller::Bearer(claims) => Some(&*claims.sub),
            Caller::Key(key) => key.login(),
            _ => None,
        };
        let operation = self.operation();
        let registers = operation.is_some_and(Operation::is_registration)
            && self.shared.settings.live().registration_open;
        rate_limit::add(&limits.of(&self.peer, login, registers), response);
    }

    /// The answer to an error, without the headers of every answer.
    pub fn problem(&self, error: &Error) -> Response {
        let mut response = match self.profile {
            // It is not known what the request asks for.
            Profile::Api if self.head.path.is_empty() => {
                let (status, body) = v1::render_error_for_anyone(error);
                let mut response = Response::new(status, body);
                response.set("Content-Type", v1::PROBLEM);
                response
            }
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
        // Only if the coding was refused (RFC 9110 §15.5.16).
        if let Error::BadMediaType {
            codings: Some(codings),
            ..
        } = error
        {
            response.set("Accept-Encoding", *codings);
        }
        if let Some(seconds) = error.retry_after() {
            response.set("Retry-After", seconds.to_string());
        }
        let has_token = !matches!(self.caller, Caller::Anonymous);
        let is_denied = matches!(response.status, 401 | 403);
        if let Some(challenge) = v1::challenge(error, has_token).filter(|_| is_denied) {
            response.set("WWW-Authenticate", challenge);
        }
        response
    }
}

/// A token must not be cached (RFC 6749 §5.1), nor a GET with an effect. Public keys may be.
fn cache_control(
    profile: Profile,
    operation: Option<Operation>,
    failed: bool,
) -> Option<&'static str> {
    match (profile, operation) {
        (_, Some(Operation::KeySet)) if !failed => Some("public, max-age=60"),
        (_, Some(Operation::PairGet)) if !failed => Some("private, no-cache"),
        (_, Some(Operation::Login | Operation::Logout)) | (Profile::V1, _) => Some("no-store"),
        (Profile::Api, _) => None,
    }
}

fn options(allow: &str) -> Response {
    let mut response = Response::new(204, Bytes::new());
    response.set("Allow", format!("{allow}, OPTIONS"));
    response
}
