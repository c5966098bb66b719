//! Transactions that cannot be left open.

use super::{Failure, Tx};
use crate::error::Error;
use tarantool::transaction::{begin, commit, is_in_transaction, rollback};

/// Whether the caller of a procedure has a transaction open.
pub fn in_transaction(_tx: &Tx) -> bool {
    is_in_transaction()
}

/// Runs `body` in a transaction: committed where it succeeds, rolled back where it fails or panics. The
/// commit waits for the log of writes, so it yields; `body` must not.
pub fn transaction<T>(_tx: &Tx, body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    begin().map_err(|e| Error::from(Failure::Other(Box::new(e))))?;
    let open = Open;
    let result = body()?;
    std::mem::forget(open);
    match commit() {
        Ok(()) => Ok(result),
        Err(_) => Err(Failure::last().into()),
    }
}

/// Rolls back when dropped.
struct Open;

impl Drop for Open {
    fn drop(&mut self) {
        // It fails for a transaction that is gone already, which is what is wanted.
        let _ = rollback();
    }
}
