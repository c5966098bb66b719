//! The latest changes of pairs, for watches: up to a number of bytes, in the order of commits. Pure.

use super::event::Events;
use authkv_base::error::Error;
use authkv_domain::{Change, ChangePage};
use std::collections::{HashSet, VecDeque};

/// The changes of a transaction that is committing.
struct Committing {
    /// `None` after a failure.
    events: Option<Events>,
    last: u64,
    /// The keys of the pairs that the transaction removes, as one-element arrays.
    removed: HashSet<Box<[u8]>>,
    ended: bool,
}

/// Some changes in order. The changes of a transaction may continue in the next block.
struct Block {
    events: Events,
    /// The revision of the last change.
    last: u64,
}

pub struct Feed {
    blocks: VecDeque<Block>,
    /// The bytes allocated by all blocks.
    bytes: usize,
    max: usize,
    /// All visible changes with higher revisions than this one are kept.
    floor: u64,
    /// All changes up to this revision are durable.
    known: u64,
    committing: VecDeque<Committing>,
    /// The ticket of the first transaction in `committing`.
    first: u64,
}

/// The bytes of a block. A single larger change gets a block of its own size.
const BLOCK: usize = 1 << 14;
/// The most changes that one answer looks at, the most changes in it, and its size in bytes.
const LOOK: usize = 5000;
const PAGE: usize = 1000;
const BYTES: usize = 1 << 16;

impl Feed {
    /// Keeps at most `max` bytes of changes, beginning after the revision `last`. The last transaction is always kept whole,
    /// for watches that have seen everything before it.
    pub fn new(max: usize, last: u64) -> Self {
        Self {
            blocks: VecDeque::new(),
            bytes: 0,
            max,
            floor: last,
            known: last,
            committing: VecDeque::new(),
            first: 0,
        }
    }

    /// The last revision up to which all changes are durable.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// Whether a transaction is committing.
    pub fn is_open(&self) -> bool {
        !self.committing.is_empty()
    }

    /// The last revision of the transactions that are committing and have not failed.
    pub fn last_open(&self) -> Option<u64> {
        let mut open = self.committing.iter().rev();
        open.find(|one| one.events.is_some()).map(|one| one.last)
    }

    /// Whether a committing transaction removes this key, given as a one-element array.
    pub fn is_removing(&self, key: &[u8]) -> bool {
        self.committing.iter().any(|one| one.removed.contains(key))
    }

    /// Whether a committing transaction removes a key for which `is_of` returns `true`.
    pub fn is_removing_any(&self, is_of: impl Fn(&[u8]) -> bool) -> bool {
        let mut removed = self.committing.iter().flat_map(|one| &one.removed);
        removed.any(|key| is_of(key))
    }

    /// Forgets everything: others have made changes up to this revision, which are unknown here.
    pub fn begin_after(&mut self, last: u64) {
        self.blocks.clear();
        self.bytes = 0;
        self.floor = last;
        if self.committing.is_empty() {
            self.known = last;
        }
    }

    /// Takes the changes of a transaction that is about to commit. `last` is its last revision. Returns the ticket for
    /// [`Self::end`].
    pub fn commit(&mut self, events: Events, last: u64) -> u64 {
        let removals = events.iter().filter(|event| event.change != Change::Put);
        let removed = removals.map(|event| event.tuple.into()).collect();
        self.committing.push_back(Committing {
            events: Some(events),
            last,
            removed,
            ended: false,
        });
        self.first + self.committing.len() as u64 - 1
    }

    /// Ends a transaction. Its changes become visible once all transactions before it have ended.
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
            // Clients never saw the revisions of a failed transaction.
            let Some(events) = one.events else { continue };
            self.known = self.known.max(one.last);
            self.keep(&events);
        }
        if self.committing.is_empty() {
            self.known = self.known.max(self.floor);
        }
    }

    /// Keeps the changes of a transaction, and drops the oldest blocks if there are too many bytes.
    fn keep(&mut self, events: &Events) {
        let floor = self.floor;
        let mut events = events
            .iter()
            .filter(|event| event.revision > floor)
            .peekable();
        let Some(first) = events.peek().map(|event| event.revision) else {
            return;
        };
        for event in events {
            match self.blocks.back_mut() {
                Some(block) if block.events.has_room(&event) => {
                    block.events.push(&event);
                    block.last = event.revision;
                }
                _ => {
                    let mut block = Events::with_capacity(event.size().max(BLOCK));
                    block.push(&event);
                    self.bytes += block.capacity();
                    self.blocks.push_back(Block {
                        events: block,
                        last: event.revision,
                    });
                }
            }
        }
        let is_older = |block: &Block| block.last < first;
        while self.bytes > self.max && self.blocks.front().is_some_and(is_older) {
            let Some(oldest) = self.blocks.pop_front() else {
                break;
            };
            self.bytes -= oldest.events.capacity();
            self.floor = oldest.last;
        }
    }

    /// The changes after a revision, with keys that `wanted` accepts, and the revision to continue after. Without `after`:
    /// changes from now on. Errors: `TooOld`; `BadOption` for a revision that does not exist yet.
    pub fn after(
        &self,
        after: Option<u64>,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<ChangePage, Error> {
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
        let start = self.blocks.partition_point(|block| block.last <= after);
        let events = self.blocks.range(start..);
        let events = events.flat_map(|block| block.events.iter());
        let events = events.skip_while(|event| event.revision <= after);
        let (mut page, mut seen) = (ChangePage::default(), after);
        page.next = self.known;
        for (looked, event) in events.enumerate() {
            if looked == LOOK || page.changes.len() == PAGE || page.items.len() > BYTES {
                page.next = seen;
                break;
            }
            seen = event.revision;
            if event.is_of(&wanted)? {
                event.write(&mut page.items)?;
                page.changes.push((event.change, event.revision));
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Event;
    use super::super::Stored;
    use super::*;

    /// Puts of one key with these revisions.
    fn puts(revisions: impl IntoIterator<Item = u64>) -> Events {
        let mut events = Events::default();
        for revision in revisions {
            let mut tuple = Vec::new();
            Stored::encode(&mut tuple, b"\x91\xa1k", b"\x07", revision, (None, b""));
            push(&mut events, revision, Change::Put, &tuple);
        }
        events
    }

    /// The number of such changes that fit into `bytes`.
    fn events_in(bytes: usize, revision: u64) -> u64 {
        let events = puts([revision]);
        let size = events.iter().map(|event| event.size()).sum::<usize>();
        (bytes / size) as u64
    }

    fn push(events: &mut Events, revision: u64, change: Change, tuple: &[u8]) {
        events.push(&Event {
            revision,
            change,
            tuple,
        });
    }

    /// The revisions in the answer, and the revision to continue after.
    fn told(feed: &Feed, after: u64) -> Result<(Vec<u64>, u64), Error> {
        let page = feed.after(Some(after), |key| key == b"k")?;
        let revisions = page.changes.iter().map(|(_, revision)| *revision).collect();
        Ok((revisions, page.next))
    }

    #[test]
    fn changes_are_told_in_the_order_of_their_commits() {
        let mut feed = Feed::new(10_000, 1);
        let mut events = puts([2]);
        push(&mut events, 3, Change::Delete, b"\x91\xa1k");
        let first = feed.commit(events, 3);
        let second = feed.commit(puts([4]), 4);
        let third = feed.commit(puts([5]), 5);
        assert!(feed.is_removing(b"\x91\xa1k") && !feed.is_removing(b"\x91\xa1j"));
        assert!(feed.is_removing_any(|_| true));
        assert_eq!(feed.last_open(), Some(5));
        feed.end(second, true);
        assert_eq!((told(&feed, 1), feed.known()), (Ok((vec![], 1)), 1));
        feed.end(first, true);
        assert_eq!(told(&feed, 1), Ok((vec![2, 3, 4], 4)));
        assert_eq!(told(&feed, 3), Ok((vec![4], 4)));
        let fourth = feed.commit(puts([6]), 6);
        assert_eq!(feed.last_open(), Some(6));
        // A transaction may be aborted while others before it are still committing.
        feed.end(fourth, false);
        assert_eq!(feed.last_open(), Some(5));
        feed.end(third, false);
        assert_eq!(feed.last_open(), None);
        // Undone changes are not visible.
        assert_eq!(told(&feed, 4), Ok((vec![], 4)));
        assert!(!feed.is_removing_any(|_| true));
        assert!(matches!(told(&feed, 5), Err(Error::BadOption { .. })));
    }

    #[test]
    fn only_so_many_bytes_are_kept() {
        let first = 1000;
        let mut feed = Feed::new(3 * BLOCK, first - 1);
        let block = events_in(BLOCK, first);
        let last = first + 5 * block - 1;
        for revision in first..=last {
            let ticket = feed.commit(puts([revision]), revision);
            feed.end(ticket, true);
        }
        let oldest = last - 3 * block;
        assert_eq!(told(&feed, oldest).unwrap().0[0], oldest + 1);
        let after = oldest - 1;
        assert_eq!(told(&feed, after), Err(Error::TooOld { after, oldest }));
        assert_eq!(told(&feed, last - 2), Ok((vec![last - 1, last], last)));

        // A transaction is kept whole, whatever its size, until another one has ended.
        let many = last + 1..last + 1 + 4 * block;
        let next = many.end;
        let ticket = feed.commit(puts(many.clone()), next - 1);
        feed.end(ticket, true);
        assert!(told(&feed, last - 1).is_err());
        assert_eq!(told(&feed, last).unwrap().0[0], many.start);
        let ticket = feed.commit(puts([next]), next);
        feed.end(ticket, false);
        assert_eq!(told(&feed, next - 2), Ok((vec![next - 1], next - 1)));
        let ticket = feed.commit(puts([next]), next);
        feed.end(ticket, true);
        assert!(told(&feed, many.start - 1).is_err());
        let oldest = next - 1 - 2 * block;
        assert_eq!(told(&feed, oldest).unwrap().0[0], oldest + 1);

        feed.begin_after(next + 9);
        assert!(told(&feed, next).is_err());
        assert_eq!(told(&feed, next + 9), Ok((vec![], next + 9)));
    }

    #[test]
    fn transactions_of_any_size_fill_the_blocks() {
        for size in [1, 10, 120, 700] {
            let first = 1000;
            let mut feed = Feed::new(8 * BLOCK, first - 1);
            let block = events_in(BLOCK, first);
            let mut next = first;
            while next < first + 20 * block {
                let ticket = feed.commit(puts(next..next + size), next + size - 1);
                feed.end(ticket, true);
                next += size;
            }
            assert!(told(&feed, next - 1 - 7 * block).is_ok(), "{size}");
            assert!(told(&feed, next - 1 - 9 * block).is_err(), "{size}");
        }
    }

    #[test]
    fn what_others_did_while_this_was_committed_is_not_told() {
        let mut feed = Feed::new(10_000, 1);
        let ticket = feed.commit(puts([2]), 2);
        feed.begin_after(20);
        feed.end(ticket, true);
        assert_eq!(feed.known(), 20);
        assert_eq!(told(&feed, 20), Ok((vec![], 20)));
    }

    #[test]
    fn an_answer_goes_on_where_the_last_one_ended() {
        let mut feed = Feed::new(1 << 20, 1);
        let ticket = feed.commit(puts(2..2502), 2501);
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
