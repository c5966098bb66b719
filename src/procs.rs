//! The stored procedures: what iproto and the console call. Runs on the tx thread.
//!
//! Arguments stay raw, because the crate's own decoding puts them into its errors, passwords included.

use crate::auth::{follow, session};
use crate::bulk::console;
use crate::core::execute;
use crate::handoff::Handoff;
use crate::http::embedded::EmbeddedRequest;
use crate::instance::Instance;
use crate::tx::{fiber, in_transaction, lua, Tx};
use authkv_base::error::Error;
use authkv_base::guard::{guard, quiet_panics};
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_codec::msgpack::Reader;
use authkv_codec::Document;
use authkv_command::{Caller, Command, Operation, Outcome, Request};
use authkv_config::Config;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tarantool::error::IntoBoxError;
use tarantool::proc;
use tarantool::tuple::{RawByteBuf, RawBytes};

type Reply = Result<RawByteBuf, ProcError>;

/// The procedures of clients: each is an operation of the table, whose input is in the arguments by position. Their results
/// are the members of [`Outcome`], as [`over_iproto`] has them.
macro_rules! clients {
    ($($(#[$about:meta])* $operation:ident $input:tt => $name:ident $row:tt)*) => {
        $(
            $(#[$about])*
            #[proc(packed_args)]
            fn $name(args: &RawBytes) -> Reply {
                client(Operation::$operation, args)
            }
        )*
    };
}

authkv_command::for_each_operation! { clients }

/// `(procedure, …)`: the same as the procedure of that name, without a token, as the owner of the instance. Not for
/// clients.
#[proc(packed_args)]
fn owner(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let _call = instance.life.begin_call()?;
        let operation = first_text(args).and_then(Operation::by_name);
        let operation =
            operation.ok_or(Error::malformed("There is no such procedure of clients"))?;
        let input = read(instance, operation, args)?;
        run(tx, instance, operation, &input, 1, Caller::Owner)
    })
}

/// `(settings, legacy)`: a map by name, and what the start of the instance that runs in another image has told, or
/// nil → `{http, legacy, admin_password}`. Starts the instance; a failure has its own text.
#[proc(packed_args)]
fn start(args: &RawBytes) -> Result<RawByteBuf, StartError> {
    quiet_panics();
    told(|tx| {
        let (settings, handoff): (BTreeMap<String, String>, Option<Handoff>) =
            rmp_serde::from_slice(args).map_err(|_| "settings should be a map of strings")?;
        encode_told(&Instance::start(tx, Config::new(settings)?, handoff)?)
    })
}

/// `(settings)` → `{http, legacy}`. Starts the HTTP server with the HTTP settings among these, or replaces the one
/// that runs; a failure has its own text. Yields after a reload of the library.
#[proc(packed_args)]
fn http_start(args: &RawBytes) -> Result<RawByteBuf, StartError> {
    told(|tx| {
        let (settings,): (BTreeMap<String, String>,) =
            rmp_serde::from_slice(args).map_err(|_| "settings should be a map of strings")?;
        let instance = instance(tx).map_err(|error| error.to_string())?;
        encode_told(&instance.start_http(Config::new(settings)?.http, &[])?)
    })
}

/// `()` → whether all requests were finished. Stops the HTTP server. Yields.
#[proc(packed_args)]
fn http_stop(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, _| {
        encode(&instance.stop_http(tx, true))
    })
}

/// `({method, path, headers, remote, body})` → `{status, headers, body}`: answers a request that another HTTP server in
/// this process took. The names of the headers are in lower case. Not for clients. Yields.
#[proc(packed_args)]
fn http_request(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let (request,): (EmbeddedRequest,) = decode(args)?;
        encode(&request.answer(tx, &instance.core, &instance.shared()))
    })
}

/// `(prefix, after)` → `{text, pairs, next}`: a page of all pairs whose keys begin so, as lines. Not for clients. Yields.
#[proc(packed_args)]
fn export_page(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let _call = instance.life.begin_call()?;
        let (prefix, after): (String, Option<String>) = decode(args)?;
        encode(&console::export(
            tx,
            &instance.core,
            &prefix,
            after.as_deref(),
        )?)
    })
}

/// `({text, mode, line, is_last})` → `{counts, used, line, error}`: writes the pairs of the whole lines in a piece of a file.
/// Not for clients. Yields.
#[proc(packed_args)]
fn import_lines(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let _call = instance.life.begin_call()?;
        let (piece,): (console::Piece,) = decode(args)?;
        encode(&console::import(tx, &instance.core, instance.types, piece)?)
    })
}

/// `()` → whether all that ran was finished. Stops the instance. Yields.
#[proc(packed_args)]
fn stop(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, _| encode(&instance.stop(tx)))
}

/// `(after)` → `{entries, last}`: what has changed with numbers above `after` (revocations, users, roles, keys), at most a
/// thousand, and the highest number there is. Called over iproto, as those of clients are. Yields.
#[proc(packed_args)]
fn changes(args: &RawBytes) -> Reply {
    over_iproto(args, |tx, instance, args| {
        let (after,): (u64,) = decode(args)?;
        encode(&follow::changes(tx, &instance.core.auth, after)?)
    })
}

/// `({entries, last})`, as `changes` gave it on the instance followed → the number to ask after next. Yields.
#[proc(packed_args)]
fn changes_apply(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let (changes,): (follow::Changes,) = decode(args)?;
        encode(&follow::apply(tx, &instance.core.auth, &changes)?)
    })
}

/// A procedure of a client: the first argument is the token, where the operation takes one.
fn client(operation: Operation, args: &RawBytes) -> Reply {
    over_iproto(args, |tx, instance, args| {
        let _call = instance.life.begin_call()?;
        let input = read(instance, operation, args)?;
        if !operation.takes_token() {
            return run(tx, instance, operation, &input, 0, Caller::Anonymous);
        }
        let token = input.first("token")?;
        // The shape of the rest is checked before the token is.
        let command = Command::decode(operation, &input, 1, &instance.config.limits)?;
        let caller = match token {
            Some(token) => session::caller(tx, &instance.core.auth, token)?,
            None => Caller::Anonymous,
        };
        outcome(execute(tx, &instance.core, request(caller, command))?)
    })
}

/// A request of the session that calls the procedure.
fn request(caller: Caller, command: Command) -> Request {
    let origin = Origin {
        transport: Transport::Iproto,
        peer: Peer::Session,
    };
    Request {
        origin,
        caller,
        command,
    }
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
    outcome(execute(tx, &instance.core, request(caller, command))?)
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
    Document::from_msgpack(args, operation.rules(&instance.config, instance.types))
}

/// The first argument, where it is a text.
fn first_text(args: &RawBytes) -> Option<&str> {
    let mut reader = Reader::new(args);
    reader.head().ok()?;
    std::str::from_utf8(reader.string().ok()?).ok()
}

/// The instance. After a reload of the library there is none in the new image until it takes over, which the first
/// call waits for. Yields then. Errors: `NotStarted`.
fn instance(tx: &Tx) -> Result<&'static Instance, Error> {
    const PAUSE: Duration = Duration::from_millis(1);
    // To ask evaluates Lua.
    const PAUSES: usize = 50;
    while Instance::get().is_none() && lua::resume(tx) {
        for _ in 0..PAUSES {
            if Instance::get().is_some() || fiber::is_cancelled(tx) {
                break;
            }
            fiber::sleep(tx, PAUSE);
        }
    }
    Instance::get().ok_or(Error::NotStarted)
}

fn tx() -> Tx {
    // SAFETY: Tarantool calls procedures on the tx thread, and nothing else in this file runs.
    unsafe { Tx::enter() }
}

/// Runs the body of a procedure, with the instance and the arguments.
fn procedure(
    args: &RawBytes,
    body: impl FnOnce(&Tx, &'static Instance, &RawBytes) -> Result<RawByteBuf, Error>,
) -> Reply {
    let run = || {
        let tx = tx();
        if in_transaction(&tx) {
            return Err(Error::InTransaction);
        }
        if let Some(instance) = Instance::get() {
            let _user = instance.life.add_user();
            return body(&tx, instance, args);
        }
        // What Tarantool passes is gone after the first yield.
        let args = args.to_vec();
        let instance = instance(&tx)?;
        let _user = instance.life.add_user();
        body(&tx, instance, RawBytes::new(&args))
    };
    guard(run).map_err(ProcError)
}

/// The same for what is called over iproto. IPROTO_CALL answers `[[result]]` on every Tarantool: if Tarantool does not put an
/// array around the result, this does. The facade, which calls such procedures from Lua, takes it off again.
fn over_iproto(
    args: &RawBytes,
    body: impl FnOnce(&Tx, &'static Instance, &RawBytes) -> Result<RawByteBuf, Error>,
) -> Reply {
    const ARRAY_OF_ONE: u8 = 0x91;
    procedure(args, |tx, instance, args| {
        let mut result = body(tx, instance, args)?;
        // Asked last: it can change while the procedure yields.
        if instance.returned.get(tx).is_bare(tx) {
            result.0.reserve_exact(1);
            result.0.insert(0, ARRAY_OF_ONE);
        }
        Ok(result)
    })
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
    match outcome {
        Outcome::Found(data) | Outcome::Encoded(data) | Outcome::Pair(data) => Ok(RawByteBuf(data)),
        Outcome::Listed(page) => Ok(RawByteBuf(page.encode())),
        Outcome::Changed(page) => Ok(RawByteBuf(page.encode())),
        other => encode(&other),
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

/// Runs the body of a procedure whose failures are words for the operator.
fn told(body: impl FnOnce(&Tx) -> Result<RawByteBuf, String>) -> Result<RawByteBuf, StartError> {
    guard(|| Ok(body(&tx())))
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(StartError)
}

fn encode_told<T: Serialize>(value: &T) -> Result<RawByteBuf, String> {
    encode(value).map_err(|error| error.to_string())
}

/// A failed start, in words for the operator.
struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl IntoBoxError for StartError {}
