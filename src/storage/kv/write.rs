//! Changes pairs: takes steps in one transaction.

use super::super::Depth;
use super::effect::{Applied, Effect, Found};
use super::event::{Event, Events};
use super::quotas::{Deltas, Quotas};
use super::revisions::Numbers;
use super::{KeyValues, Looks, Stored};
use crate::tx::{attempt, is_read_only, latest, retry, tuple_bytes, Failure, Range, Tx};
use authkv_base::error::Error;
use authkv_base::steady::milliseconds;
use authkv_codec::equal;
use authkv_codec::msgpack::{write_uint, Head, Reader};
use authkv_domain::{
    Action, Change, Comparable, Content, Expiry, Mode, Permitted, Step, Steps, Test,
};
use rmp::encode::write_sint;
use tarantool::tuple::Tuple;

impl KeyValues {
    /// Takes steps in one transaction. Errors: `StorageFull`, `ReadOnly`, `NotDurable`, `TransactionAborted`; then nothing has
    /// changed. Yields while it commits.
    pub fn apply(&self, tx: &Tx, steps: &Permitted<'_>) -> Result<Applied, Error> {
        if steps.steps().only_read() {
            return self.writing(tx).take_all(steps);
        }
        self.write(tx, steps.steps().only_shrink(), |writing| {
            let applied = writing.take_all(steps)?;
            let committed = applied.committed;
            Ok((applied, committed))
        })
    }

    /// Takes the first list of steps if all comparisons are true, otherwise the second. Returns whether they are true. Errors
    /// and yields: as [`Self::apply`].
    pub fn choose(
        &self,
        tx: &Tx,
        compare: &Comparable<'_>,
        success: &Permitted<'_>,
        failure: &Permitted<'_>,
    ) -> Result<(bool, Applied), Error> {
        let shrinks = success.steps().only_shrink() && failure.steps().only_shrink();
        let (holds, mut applied) = self.write(tx, shrinks, |writing| {
            let mut holds = true;
            for one in compare.iter() {
                holds = writing.holds(&one.key, &one.test)?;
                if !holds {
                    break;
                }
            }
            let steps = if holds { success } else { failure };
            let applied = writing.take_all(steps)?;
            let committed = applied.committed;
            Ok(((holds, applied), committed))
        })?;
        let steps = if holds { success } else { failure }.steps();
        // The step may have seen a change that was undone. Its revision will belong to another change.
        for (step, effect) in steps.iter().zip(&mut applied.effects) {
            if let Effect::Conflict { revision } = effect {
                *revision = latest(tx, || self.revision(tx, steps.key(step)))?;
            }
        }
        Ok((holds, applied))
    }

    /// The current revision of a key; 0 if the key does not exist.
    fn revision(&self, tx: &Tx, key: &[u8]) -> Result<u64, Error> {
        let tuple = self.space.index(0).get(tx, key)?;
        let looks = self.looks(tx);
        let now = milliseconds();
        let live = looks.at(key, &tuple)?;
        let live = live.filter(|found| !found.is_expired(|| now));
        Ok(live.map_or(0, |found| found.revision))
    }

    /// Runs `body`, which changes pairs, in a transaction and publishes the changes. Commits if `body` returns `true`. `body`
    /// may run more than once: if others abort the transaction, or if it only deletes (`shrinks`) and there is no memory,
    /// because it may then use the reserve. Other changes need the whole reserve to be there.
    pub(super) fn write<T>(
        &self,
        tx: &Tx,
        shrinks: bool,
        mut body: impl FnMut(&mut Writing<'_>) -> Result<(T, bool), Error>,
    ) -> Result<T, Error> {
        let once = || {
            self.know_use(tx)?;
            self.write_once(tx, &mut body)
        };
        let mut once = once;
        let mut tried = || retry(tx, &mut once);
        if shrinks {
            return self.reserve.relieving(tx, Depth::Last, tried);
        }
        self.reserve.admit(tx)?;
        tried()
    }

    fn write_once<T>(
        &self,
        tx: &Tx,
        body: impl FnOnce(&mut Writing<'_>) -> Result<(T, bool), Error>,
    ) -> Result<T, Error> {
        let changes = self.changes.get(tx);
        let (mut ticket, mut counted) = (None, None);
        let done = attempt(tx, crate::tx::Changes::Pairs, || {
            // Inside the transaction, because it sees all numbers in use and is aborted if others use new ones meanwhile.
            self.catch_up(tx)?;
            self.check_use(tx)?;
            let mut writing = self.writing(tx);
            let (result, wanted) = body(&mut writing)?;
            let wanted = wanted && writing.changed;
            if let (true, Some(quotas), Some(deltas)) =
                (wanted, &self.quotas, writing.deltas.take())
            {
                quotas.take(tx, &deltas)?;
                counted = Some((quotas, deltas));
            }
            if wanted && writing.numbers.any() {
                changes.revisions.keep(tx, &writing.numbers)?;
                let events = std::mem::take(&mut writing.events);
                let mut feed = changes.feed.borrow_mut();
                ticket = Some(feed.commit(events, writing.numbers.last()));
            }
            Ok((result, wanted))
        });
        if let (Err(_), Some((quotas, deltas))) = (&done, counted) {
            quotas.undo(tx, &deltas);
        }
        if let Some(ticket) = ticket {
            changes.feed.borrow_mut().end(ticket, done.is_ok());
            match done {
                Ok(_) => self.tell(tx),
                Err(_) => {
                    let open = changes.feed.borrow().last_open();
                    changes.revisions.undone(tx, open)?;
                }
            }
        }
        done
    }

    /// Whether it is known in this transaction what quotas use. Errors: `TransactionAborted`, to count and try again: others have
    /// changed pairs.
    fn check_use(&self, tx: &Tx) -> Result<(), Error> {
        match &self.quotas {
            Some(quotas) if quotas.is_stale(tx) && !is_read_only(tx) => {
                Err(Error::TransactionAborted)
            }
            _ => Ok(()),
        }
    }

    fn writing<'a>(&'a self, tx: &'a Tx) -> Writing<'a> {
        Writing {
            tx,
            store: self,
            looks: self.looks(tx),
            now: milliseconds(),
            numbers: self.changes.get(tx).revisions.begin(),
            events: Events::default(),
            deltas: self.quotas.as_ref().map(Quotas::begin),
            changed: false,
            found: 0,
            tuple: Vec::new(),
        }
    }
}

/// A transaction that changes pairs.
pub(super) struct Writing<'a> {
    pub tx: &'a Tx,
    pub store: &'a KeyValues,
    looks: Looks<'a>,
    /// In milliseconds.
    pub now: u64,
    pub numbers: Numbers,
    events: Events,
    /// What is changed in the use of quotas, if there are any.
    deltas: Option<Deltas>,
    /// Whether there is anything to commit.
    pub changed: bool,
    /// The bytes of the pairs in the answer.
    found: usize,
    /// The last tuple. Its memory is used again.
    tuple: Vec<u8>,
}

impl Writing<'_> {
    fn take_all(&mut self, permitted: &Permitted<'_>) -> Result<Applied, Error> {
        let steps = permitted.steps();
        let mut committed = true;
        let mut effects = Vec::with_capacity(steps.len());
        for (step, allowed) in permitted.iter() {
            let effect = match allowed {
                true => self.take(steps, step)?,
                false => Effect::Forbidden,
            };
            committed &= !(steps.atomic && effect.fails(&step.action));
            effects.push(effect);
        }
        Ok(Applied {
            committed,
            revision: self.seen_from(committed),
            effects,
        })
    }

    /// The revision from which on everything is seen that this transaction has found done, and, if it is `committed`, has done.
    pub fn seen_from(&self, committed: bool) -> u64 {
        let known = self.store.changes.get(self.tx).feed.borrow().known();
        match committed && self.numbers.any() {
            true => self.numbers.last(),
            false => known.max(self.looks.seen.get()),
        }
    }

    fn take(&mut self, steps: &Steps, step: &Step) -> Result<Effect, Error> {
        let key = steps.key(step);
        let tuple = self.store.space.index(0).get(self.tx, key)?;
        let found = self.looks.at(key, &tuple)?;
        let found = found.as_ref();
        let now = self.now;
        let live = found.filter(|found| !found.is_expired(|| now));
        let revision = live.map_or(0, |found| found.revision);
        if !step.if_revision.allows(revision) {
            return Ok(Effect::Conflict { revision });
        }
        match (&step.action, live) {
            (Action::Get, None) | (Action::Delete, None) => Ok(Effect::Missing),
            (Action::Get, Some(_)) => self.found(tuple),
            (Action::Delete, Some(live)) => {
                let revision = self.remove(key, live)?;
                Ok(Effect::Deleted { revision })
            }
            (
                Action::Put {
                    mode: Mode::Insert | Mode::Fill,
                    ..
                },
                Some(_),
            ) => Ok(Effect::Exists { revision }),
            (Action::Put { mode, .. }, None) if *mode == Mode::Replace => Ok(Effect::Missing),
            (Action::Put { content, .. }, _) => {
                let rest = (content.expiry, steps.content_type(content));
                self.put(key, found, steps.value(content), rest)
            }
            (Action::Increment { by, content }, _) => {
                self.increment(key, found, live, *by, content)
            }
        }
    }

    /// Errors: `ReplyTooLarge`, before anything is committed.
    fn found(&mut self, tuple: Option<Tuple>) -> Result<Effect, Error> {
        let Some(tuple) = tuple else {
            return Ok(Effect::Missing);
        };
        self.found += tuple_bytes(&tuple).len();
        let limit = self.store.reply_max();
        match self.found <= limit {
            true => Ok(Effect::Found(Found::new(tuple))),
            false => Err(Error::ReplyTooLarge { limit }),
        }
    }

    /// Writes a pair over the tuple that was found, which may have expired.
    fn put(
        &mut self,
        key: &[u8],
        found: Option<&Stored<'_>>,
        value: &[u8],
        rest: (Option<Expiry>, &[u8]),
    ) -> Result<Effect, Error> {
        let (tx, now) = (self.tx, self.now);
        let expired = found.is_some_and(|found| found.is_expired(|| now));
        let before = self.numbers.clone();
        let gone = expired.then(|| self.numbers.next());
        let revision = self.numbers.next();
        Stored::encode(&mut self.tuple, key, value, revision, rest);
        self.store.reserve.take(tx, self.tuple.len())?;
        match self.store.space.replace(tx, &self.tuple) {
            Ok(()) => {}
            Err(Failure::TupleTooLarge) => {
                self.numbers = before;
                return Ok(Effect::TooLarge);
            }
            Err(other) => return Err(other.into()),
        }
        let size = key.len() - 1 + value.len() + rest.1.len();
        self.count(key, found, Some(size));
        if let Some(old) = found.and_then(|found| found.expiry) {
            self.store.expiry.delete(tx, &time_of(key, old))?;
        }
        if let Some(new) = rest.0 {
            self.store.expiry.replace(tx, &time_of(key, new))?;
        }
        if let Some(revision) = gone {
            self.tell(revision, Change::Expire, key);
        }
        let tuple = std::mem::take(&mut self.tuple);
        self.tell(revision, Change::Put, &tuple);
        self.tuple = tuple;
        Ok(Effect::Written {
            revision,
            created: found.is_none() || expired,
            value: None,
        })
    }

    /// Deletes a pair, and returns the revision of the deletion.
    pub fn remove(&mut self, key: &[u8], found: &Stored<'_>) -> Result<u64, Error> {
        // In another order than at the sweep, so that replicas can tell the two apart.
        if let Some(expiry) = found.expiry {
            self.store.expiry.delete(self.tx, &time_of(key, expiry))?;
        }
        self.store.space.delete(self.tx, key)?;
        self.count(key, Some(found), None);
        let revision = self.numbers.next();
        self.tell(revision, Change::Delete, key);
        Ok(revision)
    }

    /// Passes the tuples of a range to `body` until it returns `false`, and notes those that are not durable yet, or are being
    /// removed.
    pub fn scan_pairs(
        &self,
        range: Range<'_>,
        mut body: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Error> {
        self.store.space.index(0).scan(self.tx, range, &mut body)?;
        self.looks.missed(|feed| feed.is_removing_any(|_| true));
        Ok(())
    }

    fn increment(
        &mut self,
        key: &[u8],
        found: Option<&Stored<'_>>,
        live: Option<&Stored<'_>>,
        by: i128,
        content: &Content,
    ) -> Result<Effect, Error> {
        let old = match live
            .map(|live| Reader::new(live.value).head())
            .transpose()?
        {
            None => 0,
            Some(Head::Uint(n)) => i128::from(n),
            Some(Head::Int(n)) => i128::from(n),
            Some(_) => return Ok(Effect::NotAnInteger),
        };
        let sum = old + by;
        let mut value = Vec::with_capacity(9);
        match (u64::try_from(sum), i64::try_from(sum)) {
            (Ok(sum), _) => write_uint(&mut value, sum),
            // Writing to a vector does not fail.
            (_, Ok(sum)) => drop(write_sint(&mut value, sum)),
            _ => return Ok(Effect::OutOfRange),
        }
        let rest = live.map_or((content.expiry, &[] as _), |live| {
            (live.expiry, live.content_type)
        });
        Ok(match self.put(key, found, &value, rest)? {
            Effect::Written {
                revision, created, ..
            } => Effect::Written {
                revision,
                created,
                value: Some(sum),
            },
            other => other,
        })
    }

    /// Notes for the quotas that a pair is replaced by one of this size, or removed.
    pub fn count(&mut self, key: &[u8], found: Option<&Stored<'_>>, size: Option<usize>) {
        if let (Some(deltas), Some(quotas)) = (&mut self.deltas, &self.store.quotas) {
            quotas.note(deltas, key, found.map(Stored::quota_size), size);
        }
    }

    /// Notes a change for the feed.
    pub fn tell(&mut self, revision: u64, change: Change, tuple: &[u8]) {
        self.changed = true;
        self.events.push(&Event {
            revision,
            change,
            tuple,
        });
    }

    /// Whether a comparison is true.
    fn holds(&self, key: &[u8], test: &Test) -> Result<bool, Error> {
        let tuple = self.store.space.index(0).get(self.tx, key)?;
        let found = self.looks.at(key, &tuple)?;
        let live = found.filter(|found| !found.is_expired(|| self.now));
        Ok(match test {
            Test::Exists(exists) => live.is_some() == *exists,
            Test::Revision(revision) => live.map_or(0, |live| live.revision) == *revision,
            Test::Value(value) => live.is_some_and(|live| equal(live.value, value)),
        })
    }
}

/// The tuple for an expiry time. It is also its own key.
fn time_of(key: &[u8], expiry: Expiry) -> Vec<u8> {
    let mut entry = Vec::with_capacity(key.len() + 10);
    entry.push(0x92);
    write_uint(&mut entry, expiry.ms());
    entry.extend_from_slice(&key[1..]);
    entry
}
