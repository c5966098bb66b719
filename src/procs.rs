//! The stored procedures, which iproto and the console call. Runs on the tx thread.
//!
//! Arguments stay raw: the decoder of the crate `tarantool` would put them into its errors, passwords included.

use crate::auth::{follow, rotation};
use crate::bulk::console;
use crate::core::metrics::refused;
use crate::handoff::Handoff;
use crate::health::Report;
use crate::http::embedded::EmbeddedRequest;
use crate::instance::Instance;
use crate::tx::image::build;
use crate::tx::{
    fiber, hop, in_transaction, is_read_only, lua, newer, refuses_transactions, source, Replicated,
    Tx,
};
use crate::upkeep;
use authkv_base::error::Error;
use authkv_base::guard::{guard, quiet_panics};
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_codec::msgpack::Reader;
use authkv_command::{Caller, Freshness, Operation};
use authkv_config::Config;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tarantool::proc;
use tarantool::tuple::{RawByteBuf, RawBytes};

mod at_leader;
mod call;
mod reply;

use call::{act, client_at, decode_command, read, Incoming};
use reply::{encode, encode_told, text, ProcError, StartError};

type Reply = Result<RawByteBuf, ProcError>;

/// The msgpack of no arguments.
const EMPTY_ARRAY: u8 = 0x90;
/// What begins the msgpack of an array with one member.
const ARRAY_OF_ONE: u8 = 0x91;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;

/// What the library tells about itself.
#[derive(Serialize)]
struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<String>,
    runs: bool,
    data_gone: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Report>,
}

/// The msgpack marker of an array with a length of four bytes.
const ARRAY_32: u8 = 0xdd;

/// The procedures of clients: one for each operation of the table, with its input as arguments by position. Each returns
/// the members of its [`Outcome`], wrapped as [`over_iproto`] says.
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

/// `(procedure, …)`: executes the procedure of that name as the owner of the instance, without a token. Not for clients.
#[proc(packed_args)]
fn owner(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let _call = instance.life.begin_call()?;
        let operation = first_text(args).and_then(Operation::by_name);
        let operation = operation.ok_or_else(no_procedure)?;
        let input_max = operation.input_max(&instance.core.config);
        let command = read(instance, operation, args, input_max)
            .and_then(|input| decode_command(instance, operation, &input, 1))
            .inspect_err(|error| refused(Transport::Console, operation, error))?;
        let origin = Origin {
            transport: Transport::Console,
            peer: Peer::Session,
            agent: None,
        };
        let incoming = Incoming {
            origin,
            input_max,
            counts: true,
            fresh: Freshness::default(),
            carried: None,
        };
        act(tx, instance, incoming, Caller::Owner, command)
    })
}

/// `(address, procedure, …)`: executes the procedure of clients of that name for a client at this IP address, with its result
/// and its errors. For applications that log their users in, with the role `authkv_proxy`.
#[proc(packed_args)]
fn forwarded(args: &RawBytes) -> Reply {
    over_iproto(args, |tx, instance, args| {
        let mut reader = Reader::new(args);
        let count = reader.array_len()?;
        let mut text = || {
            reader
                .string()
                .ok()
                .and_then(|text| std::str::from_utf8(text).ok())
        };
        let address = text().and_then(|text| text.parse().ok());
        let address =
            address.ok_or_else(|| Error::malformed("The address should be IPv4 or IPv6"))?;
        let operation = text().and_then(Operation::by_name);
        let operation = operation.ok_or_else(no_procedure)?;
        let limit = operation.input_max(&instance.core.config);
        if reader.rest().len() > limit {
            return Err(Error::InputTooLarge { limit });
        }
        let mut others = vec![ARRAY_32];
        others.extend(count.saturating_sub(2).to_be_bytes());
        others.extend(reader.rest());
        let others = RawBytes::new(&others);
        client_at(tx, instance, operation, others, Peer::Behind(address))
    })
}

/// `(settings, legacy, is_restored)` → `{http, admin, legacy, admin_password}`: starts an instance. `settings` is a map by name; `legacy`
/// is what the start of the instance returned from which it takes over, or nil; `is_restored`: the data is from a back-up. Errors
/// are texts of their own. Yields.
///
/// `()` → `{build, runs, data_gone, health}`: which build of the library answers, see [`build`], whether it has an instance,
/// whether it refuses writes because the files of the data are gone, and the health of the instance. Starts nothing. Does not
/// yield.
#[proc(packed_args)]
fn start(args: &RawBytes) -> Result<RawByteBuf, StartError> {
    quiet_panics();
    for_operator(|tx| {
        if matches!(args[..], [EMPTY_ARRAY]) {
            return encode_told(&About {
                build: build(),
                runs: Instance::get().is_some(),
                data_gone: refuses_transactions(tx),
                health: Instance::get().map(|instance| instance.report(tx)),
            });
        }
        let start: Start =
            rmp_serde::from_slice(args).map_err(|_| "settings should be a map of strings")?;
        if start.handoff.is_some() {
            newer::bring_up(tx, &start.settings)?;
        }
        let config = Config::new(start.settings)?;
        encode_told(&Instance::start(
            tx,
            config,
            start.handoff,
            start.is_restored,
        )?)
    })
}

/// The arguments of `start`. The Lua code of an older build gives the first two.
#[derive(Deserialize)]
struct Start {
    settings: BTreeMap<String, String>,
    handoff: Option<Handoff>,
    #[serde(default)]
    is_restored: bool,
}

/// `(revision)` → `{revision}`: after a restore of a back-up, ends all tokens and goes on with revisions above that one and the
/// time. The revision may be nil. Not for clients. Yields.
#[proc(packed_args)]
fn restored(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let _call = instance.life.begin_call()?;
        let (revision,): (Option<u64>,) = decode(args)?;
        encode(&crate::core::restored(tx, &instance.core, revision)?)
    })
}

/// `()` → true: does what a start of the leader does, when this instance begins to lead later. Not for clients. Yields.
///
/// `(false)` → true: notes that this instance does not lead any more. Does not yield.
#[proc(packed_args)]
fn promoted(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        if args[..] == [ARRAY_OF_ONE, FALSE] {
            instance.core.forward.look(tx);
            return encode(&true);
        }
        let _call = instance.life.begin_call()?;
        upkeep::begin_to_lead(tx, &instance.core)?;
        encode(&true)
    })
}

/// `()` → the files of keys, by their names in a back-up. Not for clients. Does not yield.
#[proc(packed_args)]
fn key_files(args: &RawBytes) -> Reply {
    procedure(args, |_, instance, _| {
        encode(&instance.core.auth.key_files())
    })
}

/// `(settings)` → `{http, admin, legacy}`: starts the HTTP server with the HTTP settings in `settings`, or replaces the running
/// one. Errors are texts of their own. Yields after a reload of the library.
#[proc(packed_args)]
fn http_start(args: &RawBytes) -> Result<RawByteBuf, StartError> {
    for_operator(|tx| {
        let (settings,): (BTreeMap<String, String>,) =
            rmp_serde::from_slice(args).map_err(|_| "settings should be a map of strings")?;
        let instance = instance(tx).map_err(|error| error.to_string())?;
        encode_told(&instance.start_http(Config::new(settings)?.http, None)?)
    })
}

/// `(settings)` → true: goes on with the settings in `settings` that change at run time, except for those of HTTP and of
/// Tarantool. Errors are texts of their own. Yields.
#[proc(packed_args)]
fn reload(args: &RawBytes) -> Result<RawByteBuf, StartError> {
    for_operator(|tx| {
        let (settings,): (BTreeMap<String, String>,) =
            rmp_serde::from_slice(args).map_err(|_| "settings should be a map of strings")?;
        let instance = instance(tx).map_err(|error| error.to_string())?;
        let _call = instance
            .life
            .begin_call()
            .map_err(|error| error.to_string())?;
        instance.reload(tx, &Config::new(settings)?)?;
        encode_told(&true)
    })
}

/// `()` → whether all requests were finished. Stops the HTTP server. Yields.
#[proc(packed_args)]
fn http_stop(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, _| encode(&instance.pause_http(tx)))
}

/// `({method, path, headers, remote, body})` → `{status, headers, body}`: answers an embedded request, from another HTTP
/// server in this process. Names of headers are in lower case. Not for clients. Yields.
#[proc(packed_args)]
fn http_request(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let (request,): (EmbeddedRequest,) = decode(args)?;
        encode(&request.answer(tx, &instance.core, &instance.shared()))
    })
}

/// `(prefix, after)` → `{text, pairs, next}`: a page of the pairs whose keys begin with `prefix`, as lines. Not for
/// clients. Yields.
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

/// `({text, mode, line, is_last})` → `{counts, used, line, error}`: writes the pairs of the whole lines in a piece of a
/// file. Not for clients. Yields.
#[proc(packed_args)]
fn import_lines(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let _call = instance.life.begin_call()?;
        let (piece,): (console::Piece,) = decode(args)?;
        encode(&console::import(tx, &instance.core, instance.types, piece)?)
    })
}

/// `()` → whether all requests were finished. Stops the instance. Yields.
///
/// `(true)` → true. Only makes the instance not ready, before what serves beside it is stopped. Does not yield.
#[proc(packed_args)]
fn stop(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        if args[..] == [ARRAY_OF_ONE, TRUE] {
            instance.announce_stop();
            return encode(&true);
        }
        encode(&instance.stop(tx))
    })
}

/// `(after)` → `{entries, last}`: changes with numbers above `after` (revocations, users, roles, keys), at most a thousand,
/// and the highest number of all. Other instances call it over iproto. Yields.
#[proc(packed_args)]
fn changes(args: &RawBytes) -> Reply {
    over_iproto(args, |tx, instance, args| {
        let (after,): (u64,) = decode(args)?;
        encode(&follow::changes(tx, &instance.core.auth, after)?)
    })
}

/// `({entries, last})`, the answer of `changes` on the instance followed → the number to ask after next. Yields.
#[proc(packed_args)]
fn changes_apply(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let (changes,): (follow::Changes,) = decode(args)?;
        encode(&follow::apply(tx, &instance.core.auth, &changes)?)
    })
}

/// `(follows, [[before, last, changes], …])` → true: takes the changes of pairs that replication has brought. Not for clients.
/// Does not yield.
#[proc(packed_args)]
fn replicated(args: &RawBytes) -> Reply {
    procedure(args, |tx, instance, args| {
        let (follows, transactions): (bool, Vec<Replicated>) = decode(args)?;
        instance.core.kv.replicated(tx, follows, &transactions)?;
        encode(&true)
    })
}

/// `(text)` → how far this instance has come in its replica set, in msgpack as a text. For the hop of other instances. Errors:
/// `ReadOnly` if this instance does not lead. Does not yield.
#[proc(packed_args)]
fn leader_position(args: &RawBytes) -> Reply {
    over_iproto(args, |tx, _, _| {
        if is_read_only(tx) {
            let leader = lua::leader(tx);
            return Err(Error::ReadOnly { leader });
        }
        text(&encode(&source::position(tx)?)?.0)
    })
}

/// `(text)` → text: executes a request that a read-only instance carries here, for the client that it names. For the hop of
/// other instances. Errors, before anything is done: `ReadOnly` if this instance does not lead. Yields.
#[proc(packed_args)]
fn carried(args: &RawBytes) -> Reply {
    over_iproto(args, |tx, instance, args| {
        let request = first_bytes(args).ok_or_else(|| Error::malformed("There is no request"))?;
        // Tarantool frees the arguments at the first yield.
        let request = request.to_vec();
        text(&at_leader::execute(tx, instance, &request)?)
    })
}

/// `(pem)` → text: publishes the public key of another instance of the replica set. For the hop of other instances. Errors, before
/// anything is done: `ReadOnly` if this instance does not lead, `Malformed` if it is no key. Yields.
#[proc(packed_args)]
fn key_publish(args: &RawBytes) -> Reply {
    over_iproto(args, |tx, instance, args| {
        let _call = instance.life.begin_call()?;
        let pem = first_bytes(args).unwrap_or_default().to_vec();
        if is_read_only(tx) {
            let leader = lua::leader(tx);
            return Err(Error::ReadOnly { leader });
        }
        rotation::publish(tx, &instance.core.auth, &pem)?;
        text(&hop::reply(tx, b"")?)
    })
}

/// A procedure of a client.
fn client(operation: Operation, args: &RawBytes) -> Reply {
    over_iproto(args, |tx, instance, args| {
        client_at(tx, instance, operation, args, Peer::Session)
    })
}

fn no_procedure() -> Error {
    Error::malformed("There is no such procedure of clients")
}

/// The first argument, if it is a string.
fn first_text(args: &RawBytes) -> Option<&str> {
    std::str::from_utf8(first_bytes(args)?).ok()
}

/// The bytes of the first argument, if it is a string.
fn first_bytes(args: &RawBytes) -> Option<&[u8]> {
    let mut reader = Reader::new(args);
    reader.head().ok()?;
    reader.string().ok()
}

/// The instance. After a reload of the library the new image has none: the first call has it take over, and waits for it.
/// Yields then. Errors: `NotStarted`.
fn instance(tx: &Tx) -> Result<&'static Instance, Error> {
    const PAUSE: Duration = Duration::from_millis(1);
    // How often to look before asking again, because asking evaluates Lua.
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
            return Ok(body(&tx, instance, args));
        }
        // Tarantool frees its own copy at the first yield.
        let args = args.to_vec();
        let instance = instance(&tx)?;
        let _user = instance.life.add_user();
        Ok(body(&tx, instance, RawBytes::new(&args)))
    };
    Ok(guard(run)??)
}

/// Like `procedure`, for procedures that are called over iproto. IPROTO_CALL answers `[[result]]` on every Tarantool: if
/// Tarantool does not put an array around the result, this function does. The facade, which calls such procedures from Lua,
/// removes the array.
fn over_iproto(
    args: &RawBytes,
    body: impl FnOnce(&Tx, &'static Instance, &RawBytes) -> Result<RawByteBuf, Error>,
) -> Reply {
    procedure(args, |tx, instance, args| {
        let mut result = body(tx, instance, args)?;
        // Asked last, because the setting can change while the procedure yields.
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

/// Runs the body of a procedure whose errors are texts for the operator.
fn for_operator(
    body: impl FnOnce(&Tx) -> Result<RawByteBuf, String>,
) -> Result<RawByteBuf, StartError> {
    guard(|| Ok(body(&tx())))
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(StartError)
}
