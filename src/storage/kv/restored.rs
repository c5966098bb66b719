//! What a restore of a back-up does to revisions: they go on above all that were given after the back-up.

use super::super::Depth;
use super::KeyValues;
use crate::tx::Tx;
use authkv_base::error::Error;

impl KeyValues {
    /// Goes on with revisions above `last`. Changes before are forgotten, so that a watch that goes on after one of their
    /// revisions gets `too_old`. Errors: `ClockBehind` if the revision `last` was given already. Yields while it commits.
    pub fn restored(&self, tx: &Tx, last: u64) -> Result<(), Error> {
        let changes = self.changes.get(tx);
        self.catch_up(tx)?;
        let numbers = changes.revisions.skip_to(last);
        let numbers = numbers.ok_or_else(|| Error::ClockBehind {
            generation: last,
            last: changes.revisions.begin().last(),
        })?;
        let kept = self.reserve.transaction(tx, Depth::Last, || {
            self.catch_up(tx)?;
            changes.revisions.keep(tx, &numbers)?;
            // Before the commit, so that changes of later transactions are kept.
            changes.feed.borrow_mut().begin_after(last);
            Ok(())
        });
        if kept.is_err() {
            let open = changes.feed.borrow().last_open();
            changes.revisions.undone(tx, open)?;
        }
        self.tell(tx);
        kept
    }
}
