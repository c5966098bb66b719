//! Counts what quotas use by reading the pairs: after a start, and after others have changed pairs. Runs on the tx thread.

use super::quotas::{Counts, Quotas, State, Used};
use super::{KeyValues, Stored};
use crate::storage::array;
use crate::tx::{fiber, is_read_only, Range, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_domain::Quota;
use std::time::Duration;

/// The most pairs that are read before other fibers run: some milliseconds.
const SLICE: usize = 20_000;
/// How often pairs are read in slices. If others change them each time, they are read at once then.
const TRIES: usize = 3;
/// How long to wait before looking again whether commits have ended.
const PAUSE: Duration = Duration::from_millis(2);

/// The right to count, until it is dropped.
struct Turn<'a>(&'a State);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.is_counting.set(false);
        self.0.counted.broadcast();
    }
}

impl KeyValues {
    /// Makes sure that a writer knows what quotas use: counts it, or waits for the fiber that does. Not on a read-only instance,
    /// where others change pairs all the time. Errors: `ShuttingDown`. Yields if it counts or waits; cheap otherwise.
    pub(super) fn know_use(&self, tx: &Tx) -> Result<(), Error> {
        match &self.quotas {
            Some(quotas) if quotas.is_stale(tx) && !is_read_only(tx) => self.count_use(tx, quotas),
            _ => Ok(()),
        }
    }

    /// The quotas with counts that are right at this moment; `None` without quotas. Errors: `ShuttingDown`. Yields if it counts.
    pub fn quotas(&self, tx: &Tx) -> Result<Option<&Quotas>, Error> {
        let Some(quotas) = &self.quotas else {
            return Ok(None);
        };
        self.catch_up(tx)?;
        self.count_use(tx, quotas)?;
        Ok(Some(quotas))
    }

    fn count_use(&self, tx: &Tx, quotas: &Quotas) -> Result<(), Error> {
        let state = quotas.state.get(tx);
        while quotas.is_stale(tx) {
            if fiber::is_cancelled(tx) {
                return Err(Error::ShuttingDown);
            }
            if state.is_counting.get() {
                state.counted.wait();
                continue;
            }
            state.is_counting.set(true);
            let _turn = Turn(state);
            self.recount(tx, quotas)?;
        }
        Ok(())
    }

    /// Reads all pairs that quotas concern. No transaction of this instance changes pairs meanwhile, because each of them waits
    /// for the count.
    fn recount(&self, tx: &Tx, quotas: &Quotas) -> Result<(), Error> {
        for tries in 1.. {
            self.await_commits(tx)?;
            self.catch_up(tx)?;
            let before = self.changes.get(tx).revisions.last(tx)?;
            let read = |quota| self.read_use(tx, quota, tries <= TRIES);
            let counts = quotas.list().iter().map(read).collect::<Result<_, _>>()?;
            let is_open = self.changes.get(tx).feed.borrow().is_open();
            if !is_open && self.changes.get(tx).revisions.last(tx)? == before {
                quotas.set(tx, counts);
                break;
            }
        }
        Ok(())
    }

    /// Waits until no commit of this instance is open, because one that fails changes what was read.
    fn await_commits(&self, tx: &Tx) -> Result<(), Error> {
        while self.changes.get(tx).feed.borrow().is_open() {
            if fiber::is_cancelled(tx) {
                return Err(Error::ShuttingDown);
            }
            fiber::sleep(tx, PAUSE);
        }
        Ok(())
    }

    /// Reads what one quota uses, with pauses for other fibers between slices if `in_slices`.
    fn read_use(&self, tx: &Tx, quota: &Quota, in_slices: bool) -> Result<Counts, Error> {
        let stem = quota.stem().as_bytes();
        let mut counts = Counts::new();
        // Pairs with one prefix follow one another.
        let (mut prefix, mut used) = (Vec::new(), Used::default());
        let mut from = array(&(quota.stem(),));
        let mut is_first = true;
        loop {
            let range = match is_first {
                true => Range::From(&from),
                false => Range::After(&from),
            };
            let (mut looked, mut next, mut failed) = (0, None, None);
            self.space.index(0).scan(tx, range, |tuple| {
                let stored = match Stored::read(tuple) {
                    Ok(stored) => stored,
                    Err(error) => {
                        failed = Some(error);
                        return false;
                    }
                };
                let key = Reader::new(stored.key).string().unwrap_or_default();
                if !key.starts_with(stem) {
                    return false;
                }
                if let Some(found) = quota.prefix_of(key) {
                    if *found != *prefix {
                        keep(&mut counts, &prefix, used);
                        prefix.clear();
                        prefix.extend_from_slice(found);
                        used = Used::default();
                    }
                    used.pairs += 1;
                    used.bytes += stored.quota_size() as u64;
                }
                looked += 1;
                let is_full = in_slices && looked == SLICE;
                if is_full {
                    next = Some([b"\x91", stored.key].concat());
                }
                !is_full
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            let Some(next) = next else {
                keep(&mut counts, &prefix, used);
                return Ok(counts);
            };
            if fiber::is_cancelled(tx) {
                return Err(Error::ShuttingDown);
            }
            (from, is_first) = (next, false);
            fiber::pass(tx);
        }
    }
}

fn keep(counts: &mut Counts, prefix: &[u8], used: Used) {
    if used != Used::default() {
        counts.insert(prefix.into(), used);
    }
}
