//! All calls of Tarantool's C API. Runs on the tx thread only: the type [`Tx`] proves that.

mod failure;
pub mod fd;
pub mod fiber;
pub mod hop;
pub mod image;
mod isolation;
pub mod lent;
pub mod life;
pub mod log;
pub mod lua;
pub mod measure;
pub mod orphan;
mod prepare;
mod replicated;
mod retry;
pub mod returned;
pub mod session;
pub mod session_kind;
pub mod source;
mod space;
mod transaction;

pub use failure::Failure;
pub use isolation::{
    hides_committing, in_transaction, latest, learn_mode, linearizable_lacks, reach_quorum,
};
pub use orphan::is_read_only;
pub use replicated::Replicated;
pub use retry::retry;
pub use space::{tuple_bytes, Index, Range, Space};
pub use transaction::{
    attempt, await_durability, await_durability_since, commits_begun, commits_ended, disk_fails,
    is_overdue, is_split, learn_refusal, limit_commits, note_split, note_undurable,
    outcome_unknown, overdue, refuse_transactions, refuses_transactions, sees_undurable,
    take_undurable, transaction, transaction_if, transactions, Changes, Mark,
};

use std::marker::PhantomData;

/// Proof that the code runs on the tx thread: Tarantool called the owner of this value there. It cannot be sent to another
/// thread.
pub struct Tx(PhantomData<*const ()>);

impl Tx {
    /// Call this where Tarantool enters the library: in procedures and fiber bodies.
    ///
    /// # Safety
    /// The caller runs on the tx thread.
    pub unsafe fn enter() -> Self {
        Self(PhantomData)
    }
}

/// State that only the tx thread may touch, inside a value that other threads share.
pub struct TxCell<T>(T);

// SAFETY: the content can only be reached with a `&Tx`, so on the tx thread. The owner is dropped there too: see [`lent`].
unsafe impl<T> Sync for TxCell<T> {}
// SAFETY: as above. The value is made on the tx thread and moved to its place there.
unsafe impl<T> Send for TxCell<T> {}

impl<T> TxCell<T> {
    pub fn new(_tx: &Tx, content: T) -> Self {
        Self(content)
    }

    pub fn get<'a>(&'a self, _tx: &'a Tx) -> &'a T {
        &self.0
    }
}
