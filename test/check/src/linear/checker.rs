//! The search for an order: Wing and Gong's, with Lowe's memory of what was tried ("Testing for linearizability", 2017).
//!
//! No crate fits: stateright's tester tries again what it has tried, so that it does not end on a history that has no
//! order; todc-utils' knows no operation whose outcome is unknown; lincheck's is for data structures in one process.

use std::collections::HashSet;
use std::hash::Hash;

/// At most so many operations are in a history: the bits of a set.
pub const OPERATIONS_MAX: usize = 128;
/// States that are tried before the search is given up.
const TRIED_MAX: usize = 3_000_000;

/// An operation with its answer, and when it was under way. Times are whole numbers of any unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<O, A> {
    pub operation: O,
    pub called: u64,
    /// None where nobody knows whether it happened: it may have, at any time after the call.
    pub answered: Option<(u64, A)>,
}

/// A store without concurrency.
pub trait Spec {
    type Operation;
    type Answer;
    type State: Clone + Eq + Hash;

    /// The state after the operation; none where it cannot answer this. Without an answer: where it did happen.
    fn step(
        &self,
        state: &Self::State,
        operation: &Self::Operation,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// An order, as places in the history; those left out did not happen.
    Linearizable(Vec<usize>),
    /// The longest order of a part of it that was found.
    Not(Vec<usize>),
    /// Too many orders to try.
    Undecided,
}

/// Searches for an order of all that was answered, and of any of what was not, in which none comes before another
/// that was answered before it was called. Panics: more than [`OPERATIONS_MAX`] operations.
pub fn check<S: Spec>(
    spec: &S,
    start: &S::State,
    history: &[Entry<S::Operation, S::Answer>],
) -> Verdict {
    assert!(history.len() <= OPERATIONS_MAX, "too long a history");
    let wanted = set_of(history, |entry| entry.answered.is_some());
    let mut tried = HashSet::new();
    let mut longest = Vec::new();
    // The order so far, and for each of its lengths the state and the first place that was not tried there.
    let mut order: Vec<usize> = Vec::new();
    let mut frames = vec![(start.clone(), 0)];
    let mut done = 0_u128;
    loop {
        if done & wanted == wanted {
            return Verdict::Linearizable(order);
        }
        if tried.len() > TRIED_MAX {
            return Verdict::Undecided;
        }
        let Some((state, next)) = frames.last_mut() else {
            return Verdict::Not(longest);
        };
        let deadline = first_answer(history, done);
        let found = (*next..history.len())
            .filter(|place| done & bit(*place) == 0 && history[*place].called <= deadline)
            .find_map(|place| {
                let entry = &history[place];
                let answer = entry.answered.as_ref().map(|(_, answer)| answer);
                let after = spec.step(state, &entry.operation, answer)?;
                let is_new = tried.insert((done | bit(place), after.clone()));
                is_new.then_some((place, after))
            });
        match found {
            Some((place, after)) => {
                *next = place + 1;
                done |= bit(place);
                order.push(place);
                frames.push((after, 0));
                if order.len() > longest.len() {
                    longest.clone_from(&order);
                }
            }
            None => {
                frames.pop();
                if let Some(place) = order.pop() {
                    done &= !bit(place);
                }
            }
        }
    }
}

/// When the first of those that are not done was answered: whatever is called later comes after it.
fn first_answer<O, A>(history: &[Entry<O, A>], done: u128) -> u64 {
    history
        .iter()
        .enumerate()
        .filter(|(place, _)| done & bit(*place) == 0)
        .filter_map(|(_, entry)| entry.answered.as_ref().map(|(time, _)| *time))
        .min()
        .unwrap_or(u64::MAX)
}

fn set_of<O, A>(history: &[Entry<O, A>], is_in: impl Fn(&Entry<O, A>) -> bool) -> u128 {
    history
        .iter()
        .enumerate()
        .filter(|(_, entry)| is_in(entry))
        .fold(0, |set, (place, _)| set | bit(place))
}

fn bit(place: usize) -> u128 {
    1 << place
}
