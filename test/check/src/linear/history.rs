//! Operations as commands, answers as what they say, and a history for a reader.

use super::checker::Entry;
use super::spec::{Answer, Guard, Operation, Seen, KEYS};
use crate::command::{self, Command, Compare, If, List, Put, With};
use crate::outcome::{Outcome, Refusal};
use crate::value::member;
use rmpv::Value;
use std::fmt::Write;

pub type Operations = Vec<Entry<Operation, Answer>>;

/// The keys of one history.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
    names: [String; KEYS],
}

impl Keys {
    pub fn of(history: u64) -> Self {
        let prefix = format!("h{history}/");
        Self {
            names: std::array::from_fn(|key| format!("{prefix}{key}")),
            prefix,
        }
    }

    pub fn command(&self, operation: &Operation) -> Command {
        let name = |key: &usize| self.names[*key].clone();
        match operation {
            Operation::Get(key) => Command::PairGet {
                key: name(key),
                if_revision: Vec::new(),
                none_match: Vec::new(),
                head: false,
            },
            Operation::Read { list: true } => Command::List(List::of(&self.prefix)),
            Operation::Read { list: false } => Command::BatchGet {
                keys: self.names.to_vec(),
                strict: false,
            },
            Operation::Put {
                key,
                value,
                if_revision,
            } => Command::PairPut {
                put: Put::plain(&self.names[*key], *value),
                if_revision: if_revision.map(If::Is).into_iter().collect(),
                mode: None,
            },
            Operation::Incr { key, by } => Command::Incr {
                key: name(key),
                by: Some((*by).into()),
                expiry: None,
            },
            Operation::Delete { key, if_revision } => Command::PairDelete {
                key: name(key),
                if_revision: if_revision.map(If::Is).into_iter().collect(),
            },
            Operation::Txn { compare, puts } => Command::Txn {
                compare: compare
                    .iter()
                    .map(|(key, guard)| Compare {
                        key: name(key),
                        with: match guard {
                            Guard::Revision(revision) => With::Revision(If::Is(*revision)),
                            Guard::Value(value) => With::Value((*value).into()),
                        },
                    })
                    .collect(),
                success: puts
                    .iter()
                    .map(|(key, value)| {
                        command::Operation::Put(Put::plain(&self.names[*key], *value))
                    })
                    .collect(),
                failure: self
                    .names
                    .iter()
                    .map(|name| command::Operation::Get { key: name.clone() })
                    .collect(),
            },
        }
    }

    /// None where it is no answer to this.
    pub fn answer(&self, operation: &Operation, outcome: &Outcome) -> Option<Answer> {
        let value = match outcome {
            Outcome::Done(value) => value,
            Outcome::Refused(refusal) => return refused(operation, refusal),
        };
        let revision = || member(value, "revision")?.as_u64();
        Some(match operation {
            Operation::Get(_) => Answer::One(Some(seen(value)?)),
            Operation::Read { .. } => Answer::All(self.all(member(value, "pairs")?.as_array()?)?),
            Operation::Put { .. } => Answer::Written(vec![revision()?]),
            Operation::Incr { .. } => {
                Answer::Counted(member(value, "value")?.as_i64()?, revision()?)
            }
            Operation::Delete { .. } => Answer::Deleted(revision()?),
            Operation::Txn { .. } => {
                let results = member(value, "results")?.as_array()?;
                match member(value, "succeeded")?.as_bool()? {
                    false => Answer::Otherwise(self.all(results)?),
                    true => Answer::Written(
                        results
                            .iter()
                            .map(|result| member(result, "revision")?.as_u64())
                            .collect::<Option<_>>()?,
                    ),
                }
            }
        })
    }

    /// All keys, of pairs that name some of them.
    fn all(&self, pairs: &[Value]) -> Option<[Seen; KEYS]> {
        let mut all = [None; KEYS];
        for pair in pairs {
            let key = member(pair, "key")?.as_str()?;
            let place = self.names.iter().position(|name| name == key)?;
            let is_missing = member(pair, "outcome").and_then(Value::as_str) == Some("missing");
            all[place] = if is_missing { None } else { Some(seen(pair)?) };
        }
        Some(all)
    }
}

fn seen(pair: &Value) -> Option<(i64, u64)> {
    let value = member(pair, "value")?.as_i64()?;
    Some((value, member(pair, "revision")?.as_u64()?))
}

fn refused(operation: &Operation, refusal: &Refusal) -> Option<Answer> {
    match (operation, refusal.name.as_str()) {
        (Operation::Get(_), "no_such_key") => Some(Answer::One(None)),
        (Operation::Delete { .. }, "no_such_key") => Some(Answer::Missing),
        (_, "conflict") if refusal.message.ends_with(" does not exist") => {
            Some(Answer::Conflict(0))
        }
        (_, "conflict") => {
            let (_, revision) = refusal.message.rsplit_once(" is at revision ")?;
            Some(Answer::Conflict(revision.parse().ok()?))
        }
        _ => None,
    }
}

/// One line for each operation, in the order of their calls; times in µs. `order` is the longest that was found: each of it
/// has its place there.
pub fn describe(history: &Operations, order: &[usize]) -> String {
    let mut text = String::from("  called  answered  place\n");
    for (index, entry) in history.iter().enumerate() {
        let place = order.iter().position(|it| *it == index);
        let place = place.map_or("-".to_owned(), |place| place.to_string());
        let called = entry.called / 1000;
        let (answered, answer) = match &entry.answered {
            Some((time, answer)) => ((time / 1000).to_string(), format!("{answer:?}")),
            None => ("?".to_owned(), "unknown".to_owned()),
        };
        let _ = writeln!(
            text,
            "{called:8} {answered:>9} {place:>6}  {:?} -> {answer}",
            entry.operation
        );
    }
    text
}
