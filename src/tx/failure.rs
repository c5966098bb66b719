//! What Tarantool says went wrong.

use super::log;
use crate::error::Error;
use tarantool::error::{BoxError, TarantoolErrorCode};

/// A failed call of Tarantool's API, as far as authkv tells failures apart.
#[derive(Debug)]
pub enum Failure {
    /// The memory for tuples is used up.
    Memory,
    ReadOnly,
    /// A tuple is larger than `memtx_max_tuple_size`.
    TupleTooLarge,
    /// Anything else, for the log.
    Other(Box<BoxError>),
}

impl Failure {
    /// A failure that Tarantool did not name.
    pub fn other(what: &str) -> Self {
        Self::Other(Box::new(BoxError::new(TarantoolErrorCode::Unknown, what)))
    }

    /// The failure of the call just made.
    pub(super) fn last() -> Self {
        let Err(error) = BoxError::maybe_last() else {
            return Self::other("no error was set");
        };
        match error.error_code() {
            code if code == TarantoolErrorCode::MemoryIssue as u32 => Self::Memory,
            code if code == TarantoolErrorCode::Readonly as u32 => Self::ReadOnly,
            code if code == TarantoolErrorCode::MemtxMaxTupleSize as u32 => Self::TupleTooLarge,
            _ => Self::Other(Box::new(error)),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Memory => Error::StorageFull,
            Failure::ReadOnly => Error::ReadOnly,
            Failure::TupleTooLarge => {
                log::error("a tuple of authkv's own is larger than memtx_max_tuple_size");
                Error::Internal
            }
            Failure::Other(error) => {
                // The text of a duplicate key holds the tuple, on newer versions.
                let text = match error.error_code() == TarantoolErrorCode::TupleFound as u32 {
                    true => "a duplicate key",
                    false => error.message(),
                };
                log::error(&format!("Tarantool error {}: {text}", error.error_code()));
                Error::Internal
            }
        }
    }
}
