//! Calls of procedures that a read-only instance carries to the leader, and what the leader does with carried requests. Runs on
//! the tx thread.

use super::call::execute_for;
use super::reply::ProcError;
use crate::http::carried as over_http;
use crate::instance::Instance;
use crate::tx::{hop, is_read_only, lua, orphan, Tx};
use authkv_base::error::Error;
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_command::Operation;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use tarantool::error::IntoBoxError;
use tarantool::tuple::{RawByteBuf, RawBytes};

/// What begins a carried call.
const KIND: u8 = b'c';

/// A call of a procedure of clients.
#[derive(Serialize, Deserialize)]
struct Call<'a> {
    procedure: Cow<'a, str>,
    is_console: bool,
    /// The client, as logs show it.
    peer: String,
    #[serde(borrow, with = "serde_bytes")]
    arguments: Cow<'a, [u8]>,
}

/// The answer: 0 and the result, or the code of an error and its text.
#[derive(Serialize, Deserialize)]
struct Answer<'a>(u32, #[serde(borrow, with = "serde_bytes")] Cow<'a, [u8]>);

/// A call in the form in which it is carried. `None` if it cannot be.
pub fn encode(origin: &Origin, operation: Operation, arguments: &[u8]) -> Option<Box<[u8]>> {
    let call = Call {
        procedure: operation.row().name.into(),
        is_console: origin.transport == Transport::Console,
        peer: origin.peer.to_string(),
        arguments: arguments.into(),
    };
    let mut encoded = Vec::with_capacity(128 + arguments.len());
    encoded.push(KIND);
    rmp_serde::encode::write(&mut encoded, &call).ok()?;
    Some(encoded.into())
}

/// What the leader has answered to a call.
pub fn told(answer: &[u8]) -> Result<RawByteBuf, ProcError> {
    let Ok(Answer(code, told)) = rmp_serde::from_slice(answer) else {
        return Err(Error::Internal.into());
    };
    match code {
        0 => Ok(RawByteBuf(told.into_owned())),
        code => Err(ProcError::OfLeader {
            code,
            text: String::from_utf8_lossy(&told).into_owned(),
        }),
    }
}

/// Executes a request that another instance carries here, and returns what goes back. Errors, before anything is done:
/// `ReadOnly` if this instance does not lead, `Malformed`, `ShuttingDown`. Yields.
pub fn execute(tx: &Tx, instance: &'static Instance, text: &[u8]) -> Result<Vec<u8>, Error> {
    orphan::outlast(tx);
    if is_read_only(tx) {
        let leader = lua::leader(tx);
        return Err(Error::ReadOnly { leader });
    }
    let answer = match text.split_first() {
        Some((&over_http::KIND, request)) => {
            over_http::answer(tx, &instance.core, &instance.shared(), request)?
        }
        Some((&KIND, call)) => answer_call(tx, instance, call)?,
        _ => return Err(Error::malformed("There is no such kind of request")),
    };
    hop::reply(tx, &answer)
}

fn answer_call(tx: &Tx, instance: &'static Instance, call: &[u8]) -> Result<Vec<u8>, Error> {
    let malformed = || Error::malformed("The call that was carried cannot be read");
    let call: Call<'_> = rmp_serde::from_slice(call).map_err(|_| malformed())?;
    let operation = Operation::by_name(&call.procedure).ok_or_else(malformed)?;
    let origin = Origin {
        transport: match call.is_console {
            true => Transport::Console,
            false => Transport::Iproto,
        },
        peer: Peer::shown_as(call.peer),
        agent: None,
    };
    let arguments = RawBytes::new(&call.arguments);
    let answer = match execute_for(tx, instance, operation, arguments, origin, None) {
        Ok(result) => Answer(0, result.0.into()),
        Err(error) => Answer(error.error_code(), error.to_string().into_bytes().into()),
    };
    rmp_serde::to_vec(&answer).map_err(|_| Error::Internal)
}
