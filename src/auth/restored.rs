//! After a restore of a back-up: everything that was given before ends, whether the back-up knows of it or not. Runs on the tx
//! thread.

use super::{follow, rotation, Auth};
use crate::tx::Tx;
use authkv_base::error::Error;

/// Ends all tokens, sessions and keys that were given before, and begins `generation`. An instance that follows another only
/// forgets what it has heard, if the other one has been restored too and has not said so. Errors: `ClockBehind`; `ReadOnly`, `Overloaded`. Yields.
pub fn restored(tx: &Tx, auth: &'static Auth, generation: u64) -> Result<(), Error> {
    if !auth.config.services.auth {
        return follow::restored(tx, auth);
    }
    let last = auth.storage.mirror.last(tx)?;
    if generation <= last {
        return Err(Error::ClockBehind { generation, last });
    }
    rotation::restored(tx, auth, generation)
}
