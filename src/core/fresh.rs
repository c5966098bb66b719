//! What a request has to wait for before it begins, so that it reads data which is fresh enough. Runs on the tx thread.

use super::Core;
use crate::auth::key_user::user_of;
use crate::tx::{is_read_only, linearizable_lacks, Tx};
use authkv_base::error::Error;
use authkv_command::{Caller, Freshness, Operation, Privilege, Request};
use authkv_config::Consistency;
use std::time::Duration;

/// What this instance has to know or have before a request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// All changes of pairs up to this revision.
    pub revision: Option<u64>,
    /// What has to be asked elsewhere, after the request has come.
    pub question: Option<Question>,
    pub patience: Duration,
    /// The request has an API key that this instance does not know, and anybody can make one up.
    pub is_stranger: bool,
}

/// What other instances are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// How far the leader has come.
    Leader,
    /// How far most instances have come. The answer comes when this instance has come as far.
    Quorum,
}

/// What a request has to wait for, or `None` if it can begin. Errors: `ConsistencyUnavailable`. Does not yield.
pub fn needs(tx: &Tx, core: &Core, request: &Request) -> Result<Option<Needs>, Error> {
    let operation = request.command.operation();
    // It is refused later. Strangers should not be able to wait.
    let Ok(fresh) = &request.fresh else {
        return Ok(None);
    };
    let is_nobody = matches!(request.caller, Caller::Anonymous | Caller::Refused);
    let is_refused = is_nobody && operation.privilege(&core.config) != Privilege::Nothing;
    if is_refused || !operation.reads_what_is_replicated() {
        return Ok(None);
    }
    // The leader executes it, and waits there for what it has to wait for.
    if request.carried.is_some() && operation.may_write() && is_read_only(tx) {
        return Ok(None);
    }
    let wanted = wanted(core, fresh);
    let question = match wanted {
        Consistency::StaleOk => None,
        // A write is done by the leader, in the order of all writes.
        Consistency::Linearizable if !operation.may_write() => {
            if let Some(missing) = linearizable_lacks(tx) {
                return Err(unavailable(wanted, missing));
            }
            Some(Question::Quorum)
        }
        _ if !is_read_only(tx) => None,
        _ if core.config.replication_password.is_none() => {
            const MISSING: &str = "the leader cannot be asked without AUTHKV_REPLICATION_PASSWORD";
            return Err(unavailable(wanted, MISSING.into()));
        }
        _ => Some(Question::Leader),
    };
    let least = fresh.min_revision.filter(|_| operation.is_of_pairs());
    let revision = match least {
        Some(least) => {
            let known = core.kv.known(tx)?;
            known.is_some_and(|known| known < least).then_some(least)
        }
        None => None,
    };
    if revision.is_none() && question.is_none() {
        return Ok(None);
    }
    let is_stranger = is_stranger(tx, core, &request.caller);
    // The key may be on its way from the leader. The leader itself knows all.
    if is_stranger && !is_read_only(tx) {
        return Ok(None);
    }
    Ok(Some(Needs {
        revision,
        question,
        patience: fresh.patience(),
        is_stranger,
    }))
}

/// Whether this is an API key that is none, as far as this instance knows. Does not yield.
fn is_stranger(tx: &Tx, core: &Core, caller: &Caller) -> bool {
    match caller {
        Caller::Key(key) => user_of(tx, &core.auth, key).is_err(),
        _ => false,
    }
}

/// The error for a request that could not be carried to the leader, if it should see what the leader has: this instance might
/// execute it without a write, such as a login. Does not yield.
pub fn stays_behind(
    core: &Core,
    operation: Operation,
    fresh: &Result<Freshness, Error>,
) -> Option<Error> {
    use Operation::{KvTxn, Login, SessionIntrospect, SessionRefresh};
    let may_succeed = matches!(
        operation,
        Login | SessionRefresh | SessionIntrospect | KvTxn
    );
    let fresh = fresh.as_ref().ok().filter(|_| may_succeed)?;
    (wanted(core, fresh) != Consistency::StaleOk).then_some(Error::Behind {
        why: "the leader is out of reach".into(),
    })
}

/// The consistency that a request asks for, or that of the settings.
fn wanted(core: &Core, fresh: &Freshness) -> Consistency {
    let by_setting = || core.config.live().consistency;
    fresh.consistency.unwrap_or_else(by_setting)
}

fn unavailable(wanted: Consistency, missing: String) -> Error {
    Error::ConsistencyUnavailable {
        consistency: wanted.name(),
        missing: missing.into(),
    }
}
