//! One request and its answer, on any transport of HTTP: routing, checks, execution, rendering, the log.
//!
//! The carrier (`h1`, `h2`, `embedded`) reads the head, asks how large a body is allowed, reads the body, and sends the
//! answer. Runs on HTTP workers. `decode`, `refuse` and `finish` also run on the tx thread, for embedded requests.

mod answer;
mod freshness;
mod scrape;

use super::carried;
use super::commands::{caller, CommandRunner};
use super::compress;
use super::cors::{self, Allowed};
use super::metrics;
use super::outgoing::Outgoing;
use super::pages::{self, Page, Target};
use super::pair;
use super::request_id;
use super::shared::{InFlight, Shared, Site};
use crate::bridge::{Call, CancelFlag};
use authkv_base::error::Error;
use authkv_base::guard::guard;
use authkv_base::memory::Reservation;
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_base::ticks::Instant;
use authkv_codec::{self as codec, Document};
use authkv_command::{Caller, Command, Freshness, Operation, Privilege, Request};
use authkv_token::bearer;
use authkv_wire::head::{Field, Head};
use authkv_wire::input::{check_type, coding, form, is_form, whole_number, Coding, Others};
use authkv_wire::routes::{self, Delivery, Found, Input, Kind, Members, Profile, Route};
use bytes::Bytes;
use hyper::Method;
use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

/// A request whose head was read.
pub struct Exchange {
    shared: Arc<Shared>,
    peer: Peer,
    /// Boxed, because an exchange is moved often.
    head: Box<Head>,
    profile: Profile,
    /// The path of the route, or `-`.
    path: &'static str,
    /// Its place among the counters.
    place: usize,
    target: Result<Target, Error>,
    id: String,
    started: Instant,
    allowed: Option<Allowed>,
    caller: Caller,
    gone: CancelFlag,
    body_length: usize,
    in_flight: Option<InFlight>,
    /// The leader of the replica set has executed it.
    forwarded: bool,
}

/// The input of a request.
pub struct Decoded<'a> {
    pub command: Command,
    pub fresh: Result<Freshness, Error>,
    /// As it was sent.
    pub token: Option<Cow<'a, str>>,
}

impl Exchange {
    /// Begins with a head. The carrier sets `gone` if the client goes away.
    pub fn begin(shared: &Arc<Shared>, peer: &Peer, gone: &CancelFlag, head: Box<Head>) -> Self {
        let Found {
            profile,
            path,
            place,
            target,
        } = find(shared, &head);
        let is_page = matches!(target, Ok(Target::Page(_)));
        let peer = shared.client(peer, &head);
        let in_flight = shared.begin_request();
        let admitted = shared.admit_request(&peer);
        let given = head.request_id.text().filter(|id| request_id::is_valid(id));
        Self {
            id: given.map_or_else(|| shared.ids.next(), str::to_owned),
            allowed: cors::allowed(&shared.config.cors, &head),
            profile,
            path,
            place: metrics::place(place, is_page),
            target: match &in_flight {
                Some(_) => admitted.and(target),
                None => Err(Error::Overloaded {
                    what: "requests at a time",
                    limit: shared.config.requests_max,
                }),
            },
            shared: shared.clone(),
            peer,
            head,
            started: Instant::now(),
            caller: Caller::Anonymous,
            gone: gone.clone(),
            body_length: 0,
            in_flight,
            forwarded: false,
        }
    }

    /// The answer if no head could be read. `begun` is the part of the head that is known.
    pub fn refuse_without_head(
        shared: &Arc<Shared>,
        peer: &Peer,
        begun: Option<Head>,
        error: Error,
    ) -> Outgoing {
        let unknown = || Head::new(Method::default(), Bytes::new());
        let head = Box::new(begun.unwrap_or_else(unknown));
        Self::begin(shared, peer, &CancelFlag::default(), head).refuse(error)
    }

    /// How many bytes the body may have, or `None` if the body is not used.
    pub fn body_max(&self) -> Option<usize> {
        match &self.target {
            Ok(Target::Operation(route, _)) if route.has_body() => {
                Some(route.operation.input_max(&self.shared.settings))
            }
            _ => None,
        }
    }

    /// Answers a request with a whole answer. `body` is empty if none is used; `held` is its reserved memory. A panic
    /// during decoding becomes an internal error of this request only.
    pub async fn answer(mut self, body: Bytes, held: Reservation) -> Outgoing {
        if matches!(self.target, Ok(Target::Page(Page::Metrics))) {
            // Boxed, because it is large and few answers need it.
            return Box::pin(self.scrape()).await;
        }
        let coding = self.head.accept_encoding.text().and_then(compress::choose);
        let compression = self.shared.config.compression;
        let is_read = matches!(
            self.operation(),
            Some(Operation::Get | Operation::BatchGet | Operation::KvList)
        );
        let mut held = held;
        let call = guard(|| self.call(&body, &mut held));
        drop(body);
        let (result, found) = match call {
            Ok(call) => call.await,
            Err(error) => (Err(error), Reservation::default()),
        };
        // Kept until here, because a write still uses the memory of the body.
        drop(held);
        let mut outgoing = self.finish(result, found);
        let response = &mut outgoing.response;
        // An answer that has a token beside text of the client is not compressed (BREACH, CVE-2013-3587).
        if compression && is_read && response.status == 200 && response.body.len() >= compress::MIN
        {
            // Boxed, because it is large and few answers need it.
            Box::pin(compress::compress(response, coding)).await;
        }
        outgoing
    }

    /// Checks the token of a client that waits for `100 Continue`, under `/v1` only. The shape of the body, which is
    /// otherwise checked before the token, is not known yet. Errors: `Unauthenticated`.
    pub fn invite(&mut self) -> Result<(), Error> {
        let config = &self.shared.settings;
        let asks = |route: &&Route| {
            route.profile == Profile::V1 && route.operation.privilege(config) != Privilege::Nothing
        };
        if self.route().filter(asks).is_none() {
            return Ok(());
        }
        self.caller = caller(self.shared.tokens, self.bearer());
        match self.caller {
            Caller::Bearer(_) | Caller::Key(_) => Ok(()),
            _ => Err(Error::Unauthenticated),
        }
    }

    /// What all requests share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The operation, unless the head has an error.
    pub fn operation(&self) -> Option<Operation> {
        self.route().map(|route| route.operation)
    }

    /// How the operation is answered.
    pub fn delivery(&self) -> Delivery {
        self.route().map_or(Delivery::Whole, |route| route.delivery)
    }

    fn route(&self) -> Option<&'static Route> {
        self.target.as_ref().ok().and_then(Target::route)
    }

    /// Decodes the command and queues it for tx. `held` is the reserved memory of the body. Errors: those of `decode`; `Overloaded`
    /// if there is no memory for the copy that is carried to a leader.
    fn call(&mut self, body: &[u8], held: &mut Reservation) -> Result<Call, Error> {
        let Decoded {
            command,
            fresh,
            token,
        } = self.decode(body)?;
        let caller = caller(self.shared.tokens, token.as_deref());
        let request = self.request(caller, (command, fresh), body);
        let memory = &self.shared.bridge.memory;
        if request.carried.is_some() && !held.grow_to(memory, 2 * body.len()) {
            return Err(self.shared.bridge.memory_error());
        }
        Ok(self.shared.bridge.call(request, self.gone.clone()))
    }

    /// Errors: `Malformed`, `TooDeep`, `InputTooLarge`; `Internal` if there is no operation.
    pub fn decode(&self, body: &[u8]) -> Result<Decoded<'_>, Error> {
        let Ok(Target::Operation(route, members)) = &self.target else {
            return Err(Error::Internal);
        };
        let config = &self.shared.settings;
        let limit = route.operation.input_max(config);
        if body.len() > limit {
            return Err(Error::InputTooLarge { limit });
        }
        let rules = route.operation.rules(config, self.shared.types);
        if route.input == Input::Authorization {
            let input = Document::from_json(body, rules)?;
            let [authorization] = input.fields(["authorization"], 0)?;
            let authorization = codec::string("authorization", authorization)?;
            return Ok(Decoded {
                command: Command::Check,
                fresh: freshness::of_header(&self.head)?,
                token: bearer(&authorization).map(|token| token.to_owned().into()),
            });
        }
        let input = match (route.profile, route.input) {
            (Profile::Api, Input::Json) => Document::from_json(body, rules)?,
            (_, input) => {
                let mut members = members.clone();
                members.extend(self.query(route)?);
                let is_form = input == Input::Form && is_form(&self.head);
                if is_pair(route.operation) {
                    pair::conditions(&self.head, route.operation, &mut members)?;
                }
                let body = match input {
                    Input::Nothing => &[],
                    Input::Value => {
                        members.extend(pair::value(&self.head, body, rules)?);
                        &[]
                    }
                    // Other parameters are ignored, because extensions of the protocol send them (RFC 7662 §2.1).
                    Input::Form if is_form => {
                        let kinds = &[("token", Kind::Text)];
                        members.extend(form(body, kinds, Others::Ignored)?);
                        &[]
                    }
                    _ => body,
                };
                match input == Input::Form && !is_form {
                    true => Document::from_json(body, rules)?,
                    false => Document::from_json_and(body, rules, &members)?,
                }
            }
        };
        let limits = &config.live().limits;
        let (command, fresh) = Command::decode_fresh(route.operation, &input, 0, limits)?;
        Ok(Decoded {
            command,
            fresh: freshness::with_header(&self.head, fresh)?,
            token: self.bearer().map(Cow::Borrowed),
        })
    }

    /// For a request that takes several commands: the runner, and the members of the query. Errors: `Malformed`.
    pub fn runner(&mut self) -> Result<(CommandRunner, Members), Error> {
        let route = self.route().ok_or(Error::Internal)?;
        let members = self.query(route)?;
        let token = self.bearer().map(str::to_owned);
        let fresh = freshness::of_members(&members)?;
        let runner = CommandRunner {
            fresh: freshness::with_header(&self.head, fresh)?,
            shared: self.shared.clone(),
            peer: self.peer.clone(),
            token,
            gone: self.gone.clone(),
            counted: AtomicBool::new(false),
            forwarded: AtomicBool::new(false),
        };
        self.caller = runner.caller();
        Ok((runner, members))
    }

    /// Whether the body is in gzip, and the operation accepts that.
    pub fn is_gzip(&self) -> bool {
        let lines = self.delivery() == Delivery::Import;
        coding(&self.head, lines) == Ok(Coding::Gzip)
    }

    /// The caller, by the token.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The id of the last event that the client of a watch has seen. Errors: `Malformed`.
    pub fn last_event_id(&self) -> Result<Option<u64>, Error> {
        let wrong = || Error::malformed("Last-Event-ID should be the number of an event");
        match &self.head.last_event_id {
            Field::None => Ok(None),
            Field::One(id) if id.is_empty() => Ok(None),
            field => {
                let number = field.text().and_then(whole_number);
                number.map(Some).ok_or_else(wrong)
            }
        }
    }

    /// The parameters of the query. Outside `/v1` the query is ignored. Errors: `Malformed`.
    fn query(&self, route: &Route) -> Result<Members, Error> {
        match route.path().starts_with("/v1/") {
            true => form(&self.head.query, route.query, Others::Refused),
            false => Ok(Members::new()),
        }
    }

    /// The request for the core. Notes the caller and the length of the body for the log.
    pub fn request(
        &mut self,
        caller: Caller,
        (command, fresh): (Command, Result<Freshness, Error>),
        body: &[u8],
    ) -> Request {
        self.body_length = body.len();
        self.caller = caller.clone();
        let forward = &self.shared.core.forward;
        let is_kept = forward.may_carry_for(command.operation(), &caller);
        let keep = || carried::encode(&self.head, &self.id, &self.peer, body);
        let carried = is_kept.then(keep).flatten();
        let is_audited = command.operation().row().audited;
        let agent = self.head.user_agent.text().filter(|_| is_audited);
        Request {
            origin: Origin {
                transport: Transport::Http,
                peer: self.peer.clone(),
                agent: agent.map(str::to_owned),
            },
            caller,
            command,
            counts: true,
            fresh,
            carried,
        }
    }

    /// The token of the `Authorization` header, if there is exactly one.
    fn bearer(&self) -> Option<&str> {
        bearer(self.head.authorization.text()?)
    }

    /// Notes whether the leader has executed some of it. The leader then counts it for the limits.
    pub fn set_forwarded(&mut self, forwarded: bool) {
        self.forwarded = forwarded;
    }

    /// Notes the length of the body for the log.
    pub fn set_body_length(&mut self, length: usize) {
        self.body_length = length;
    }
}

/// What the head asks for. Errors: those of routing, `BadMediaType`.
fn find(shared: &Shared, head: &Head) -> Found<Page> {
    let page = |path: &str| pages::find(shared, path);
    let services = match shared.site {
        Site::Main => Some(shared.settings.services),
        Site::Admin => None,
    };
    let mut found = routes::find(services, &head.method, head.path(), page);
    if let Ok(Target::Operation(route, _)) = &found.target {
        let checked = match route.input {
            Input::Nothing => Ok(()),
            Input::Value => pair::check_type(head),
            _ => check_type(head, route.delivery == Delivery::Import),
        };
        if let Err(error) = checked {
            found.target = Err(error);
        }
    }
    found
}

/// Whether the operation is about one pair, which is a resource with conditions.
fn is_pair(operation: Operation) -> bool {
    use Operation::{PairDelete, PairGet, PairPut};
    matches!(operation, PairGet | PairPut | PairDelete)
}
