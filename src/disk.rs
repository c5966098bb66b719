//! The fiber that notices that the files of the running database are gone. Runs on the tx thread; the files are looked at on a
//! thread of Tarantool's.

use crate::tx::life::Life;
use crate::tx::{fiber, log, lua, refuse_transactions, Tx};
use authkv_xlog::Watch;
use std::time::Duration;

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// The body of the fiber. Returns once the instance ends, or writes are refused.
pub fn watch(tx: &Tx, life: &Life) {
    let Some((logs, snapshots)) = lua::directories(tx) else {
        return;
    };
    let mut watch = match fiber::apart(tx, || Watch::new(logs, snapshots)) {
        Some(Ok(watch)) => watch,
        Some(Err(e)) => {
            return log::error(&format!("the directory of the data is not watched: {e}"))
        }
        None => return log::error("the directory of the data is not watched"),
    };
    while !life.has_ended() && !fiber::is_cancelled(tx) {
        if let Some(Err(what)) = fiber::apart(tx, || watch.look()) {
            refuse_transactions(tx);
            return log::error(&format!(
                "{what}: writes are refused from now on, because they would be lost with the process. Reads go on. Bring the \
                 files back, or a back-up of them, and start the process again; this one does not take writes any more"
            ));
        }
        life.pause(tx, PAUSE);
    }
}
