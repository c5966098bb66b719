//! Runs the commands of a request that takes several. Each command verifies the token again, so that the answer ends with
//! the token. HTTP workers only.

use super::shared::Shared;
use crate::bridge::CancelFlag;
use crate::core::carried_call;
use authkv_base::error::Error;
use authkv_base::memory::Reservation;
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_command::{Caller, Command, Freshness, Outcome, Request};
use authkv_token::{ApiKey, Tokens};
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
}

impl CommandRunner {
    /// The caller, by what the token says at this moment.
    pub fn caller(&self) -> Caller {
        caller(self.shared.tokens, self.token.as_deref())
    }

    /// Executes a command here.
    pub async fn call(&self, command: Command) -> (Result<Outcome, Error>, Reservation) {
        self.send(command, |_, _| None).await
    }

    /// Executes a command, at the leader if this instance carries such commands there. `arguments` are those of the procedure of the
    /// same name. The outcome of the leader is `Encoded`.
    pub async fn call_leader(
        &self,
        command: Command,
        arguments: impl FnOnce(Option<&str>) -> Vec<u8>,
    ) -> (Result<Outcome, Error>, Reservation) {
        let operation = command.operation();
        let (result, held) = self
            .send(command, |request, token| {
                let forward = &self.shared.core.forward;
                let is_kept = forward.may_carry_for(operation, &request.caller);
                let keep = || {
                    let (origin, counts) = (&request.origin, request.counts);
                    carried_call::encode(origin, operation, counts, &arguments(token))
                };
                is_kept.then(keep).flatten()
            })
            .await;
        let result = match result {
            Ok(Outcome::Carried(answer)) => carried_call::result(&answer).map(Outcome::Encoded),
            other => other,
        };
        (result, held)
    }

    /// Executes a command. `carried` returns the form in which it can be carried to the leader.
    async fn send(
        &self,
        command: Command,
        carried: impl FnOnce(&Request, Option<&str>) -> Option<Box<[u8]>>,
    ) -> (Result<Outcome, Error>, Reservation) {
        let mut request = Request {
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
        };
        request.carried = carried(&request, self.token.as_deref());
        let bridge = self.shared.bridge;
        bridge.call(request, self.gone.clone()).await
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
