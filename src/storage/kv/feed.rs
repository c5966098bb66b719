//! The last changes of pairs, for those who watch: kept up to a number of bytes, in the order of their commits. Pure.

use super::stored::Stored;
use crate::error::Error;
use rmp::encode::{write_array_len, write_map_len, write_str, write_uint};
use std::collections::{HashSet, VecDeque};

/// What happened to a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Put,
    Delete,
    Expire,
}

/// One change.
#[derive(Debug)]
pub struct Event {
    pub revision: u64,
    pub change: Change,
    /// The tuple that was put, or the key as a one-element array.
    pub tuple: Box<[u8]>,
}

/// An answer to those who ask for changes.
#[derive(Debug)]
pub struct Told {
    /// How many changes it tells.
    pub count: usize,
    /// The revision to ask after next. There may be more where it is not the last one known.
    pub next: u64,
    /// `{events, revision}` in msgpack.
    pub answer: Vec<u8>,
}

/// The changes of a transaction that commits.
struct Committing {
    /// None once it has failed.
    events: Option<Vec<Event>>,
    last: u64,
    /// Keys of pairs that it removes, as one-element arrays.
    removed: HashSet<Box<[u8]>>,
    ended: bool,
}

pub struct Feed {
    events: VecDeque<Event>,
    bytes: usize,
    max: usize,
    /// Of the changes after this one all that others may see are kept.
    floor: u64,
    /// The last one that is durable, where nothing before it is open.
    known: u64,
    /// How many changes the last transaction had. They stay whatever their size is, for those who have seen all before.
    stay: usize,
    committing: VecDeque<Committing>,
    /// The number of the first of those.
    first: u64,
}

/// Bytes that an event takes beside its tuple, about.
const OVERHEAD: usize = 64;
/// Changes that are looked at, and bytes that are told, in one answer.
const LOOK: usize = 5000;
const PAGE: usize = 1000;
const BYTES: usize = 1 << 16;

impl Feed {
    /// Keeps at most `max` bytes of changes, but all of the last transaction, beginning after the revision `last`.
    pub fn new(max: usize, last: u64) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            max,
            floor: last,
            known: last,
            stay: 0,
            committing: VecDeque::new(),
            first: 0,
        }
    }

    /// The last revision that is durable, where nothing before it is open.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// Whether a transaction has not ended.
    pub fn is_open(&self) -> bool {
        !self.committing.is_empty()
    }

    /// Whether a transaction that commits removes this key, a one-element array.
    pub fn is_removing(&self, key: &[u8]) -> bool {
        self.committing.iter().any(|one| one.removed.contains(key))
    }

    /// Whether one removes a key of which `is_of` says so.
    pub fn is_removing_any(&self, is_of: impl Fn(&[u8]) -> bool) -> bool {
        let mut removed = self.committing.iter().flat_map(|one| &one.removed);
        removed.any(|key| is_of(key))
    }

    /// Forgets all: others have made changes up to this revision, which are not known here.
    pub fn begin_after(&mut self, last: u64) {
        self.events.clear();
        self.bytes = 0;
        self.stay = 0;
        self.floor = last;
        if self.committing.is_empty() {
            self.known = last;
        }
    }

    /// Takes the changes of a transaction that is about to commit; `last` is its last revision. Returns what to end it
    /// with.
    pub fn commit(&mut self, events: Vec<Event>, last: u64) -> u64 {
        let removals = events.iter().filter(|event| event.change != Change::Put);
        let removed = removals.map(|event| event.tuple.clone()).collect();
        self.committing.push_back(Committing {
            events: Some(events),
            last,
            removed,
            ended: false,
        });
        self.first + self.committing.len() as u64 - 1
    }

    /// Ends a transaction. Its changes are told once those before it have ended too.
    pub fn end(&mut self, ticket: u64, committed: bool) {
        let place = ticket.checked_sub(self.first);
        if let Some(one) = place.and_then(|place| self.committing.get_mut(place as usize)) {
            one.ended = true;
            if !committed {
                one.events = None;
            }
        }
        while self.committing.front().is_some_and(|one| one.ended) {
            let Some(one) = self.committing.pop_front() else {
                break;
            };
            self.first += 1;
            // The numbers of one that has failed were never told.
            let Some(events) = one.events else { continue };
            self.known = self.known.max(one.last);
            self.stay = events.len();
            for event in events {
                if event.revision > self.floor {
                    self.bytes += event.tuple.len() + OVERHEAD;
                    self.events.push_back(event);
                }
            }
        }
        if self.committing.is_empty() {
            self.known = self.known.max(self.floor);
        }
        while self.bytes > self.max && self.events.len() > self.stay {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.tuple.len() + OVERHEAD;
            self.floor = oldest.revision;
        }
    }

    /// The changes after a revision, of keys for which `wanted` says so, and the revision
    /// to ask after next. Changes from now on where there is no `after`. Errors: `TooOld`; `BadOption` for a revision that
    /// was not given yet.
    pub fn after(&self, after: Option<u64>, wanted: impl Fn(&[u8]) -> bool) -> Result<Told, Error> {
        let after = after.unwrap_or(self.known);
        if after < self.floor {
            let oldest = self.floor;
            return Err(Error::TooOld { after, oldest });
        }
        if after > self.known {
            return Err(Error::BadOption {
                name: "after",
                allowed: "a revision that was given",
            });
        }
        let start = self.events.partition_point(|event| event.revision <= after);
        let (mut count, mut told, mut next) = (0, Vec::new(), self.known);
        for (looked, event) in self.events.range(start..).enumerate() {
            if looked == LOOK || count == PAGE || told.len() > BYTES {
                // All before this one has been looked at.
                next = self.events[start + looked - 1].revision;
                break;
            }
            if event.is_of(&wanted)? {
                event.write(&mut told)?;
                count += 1;
            }
        }
        let mut out = Vec::with_capacity(told.len() + 40);
        // Writing to a vector does not fail.
        let _ = write_map_len(&mut out, 2);
        let _ = write_str(&mut out, "events");
        let _ = write_array_len(&mut out, count as u32);
        out.extend_from_slice(&told);
        let _ = write_str(&mut out, "revision");
        let _ = write_uint(&mut out, next);
        Ok(Told {
            count,
            next,
            answer: out,
        })
    }
}

impl Event {
    fn is_of(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<bool, Error> {
        let mut reader = crate::codec::msgpack::Reader::new(&self.tuple);
        reader.head()?;
        Ok(wanted(reader.string()?))
    }

    /// Appends the change as a map.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut stored = Stored::read(&self.tuple)?;
        let name = match self.change {
            Change::Put => {
                stored.write_change(out, "put");
                return Ok(());
            }
            Change::Delete => "delete",
            Change::Expire => "expire",
        };
        stored.revision = self.revision;
        stored.write_removal(out, name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(revision: u64) -> Event {
        let mut tuple = Vec::new();
        Stored::encode(&mut tuple, b"\x91\xa1k", b"\x07", revision, (None, b""));
        Event {
            revision,
            change: Change::Put,
            tuple: tuple.into(),
        }
    }

    fn delete(revision: u64) -> Event {
        Event {
            revision,
            change: Change::Delete,
            tuple: (*b"\x91\xa1k").into(),
        }
    }

    /// The revisions told, and the one to go on after.
    fn told(feed: &Feed, after: u64) -> Result<(Vec<u64>, u64), Error> {
        #[derive(serde::Deserialize)]
        struct Answer {
            events: Vec<One>,
            revision: u64,
        }
        #[derive(serde::Deserialize)]
        struct One {
            revision: u64,
        }
        let told = feed.after(Some(after), |key| key == b"k")?;
        let told: Answer = rmp_serde::from_slice(&told.answer).unwrap();
        let revisions = told.events.iter().map(|one| one.revision).collect();
        Ok((revisions, told.revision))
    }

    #[test]
    fn changes_are_told_in_the_order_of_their_commits() {
        let mut feed = Feed::new(10_000, 1);
        let first = feed.commit(vec![put(2), delete(3)], 3);
        let second = feed.commit(vec![put(4)], 4);
        let third = feed.commit(vec![put(5)], 5);
        assert!(feed.is_removing(b"\x91\xa1k") && !feed.is_removing(b"\x91\xa1j"));
        assert!(feed.is_removing_any(|_| true));
        feed.end(second, true);
        assert_eq!((told(&feed, 1), feed.known()), (Ok((vec![], 1)), 1));
        feed.end(first, true);
        assert_eq!(told(&feed, 1), Ok((vec![2, 3, 4], 4)));
        assert_eq!(told(&feed, 3), Ok((vec![4], 4)));
        feed.end(third, false);
        // What was undone is not told.
        assert_eq!(told(&feed, 4), Ok((vec![], 4)));
        assert!(!feed.is_removing_any(|_| true));
        assert!(matches!(told(&feed, 5), Err(Error::BadOption { .. })));
    }

    #[test]
    fn only_so_many_bytes_are_kept() {
        let mut feed = Feed::new(3 * (OVERHEAD + 5), 1);
        for revision in 2..7 {
            let ticket = feed.commit(vec![put(revision)], revision);
            feed.end(ticket, true);
        }
        assert_eq!(told(&feed, 3), Ok((vec![4, 5, 6], 6)));
        let too_old = Error::TooOld {
            after: 2,
            oldest: 3,
        };
        assert_eq!(told(&feed, 2), Err(too_old));
        let ticket = feed.commit((7..17).map(put).collect(), 16);
        feed.end(ticket, true);
        assert_eq!(told(&feed, 6), Ok(((7..17).collect(), 16)));
        let ticket = feed.commit(vec![put(17)], 17);
        feed.end(ticket, false);
        assert_eq!(told(&feed, 6), Ok(((7..17).collect(), 16)));
        feed.begin_after(20);
        assert!(told(&feed, 6).is_err());
        assert_eq!(told(&feed, 20), Ok((vec![], 20)));
    }

    #[test]
    fn what_others_did_while_this_was_committed_is_not_told() {
        let mut feed = Feed::new(10_000, 1);
        let ticket = feed.commit(vec![put(2)], 2);
        feed.begin_after(20);
        feed.end(ticket, true);
        assert_eq!(feed.known(), 20);
        assert_eq!(told(&feed, 20), Ok((vec![], 20)));
    }

    #[test]
    fn an_answer_goes_on_where_the_last_one_ended() {
        let mut feed = Feed::new(1 << 20, 1);
        let ticket = feed.commit((2..2502).map(put).collect(), 2501);
        feed.end(ticket, true);
        let (mut after, mut seen) = (1, Vec::new());
        for _ in 0..3 {
            let (revisions, next) = told(&feed, after).unwrap();
            seen.extend(revisions);
            after = next;
        }
        assert_eq!(seen, (2..2502).collect::<Vec<_>>());
        assert_eq!(told(&feed, after), Ok((vec![], 2501)));
    }
}
