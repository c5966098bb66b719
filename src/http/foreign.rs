//! Requests that another HTTP server in this process took, such as the `http` rock. Runs on the tx thread.

use super::exchange::Exchange;
use super::head::Head;
use super::peer::Peer;
use super::response::Response;
use crate::auth::service::caller;
use crate::command::{execute, Caller, Outcome};
use crate::error::Error;
use crate::guard::guard;
use crate::instance::Instance;
use crate::memory::Held;
use crate::tx::Tx;
use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A request as Lua tells it.
#[derive(Deserialize)]
pub struct ForeignRequest {
    method: String,
    /// Below the prefix, with or without a query.
    path: String,
    /// Names in lower case.
    headers: BTreeMap<String, String>,
    remote: Option<String>,
    /// Empty where `content-length` is above every limit.
    body: Option<String>,
}

/// A response as Lua is told it.
#[derive(Serialize)]
pub struct ForeignResponse {
    status: u16,
    headers: BTreeMap<&'static str, String>,
    body: String,
}

impl ForeignRequest {
    /// Answers. Yields.
    pub fn answer(self, tx: &Tx, instance: &'static Instance) -> ForeignResponse {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap_or_default();
        let mut head = Head::new(method, self.path.into());
        for (name, value) in self.headers.iter() {
            head.add(name, || Bytes::copy_from_slice(value.as_bytes()));
        }
        let length = self.headers.get("content-length");
        let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        let peer = Peer::Told(self.remote.unwrap_or_else(|| "-".to_owned()));
        let mut exchange = Exchange::begin(&instance.site(), &peer, head);
        let limit = exchange.body_max().unwrap_or(usize::MAX);
        let Some(operation) = exchange.operation() else {
            return exchange
                .finish(Err(Error::Internal), Held::default())
                .into();
        };
        let body = self.body.unwrap_or_default();
        let result = guard(|| -> Result<Outcome, Error> {
            if length > limit {
                return Err(Error::InputTooLarge { limit });
            }
            let _call = instance.begin_call()?;
            let (command, token) = exchange.decode(operation, body.as_bytes())?;
            let caller = match token {
                Some(token) => caller(tx, instance, token)?,
                None => Caller::Anonymous,
            };
            exchange.note(&caller, body.len());
            execute(tx, instance, caller, command)
        });
        exchange.finish(result, Held::default()).into()
    }
}

impl From<Response> for ForeignResponse {
    fn from(response: Response) -> Self {
        Self {
            status: response.status,
            headers: response
                .headers
                .into_iter()
                .map(|(name, value)| (name, value.into_owned()))
                .collect(),
            body: String::from_utf8_lossy(&response.body).into_owned(),
        }
    }
}
