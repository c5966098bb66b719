//! The pairs of one sequence, and when they end.

use super::revisions::{Revisions, Shown};
use crate::command::{Expiry, Put};
use rmpv::Value;
use std::collections::BTreeMap;

/// By how much the clock of an instance may be behind or ahead, in seconds: it is that of its event loop, in milliseconds.
const CLOCK: f64 = 0.05;
/// How long after the end of a key a command is sent.
const MARGIN: f64 = 0.01;
/// What ends later than this does not end in the run.
const FAR: f64 = 60.0;

#[derive(Debug, Clone, Default)]
pub struct Store {
    pub pairs: BTreeMap<String, Pair>,
    pub revisions: Revisions,
}

#[derive(Debug, Clone)]
pub struct Pair {
    pub value: Value,
    /// None where it is not known yet: it is learned from the first answer that shows it.
    pub revision: Option<u64>,
    pub expires: Option<Expires>,
    pub content_type: Option<String>,
}

/// The time when a pair ends is within these, in seconds since 1970; both the same, once it was shown.
#[derive(Debug, Clone, Copy)]
pub struct Expires {
    from: f64,
    to: f64,
}

impl Store {
    /// Forgets the pairs of the sequence before. None of them has yet to end.
    pub fn begin(&mut self) {
        self.pairs.clear();
    }

    /// The revision of the key, 0 where there is none.
    pub fn revision(&self, key: &str) -> u64 {
        self.pairs
            .get(key)
            .map_or(0, |pair| pair.revision.unwrap_or_default())
    }

    /// Whether there are pairs whose revision is not known.
    pub fn has_open_revisions(&self) -> bool {
        self.pairs.values().any(|pair| pair.revision.is_none())
    }

    /// When the next command may be sent: when all that ends soon has ended.
    pub fn settled_at(&self, now: f64) -> f64 {
        self.pairs
            .values()
            .filter_map(|pair| pair.expires)
            .filter(|expires| expires.to < now + FAR)
            .fold(now, |latest, expires| latest.max(expires.to + MARGIN))
    }

    /// Drops the pairs that have ended.
    pub fn expire(&mut self, now: f64) {
        let revisions = &mut self.revisions;
        self.pairs.retain(|_, pair| {
            let stays = pair.expires.is_none_or(|expires| expires.to >= now);
            if !stays {
                revisions.expire();
            }
            stays
        });
    }

    /// Writes the whole pair. Where the answer does not show revisions, and they are not certain, it is left open.
    pub fn write(&mut self, put: &Put, expiry: Option<Expiry>, shown: &Shown) -> u64 {
        let expires = put
            .expiry
            .or(expiry)
            .map(|expiry| Expires::of(expiry, shown));
        let revision = self.revisions.next(shown);
        let pair = Pair {
            value: put.value.clone(),
            revision: Some(revision),
            expires,
            content_type: put.content_type.clone(),
        };
        self.pairs.insert(put.key.clone(), pair);
        revision
    }

    /// As [`Store::write`], by `/api/write`, whose answer shows no revision: it is open where it is not certain.
    pub fn write_unseen(&mut self, key: &str, value: &Value, shown: &Shown) {
        if self.revisions.are_certain() {
            self.write(&Put::plain(key, value.clone()), None, shown);
        } else {
            let pair = Pair {
                value: value.clone(),
                revision: None,
                expires: None,
                content_type: None,
            };
            self.pairs.insert(key.to_owned(), pair);
        }
    }

    /// The revision of the deletion; none where there is no such key.
    pub fn delete(&mut self, key: &str, shown: &Shown) -> Option<u64> {
        self.pairs.remove(key)?;
        Some(self.revisions.next(shown))
    }

    /// The members of a pair that are shown after its key, and learned; none where there is no such key.
    pub fn show(&mut self, key: &str, shown: &mut Shown) -> Option<Vec<(&'static str, Value)>> {
        let pair = self.pairs.get_mut(key)?;
        let revisions = &mut self.revisions;
        let revision = *pair.revision.get_or_insert_with(|| revisions.next(shown));
        let mut members = vec![("value", pair.value.clone()), ("revision", revision.into())];
        if let Some(expires) = &mut pair.expires {
            members.push(("expires_at", expires.learn(shown.time()).into()));
        }
        members.extend(
            pair.content_type
                .as_deref()
                .map(|text| ("content_type", text.into())),
        );
        Some(members)
    }
}

impl Expires {
    pub fn of(expiry: Expiry, shown: &Shown) -> Self {
        match expiry {
            Expiry::Ttl(seconds) => Self {
                from: shown.sent + seconds - CLOCK,
                // Never before its time, so the margin is enough.
                to: shown.answered + seconds + MARGIN,
            },
            Expiry::At(time) => Self {
                from: time,
                to: time,
            },
            Expiry::SoonTtl | Expiry::SoonAt => unreachable!("an expiry that was not resolved"),
        }
    }

    /// The time that is shown, where it can be that; otherwise one that it could be.
    fn learn(&mut self, shown: Option<f64>) -> f64 {
        if let Some(time) = shown.filter(|time| (self.from..=self.to).contains(time)) {
            (self.from, self.to) = (time, time);
        }
        self.from
    }
}
