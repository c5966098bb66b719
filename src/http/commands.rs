//! Runs the commands of a request that takes several. Each command verifies the token again, so that the answer ends with
//! the token. HTTP workers only.

use super::shared::Shared;
use crate::bridge::CancelFlag;
use crate::bulk::Put;
use crate::core::carried_call;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_command::{Caller, Command, Freshness, Outcome, Request};
use authkv_token::{ApiKey, Tokens};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The pause before a command is repeated because the server was too busy.
pub const PAUSE: Duration = Duration::from_secs(1);
/// How often a command is repeated at most.
const AGAIN_MAX: u32 = 5;

/// Executes the commands of one request.
pub struct CommandRunner {
    pub shared: Arc<Shared>,
    pub peer: Peer,
    pub token: Option<String>,
    pub gone: CancelFlag,
    pub fresh: Result<Freshness, Error>,
    /// Whether the request has counted for the limit of its user.
    pub counted: AtomicBool,
    /// Whether the leader has executed some of it.
    pub forwarded: AtomicBool,
}

impl CommandRunner {
    /// The caller, by what the token says at this moment.
    pub fn caller(&self) -> Caller {
        caller(self.shared.tokens, self.token.as_deref())
    }

    /// Executes a command here.
    pub async fn call(&self, command: Command) -> (Result<Outcome, Error>, Reservation) {
        let request = self.request(command);
        self.shared.bridge.call(request, self.gone.clone()).await
    }

    /// Whether the leader has executed some of the request.
    pub fn is_forwarded(&self) -> bool {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// Writes a batch of an import. If this instance carries writes to the leader, the leader writes it, and the outcome is
    /// `Encoded`. Errors: the errors of the command, also from the leader; `Overloaded` if the limit on memory leaves no room for
    /// the batch.
    pub async fn put(&self, put: Put) -> Result<Outcome, Error> {
        let (forward, bridge) = (&self.shared.core.forward, self.shared.bridge);
        // The arguments, or their copy that is carried. The import has reserved memory for the rest.
        let held = bridge.memory.hold(put.arguments.len());
        let _held = held.ok_or_else(|| bridge.memory_error())?;
        let mut request = self.request(put.command);
        let operation = request.command.operation();
        if let (true, Ok(fresh)) = (
            forward.may_carry_for(operation, &request.caller),
            &request.fresh,
        ) {
            let call = carried_call::Call {
                origin: request.origin.clone(),
                operation,
                counts: request.counts,
                min_revision: fresh.min_revision,
                arguments: Cow::Owned(put.arguments),
            };
            request.carried = call.encode();
        }
        match bridge.call(request, self.gone.clone()).await.0 {
            Ok(Outcome::Carried(answer)) => {
                self.forwarded.store(true, Ordering::Relaxed);
                carried_call::result(&answer).map(Outcome::Encoded)
            }
            other => other,
        }
    }

    fn request(&self, command: Command) -> Request {
        Request {
            origin: Origin {
                transport: Transport::Http,
                peer: self.peer.clone(),
                agent: None,
            },
            caller: self.caller(),
            command,
            fresh: self.fresh.clone(),
            counts: !self.counted.swap(true, Ordering::Relaxed),
            carried: None,
        }
    }
}

/// How often a command may still be repeated on a server that is too busy.
#[derive(Default)]
pub struct RetryBudget(u32);

impl RetryBudget {
    /// Waits, and returns whether to repeat the command.
    pub async fn wait(&mut self) -> bool {
        let has_some = self.0 < AGAIN_MAX;
        if has_some {
            self.0 += 1;
            sleep(PAUSE).await;
        }
        has_some
    }
}

/// The caller with this token, or without one.
pub fn caller(tokens: &Tokens, token: Option<&str>) -> Caller {
    if let Some(key) = token.and_then(ApiKey::read) {
        return Caller::Key(Arc::new(key));
    }
    match token.map(|token| tokens.verify(token)) {
        None => Caller::Anonymous,
        Some(None) => Caller::Refused,
        Some(Some(claims)) => Caller::Bearer(claims),
    }
}
