//! The key-value service. Runs on the tx thread.
//!
//! What an operation has read may not be durable yet. [`crate::core::execute`] waits for that.

mod answers;
mod metrics;

use crate::storage::{Effect, KeyValues, ReadForm, Storage};
use crate::tx::life::Life;
use crate::tx::{fiber, note_undurable, take_undurable, Replicated, Tx};
use authkv_base::error::{AccessKind, Error};
use authkv_command::{Outcome, Page, Purged, QuotaPage, QuotaUse};
use authkv_domain::{Access, Deletion, Keys, Listing, ReadableRanges, Steps, Txn, Watching, What};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The store, if this instance offers it.
pub struct Kv {
    storage: Arc<Storage>,
    life: Arc<Life>,
}

impl Kv {
    pub fn new(storage: Arc<Storage>, life: Arc<Life>) -> Self {
        Self { storage, life }
    }

    /// Errors: `NotOffered`.
    fn store(&self) -> Result<&KeyValues, Error> {
        self.storage.key_values.as_ref().ok_or(Error::NotOffered)
    }

    /// Removes at most `limit` pairs that had expired at `passed`, in milliseconds. Returns by how many milliseconds the last one
    /// was overdue, or `None` if there are no more, or no store. Errors: `ReadOnly`, `NotDurable`. Yields.
    pub fn sweep(&self, tx: &Tx, passed: u64, limit: usize) -> Result<Option<u64>, Error> {
        match &self.storage.key_values {
            Some(store) => store.sweep(tx, passed, limit),
            None => Ok(None),
        }
    }

    /// Goes on with revisions above `least` after a restore, if there is a store. Errors: `ClockBehind`, `ReadOnly`. Yields.
    pub fn restored(&self, tx: &Tx, least: u64) -> Result<(), Error> {
        match &self.storage.key_values {
            Some(store) => store.restored(tx, least),
            None => Ok(()),
        }
    }

    /// Takes what replication has brought. Errors: `NotOffered`. Does not yield.
    pub fn replicated(
        &self,
        tx: &Tx,
        follows: bool,
        transactions: &[Replicated],
    ) -> Result<(), Error> {
        self.store()?.replicated(tx, follows, transactions)
    }

    /// The last revision up to which this instance has all changes, or `None` without a store. Does not yield.
    pub fn known(&self, tx: &Tx) -> Result<Option<u64>, Error> {
        let store = self.storage.key_values.as_ref();
        store.map(|store| store.known(tx)).transpose()
    }

    /// How many revisions were given although another instance of the replica set had given them.
    pub fn repeated(&self, tx: &Tx) -> u64 {
        let store = self.storage.key_values.as_ref();
        store.map_or(0, |store| store.repeated(tx))
    }

    /// Fills the reserve, which is memory that pairs cannot use, if that is possible now. Does not yield.
    pub fn fill_reserve(&self, tx: &Tx) {
        self.storage.reserve.keep(tx);
    }
}

/// How long a watch sleeps before it checks whether the instance stops.
const NAP: Duration = Duration::from_millis(200);

/// How long a watch collects changes after it was woken, so that not every commit wakes all watches.
const REST: Duration = Duration::from_millis(20);

/// The values of all the keys. Errors: `Forbidden` before `MissingKeys`. Does not yield.
pub fn get(tx: &Tx, kv: &Kv, access: &Access, keys: &Keys) -> Result<Outcome, Error> {
    let keys = access.reads(keys)?;
    let found = kv.store()?.get(tx, &keys, ReadForm::Values)?;
    Ok(Outcome::Found(found))
}

/// Inserts the pairs whose keys do not exist, in one transaction. Errors: `Forbidden` before
/// `ValueTooLarge`, `StorageFull`, `ReadOnly`. Yields while it commits.
pub fn put(tx: &Tx, kv: &Kv, access: &Access, steps: &Steps) -> Result<Outcome, Error> {
    let store = kv.store()?;
    let permitted = access.permit_all(steps)?;
    let applied = store.apply(tx, &permitted)?;
    answers::check(store, steps, &applied)?;
    let mut existing = Vec::new();
    for (step, effect) in steps.iter().zip(&applied.effects) {
        if let Effect::Exists { .. } = effect {
            existing.push(answers::key(steps, step));
        }
    }
    Ok(Outcome::Written {
        written: steps.len() - existing.len(),
        existing,
        revision: applied.revision,
    })
}

/// The pairs that exist, and the keys that are missing. With `strict` a missing key is an error. Errors: `Forbidden` before
/// `MissingKeys`. Does not yield.
pub fn batch_get(
    tx: &Tx,
    kv: &Kv,
    access: &Access,
    keys: &Keys,
    strict: bool,
) -> Result<Outcome, Error> {
    let keys = access.reads(keys)?;
    let found = kv.store()?.get(tx, &keys, ReadForm::Pairs { strict })?;
    Ok(Outcome::Encoded(found))
}

/// Executes steps in one transaction, and returns the outcome of each. Errors: `StorageFull`, `ReadOnly`. Yields while it
/// commits.
pub fn batch(tx: &Tx, kv: &Kv, access: &Access, steps: &Steps) -> Result<Outcome, Error> {
    let permitted = access.permit_each(steps);
    let applied = kv.store()?.apply(tx, &permitted)?;
    answers::of_steps("committed", applied.committed, steps, &applied)
}

/// Executes one of the two lists of steps, in one transaction. Errors: `Forbidden`, and those of a step; any error undoes
/// all steps. Yields while it commits.
pub fn txn(tx: &Tx, kv: &Kv, access: &Access, txn: &Txn) -> Result<Outcome, Error> {
    let store = kv.store()?;
    let (compare, success, failure) = access.permit_txn(txn)?;
    let (succeeded, applied) = store.choose(tx, &compare, &success, &failure)?;
    let steps = if succeeded {
        &txn.success
    } else {
        &txn.failure
    };
    answers::check(store, steps, &applied)?;
    answers::of_steps("succeeded", succeeded, steps, &applied)
}

/// Executes a single step: reads, writes or deletes a pair, or adds to a number. Errors: `Forbidden`, `NoSuchKey`,
/// `Conflict`, `ValueTooLarge`, `NotAnInteger`, `OutOfRange`. Yields while it commits.
pub fn one(tx: &Tx, kv: &Kv, access: &Access, steps: &Steps) -> Result<Outcome, Error> {
    let store = kv.store()?;
    let permitted = access.permit_all(steps)?;
    let applied = store.apply(tx, &permitted)?;
    answers::check(store, steps, &applied)?;
    let (Some(step), Some(effect)) = (steps.iter().next(), applied.effects.first()) else {
        return Err(Error::Internal);
    };
    let key = || answers::key(steps, step);
    match effect {
        Effect::Found(found) => {
            let mut pair = Vec::new();
            found.stored()?.write(&mut pair);
            Ok(Outcome::Pair(pair))
        }
        Effect::Written {
            revision,
            value: Some(sum),
            ..
        } => Ok(Outcome::Applied {
            members: answers::of_sum(steps, step, *sum, *revision),
            revision: *revision,
        }),
        Effect::Written {
            revision, created, ..
        } => Ok(Outcome::PairWritten {
            key: key(),
            revision: *revision,
            created: *created,
        }),
        Effect::Deleted { revision } => Ok(Outcome::PairDeleted {
            deleted: true,
            revision: *revision,
        }),
        Effect::Missing => Err(Error::NoSuchKey(key())),
        // The remaining effects are errors.
        _ => Err(Error::Internal),
    }
}

/// A page of keys or pairs in order, or their number. Yields between the slices of a count, which is then no snapshot.
pub fn list(tx: &Tx, kv: &Kv, access: &Access, listing: &Listing) -> Result<Outcome, Error> {
    let store = kv.store()?;
    let ranges = access.reads_of(&listing.range);
    let after = listing.after.as_deref();
    let (limit, keys_only) = match listing.what {
        What::Pairs(limit) => (limit, false),
        What::Keys(limit) => (limit, true),
        What::Total => {
            let total = access.allows_all(AccessKind::Read).then(|| store.len(tx));
            return Ok(Outcome::Counted { count: total });
        }
        What::Count => {
            let count = slices(tx, kv, store, &ranges, after)?;
            return Ok(Outcome::Counted { count: Some(count) });
        }
    };
    let mut page = store.page(tx, &ranges, after, limit, keys_only)?;
    let mut undurable = take_undurable(tx);
    // All pairs of a slice may have expired.
    while let Some(after) = page.next.take_if(|_| page.count == 0) {
        rest(tx, kv)?;
        page = store.page(tx, &ranges, Some(&after), limit, keys_only)?;
        undurable = undurable.or(take_undurable(tx));
    }
    if undurable.is_some() {
        note_undurable(tx, undurable);
    }
    Ok(Outcome::Listed(page))
}

/// The use of quotas, in the order of their prefixes. Errors: `ShuttingDown`. Yields if it has to be counted.
pub fn quotas(tx: &Tx, kv: &Kv, page: Page) -> Result<Outcome, Error> {
    let mut found = QuotaPage::default();
    let Some(quotas) = kv.store()?.quotas(tx)? else {
        return Ok(Outcome::Quotas(found));
    };
    let after = page.after.as_deref().map(str::as_bytes);
    let (usage, has_more) = quotas.usage(tx, after, page.limit);
    found.quotas = usage
        .into_iter()
        .map(|usage| QuotaUse {
            quota: usage.quota.pattern.clone(),
            prefix: String::from_utf8_lossy(&usage.prefix).into_owned(),
            pairs: usage.used.pairs,
            pairs_max: usage.quota.pairs,
            bytes: usage.used.bytes,
            bytes_max: usage.quota.bytes,
        })
        .collect();
    let last = found.quotas.last().filter(|_| has_more);
    found.next = last.map(|one| one.prefix.clone());
    Ok(Outcome::Quotas(found))
}

/// Counts slice by slice. Only one count runs at a time, whatever the transport, because each slice occupies tx. Yields.
fn slices(
    tx: &Tx,
    kv: &Kv,
    store: &KeyValues,
    ranges: &ReadableRanges,
    after: Option<&str>,
) -> Result<usize, Error> {
    let _turn = store.begin_count(tx);
    let mut page = store.count(tx, ranges, after)?;
    let mut count = page.count;
    let mut undurable = take_undurable(tx);
    while let Some(after) = page.next {
        rest(tx, kv)?;
        page = store.count(tx, ranges, Some(&after))?;
        count += page.count;
        undurable = undurable.or(take_undurable(tx));
    }
    if undurable.is_some() {
        note_undurable(tx, undurable);
    }
    Ok(count)
}

/// Deletes the keys of a range, slice by slice, each in a transaction of its own. `access_now` checks the caller anew before each.
/// A failure after the first slice ends the deletion early without an error. Errors: `Forbidden` if not all keys may be deleted;
/// those of a write. Yields.
pub fn delete_range(
    tx: &Tx,
    kv: &Kv,
    access: Access,
    access_now: impl Fn() -> Result<Access, Error>,
    deletion: Deletion,
) -> Result<Outcome, Error> {
    let store = kv.store()?;
    let Deletion { mut range, limit } = deletion;
    let mut done = Purged::default();
    let mut access = Ok(access);
    loop {
        let slice = access.and_then(|access| {
            let range = access.deletes_of(&range)?;
            store.delete_slice(tx, &range, limit - done.deleted)
        });
        let slice = match slice {
            Ok(slice) => slice,
            Err(error) if done.deleted == 0 => return Err(error),
            Err(_) => break,
        };
        done.deleted += slice.deleted;
        done.revision = slice.last.or(done.revision);
        done.seen_from = slice.seen_from;
        done.more = slice.next.is_some();
        let Some(next) = slice.next.filter(|_| done.deleted < limit) else {
            break;
        };
        range.from = next;
        access = rest(tx, kv).and_then(|()| access_now());
    }
    Ok(Outcome::Purged(done))
}

/// Lets other fibers run between two slices. Yields. Errors: `ShuttingDown`.
fn rest(tx: &Tx, kv: &Kv) -> Result<(), Error> {
    fiber::pass(tx);
    match kv.life.is_stopping() || fiber::is_cancelled(tx) {
        true => Err(Error::ShuttingDown),
        false => Ok(()),
    }
}

/// The changes after a revision. Waits for one if the request asks for that, and yields then. Errors: `TooOld`,
/// `BadOption`, `Overloaded` if too many wait.
pub fn watch(
    tx: &Tx,
    kv: &Kv,
    mut access: Access,
    access_now: impl Fn() -> Result<Access, Error>,
    watching: &Watching,
) -> Result<Outcome, Error> {
    let store = kv.store()?;
    let deadline = Instant::now() + watching.timeout;
    let mut after = match watching.after {
        Some(after) => after,
        None => store.known(tx)?,
    };
    loop {
        let page = store.changes(tx, &access, &watching.prefix, Some(after))?;
        let left = deadline.saturating_duration_since(Instant::now());
        let is_over = left.is_zero() || fiber::is_cancelled(tx) || kv.life.is_stopping();
        if !page.changes.is_empty() || is_over {
            return Ok(Outcome::Changed(page));
        }
        after = page.next;
        match after < store.known(tx)? {
            // Only a part of the changes was read, and none of them matched.
            true => fiber::pass(tx),
            false => {
                let _waiting = store.begin_wait(tx)?;
                store.wait(tx, left.min(NAP));
                fiber::sleep(tx, REST.min(left));
            }
        }
        access = access_now()?;
    }
}
