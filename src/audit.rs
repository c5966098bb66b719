//! The audit log: who did what to whom, from where, with what result. One JSON line per event in Tarantool's log. A line
//! never has a password or a token, only the id of a token. Runs on the tx thread.

use crate::tx::{log, session, Tx, TxCell};
use authkv_base::error::Error;
use authkv_base::origin::Origin;
use authkv_command::{Caller, Command, Operation, Outcome, Privilege};
use authkv_config::Config;
use authkv_domain::{Login, LoginForm};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many lines of each kind are written in a second.
const RATE: u32 = 50;
/// How many characters of a login, role or key from a client are logged.
const NAME_MAX: usize = 254;

/// An event that has begun.
pub struct Event {
    operation: Operation,
    object: Option<String>,
    role: Option<String>,
    session: Option<String>,
    api_key: Option<String>,
}

/// A line of the audit log.
#[derive(Serialize)]
struct Line<'a> {
    audit: &'static str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    who: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whom: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    /// The session that was ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    /// The API key that was made or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
    /// The refresh token was used before, within the time of grace.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<bool>,
    from: String,
    front: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
}

/// A line that says how many lines were left out.
#[derive(Serialize)]
struct Dropped {
    audit: &'static str,
    kind: &'static str,
    count: u32,
}

const REFUSED: &str = "refused";
/// The name of the owner of the instance. No login can be written like this.
const OWNER: &str = "(owner)";

impl Event {
    /// Notes what the line needs of a command, before the command is used up.
    pub fn begin(command: &Command, config: &Config) -> Self {
        let operation = command.operation();
        let row = operation.row();
        // Some people type their password in the field of the login: only a valid login is logged.
        let is_name = |name: &&str| {
            matches!(row.privilege, Privilege::Admin | Privilege::Recovery)
                || Login::new((*name).to_owned()).is_ok()
                || config.login_form == LoginForm::Email && Login::is_address(name)
        };
        let cut = |name: &str| name.chars().take(NAME_MAX).collect();
        let audited = |name: Option<&str>| name.filter(|_| row.audited).filter(is_name).map(cut);
        Self {
            operation,
            object: audited(command.arguments().object()),
            role: audited(command.arguments().role()),
            session: command.arguments().session().map(cut),
            api_key: command.arguments().api_key().map(cut),
        }
    }

    /// Writes the line, if this event is to be logged.
    pub fn end(
        self,
        tx: &Tx,
        audit: &Audit,
        (origin, caller): (Origin, &Caller),
        result: &Result<Outcome, Error>,
    ) {
        let row = self.operation.row();
        let refused = match result {
            Err(Error::Unauthenticated) => !matches!(caller, Caller::Anonymous),
            Err(Error::Forbidden { .. } | Error::RoleRequired(_) | Error::NotForApiKeys) => true,
            _ => false,
        };
        let kind = if refused { REFUSED } else { row.name };
        if !audit.config.live().audit_log
            || !(row.audited || refused)
            || !audit.admits(tx, (kind, result.is_ok()))
        {
            return;
        }
        let (who, jti) = match (result, caller) {
            // A successful login: the token is the new one.
            (Ok(Outcome::Session(session)), _) => (Some(&*session.login), Some(&*session.jti)),
            (Ok(Outcome::LoggedIn { login, jti, .. }), _) => (Some(&**login), Some(&**jti)),
            (_, Caller::Bearer(claims)) if refused || row.privilege != Privilege::Nothing => {
                (Some(&*claims.sub), Some(&*claims.jti))
            }
            (_, Caller::Key(key)) if refused || row.privilege != Privilege::Nothing => {
                (key.login(), key.login().map(|_| key.id()))
            }
            (_, Caller::Owner) => (Some(OWNER), None),
            // The operation needs no token, so the token was not checked.
            (_, Caller::Anonymous | Caller::Refused | Caller::Bearer(_) | Caller::Key(_)) => {
                (None, None)
            }
        };
        let found = match result {
            Ok(Outcome::Rotated(key)) => Some(&*key.kid),
            Ok(Outcome::EmailVerified(verified)) => Some(&*verified.login),
            Err(Error::InvalidRefreshToken { reused }) => reused.as_deref(),
            _ => None,
        };
        let origin = session::resolve(tx, origin);
        let line = Line {
            audit: kind,
            result: result
                .as_ref()
                .map_or_else(|error| error.row().name, |_| "ok"),
            operation: refused.then_some(row.name),
            who,
            whom: found.or(self.object.as_deref()),
            role: self.role.as_deref(),
            // Only then it is the id of a session for certain.
            session: self.session.as_deref().filter(|_| result.is_ok()),
            api_key: match result {
                Ok(Outcome::ApiKeyMade(key)) => Some(&*key.about.api_key),
                Ok(_) => self.api_key.as_deref(),
                Err(_) => None,
            },
            again: match result {
                Ok(Outcome::Session(session)) => session.again.then_some(true),
                _ => None,
            },
            from: origin.peer.to_string(),
            front: origin.transport.name(),
            jti,
        };
        audit.write(&line);
    }
}

/// The audit log. For each kind it counts the lines of the present second, successes apart from failures.
pub struct Audit {
    config: Arc<Config>,
    seconds: TxCell<RefCell<HashMap<(&'static str, bool), Second>>>,
}

struct Second {
    began: Instant,
    lines: u32,
}

impl Audit {
    pub fn new(tx: &Tx, config: Arc<Config>) -> Self {
        Self {
            config,
            seconds: TxCell::new(tx, RefCell::default()),
        }
    }

    fn write(&self, line: &impl Serialize) {
        // Serializing a structure of strings cannot fail.
        let line = serde_json::to_string(line).unwrap_or_default();
        log::request(&line, self.config.live().log_json);
    }

    /// Logs how many lines were left out in seconds that are over.
    pub fn flush(&self, tx: &Tx) {
        let mut seconds = self.seconds.get(tx).borrow_mut();
        for ((kind, _), second) in seconds.iter_mut() {
            second.begin_anew(self, kind);
        }
    }

    /// Whether one more line of this kind may be written in this second.
    fn admits(&self, tx: &Tx, kind: (&'static str, bool)) -> bool {
        let mut seconds = self.seconds.get(tx).borrow_mut();
        let second = seconds.entry(kind).or_insert_with(|| Second {
            began: Instant::now(),
            lines: 0,
        });
        second.begin_anew(self, kind.0);
        second.lines += 1;
        second.lines <= RATE
    }
}

impl Second {
    /// Begins a new second if this one is over, and logs how many lines were left out in it.
    fn begin_anew(&mut self, audit: &Audit, kind: &'static str) {
        if self.began.elapsed() < Duration::from_secs(1) {
            return;
        }
        let count = self.lines.saturating_sub(RATE);
        self.began = Instant::now();
        self.lines = 0;
        if count > 0 {
            audit.write(&Dropped {
                audit: "dropped",
                kind,
                count,
            });
        }
    }
}
