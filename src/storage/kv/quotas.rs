//! Quotas: how many pairs and bytes each prefix with a quota uses, counted in memory. Runs on the tx thread.
//!
//! A transaction notes what it changes in [`Deltas`]. Before its commit they are compared with the quotas and counted, so that
//! transactions whose commits are open count too; a commit that fails takes them back. Counts are made by reading the pairs
//! once (see `recount.rs`), and again when others have changed pairs: a leader, or another image of the library.

use super::Stored;
use crate::tx::fiber::Cond;
use crate::tx::{Tx, TxCell};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_domain::Quota;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What the pairs of a prefix use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub pairs: u64,
    /// Of keys, values and content types in msgpack.
    pub bytes: u64,
}

/// The use of a prefix, with its quota.
#[derive(Debug)]
pub struct Usage<'a> {
    pub quota: &'a Quota,
    pub prefix: Box<[u8]>,
    pub used: Used,
}

/// The use by prefix. A prefix that uses nothing is not there.
pub(super) type Counts = BTreeMap<Box<[u8]>, Used>;

/// The quotas of an instance, and what is used of them.
pub struct Quotas {
    quotas: Vec<Quota>,
    pub(super) state: TxCell<State>,
}

pub(super) struct State {
    /// The counts of each quota.
    counts: RefCell<Vec<Counts>>,
    /// Whether others have changed pairs, or nothing was counted yet.
    pub is_stale: Cell<bool>,
    /// Whether a fiber counts, and the signal at its end.
    pub is_counting: Cell<bool>,
    pub counted: Cond,
}

/// What a transaction changes in the use of a prefix.
#[derive(Debug, Clone, Copy, Default)]
struct Delta {
    pairs: i64,
    bytes: i64,
}

/// What a transaction changes in the use of each prefix, by quota.
#[derive(Debug)]
pub struct Deltas(Vec<BTreeMap<Box<[u8]>, Delta>>);

impl Quotas {
    /// `None` without quotas: then nothing is counted.
    pub fn new(tx: &Tx, quotas: &[Quota]) -> Option<Self> {
        let state = State {
            counts: RefCell::new(vec![Counts::new(); quotas.len()]),
            is_stale: Cell::new(true),
            is_counting: Cell::new(false),
            counted: Cond::new(),
        };
        (!quotas.is_empty()).then(|| Self {
            quotas: quotas.to_vec(),
            state: TxCell::new(tx, state),
        })
    }

    /// Begins to note the changes of a transaction.
    pub fn begin(&self) -> Deltas {
        Deltas(vec![BTreeMap::new(); self.quotas.len()])
    }

    /// Counts the changes of a transaction that is about to commit. Errors: `QuotaExceeded` if a prefix would use more than
    /// before and more than its quota; then nothing is counted. Does not yield.
    pub fn take(&self, tx: &Tx, deltas: &Deltas) -> Result<(), Error> {
        let mut counts = self.state.get(tx).counts.borrow_mut();
        let all = self.quotas.iter().zip(&*counts).zip(&deltas.0);
        for ((quota, counts), deltas) in all {
            for (prefix, delta) in deltas {
                let used = counts.get(prefix).copied().unwrap_or_default();
                let exceeded = |unit, used, delta, limit: Option<u64>| {
                    let limit = limit.filter(|limit| delta > 0 && plus(used, delta) > *limit)?;
                    let prefix = String::from_utf8_lossy(prefix).into_owned();
                    Some(Error::QuotaExceeded {
                        prefix,
                        unit,
                        used,
                        limit,
                    })
                };
                let pairs = exceeded("pairs", used.pairs, delta.pairs, quota.pairs);
                let found =
                    pairs.or_else(|| exceeded("bytes", used.bytes, delta.bytes, quota.bytes));
                if let Some(error) = found {
                    return Err(error);
                }
            }
        }
        add(&mut counts, deltas, 1);
        Ok(())
    }

    /// Takes back what [`Self::take`] has counted, because the commit failed. Does not yield.
    pub fn undo(&self, tx: &Tx, deltas: &Deltas) {
        add(&mut self.state.get(tx).counts.borrow_mut(), deltas, -1);
    }

    /// The use of at most `limit` prefixes, in the order of the prefixes, after the prefix `after` if it is given. Returns also
    /// whether there are more. Quotas of the same prefix come together, even beyond the limit. Does not yield.
    pub fn usage(&self, tx: &Tx, after: Option<&[u8]>, limit: usize) -> (Vec<Usage<'_>>, bool) {
        let counts = self.state.get(tx).counts.borrow();
        let mut found = Vec::new();
        for (quota, counts) in self.quotas.iter().zip(&*counts) {
            let mut add = |prefix: &[u8], used| {
                let prefix = prefix.into();
                found.push(Usage {
                    quota,
                    prefix,
                    used,
                });
            };
            let stem = quota.stem().as_bytes();
            if quota.has_many() {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let range = counts.range::<[u8], _>((from, Bound::Unbounded));
                for (prefix, used) in range.take(limit + 1) {
                    add(prefix, *used);
                }
            } else if after.is_none_or(|after| stem > after) {
                add(stem, counts.get(stem).copied().unwrap_or_default());
            }
        }
        found.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        let last = found.get(limit.saturating_sub(1));
        let last = last.map(|usage| usage.prefix.clone());
        let end = last.map_or(found.len(), |last| {
            found.partition_point(|usage| usage.prefix <= last)
        });
        let has_more = end < found.len();
        found.truncate(end);
        (found, has_more)
    }

    pub(super) fn list(&self) -> &[Quota] {
        &self.quotas
    }

    pub(super) fn is_stale(&self, tx: &Tx) -> bool {
        self.state.get(tx).is_stale.get()
    }

    /// Notes that others have changed pairs.
    pub(super) fn mark_stale(&self, tx: &Tx) {
        self.state.get(tx).is_stale.set(true);
    }

    /// Replaces the counts of all quotas.
    pub(super) fn set(&self, tx: &Tx, counts: Vec<Counts>) {
        let state = self.state.get(tx);
        state.counts.replace(counts);
        state.is_stale.set(false);
    }

    /// Notes that the pair of a key, a one-element array, had this size before and has another one after. `None`: there is no
    /// pair.
    pub fn note(
        &self,
        deltas: &mut Deltas,
        key: &[u8],
        before: Option<usize>,
        after: Option<usize>,
    ) {
        let Ok(text) = Reader::new(&key[1..]).string() else {
            return;
        };
        for (index, quota) in self.quotas.iter().enumerate() {
            if let Some(prefix) = quota.prefix_of(text) {
                deltas.note(index, prefix, before, after);
            }
        }
    }
}

impl Deltas {
    fn note(&mut self, quota: usize, prefix: &[u8], before: Option<usize>, after: Option<usize>) {
        let Some(deltas) = self.0.get_mut(quota) else {
            return;
        };
        let size = |size: Option<usize>| size.unwrap_or(0) as i64;
        let pairs = i64::from(after.is_some()) - i64::from(before.is_some());
        let bytes = size(after) - size(before);
        match deltas.get_mut(prefix) {
            Some(delta) => {
                delta.pairs += pairs;
                delta.bytes += bytes;
            }
            None => {
                deltas.insert(prefix.into(), Delta { pairs, bytes });
            }
        }
    }
}

impl Stored<'_> {
    /// The bytes that count for a quota: key, value and content type in msgpack. A revision does not count, so that a value may
    /// always be replaced by one that is not larger.
    pub fn quota_size(&self) -> usize {
        self.key.len() + self.value.len() + self.content_type.len()
    }
}

fn plus(used: u64, delta: i64) -> u64 {
    used.saturating_add_signed(delta)
}

/// Adds the deltas, or takes them off if `sign` is -1.
fn add(counts: &mut [Counts], deltas: &Deltas, sign: i64) {
    for (counts, deltas) in counts.iter_mut().zip(&deltas.0) {
        for (prefix, delta) in deltas {
            let used = counts.get(prefix).copied().unwrap_or_default();
            let used = Used {
                pairs: plus(used.pairs, sign * delta.pairs),
                bytes: plus(used.bytes, sign * delta.bytes),
            };
            match used == Used::default() {
                true => drop(counts.remove(prefix)),
                false => drop(counts.insert(prefix.clone(), used)),
            }
        }
    }
}
