//! The form of calls of procedures that a read-only instance carries to the leader, and of their answers: see
//! [`super::forward`]. Pure.

use authkv_base::error::Error;
use authkv_base::origin::{Origin, Peer, Transport};
use authkv_command::Operation;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What begins a carried call.
pub const KIND: u8 = b'c';

/// A call of a procedure of clients.
pub struct Call<'a> {
    pub origin: Origin,
    pub operation: Operation,
    /// Whether it counts for the limits of requests.
    pub counts: bool,
    /// The leader must have the changes up to this revision.
    pub min_revision: Option<u64>,
    /// In msgpack.
    pub arguments: Cow<'a, [u8]>,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    procedure: Cow<'a, str>,
    transport: Cow<'a, str>,
    /// The client, as logs show it.
    peer: String,
    counts: bool,
    min_revision: Option<u64>,
    #[serde(borrow, with = "serde_bytes")]
    arguments: Cow<'a, [u8]>,
}

#[derive(Serialize, Deserialize)]
enum Answer<'a> {
    #[serde(borrow, with = "serde_bytes")]
    Result(Cow<'a, [u8]>),
    /// The code of an error, its text, and after how many seconds to try again.
    Error(u32, String, Option<u64>),
}

impl<'a> Call<'a> {
    /// The form in which it is carried. `None` if it cannot be.
    pub fn encode(&self) -> Option<Box<[u8]>> {
        let wire = Wire {
            procedure: self.operation.row().name.into(),
            transport: self.origin.transport.name().into(),
            peer: self.origin.peer.to_string(),
            counts: self.counts,
            min_revision: self.min_revision,
            arguments: Cow::Borrowed(&self.arguments),
        };
        let mut encoded = Vec::with_capacity(128 + self.arguments.len());
        encoded.push(KIND);
        rmp_serde::encode::write(&mut encoded, &wire).ok()?;
        Some(encoded.into())
    }

    /// Reads a carried call, without its kind. Errors: `Malformed`.
    pub fn read(carried: &'a [u8]) -> Result<Self, Error> {
        let malformed = || Error::malformed("The call that was carried cannot be read");
        let wire: Wire<'a> = rmp_serde::from_slice(carried).map_err(|_| malformed())?;
        Ok(Self {
            origin: Origin {
                transport: Transport::by_name(&wire.transport).ok_or_else(malformed)?,
                peer: Peer::shown_as(wire.peer),
                agent: None,
            },
            operation: Operation::by_name(&wire.procedure).ok_or_else(malformed)?,
            counts: wire.counts,
            min_revision: wire.min_revision,
            arguments: wire.arguments,
        })
    }
}

/// The answer to a call, as it goes back. Errors: `Internal`.
pub fn write(result: Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error> {
    let answer = match result {
        Ok(result) => Answer::Result(result.into()),
        Err(error) => Answer::Error(error.row().code, error.to_string(), error.retry_after()),
    };
    rmp_serde::to_vec(&answer).map_err(|_| Error::Internal)
}

/// Reads the answer of the leader: the result in msgpack. Errors: that of the leader, `Internal` if the answer cannot be read.
pub fn result(answer: &[u8]) -> Result<Vec<u8>, Error> {
    match rmp_serde::from_slice(answer) {
        Ok(Answer::Result(result)) => Ok(result.into_owned()),
        Ok(Answer::Error(code, text, retry_after)) => Err(Error::relayed(code, text, retry_after)),
        Err(_) => Err(Error::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_carried_whole() {
        let origin = Origin {
            transport: Transport::Http,
            peer: Peer::Behind([10, 1, 2, 3].into()),
            agent: Some("not carried".to_owned()),
        };
        for (counts, min_revision) in [(true, None), (false, Some(7))] {
            let call = Call {
                origin: origin.clone(),
                operation: Operation::BatchPut,
                counts,
                min_revision,
                arguments: Cow::Borrowed(b"\x91\xc0"),
            };
            let encoded = call.encode().unwrap();
            assert_eq!(encoded[0], KIND);
            let call = Call::read(&encoded[1..]).unwrap();
            assert_eq!(call.origin.transport, Transport::Http);
            assert_eq!(
                (call.origin.peer, call.origin.agent),
                (origin.peer.clone(), None)
            );
            assert_eq!((call.operation, call.counts), (Operation::BatchPut, counts));
            assert_eq!(call.min_revision, min_revision);
            assert_eq!(call.arguments[..], b"\x91\xc0"[..]);
        }
        assert!(Call::read(b"\xc1").is_err());
    }

    #[test]
    fn an_error_comes_back_with_its_code_text_and_retry_after() {
        let answer = |result| super::result(&write(result).unwrap());
        assert_eq!(answer(Ok(b"\x80".to_vec())), Ok(b"\x80".to_vec()));
        let errors = [
            Error::TooManyRequests {
                policy: "user",
                seconds: 7,
            },
            Error::TransactionAborted,
            Error::malformed("x".repeat(1000)),
            Error::NoSuchKey("\u{2028}".to_owned()),
        ];
        for error in errors {
            let relayed = answer(Err(error.clone())).unwrap_err();
            assert!(relayed.is(&error));
            assert_eq!(relayed.to_string(), error.to_string());
            assert_eq!(relayed.retry_after(), error.retry_after());
        }
        assert_eq!(Error::relayed(1, String::new(), None), Error::Internal);
        assert_eq!(super::result(b"\xc1"), Err(Error::Internal));
    }
}
