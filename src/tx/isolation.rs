//! What the transactions and reads of this library see. Runs on the tx thread.
//!
//! Without `memtx_use_mvcc_engine` each tuple has one version, and every reader sees changes while they are being committed.
//! With it, Tarantool hides such changes from reads outside a transaction, and from transactions of the level `best-effort`
//! before their first write. If such a transaction has read tuples that another one is committing, it fails at that write with a
//! conflict. So transactions begin here as `read-committed`: they see the changes that are being committed, and the log of
//! writes takes them after those changes. If those changes fail, the transactions fail too.

use super::{log, lua, Failure, Tx};
use authkv_base::error::Error;
use std::cell::Cell;
use std::ffi::c_int;
use tarantool::ffi::helper::get_any_symbol;
use tarantool::transaction::{begin, is_in_transaction, rollback};

/// `box_txn_set_isolation` exists from Tarantool 2.10 on.
type SetIsolation = unsafe extern "C" fn(u32) -> c_int;

/// A value of Tarantool's `txn_isolation_level`.
const READ_COMMITTED: u32 = 1;

#[derive(Clone, Copy)]
struct Mode {
    mvcc: bool,
    set_isolation: Option<SetIsolation>,
}

thread_local! {
    /// Used on the tx thread only.
    static MODE: Cell<Mode> = const { Cell::new(Mode { mvcc: false, set_isolation: None }) };
}

/// Finds out whether MVCC is on. That does not change while Tarantool runs. Evaluates Lua.
pub fn learn_mode(tx: &Tx) {
    let mvcc = lua::uses_mvcc(tx);
    let find = || {
        // SAFETY: Tarantool's function of this name has this type.
        unsafe { get_any_symbol(c"box_txn_set_isolation") }.ok()
    };
    let set_isolation: Option<SetIsolation> = if mvcc { find() } else { None };
    match (mvcc, set_isolation) {
        (false, _) => {}
        (true, Some(_)) => log::info("memtx_use_mvcc_engine is on: transactions of authkv are read-committed"),
        (true, None) => log::warn(
            "memtx_use_mvcc_engine is on, and this Tarantool has no levels of isolation: transactions are tried again more often",
        ),
    }
    MODE.set(Mode {
        mvcc,
        set_isolation,
    });
}

/// Whether the caller of a procedure has an open transaction.
pub fn in_transaction(_tx: &Tx) -> bool {
    is_in_transaction()
}

/// Whether a read sees changes that are being committed.
pub fn sees_committing(tx: &Tx) -> bool {
    !MODE.get().mvcc || in_transaction(tx)
}

/// Whether the length of a space leaves out what is being committed.
pub fn hides_committing(_tx: &Tx) -> bool {
    MODE.get().mvcc
}

/// Reads committed changes, durable or not, as a transaction does. `body` must neither write nor yield.
pub fn latest<T>(tx: &Tx, body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let _open = match sees_committing(tx) {
        true => None,
        false => Some(Open::begin(tx)?),
    };
    body()
}

/// An open transaction. Dropping it rolls it back.
pub struct Open(());

impl Open {
    pub fn begin(_tx: &Tx) -> Result<Self, Failure> {
        begin().map_err(Failure::from)?;
        let open = Self(());
        if let Some(set_isolation) = MODE.get().set_isolation {
            // SAFETY: a transaction is open on this thread. The call fails only if it has statements, and it has none yet.
            unsafe { set_isolation(READ_COMMITTED) };
        }
        Ok(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Fails if the transaction has ended already, which is fine.
        let _ = rollback();
    }
}
