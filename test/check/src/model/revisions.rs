//! The numbers that an instance has given, and those that it may have given unseen.

use crate::outcome::Outcome;
use rmpv::Value;
use std::collections::VecDeque;

/// One sequence per instance. Each write takes the next number. So does each expiry, at a time nobody is told: when the key
/// is swept or written again. That is all that leaves a gap.
#[derive(Debug, Clone, Copy)]
pub struct Revisions {
    last: u64,
    /// Expired keys whose number was not seen as a gap yet.
    expired: u64,
}

/// What an answer shows that only the instance can know, in its order, and when it was.
#[derive(Debug, Clone)]
pub struct Shown {
    revisions: Vec<u64>,
    times: VecDeque<f64>,
    next: Option<String>,
    /// Seconds since 1970, at the sending of the command and at the arrival of the answer.
    pub sent: f64,
    pub answered: f64,
}

impl Default for Revisions {
    /// Of a new instance.
    fn default() -> Self {
        Self {
            last: 1,
            expired: 0,
        }
    }
}

impl Revisions {
    /// The revision of a write: the next number greater than the last one that the answer shows, where there is nothing
    /// against it; otherwise the one that it should have been.
    pub fn next(&mut self, shown: &Shown) -> u64 {
        let least = self.last + 1;
        let allowed = least..=least + self.expired;
        let next = shown.revisions.iter().find(|&&seen| seen > self.last);
        let next = next.copied().filter(|next| allowed.contains(next));
        self.last = next.unwrap_or(least);
        self.expired -= self.last - least;
        self.last
    }

    /// A key has expired.
    pub fn expire(&mut self) {
        self.expired += 1;
    }

    /// Whether the number of the next write is known before its answer, since no expired key waits to be swept.
    pub fn are_certain(&self) -> bool {
        self.expired == 0
    }
}

impl Shown {
    pub fn by(outcome: &Outcome, sent: f64, answered: f64) -> Self {
        Self {
            revisions: outcome
                .numbers("revision")
                .into_iter()
                .map(|number| number as u64)
                .collect(),
            times: outcome.numbers("expires_at").into(),
            next: outcome
                .member("next")
                .and_then(Value::as_str)
                .map(str::to_owned),
            sent,
            answered,
        }
    }

    /// Whether a list is said to go on after this key.
    pub fn goes_on_after(&self, key: &str) -> bool {
        self.next.as_deref() == Some(key)
    }

    /// The next time of an expiry.
    pub fn time(&mut self) -> Option<f64> {
        self.times.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::map;

    fn shown(revision: u64) -> Shown {
        Shown::by(
            &Outcome::Done(map([("revision", revision.into())])),
            0.0,
            0.0,
        )
    }

    #[test]
    fn a_write_takes_the_next_number_whatever_the_answer_shows() {
        let mut revisions = Revisions::default();
        assert_eq!(revisions.next(&shown(2)), 2);
        assert_eq!(revisions.next(&shown(2)), 3, "not given twice");
        assert_eq!(revisions.next(&shown(5)), 4, "no gap");
    }

    #[test]
    fn an_expiry_leaves_one_gap() {
        let mut revisions = Revisions::default();
        revisions.expire();
        assert!(!revisions.are_certain());
        assert_eq!(revisions.next(&shown(2)), 2);
        assert_eq!(revisions.next(&shown(4)), 4);
        assert!(revisions.are_certain());
        assert_eq!(revisions.next(&shown(6)), 5);
    }
}
