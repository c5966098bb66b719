//! The stored procedures: what iproto and the console call. Runs on the tx thread.
//!
//! Arguments stay raw, because the crate's own decoding puts them into its errors, passwords included.

use crate::auth::token::Known;
use crate::bridge::crypto;
use crate::codec::Document;
use crate::command::{execute, Caller, Command, Operation, Outcome};
use crate::config::Config;
use crate::error::Error;
use crate::guard::{guard, quiet_panics};
use crate::instance::Instance;
use crate::storage::Revocation;
use crate::tx::{in_transaction, Tx};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use tarantool::error::IntoBoxError;
use tarantool::proc;
use tarantool::tuple::{RawByteBuf, RawBytes};

type Reply = Result<RawByteBuf, ProcError>;

/// `(login, password, name, surname)` → `{login}`. Yields.
#[proc(packed_args)]
fn auth_register(args: &RawBytes) -> Reply {
    client(Operation::Register, args)
}

/// `(login, password)` → `{token, token_type, expires_in}`, the last in seconds. Yields.
#[proc(packed_args)]
fn auth_login(args: &RawBytes) -> Reply {
    client(Operation::Login, args)
}

/// `(token)` → `{revoked}`. Yields.
#[proc(packed_args)]
fn auth_logout(args: &RawBytes) -> Reply {
    client(Operation::Logout, args)
}

/// `(token)` → `{authorized, login, expires_at}`, the last in seconds since 1970. Yields for a new token.
#[proc(packed_args)]
fn auth_check(args: &RawBytes) -> Reply {
    client(Operation::Check, args)
}

/// `(token, keys)` → `{data}`. Yields for a new token.
#[proc(packed_args)]
fn kv_get(args: &RawBytes) -> Reply {
    client(Operation::Get, args)
}

/// `(token, pairs)` → `{written, existing}`. Yields.
#[proc(packed_args)]
fn kv_put(args: &RawBytes) -> Reply {
    client(Operation::Put, args)
}

/// `("kv_get", keys)` or `("kv_put", pairs)`: the same as the owner of the instance. Not for clients.
#[proc(packed_args)]
fn owner(args: &RawBytes) -> Reply {
    procedure(|tx| {
        let instance = instance()?;
        let _call = instance.begin_call()?;
        let input = read(instance, Operation::Put, args)?;
        let operation = match input.first("operation")?.as_deref() {
            Some("kv_get") => Operation::Get,
            Some("kv_put") => Operation::Put,
            _ => return Err(Error::malformed("operation should be kv_get or kv_put")),
        };
        run(tx, instance, operation, &input, 1, Caller::Owner)
    })
}

/// `(settings)`, a map by name → `{http, admin_password}`. Starts the instance; a failure has its own text.
#[proc(packed_args)]
fn start(args: &RawBytes) -> Result<RawByteBuf, StartError> {
    quiet_panics();
    let started = guard(|| {
        let settings = rmp_serde::from_slice::<(BTreeMap<String, String>,)>(args)
            .map_err(|_| "settings should be a map of strings".to_owned());
        Ok(settings
            .and_then(|(settings,)| Config::new(settings))
            .and_then(|config| Instance::start(&tx(), config)))
    });
    let started = started
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(StartError)?;
    encode(&started).map_err(|error| StartError(error.to_string()))
}

/// `()` → whether all that ran was finished. Stops the instance. Yields.
#[proc(packed_args)]
fn stop(_args: &RawBytes) -> Reply {
    procedure(|tx| encode(&instance()?.stop(tx)))
}

/// `(after)` → `{entries, last}`: revocations with numbers above `after`, at most a thousand, and the highest
/// number there is.
#[proc(packed_args)]
fn revocations(args: &RawBytes) -> Reply {
    procedure(|tx| {
        let (after,): (u64,) = decode(args)?;
        let revoked = &instance()?.storage.revoked;
        let last = revoked.last(tx)?;
        encode(&Revocations {
            entries: revoked.after(tx, after, 1000)?,
            last,
        })
    })
}

/// `({entries, last})`, as `revocations` gave it on the instance followed → the number to ask after next.
/// Yields.
#[proc(packed_args)]
fn revocations_apply(args: &RawBytes) -> Reply {
    procedure(|tx| {
        let (news,): (Revocations,) = decode(args)?;
        let instance = instance()?;
        instance.storage.revoked.apply(tx, &news.entries)?;
        let caught_up = news.entries.last().map_or(news.last, |entry| entry.number);
        if caught_up == news.last {
            instance.followed();
        }
        encode(&caught_up)
    })
}

/// What an instance tells those that follow it.
#[derive(Serialize, Deserialize)]
struct Revocations {
    entries: Vec<Revocation>,
    last: u64,
}

/// A procedure of a client: the first argument is the token, where the operation takes one.
fn client(operation: Operation, args: &RawBytes) -> Reply {
    procedure(|tx| {
        let instance = instance()?;
        let _call = instance.begin_call()?;
        let input = read(instance, operation, args)?;
        match operation {
            Operation::Register | Operation::Login => {
                run(tx, instance, operation, &input, 0, Caller::Anonymous)
            }
            _ => {
                let token = input.first("token")?;
                // The shape of the rest is checked before the token is.
                let command = Command::decode(operation, &input, 1, &instance.config.limits)?;
                let caller = match token {
                    Some(token) => caller(tx, instance, token)?,
                    None => Caller::Anonymous,
                };
                outcome(execute(tx, instance, caller, command)?)
            }
        }
    })
}

fn run(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    input: &Document<'_>,
    skip: usize,
    caller: Caller,
) -> Result<RawByteBuf, Error> {
    let command = Command::decode(operation, input, skip, &instance.config.limits)?;
    outcome(execute(tx, instance, caller, command)?)
}

/// Verifies a token: those seen before at once, others on a thread. Yields for the latter.
fn caller(tx: &Tx, instance: &'static Instance, token: String) -> Result<Caller, Error> {
    let claims = match instance.tokens.known(&token) {
        Known::Valid(claims) => Some(claims),
        Known::Invalid => None,
        Known::New => {
            let verify = move || Ok(instance.tokens.verify(&token));
            crypto::run(tx, instance, &instance.verifier, verify)?
        }
    };
    Ok(claims.map_or(Caller::Anonymous, Caller::Bearer))
}

/// The arguments. What Tarantool passes is gone after the first yield, so they become a command before it.
fn read<'a>(
    instance: &Instance,
    operation: Operation,
    args: &'a RawBytes,
) -> Result<Document<'a>, Error> {
    let limit = operation.input_max(&instance.config);
    if args.len() > limit {
        return Err(Error::InputTooLarge { limit });
    }
    Document::from_msgpack(args, instance.config.json_depth_max)
}

fn instance() -> Result<&'static Instance, Error> {
    Instance::get().ok_or(Error::NotStarted)
}

fn tx() -> Tx {
    // SAFETY: Tarantool calls procedures on the tx thread, and nothing else in this file runs.
    unsafe { Tx::enter() }
}

fn procedure(body: impl FnOnce(&Tx) -> Result<RawByteBuf, Error>) -> Reply {
    let result = guard(|| match in_transaction(&tx()) {
        true => Err(Error::InTransaction),
        false => body(&tx()),
    });
    result.map_err(ProcError)
}

fn decode<T: serde::de::DeserializeOwned>(args: &RawBytes) -> Result<T, Error> {
    rmp_serde::from_slice(args)
        .map_err(|_| Error::malformed("The arguments are not what the procedure takes"))
}

fn encode<T: Serialize>(value: &T) -> Result<RawByteBuf, Error> {
    rmp_serde::to_vec_named(value)
        .map(RawByteBuf)
        .map_err(|_| Error::Internal)
}

/// The result of a procedure: one msgpack map.
fn outcome(outcome: Outcome) -> Result<RawByteBuf, Error> {
    #[derive(Serialize)]
    struct Registered<'a> {
        login: &'a str,
    }
    #[derive(Serialize)]
    struct LoggedIn<'a> {
        token: &'a str,
        token_type: &'static str,
        expires_in: u64,
    }
    #[derive(Serialize)]
    struct LoggedOut {
        revoked: bool,
    }
    #[derive(Serialize)]
    struct Authorized<'a> {
        authorized: bool,
        login: &'a str,
        expires_at: u64,
    }
    #[derive(Serialize)]
    struct Unauthorized {
        authorized: bool,
    }
    #[derive(Serialize)]
    struct Written<'a> {
        written: usize,
        existing: &'a [String],
    }
    match outcome {
        Outcome::Registered { login } => encode(&Registered { login: &login }),
        Outcome::LoggedIn { token, expires_in } => encode(&LoggedIn {
            token: &token,
            token_type: "Bearer",
            expires_in,
        }),
        Outcome::LoggedOut => encode(&LoggedOut { revoked: true }),
        Outcome::Checked(Some(claims)) => encode(&Authorized {
            authorized: true,
            login: &claims.sub,
            expires_at: claims.exp,
        }),
        Outcome::Checked(None) => encode(&Unauthorized { authorized: false }),
        Outcome::Found(data) => Ok(RawByteBuf(data)),
        Outcome::Written { written, existing } => encode(&Written {
            written,
            existing: &existing,
        }),
    }
}

/// A failure as a Tarantool error: our code, and `name: text`.
struct ProcError(Error);

impl fmt::Display for ProcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Tarantool keeps 511 bytes, whatever character that ends in.
        const MAX: usize = 500;
        let text = format!("{}: {}", self.0.row().name, self.0);
        match text.len() {
            0..=MAX => f.write_str(&text),
            _ => write!(f, "{}…", &text[..text.floor_char_boundary(MAX)]),
        }
    }
}

impl IntoBoxError for ProcError {
    fn error_code(&self) -> u32 {
        self.0.row().code
    }
}

/// A failed start, in words for the operator.
struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl IntoBoxError for StartError {}
