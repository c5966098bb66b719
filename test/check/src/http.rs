//! A client of HTTP: one connection that is kept, one request at a time, nothing sent again by itself.

use crate::client::{Address, Failure};
use crate::command::{Command, If, Mode};
use crate::instance::ADMIN_PASSWORD;
use crate::outcome::Outcome;
use crate::value::{body_to_json, map, plain_to_json, to_json};
use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};
use rmpv::Value;
use serde_json::{json, Value as Json};
use std::io::ErrorKind;
use std::time::Duration;
use ureq::http::{HeaderMap, Method, Request as HttpRequest};
use ureq::Agent;

mod answer;

/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const JSON: &str = "application/json";

pub struct Http {
    agent: Agent,
    port: u16,
    token: String,
}

struct Request {
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Http {
    /// Connects with the first request.
    pub fn new(address: &Address) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            agent: agent.into(),
            port: address.http_port,
            token: address.token.clone(),
        }
    }

    /// A token of the user `admin`.
    pub fn login(port: u16) -> Result<String, Failure> {
        let http = Self::new(&Address {
            http_port: port,
            iproto_port: 0,
            token: "-".to_owned(),
        });
        let body = json!({ "login": "admin", "password": ADMIN_PASSWORD });
        let answer = http.exchange(Request::post("/v1/login", &body))?;
        let session: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        match session["access_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(answer.odd("login")),
        }
    }

    pub fn send(&self, command: &Command) -> Result<Outcome, Failure> {
        self.exchange(request(command))?.outcome(command)
    }

    fn exchange(&self, request: Request) -> Result<Answer, Failure> {
        let odd = |error: ureq::http::Error| Failure::Odd(error.to_string());
        let mut builder = HttpRequest::builder()
            .method(request.method)
            .uri(format!("http://127.0.0.1:{}{}", self.port, request.target))
            .header("Authorization", format!("Bearer {}", self.token));
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let answer = match request.body {
            Some(body) => self.agent.run(builder.body(body).map_err(odd)?),
            None => self.agent.run(builder.body(()).map_err(odd)?),
        };
        let mut answer = answer.map_err(failure)?;
        Ok(Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.body_mut().read_to_vec().map_err(failure)?,
        })
    }
}

impl Request {
    fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    fn post(target: &str, body: &Json) -> Self {
        Self::new(Method::POST, target).with_body(JSON, body.to_string().into())
    }

    fn with_body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self.with("Content-Type", content_type)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// `name` with these revisions as tags, where there are any.
    fn with_tags(self, name: &'static str, revisions: &[If]) -> Self {
        let tags: Vec<_> = revisions
            .iter()
            .map(|revision| format!("\"{}\"", revision.number()))
            .collect();
        match tags.as_slice() {
            [] => self,
            tags => self.with(name, tags.join(", ")),
        }
    }
}

fn request(command: &Command) -> Request {
    let body = |batch: &'static str| {
        let members = [(batch, command.batch())].into_iter();
        body_to_json(&map(members.chain(command.options())))
    };
    match command {
        Command::BatchGet { .. } => Request::post("/v1/batch/get", &body("keys")),
        Command::BatchPut { .. } => Request::post("/v1/batch/put", &body("pairs")),
        Command::BatchDelete { .. } => Request::post("/v1/batch/delete", &body("keys")),
        Command::Txn { .. } => Request::post("/v1/txn", &body_to_json(&map(command.options()))),
        Command::List(_) => {
            let target = format!("/v1/kv{}", query(command.options()));
            Request::new(Method::GET, target)
        }
        Command::Incr { key, .. } => {
            let target = format!("{}/incr", path(key));
            match command.options() {
                none if none.is_empty() => {
                    Request::new(Method::POST, target).with_body(JSON, Vec::new())
                }
                some => Request::post(&target, &body_to_json(&map(some))),
            }
        }
        Command::PairGet {
            key,
            if_revision,
            none_match,
            head,
        } => {
            let method = if *head { Method::HEAD } else { Method::GET };
            Request::new(method, path(key))
                .with_tags("If-Match", if_revision)
                .with_tags("If-None-Match", none_match)
        }
        Command::PairPut { .. } => put(command),
        Command::PairDelete { key, if_revision } => {
            Request::new(Method::DELETE, path(key)).with_tags("If-Match", if_revision)
        }
        Command::OldRead { .. } => Request::post("/api/read/", &body("keys")),
        Command::OldWrite { .. } => {
            let data = plain_to_json(&command.batch());
            Request::post("/api/write/", &json!({ "data": data }))
        }
    }
}

fn put(command: &Command) -> Request {
    let Command::PairPut {
        put,
        if_revision,
        mode,
    } = command
    else {
        unreachable!("a put of one pair");
    };
    // What exists is said in a header, as clients of HTTP do, and in the query.
    let must_exist = *mode == Some(Mode::Replace) && if_revision.is_empty();
    let in_query = command
        .options()
        .into_iter()
        .filter(|(name, _)| match *name {
            "mode" => !must_exist,
            "ttl" | "expires_at" => true,
            _ => false,
        });
    let target = path(&put.key) + &query(in_query.collect());
    let request = Request::new(Method::PUT, target);
    let request = match (if_revision.as_slice(), must_exist) {
        ([If::Is(0)], _) => request.with("If-None-Match", "*"),
        ([], true) => request.with("If-Match", "*"),
        (revisions, _) => request.with_tags("If-Match", revisions),
    };
    match (&put.value, &put.content_type) {
        (Value::Binary(bytes), Some(content_type)) => {
            request.with_body(content_type, bytes.clone())
        }
        (value, _) => request.with_body(JSON, to_json(value).to_string().into()),
    }
}

fn path(key: &str) -> String {
    format!("/v1/kv/{}", utf8_percent_encode(key, RESERVED))
}

fn query(options: Vec<(&'static str, Value)>) -> String {
    let pairs: Vec<_> = options
        .into_iter()
        .map(|(name, value)| {
            let text = match value.as_str() {
                Some(text) => text.to_owned(),
                None => to_json(&value).to_string(),
            };
            format!("{name}={}", utf8_percent_encode(&text, RESERVED))
        })
        .collect();
    match pairs.as_slice() {
        [] => String::new(),
        pairs => format!("?{}", pairs.join("&")),
    }
}

fn failure(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::ConnectionFailed => Failure::NotSent,
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => Failure::NotSent,
        error => Failure::Unknown(error.to_string()),
    }
}
