//! The form of calls of procedures that a read-only instance carries to the leader, and of their answers. Pure.

use super::reply::ProcError;
use authkv_base::error::Error;
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_command::Operation;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use tarantool::error::IntoBoxError;
use tarantool::tuple::RawByteBuf;

/// What begins a carried call.
pub const KIND: u8 = b'c';

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

/// Reads a carried call, without its kind: who calls, the operation and the arguments. Errors: `Malformed`.
pub fn read(call: &[u8]) -> Result<(Origin, Operation, Vec<u8>), Error> {
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
    Ok((origin, operation, call.arguments.into_owned()))
}

/// The answer to a call, as it goes back. Errors: `Internal`.
pub fn write(result: Result<RawByteBuf, ProcError>) -> Result<Vec<u8>, Error> {
    let answer = match result {
        Ok(result) => Answer(0, result.0.into()),
        Err(error) => Answer(error.error_code(), error.to_string().into_bytes().into()),
    };
    rmp_serde::to_vec(&answer).map_err(|_| Error::Internal)
}
