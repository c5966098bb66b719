//! The store of a few integers that histories are checked against.

use super::checker::Spec;
use serde::Deserialize;

pub const KEYS: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub enum Operation {
    Get(usize),
    /// All keys at once, by `batch_get` or by `kv_list`.
    Read {
        list: bool,
    },
    /// `if_revision`: 0 where it must not exist.
    Put {
        key: usize,
        value: i64,
        if_revision: Option<u64>,
    },
    Incr {
        key: usize,
        by: i64,
    },
    Delete {
        key: usize,
        if_revision: Option<u64>,
    },
    /// Where all of `compare` hold, the puts; otherwise a read of all keys.
    Txn {
        compare: Vec<(usize, Guard)>,
        puts: Vec<(usize, i64)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Guard {
    Revision(u64),
    Value(i64),
}

/// A value and its revision.
pub type Seen = Option<(i64, u64)>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub enum Answer {
    One(Seen),
    All([Seen; KEYS]),
    /// The revisions of what was written, in order.
    Written(Vec<u64>),
    Counted(i64, u64),
    /// The revision of the deletion.
    Deleted(u64),
    /// No such key, so nothing was deleted.
    Missing,
    /// The revision that stood against it, 0 where there is no such key.
    Conflict(u64),
    /// A transaction whose compare failed.
    Otherwise([Seen; KEYS]),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct State {
    slots: [Option<(i64, Revision)>; KEYS],
    /// The last revision that is known to have been given.
    last: u64,
}

/// Of a write that got no answer, the revision is known to be between these, and learned when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Revision {
    Is(u64),
    Between(u64, u64),
}

/// The rules of the store.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// Each write takes the very next revision. Not so after a crash: nobody knows how many were given.
    pub dense: bool,
}

impl State {
    /// Without keys, after `last` was given.
    pub fn after(last: u64) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    /// Takes the next revision: this one, where the answer says so.
    fn give(&mut self, store: Store, answered: Option<u64>) -> Option<Revision> {
        let Some(revision) = answered else {
            // It was given all the same, but `last` is what is certain.
            return Some(Revision::Between(self.last + 1, u64::MAX));
        };
        let next = self.last + 1;
        (revision == next || (revision > next && !store.dense)).then_some(())?;
        // What was given unseen, was given before.
        for (_, open) in self.slots.iter_mut().flatten() {
            if let Revision::Between(from, to) = open {
                *to = (*to).min(revision - 1);
                (*from <= *to).then_some(())?;
            }
        }
        self.last = revision;
        Some(Revision::Is(revision))
    }

    fn write(&mut self, store: Store, key: usize, value: i64, answered: Option<u64>) -> Option<()> {
        let revision = self.give(store, answered)?;
        self.slots[key] = Some((value, revision));
        Some(())
    }

    /// Learns that the key is seen like this. None where it cannot be.
    fn see(&mut self, key: usize, seen: Seen) -> Option<()> {
        match (&mut self.slots[key], seen) {
            (None, None) => Some(()),
            (Some((value, revision)), Some((seen, at))) if *value == seen => revision.is(at),
            _ => None,
        }
    }

    fn see_all(&mut self, seen: &[Seen; KEYS]) -> Option<()> {
        (0..KEYS).try_for_each(|key| self.see(key, seen[key]))
    }

    /// Learns that the key is at this revision, 0 where it does not exist. None where it cannot be.
    fn at(&mut self, key: usize, revision: u64) -> Option<()> {
        match &mut self.slots[key] {
            None => (revision == 0).then_some(()),
            Some((_, current)) => current.is(revision),
        }
    }

    /// As [`State::at`], where there is a revision to hold.
    fn holds(&mut self, key: usize, if_revision: Option<u64>) -> Option<()> {
        if_revision.map_or(Some(()), |revision| self.at(key, revision))
    }

    fn guard(&mut self, key: usize, guard: Guard) -> Option<()> {
        match guard {
            Guard::Revision(revision) => self.at(key, revision),
            Guard::Value(value) => {
                (self.slots[key].is_some_and(|(current, _)| current == value)).then_some(())
            }
        }
    }

    /// Whether the guard surely holds. One on a revision that is not known does not.
    fn surely(&self, key: usize, guard: Guard) -> bool {
        let open = matches!(self.slots[key], Some((_, Revision::Between(..))));
        let asks_revision = matches!(guard, Guard::Revision(_));
        !(open && asks_revision) && self.clone().guard(key, guard).is_some()
    }
}

impl Revision {
    fn is(&mut self, revision: u64) -> Option<()> {
        let possible = match *self {
            Self::Is(known) => revision == known,
            Self::Between(from, to) => (from..=to).contains(&revision),
        };
        *self = Self::Is(revision);
        possible.then_some(())
    }
}

impl Spec for Store {
    type Operation = Operation;
    type Answer = Answer;
    type State = State;

    fn step(&self, state: &State, operation: &Operation, answer: Option<&Answer>) -> Option<State> {
        let mut state = state.clone();
        match (operation, answer) {
            (Operation::Get(key), Some(Answer::One(seen))) => state.see(*key, *seen)?,
            (Operation::Read { .. }, Some(Answer::All(seen))) => state.see_all(seen)?,
            // It changed nothing.
            (Operation::Get(_) | Operation::Read { .. }, None) => {}
            (
                Operation::Put {
                    key, if_revision, ..
                }
                | Operation::Delete { key, if_revision },
                Some(Answer::Conflict(at)),
            ) => {
                (if_revision.is_some_and(|wanted| wanted != *at)).then_some(())?;
                state.at(*key, *at)?;
            }
            (
                Operation::Put {
                    key,
                    value,
                    if_revision,
                },
                answer,
            ) => {
                state.holds(*key, *if_revision)?;
                match answer {
                    Some(Answer::Written(revisions)) if revisions.len() == 1 => {
                        state.write(*self, *key, *value, Some(revisions[0]))?;
                    }
                    None => state.write(*self, *key, *value, None)?,
                    _ => return None,
                }
            }
            (Operation::Incr { key, by }, answer) => {
                let value = state.slots[*key].map_or(0, |(value, _)| value) + by;
                match answer {
                    Some(Answer::Counted(counted, revision)) if *counted == value => {
                        state.write(*self, *key, value, Some(*revision))?;
                    }
                    None => state.write(*self, *key, value, None)?,
                    _ => return None,
                }
            }
            (Operation::Delete { key, .. }, Some(Answer::Missing)) => state.see(*key, None)?,
            (Operation::Delete { key, if_revision }, answer) => {
                state.holds(*key, *if_revision)?;
                state.slots[*key].take()?;
                match answer {
                    Some(Answer::Deleted(revision)) => {
                        state.give(*self, Some(*revision))?;
                    }
                    None => {}
                    _ => return None,
                }
            }
            (Operation::Txn { compare, .. }, Some(Answer::Otherwise(seen))) => {
                // First what is seen: it may tell the revisions that were compared.
                state.see_all(seen)?;
                let holds = compare
                    .iter()
                    .all(|(key, guard)| state.surely(*key, *guard));
                (!holds).then_some(())?;
            }
            (Operation::Txn { compare, puts }, answer) => {
                for (key, guard) in compare {
                    state.guard(*key, *guard)?;
                }
                let revisions = match answer {
                    Some(Answer::Written(revisions)) if revisions.len() == puts.len() => {
                        revisions.iter().copied().map(Some).collect()
                    }
                    None => vec![None; puts.len()],
                    _ => return None,
                };
                for ((key, value), revision) in puts.iter().zip(revisions) {
                    state.write(*self, *key, *value, revision)?;
                }
            }
            _ => return None,
        }
        Some(state)
    }
}
