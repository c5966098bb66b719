//! What a transaction of this library sees, and what a read outside of one sees. Runs on the tx thread.
//!
//! Without `memtx_use_mvcc_engine` there is one version of each tuple, and every reader sees what is being committed. With
//! it there are several, and Tarantool shows what is being committed only to some: not to a read outside of a transaction,
//! and not to a transaction of the level `best-effort` before its first write. Such a transaction fails at that write, as a
//! conflict, if it has read what others are just committing. So transactions begin here as `read-committed`: they see what
//! is being committed, and the log of writes takes them after it. If it fails, so do they.

use super::{log, lua, Failure, Tx};
use authkv_base::error::Error;
use std::cell::Cell;
use std::ffi::c_int;
use tarantool::ffi::helper::get_any_symbol;
use tarantool::transaction::{begin, is_in_transaction, rollback};

/// `box_txn_set_isolation`, which Tarantool has from 2.10 on.
type SetIsolation = unsafe extern "C" fn(u32) -> c_int;

/// Of Tarantool's `txn_isolation_level`.
const READ_COMMITTED: u32 = 1;

#[derive(Clone, Copy)]
struct Mode {
    mvcc: bool,
    set_isolation: Option<SetIsolation>,
}

thread_local! {
    /// That of the tx thread.
    static MODE: Cell<Mode> = const { Cell::new(Mode { mvcc: false, set_isolation: None }) };
}

/// Finds out whether there is MVCC, which does not change while Tarantool runs. Evaluates Lua.
pub fn learn_mode(tx: &Tx) {
    let mvcc = lua::uses_mvcc(tx);
    let find = || {
        // SAFETY: Tarantool's function of that name has this type.
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

/// Whether the caller of a procedure has a transaction open.
pub fn in_transaction(_tx: &Tx) -> bool {
    is_in_transaction()
}

/// Whether a read that is made now sees what is being committed.
pub fn sees_committing(tx: &Tx) -> bool {
    !MODE.get().mvcc || in_transaction(tx)
}

/// Reads what is committed, whether it is durable or not, as a transaction does. `body` must neither write nor yield.
pub fn latest<T>(tx: &Tx, body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let _open = match sees_committing(tx) {
        true => None,
        false => Some(Open::begin(tx)?),
    };
    body()
}

/// A transaction that is open. It is rolled back when this is dropped.
pub struct Open(());

impl Open {
    pub fn begin(_tx: &Tx) -> Result<Self, Failure> {
        begin().map_err(Failure::from)?;
        let open = Self(());
        if let Some(set_isolation) = MODE.get().set_isolation {
            // SAFETY: a transaction is open on this thread. It fails for a transaction that has statements, and this has none.
            unsafe { set_isolation(READ_COMMITTED) };
        }
        Ok(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // It fails for a transaction that is gone already, which is what is wanted.
        let _ = rollback();
    }
}
