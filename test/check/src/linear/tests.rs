//! The checker finds what is wrong, and nothing where nothing is.

use super::checker::{check, Entry, Verdict};
use super::spec::{Answer, Guard, Operation, State, Store, KEYS};
use proptest::prelude::*;

type Line = Entry<Operation, Answer>;

fn line(called: u64, answered: u64, operation: Operation, answer: Answer) -> Line {
    Entry {
        operation,
        called,
        answered: Some((answered, answer)),
    }
}

fn unknown(called: u64, operation: Operation) -> Line {
    Entry {
        operation,
        called,
        answered: None,
    }
}

fn put(value: i64) -> Operation {
    Operation::Put {
        key: 0,
        value,
        if_revision: None,
    }
}

fn put_if(value: i64, revision: u64) -> Operation {
    Operation::Put {
        key: 0,
        value,
        if_revision: Some(revision),
    }
}

fn written(revision: u64) -> Answer {
    Answer::Written(vec![revision])
}

fn one(value: i64, revision: u64) -> Answer {
    Answer::One(Some((value, revision)))
}

fn get() -> Operation {
    Operation::Get(0)
}

fn add(by: i64) -> Operation {
    Operation::Incr { key: 0, by }
}

fn swap(compare: Vec<(usize, Guard)>) -> Operation {
    Operation::Txn {
        compare,
        puts: vec![(0, 7), (1, 8)],
    }
}

/// Whether there is an order after a crash, and whether there is one where revisions have no gaps.
fn orders(history: &[Line]) -> [bool; 2] {
    [false, true].map(|dense| {
        let verdict = check(&Store { dense }, &State::after(1), history);
        assert_ne!(verdict, Verdict::Undecided);
        matches!(verdict, Verdict::Linearizable(_))
    })
}

#[test]
fn good_histories_are_accepted() {
    let all = |seen| Answer::All([seen, seen, None]);
    for (what, history) in [
        ("nothing", vec![]),
        (
            "a read during a write sees either",
            vec![
                line(0, 9, put(1), written(2)),
                line(1, 2, get(), Answer::One(None)),
                line(3, 4, get(), one(1, 2)),
            ],
        ),
        (
            "revisions tell the order of concurrent writes",
            vec![
                line(0, 9, put(1), written(3)),
                line(0, 9, put(2), written(2)),
                line(10, 11, get(), one(1, 3)),
            ],
        ),
        (
            "one of two compare-and-sets",
            vec![
                line(0, 1, put(1), written(2)),
                line(2, 9, put_if(5, 2), written(3)),
                line(2, 9, put_if(6, 2), Answer::Conflict(3)),
            ],
        ),
        (
            "a transaction and a read of all keys",
            vec![
                line(
                    0,
                    9,
                    swap(vec![(0, Guard::Revision(0))]),
                    Answer::Written(vec![2, 3]),
                ),
                line(1, 2, Operation::Read { list: false }, all(None)),
                line(
                    3,
                    4,
                    Operation::Read { list: true },
                    Answer::All([Some((7, 2)), Some((8, 3)), None]),
                ),
                line(
                    10,
                    11,
                    swap(vec![(0, Guard::Value(6))]),
                    Answer::Otherwise([Some((7, 2)), Some((8, 3)), None]),
                ),
            ],
        ),
        (
            "increments and deletions",
            vec![
                line(0, 9, add(2), Answer::Counted(5, 3)),
                line(0, 9, add(3), Answer::Counted(3, 2)),
                line(
                    10,
                    11,
                    Operation::Delete {
                        key: 0,
                        if_revision: Some(3),
                    },
                    Answer::Deleted(4),
                ),
                line(
                    12,
                    13,
                    Operation::Delete {
                        key: 0,
                        if_revision: None,
                    },
                    Answer::Missing,
                ),
            ],
        ),
    ] {
        assert_eq!(orders(&history), [true, true], "{what}");
    }
}

#[test]
fn what_got_no_answer_may_have_happened_or_not() {
    for (what, history) in [
        (
            "not",
            vec![
                line(0, 1, put(1), written(2)),
                unknown(2, put(2)),
                line(5, 6, get(), one(1, 2)),
            ],
        ),
        (
            "it did",
            vec![
                line(0, 1, put(1), written(2)),
                unknown(2, put(2)),
                line(5, 6, get(), one(2, 3)),
            ],
        ),
        (
            "it did, later, and its revision is learned",
            vec![
                line(0, 1, put(1), written(2)),
                unknown(2, put(2)),
                line(5, 6, get(), one(1, 2)),
                line(7, 8, put_if(3, 2), Answer::Conflict(3)),
                line(9, 10, get(), one(2, 3)),
                line(11, 12, add(1), Answer::Counted(3, 4)),
            ],
        ),
        (
            "it did, and was compared with",
            vec![
                unknown(0, swap(vec![])),
                line(5, 6, put_if(3, 9), Answer::Conflict(4)),
                line(7, 8, Operation::Get(1), one(8, 5)),
            ],
        ),
    ] {
        assert!(orders(&history)[0], "{what}");
    }
}

#[test]
fn bad_histories_are_found() {
    let torn = Answer::All([Some((7, 2)), None, None]);
    for (what, history) in [
        (
            "a stale read",
            vec![
                line(0, 1, put(1), written(2)),
                line(2, 3, put(2), written(3)),
                line(4, 5, get(), one(1, 2)),
            ],
        ),
        (
            "a read that goes back in time",
            vec![
                line(0, 9, put(1), written(2)),
                line(1, 2, get(), one(1, 2)),
                line(3, 4, get(), Answer::One(None)),
            ],
        ),
        (
            "a read of what nobody wrote",
            vec![line(0, 1, get(), one(1, 2))],
        ),
        (
            "a lost update: two compare-and-sets succeed",
            vec![
                line(0, 1, put(1), written(2)),
                line(2, 9, put_if(5, 2), written(3)),
                line(2, 9, put_if(6, 2), written(4)),
            ],
        ),
        (
            "a lost update: two increments of one value",
            vec![
                line(0, 9, add(1), Answer::Counted(1, 2)),
                line(0, 9, add(1), Answer::Counted(1, 3)),
            ],
        ),
        (
            "a write that was answered and lost in a crash",
            vec![
                line(0, 1, put(1), written(2)),
                unknown(2, add(1)),
                line(9, 10, get(), Answer::One(None)),
            ],
        ),
        (
            "a read of a write that was lost in a crash",
            vec![
                line(0, 1, put(1), written(2)),
                unknown(2, put(2)),
                line(3, 4, get(), one(2, 3)),
                line(9, 10, get(), one(1, 2)),
            ],
        ),
        (
            "half a transaction",
            vec![
                line(0, 9, swap(vec![]), Answer::Written(vec![2, 3])),
                line(1, 2, Operation::Read { list: false }, torn),
            ],
        ),
        (
            "half a transaction that got no answer",
            vec![
                unknown(0, swap(vec![])),
                line(9, 10, Operation::Get(1), one(8, 3)),
                line(11, 12, get(), Answer::One(None)),
            ],
        ),
        (
            "a revision that is given twice",
            vec![
                line(0, 1, put(1), written(2)),
                line(2, 3, put(2), written(2)),
            ],
        ),
        (
            "revisions against the order of writes",
            vec![
                line(0, 1, put(1), written(3)),
                line(2, 3, put(2), written(2)),
            ],
        ),
        (
            "a conflict without a reason",
            vec![
                line(0, 1, put(1), written(2)),
                line(2, 3, put_if(2, 2), Answer::Conflict(2)),
            ],
        ),
        (
            "a transaction that failed although it had to succeed",
            vec![line(
                0,
                1,
                swap(vec![(0, Guard::Revision(0))]),
                Answer::Otherwise([None; KEYS]),
            )],
        ),
        (
            "a deletion of what is not there",
            vec![line(
                0,
                1,
                Operation::Delete {
                    key: 0,
                    if_revision: None,
                },
                Answer::Deleted(2),
            )],
        ),
        (
            "an unknown write that happens before its call",
            vec![line(0, 1, get(), one(1, 2)), unknown(2, put(1))],
        ),
    ] {
        assert_eq!(orders(&history), [false, false], "{what}");
    }
}

#[test]
fn a_gap_between_revisions_is_found_where_there_was_no_crash() {
    let history = [
        line(0, 1, put(1), written(2)),
        line(2, 3, put(2), written(4)),
    ];
    assert_eq!(orders(&history), [true, false]);
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It happens, and nobody is told.
    Unanswered,
    Lost,
}

/// Of each: when it takes effect, and how long before that it is called, and after it answered.
type Plan = Vec<(Operation, u64, u64, Fate)>;

/// The history of a store that does these.
fn lived(plan: &[(Operation, u64, u64, Fate)]) -> Vec<Line> {
    let mut moments: Vec<usize> = (0..plan.len()).collect();
    moments.sort_by_key(|index| (plan[*index].1, *index));
    let mut store = [None::<(i64, u64)>; KEYS];
    let mut last = 1;
    let mut answers = vec![None; plan.len()];
    for index in moments {
        let (operation, _, _, fate) = &plan[index];
        let mut next = || {
            last += 1;
            last
        };
        answers[index] = match operation {
            _ if *fate == Fate::Lost => None,
            Operation::Get(key) => Some(Answer::One(store[*key])),
            Operation::Read { .. } => Some(Answer::All(store)),
            Operation::Put {
                key,
                value,
                if_revision,
            } => {
                let current = store[*key].map_or(0, |(_, revision)| revision);
                Some(match if_revision {
                    Some(wanted) if *wanted != current => Answer::Conflict(current),
                    _ => {
                        let revision = next();
                        store[*key] = Some((*value, revision));
                        written(revision)
                    }
                })
            }
            Operation::Incr { key, by } => {
                let value = store[*key].map_or(0, |(value, _)| value) + by;
                let revision = next();
                store[*key] = Some((value, revision));
                Some(Answer::Counted(value, revision))
            }
            Operation::Delete { key, .. } => Some(match store[*key].take() {
                None => Answer::Missing,
                Some(_) => Answer::Deleted(next()),
            }),
            Operation::Txn { puts, .. } => Some(Answer::Written(
                puts.iter()
                    .map(|(key, value)| {
                        let revision = next();
                        store[*key] = Some((*value, revision));
                        revision
                    })
                    .collect(),
            )),
        };
    }
    plan.iter()
        .zip(answers)
        .map(|((operation, at, length, fate), answer)| Entry {
            operation: operation.clone(),
            called: at.saturating_sub(*length),
            answered: answer
                .filter(|_| *fate == Fate::Answered)
                .map(|answer| (at + length, answer)),
        })
        .collect()
}

fn plans(may_be_lost: bool) -> impl Strategy<Value = Plan> {
    let key = 0..KEYS;
    let operation = prop_oneof![
        key.clone().prop_map(Operation::Get),
        Just(Operation::Read { list: false }),
        (key.clone(), proptest::option::of(0..6_u64)).prop_map(|(key, if_revision)| {
            Operation::Put {
                key,
                value: 0,
                if_revision,
            }
        }),
        (key.clone(), 1..4_i64).prop_map(|(key, by)| Operation::Incr { key, by }),
        key.prop_map(|key| Operation::Delete {
            key,
            if_revision: None
        }),
        Just(swap(vec![])),
    ];
    let crash = u32::from(may_be_lost);
    let fate = prop_oneof![
        18 => Just(Fate::Answered),
        crash => Just(Fate::Unanswered),
        crash => Just(Fate::Lost),
    ];
    let step = (operation, 0..200_u64, 0..40_u64, fate);
    proptest::collection::vec(step, 1..40).prop_map(|mut steps| {
        for (number, (operation, ..)) in steps.iter_mut().enumerate() {
            if let Operation::Put { value, .. } = operation {
                *value = 1000 * (number as i64 + 1);
            }
        }
        steps
    })
}

/// Every order, tried without memory: for small histories.
fn has_order(store: &Store, state: &State, left: &[Line]) -> bool {
    use super::checker::Spec;
    let first = left
        .iter()
        .filter_map(|entry| entry.answered.as_ref().map(|(time, _)| *time))
        .min();
    let Some(first) = first else {
        return true;
    };
    left.iter().enumerate().any(|(index, entry)| {
        let answer = entry.answered.as_ref().map(|(_, answer)| answer);
        entry.called <= first
            && store
                .step(state, &entry.operation, answer)
                .is_some_and(|after| {
                    let mut rest = left.to_vec();
                    rest.remove(index);
                    has_order(store, &after, &rest)
                })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_store_does_is_accepted(plan in plans(false)) {
        prop_assert_eq!(orders(&lived(&plan)), [true, true]);
    }

    #[test]
    fn what_a_store_does_and_loses_is_accepted(plan in plans(true)) {
        prop_assert!(orders(&lived(&plan))[0]);
    }

    #[test]
    fn an_answer_of_another_time_is_found_as_by_trying_every_order(
        plan in plans(true),
        swapped in any::<(proptest::sample::Index, proptest::sample::Index)>(),
    ) {
        let mut history = lived(&plan[..plan.len().min(7)]);
        let (one, other) = (swapped.0.index(history.len()), swapped.1.index(history.len()));
        let answers = (history[one].answered.clone(), history[other].answered.clone());
        if let (Some((_, first)), Some((_, second))) = answers {
            history[one].answered.as_mut().unwrap().1 = second;
            history[other].answered.as_mut().unwrap().1 = first;
        }
        let expected = has_order(&Store { dense: false }, &State::after(1), &history);
        prop_assert_eq!(orders(&history)[0], expected);
    }
}
