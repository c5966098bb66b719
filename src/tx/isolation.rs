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
use std::time::Duration;
use tarantool::error::{BoxError, TarantoolErrorCode};
use tarantool::ffi::helper::get_any_symbol;
use tarantool::transaction::{begin, is_in_transaction, rollback};

/// `box_txn_set_isolation` exists from Tarantool 2.10 on.
type SetIsolation = unsafe extern "C" fn(u32) -> c_int;

/// `box_txn_set_timeout` exists from Tarantool 2.10 on.
type SetTimeout = unsafe extern "C" fn(f64) -> c_int;

/// Values of Tarantool's `txn_isolation_level`.
const READ_COMMITTED: u32 = 1;
const LINEARIZABLE: u32 = 4;

#[derive(Clone, Copy)]
struct Mode {
    mvcc: bool,
    /// Set if MVCC is on.
    set_isolation: Option<SetIsolation>,
    set_timeout: Option<SetTimeout>,
    /// Whether this Tarantool has the level `linearizable`, which came with 2.11.
    has_linearizable: bool,
}

thread_local! {
    /// Used on the tx thread only.
    static MODE: Cell<Mode> = const {
        Cell::new(Mode { mvcc: false, set_isolation: None, set_timeout: None, has_linearizable: false })
    };
}

/// Finds out whether MVCC is on. That does not change while Tarantool runs. Evaluates Lua.
pub fn learn_mode(tx: &Tx) {
    let mvcc = lua::uses_mvcc(tx);
    // SAFETY: Tarantool's function of this name has this type.
    let found: Option<SetIsolation> = unsafe { get_any_symbol(c"box_txn_set_isolation") }.ok();
    // SAFETY: as above.
    let set_timeout: Option<SetTimeout> = unsafe { get_any_symbol(c"box_txn_set_timeout") }.ok();
    let set_isolation = found.filter(|_| mvcc);
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
        set_timeout,
        has_linearizable: found.is_some_and(knows_linearizable),
    });
}

/// Whether the level `linearizable` is known. Outside of a transaction no level can be set, and an unknown one is refused first.
fn knows_linearizable(set_isolation: SetIsolation) -> bool {
    if is_in_transaction() {
        return false;
    }
    // SAFETY: on the tx thread. No transaction is open, so nothing is changed.
    unsafe { set_isolation(LINEARIZABLE) };
    BoxError::last().error_code() == TarantoolErrorCode::NoTransaction as u32
}

/// What this instance lacks for linearizable reads, or `None` if it has all. Evaluates Lua. Does not yield.
pub fn linearizable_lacks(tx: &Tx) -> Option<String> {
    let mode = MODE.get();
    if !mode.has_linearizable {
        return Some(format!(
            "it needs Tarantool 2.11 or newer, and this is {}",
            lua::version_text(tx)
        ));
    }
    if !mode.mvcc {
        return Some("it needs memtx_use_mvcc_engine, an option of box.cfg".to_owned());
    }
    match lua::ask::<Option<String>>(tx, "schema", "asynchronous") {
        Ok(None) => None,
        Ok(Some(space)) => Some(format!(
            "it needs AUTHKV_SYNCHRONOUS=true, and the space {space} is not synchronous"
        )),
        Err(error) => Some(error.to_string()),
    }
}

/// Waits until this instance shows everything that had been confirmed by most instances of its replica set when this was
/// called. Reads outside of a transaction, which see confirmed changes only, are linearizable then. Errors: `Behind`. Yields, at
/// most for `patience`.
pub fn reach_quorum(tx: &Tx, patience: Duration) -> Result<(), Error> {
    let open = Open::begin(tx)?;
    let mode = MODE.get();
    let (Some(set_isolation), Some(set_timeout)) = (mode.set_isolation, mode.set_timeout) else {
        return Err(Error::Internal);
    };
    // SAFETY: a transaction without statements is open on this thread. The second call yields, which a transaction outlasts
    // with MVCC.
    let reached =
        unsafe { set_timeout(patience.as_secs_f64()) == 0 && set_isolation(LINEARIZABLE) == 0 };
    let why = (!reached).then(|| BoxError::last().message().to_owned());
    drop(open);
    match why {
        None => Ok(()),
        Some(why) => Err(Error::Behind {
            why: format!("most instances of the replica set did not answer in time: {why}").into(),
        }),
    }
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
