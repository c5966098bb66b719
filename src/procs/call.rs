//! Calls of operations over iproto and from the console: arguments, command, result. Runs on the tx thread.

use super::reply::outcome;
use crate::auth::session;
use crate::bridge::dispatch::{await_fresh, carry};
use crate::core::{carried_call, execute, metrics::refused};
use crate::instance::Instance;
use crate::tx::{session as tx_session, Tx};
use authkv_base::error::Error;
use authkv_base::origin::{Origin, Peer};
use authkv_codec::Document;
use authkv_command::{Caller, Command, Freshness, Operation, Outcome, Request};
use std::borrow::Cow;
use tarantool::tuple::{RawByteBuf, RawBytes};

/// Executes a procedure for this client. The first argument is the token, if the operation takes one. Errors: the errors of the
/// operation. An error that the leader has returned is `Relayed`. Yields.
pub fn client_at(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    args: &RawBytes,
    peer: Peer,
) -> Result<RawByteBuf, Error> {
    let session = instance.session_kind.get(tx);
    let origin = Origin {
        transport: session.transport(tx),
        peer,
        agent: None,
    };
    // Now, because Tarantool frees the arguments at the first yield.
    let input_max = operation.input_max(&instance.core.config);
    let is_kept = instance.core.forward.may_carry(operation) && args.len() <= input_max;
    let keep = || {
        let call = carried_call::Call {
            origin: session.resolve(tx, origin.clone()),
            operation,
            counts: true,
            // The arguments have the one of the client.
            min_revision: None,
            arguments: Cow::Borrowed(args),
        };
        call.encode()
    };
    let incoming = Incoming {
        carried: is_kept.then(keep).flatten(),
        origin,
        input_max,
        counts: true,
        fresh: Freshness::default(),
    };
    execute_incoming(tx, instance, operation, args, incoming)
}

/// What is known of a call apart from its arguments.
pub struct Incoming {
    pub origin: Origin,
    /// How many bytes the arguments may have.
    pub input_max: usize,
    /// Whether the call counts for the limits of requests.
    pub counts: bool,
    /// How fresh the data has to be, apart from what the arguments say.
    pub fresh: Freshness,
    /// The call in the form in which it can be carried to the leader.
    pub carried: Option<Box<[u8]>>,
}

/// Executes a procedure. Reads the arguments before it yields. Errors: `ShuttingDown`, and the errors of the operation. Yields.
pub fn execute_incoming(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    args: &RawBytes,
    incoming: Incoming,
) -> Result<RawByteBuf, Error> {
    let _call = instance.life.begin_call()?;
    let transport = incoming.origin.transport;
    let (incoming, caller, input) = prepare(tx, instance, operation, incoming, args)
        .inspect_err(|error| refused(transport, operation, error))?;
    act(tx, instance, incoming, caller, input)
}

/// Reads the arguments and checks the token of a client's call. Errors: `InputTooLarge`, `Malformed`, `TooManyRequests`, and the
/// errors of the check. Yields if the token was not checked lately.
fn prepare(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    incoming: Incoming,
    args: &RawBytes,
) -> Result<(Incoming, Caller, Decoded), Error> {
    let input = read(instance, operation, args, incoming.input_max)?;
    if !operation.takes_token() {
        let command = decode_command(instance, operation, &input, 0)?;
        return Ok((
            admitted(tx, instance, incoming)?,
            Caller::Anonymous,
            command,
        ));
    }
    let token = input.first("token")?;
    // The shape of the other arguments is checked before the token.
    let command = decode_command(instance, operation, &input, 1)?;
    let incoming = admitted(tx, instance, incoming)?;
    let caller = match token {
        Some(token) => session::caller(tx, &instance.core.auth, token)?,
        None => Caller::Anonymous,
    };
    Ok((incoming, caller, command))
}

/// Counts a call for the limit of its address. Returns the call, with its address if that had to be looked up. Errors:
/// `TooManyRequests`. Does not yield.
fn admitted(tx: &Tx, instance: &Instance, incoming: Incoming) -> Result<Incoming, Error> {
    let limits = &instance.core.limits;
    if !incoming.counts || !limits.counts_addresses() {
        return Ok(incoming);
    }
    // It costs an evaluation of Lua.
    let origin = tx_session::resolve(tx, incoming.origin);
    limits.admit(&origin.peer)?;
    Ok(Incoming { origin, ..incoming })
}

/// A command, and how fresh the data has to be.
pub type Decoded = (Command, Result<Freshness, Error>);

/// Executes a command that is called over iproto or from the console. The peer may be the session that calls the
/// procedure. Errors: the errors of the operation. Yields if the command writes, or has to wait for fresh data.
pub fn act(
    tx: &Tx,
    instance: &'static Instance,
    incoming: Incoming,
    caller: Caller,
    (command, fresh): Decoded,
) -> Result<RawByteBuf, Error> {
    let may_write = command.operation().may_write();
    // Here, because the session is that of this fiber. A refusal is audited, whatever the operation is.
    let origin = match may_write {
        true => instance.session_kind.get(tx).resolve(tx, incoming.origin),
        false => incoming.origin,
    };
    let mut request = Request {
        origin,
        caller,
        command,
        counts: incoming.counts,
        fresh: fresh.and_then(|fresh| incoming.fresh.and(fresh)),
        carried: incoming.carried,
    };
    await_fresh(tx, instance.bridge(), &instance.core, &mut request)?;
    // Its commit may not end, and the caller should get an answer.
    let result = match may_write {
        true => carry(tx, instance.bridge(), &instance.core, request),
        false => execute(tx, &instance.core, request),
    };
    match result? {
        Outcome::Carried(answer) => carried_call::result(&answer).map(RawByteBuf),
        other => outcome(other),
    }
}

/// The command of these arguments, after the first `skip` of them.
pub fn decode_command(
    instance: &Instance,
    operation: Operation,
    input: &Document<'_>,
    skip: usize,
) -> Result<Decoded, Error> {
    let limits = &instance.core.config.live().limits;
    Command::decode_fresh(operation, input, skip, limits)
}

/// Reads the arguments, of at most `limit` bytes. Tarantool frees them at the first yield, so they become a command before it.
/// Errors: `InputTooLarge`, `Malformed`, `TooDeep`, `BadValue`. Does not yield.
pub fn read<'a>(
    instance: &Instance,
    operation: Operation,
    args: &'a RawBytes,
    limit: usize,
) -> Result<Document<'a>, Error> {
    if args.len() > limit {
        return Err(Error::InputTooLarge { limit });
    }
    Document::from_msgpack(args, operation.rules(&instance.core.config, instance.types))
}
