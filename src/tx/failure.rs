//! Failures of Tarantool's API.

use super::log;
use authkv_base::error::Error;
use tarantool::error::{BoxError, TarantoolErrorCode};

/// A failed call of Tarantool's API, in the kinds that authkv distinguishes.
#[derive(Debug)]
pub enum Failure {
    /// The memory for tuples is used up.
    Memory,
    ReadOnly,
    /// The log of writes cannot be written: the disk is full or fails.
    Disk,
    /// A tuple is larger than `memtx_max_tuple_size`.
    TupleTooLarge,
    /// Other transactions or a time-out aborted this one. Nothing was written, and another try may succeed.
    Aborted,
    /// Any other failure, for the log.
    Other(Box<BoxError>),
}

impl Failure {
    /// A failure for which Tarantool gave no error.
    pub fn other(what: &str) -> Self {
        Self::Other(Box::new(BoxError::new(TarantoolErrorCode::Unknown, what)))
    }

    /// The failure of the last call.
    pub(super) fn last() -> Self {
        match BoxError::maybe_last() {
            Err(error) => error.into(),
            Ok(()) => Self::other("no error was set"),
        }
    }
}

impl From<BoxError> for Failure {
    fn from(error: BoxError) -> Self {
        use TarantoolErrorCode as Code;
        // Not in the list: a transaction that was aborted by a yield. It would be aborted at every try.
        const ABORTED: [Code; 2] = [Code::TransactionConflict, Code::TransactionTimeout];
        match error.error_code() {
            code if code == Code::MemoryIssue as u32 => Self::Memory,
            code if code == Code::Readonly as u32 => Self::ReadOnly,
            code if code == Code::WalIo as u32 => Self::Disk,
            code if code == Code::MemtxMaxTupleSize as u32 => Self::TupleTooLarge,
            code if ABORTED.iter().any(|one| *one as u32 == code) => Self::Aborted,
            _ => Self::Other(Box::new(error)),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Memory => Error::StorageFull,
            Failure::ReadOnly => Error::ReadOnly { leader: None },
            Failure::Disk => Error::NotDurable,
            Failure::Aborted => Error::TransactionAborted,
            Failure::TupleTooLarge => {
                log::error("a tuple of authkv's own is larger than memtx_max_tuple_size");
                Error::Internal
            }
            Failure::Other(error) => {
                // On newer versions the text of a duplicate key contains the tuple.
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
