//! Calls of operations over iproto and from the console: arguments, sender, command, result. Runs on the tx thread.

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
use tarantool::tuple::{RawByteBuf, RawBytes};

/// Executes a procedure for this client. The first argument is the token, if the operation takes one.
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
    let keep = || carried_call::encode(&session.resolve(tx, origin.clone()), operation, true, args);
    let sender = Sender {
        carried: is_kept.then(keep).flatten(),
        origin,
        input_max,
        counts: true,
    };
    execute_for(tx, instance, operation, args, sender)
}

/// Who sends a call, and what is known of it apart from its arguments.
pub struct Sender {
    pub origin: Origin,
    /// How many bytes the arguments may have.
    pub input_max: usize,
    /// Whether the call counts for the limits of requests.
    pub counts: bool,
    /// The call in the form in which it can be carried to the leader.
    pub carried: Option<Box<[u8]>>,
}

/// Executes a procedure for this sender.
pub fn execute_for(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    args: &RawBytes,
    sender: Sender,
) -> Result<RawByteBuf, Error> {
    let _call = instance.life.begin_call()?;
    let transport = sender.origin.transport;
    let (sender, caller, input) = prepare(tx, instance, operation, sender, args)
        .inspect_err(|error| refused(transport, operation, error))?;
    act(tx, instance, sender, caller, input)
}

/// The sender and the input of a client's call. Yields if the token is new.
fn prepare(
    tx: &Tx,
    instance: &'static Instance,
    operation: Operation,
    sender: Sender,
    args: &RawBytes,
) -> Result<(Sender, Caller, Decoded), Error> {
    let input = read(instance, operation, args, sender.input_max)?;
    if !operation.takes_token() {
        let command = decode_command(instance, operation, &input, 0)?;
        return Ok((admitted(tx, instance, sender)?, Caller::Anonymous, command));
    }
    let token = input.first("token")?;
    // The shape of the other arguments is checked before the token.
    let command = decode_command(instance, operation, &input, 1)?;
    let sender = admitted(tx, instance, sender)?;
    let caller = match token {
        Some(token) => session::caller(tx, &instance.core.auth, token)?,
        None => Caller::Anonymous,
    };
    Ok((sender, caller, command))
}

/// Counts a request of this client. Returns the sender, whose address may be known now. Errors: `TooManyRequests`. Does not yield.
fn admitted(tx: &Tx, instance: &Instance, sender: Sender) -> Result<Sender, Error> {
    let limits = &instance.core.limits;
    if !sender.counts || !limits.counts_addresses() {
        return Ok(sender);
    }
    // It costs an evaluation of Lua.
    let origin = tx_session::resolve(tx, sender.origin);
    limits.admit(&origin.peer)?;
    Ok(Sender { origin, ..sender })
}

/// A command, and how fresh the data has to be.
pub type Decoded = (Command, Result<Freshness, Error>);

/// Executes a command that is called over iproto or from the console. The peer may be the session that calls the procedure.
pub fn act(
    tx: &Tx,
    instance: &'static Instance,
    sender: Sender,
    caller: Caller,
    (command, fresh): Decoded,
) -> Result<RawByteBuf, Error> {
    let may_write = command.operation().may_write();
    // Here, because the session is that of this fiber. A refusal is audited, whatever the operation is.
    let origin = match may_write {
        true => instance.session_kind.get(tx).resolve(tx, sender.origin),
        false => sender.origin,
    };
    let mut request = Request {
        origin,
        caller,
        command,
        counts: sender.counts,
        fresh,
        carried: sender.carried,
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

/// Reads the arguments, which may have `limit` bytes. Tarantool frees them at the first yield, so they become a command before it.
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
