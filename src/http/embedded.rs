//! Embedded requests: those from another HTTP server in this process, such as the `http` rock, and those that another instance
//! carries here. Runs on the tx thread.

use super::carried;
use super::exchange::{Decoded, Exchange};
use super::outgoing::Outgoing;
use super::shared::Shared;
use crate::auth::session::caller;
use crate::bridge::dispatch::{self, carry};
use crate::bridge::CancelFlag;
use crate::core::{execute as execute_here, Core};
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_base::guard::guard;
use authkv_base::memory::Reservation;
use authkv_base::origin::Peer;
use authkv_command::{Caller, Freshness, Outcome};
use authkv_wire::head::Head;
use authkv_wire::routes::Delivery;
use bytes::Bytes;
use hyper::Method;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A request from Lua.
#[derive(Deserialize)]
pub struct EmbeddedRequest {
    method: Text,
    /// Without the prefix, with or without a query.
    path: Text,
    /// Names in lower case.
    headers: BTreeMap<Text, Text>,
    remote: Option<String>,
    /// Empty if `content-length` is above every limit.
    body: Option<Text>,
}

/// A string from Lua. It may have any bytes, because the client has sent them.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
struct Text(Vec<u8>);

/// A response for Lua.
#[derive(Serialize)]
pub struct EmbeddedResponse {
    status: u16,
    headers: BTreeMap<Cow<'static, str>, String>,
    /// Any bytes, because a value may have them.
    body: ByteBuf,
}

impl EmbeddedRequest {
    /// Executes the request and returns the response. Yields.
    pub fn answer(self, tx: &Tx, core: &'static Core, shared: &Arc<Shared>) -> EmbeddedResponse {
        let method = Method::from_bytes(&self.method.0);
        let is_valid = method.is_ok();
        let mut head = Head::new(method.unwrap_or_default(), self.path.0.into());
        let mut length = 0;
        for (name, value) in &self.headers {
            match std::str::from_utf8(&name.0) {
                Ok("content-length") => length = value.number().unwrap_or(0),
                Ok(name) => head.add(name, || Bytes::copy_from_slice(&value.0)),
                Err(_) => {}
            }
        }
        let peer = Peer::reported(self.remote.unwrap_or_else(|| "-".to_owned()));
        let exchange = Exchange::begin(shared, &peer, &CancelFlag::default(), Box::new(head));
        if !is_valid {
            return exchange
                .refuse(Error::BadRequest("the method should be a token"))
                .into();
        }
        let body = self.body.unwrap_or_default();
        execute(tx, core, exchange, &body.0, length, false).into()
    }
}

/// Executes a request that another instance carries here, and returns the answer in the form in which it goes back. Errors:
/// `Malformed`, before anything is done. Yields.
pub fn answer_carried(
    tx: &Tx,
    core: &'static Core,
    shared: &Arc<Shared>,
    carried: &[u8],
) -> Result<Vec<u8>, Error> {
    let (head, peer, body) = carried::read(carried)?;
    let exchange = Exchange::begin(shared, &peer, &CancelFlag::default(), Box::new(head));
    let outgoing = match shared.bridge.memory.hold(body.len()) {
        Some(_held) => execute(tx, core, exchange, &body, body.len(), true),
        None => exchange.refuse(shared.bridge.memory_error()),
    };
    carried::write(&outgoing.response, outgoing.error)
}

/// Executes a request on the tx thread. `length` is that of the body, which is empty if it is above every limit. A request that was
/// carried here is not carried on, and waits for nothing: all revisions that a client may know of are here. Yields.
fn execute(
    tx: &Tx,
    core: &'static Core,
    mut exchange: Exchange,
    body: &[u8],
    length: usize,
    is_carried: bool,
) -> Outgoing {
    if exchange.delivery() != Delivery::Whole {
        return exchange.refuse(Error::NotStreamed);
    }
    let limit = exchange.body_max().unwrap_or(usize::MAX);
    if exchange.operation().is_none() {
        return exchange.finish(Err(Error::Internal), Reservation::default());
    }
    let shared = exchange.shared().clone();
    let result = guard(|| -> Result<Outcome, Error> {
        if length > limit {
            return Err(Error::InputTooLarge { limit });
        }
        let _call = shared.life.begin_call()?;
        let Decoded {
            command,
            fresh,
            token,
        } = exchange.decode(body)?;
        let caller = match token {
            Some(token) => caller(tx, &core.auth, token.into_owned())?,
            None => Caller::Anonymous,
        };
        let mut request = exchange.request(caller, (command, fresh), body);
        if is_carried {
            // The one who carried it has a fiber that waits.
            request.fresh = request.fresh.map(Freshness::at_once);
            request.carried = None;
        }
        dispatch::await_fresh(tx, shared.bridge, core, &mut request)?;
        match request.command.operation().may_write() {
            true => carry(tx, shared.bridge, core, request),
            false => execute_here(tx, core, request),
        }
    });
    exchange.finish(result, Reservation::default())
}

impl Text {
    fn number(&self) -> Option<usize> {
        std::str::from_utf8(&self.0).ok()?.parse().ok()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.as_bytes().to_owned()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(bytes.to_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl From<Outgoing> for EmbeddedResponse {
    fn from(outgoing: Outgoing) -> Self {
        let response = outgoing.response;
        Self {
            status: response.status,
            headers: response
                .headers
                .into_iter()
                .map(|(name, value)| (name, value.into_owned()))
                .collect(),
            body: ByteBuf::from(response.body),
        }
    }
}
