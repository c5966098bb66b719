//! Calls of operations over iproto and from the console: arguments, sender, command, result. Runs on the tx thread.

use super::carried;
use super::reply::{outcome, ProcError};
use crate::auth::session;
use crate::bridge::dispatch::{await_fresh, carry};
use crate::core::{execute, metrics::refused};
use crate::instance::Instance;
use crate::tx::{session as tx_session, Tx};
use authkv_base::error::Error;
use authkv_base::origin::{Origin, Peer};
use authkv_codec::Document;
use authkv_command::{Caller, Command, Freshness, Operation, Outcome, Request};
use tarantool::tuple::{RawByteBuf, RawBytes};

/// Executes a procedure for this client. The first argument is the token, if the operation takes one.
pub fn client_at(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    args: &RawBytes,
    peer: Peer,
) -> Result<RawByteBuf, ProcError> {
    let session = instance.session_kind.get(tx);
    let origin = Origin {
        transport: session.transport(tx),
        peer,
        agent: None,
    };
    // Now, because Tarantool frees the arguments at the first yield.
    let is_kept = instance.core.forward.may_carry(operation)
        && args.len() <= operation.input_max(&instance.core.config);
    let keep = || carried::encode(&session.resolve(tx, origin.clone()), operation, args);
    let kept = is_kept.then(keep).flatten();
    execute_for(tx, instance, operation, args, origin, kept)
}

/// Like [`client_at`], with the call as it can be carried to the leader.
pub fn execute_for(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    args: &RawBytes,
    origin: Origin,
    carried: Option<Box<[u8]>>,
) -> Result<RawByteBuf, ProcError> {
    let _call = instance.life.begin_call()?;
    let transport = origin.transport;
    let (origin, caller, input) = prepare(tx, instance, operation, origin, args)
        .inspect_err(|error| refused(transport, operation, error))?;
    act(tx, instance, origin, caller, input, carried)
}

/// The sender and the input of a client's call. Yields if the token is new.
fn prepare(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    origin: Origin,
    args: &RawBytes,
) -> Result<(Origin, Caller, Decoded), Error> {
    let input = read(instance, operation, args)?;
    if !operation.takes_token() {
        let command = decode_command(instance, operation, &input, 0)?;
        return Ok((admitted(tx, instance, origin)?, Caller::Anonymous, command));
    }
    let token = input.first("token")?;
    // The shape of the other arguments is checked before the token.
    let command = decode_command(instance, operation, &input, 1)?;
    let origin = admitted(tx, instance, origin)?;
    let caller = match token {
        Some(token) => session::caller(tx, &instance.core.auth, token)?,
        None => Caller::Anonymous,
    };
    Ok((origin, caller, command))
}

/// Counts a request of this client. Returns its origin, in which the address may be known now. Errors: `TooManyRequests`. Does
/// not yield.
fn admitted(tx: &Tx, instance: &Instance, origin: Origin) -> Result<Origin, Error> {
    let limits = &instance.core.limits;
    if !limits.counts_addresses() {
        return Ok(origin);
    }
    // It costs an evaluation of Lua.
    let origin = tx_session::resolve(tx, origin);
    limits.admit(&origin.peer)?;
    Ok(origin)
}

/// A command, and how fresh the data has to be.
pub type Decoded = (Command, Result<Freshness, Error>);

/// Executes a command that is called over iproto or from the console. The peer may be the session that calls the procedure.
pub fn act(
    tx: &Tx,
    instance: &'static Instance,
    origin: Origin,
    caller: Caller,
    (command, fresh): Decoded,
    carried: Option<Box<[u8]>>,
) -> Result<RawByteBuf, ProcError> {
    let may_write = command.operation().may_write();
    // Here, because the session is that of this fiber. A refusal is audited, whatever the operation is.
    let origin = match may_write {
        true => instance.session_kind.get(tx).resolve(tx, origin),
        false => origin,
    };
    let mut request = Request {
        origin,
        caller,
        command,
        counts: true,
        fresh,
        carried,
    };
    await_fresh(tx, instance.bridge(), &instance.core, &mut request)?;
    // Its commit may not end, and the caller should get an answer.
    let result = match may_write {
        true => carry(tx, instance.bridge(), &instance.core, request),
        false => execute(tx, &instance.core, request),
    };
    match result? {
        Outcome::Carried(answer) => carried::told(&answer),
        other => Ok(outcome(other)?),
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

/// Reads the arguments. Tarantool frees them at the first yield, so they become a command before it.
pub fn read<'a>(
    instance: &Instance,
    operation: Operation,
    args: &'a RawBytes,
) -> Result<Document<'a>, Error> {
    let limit = operation.input_max(&instance.core.config);
    if args.len() > limit {
        return Err(Error::InputTooLarge { limit });
    }
    Document::from_msgpack(args, operation.rules(&instance.core.config, instance.types))
}
