//! Concurrent clients, each a thread with a connection of its own, and what they record.

use super::checker::Entry;
use super::history::{Keys, Operations};
use super::spec::{Answer, Guard, Operation, KEYS};
use crate::client::{Address, Connection, Failure, Front};
use crate::Result;
use fastrand::Rng;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Only bounds a hang.
const DEADLINE: Duration = Duration::from_secs(120);

/// Whether the instance serves, or has ended for good. Told by the thread that restarts it.
#[derive(Debug)]
pub struct State {
    pub up: AtomicBool,
    pub over: AtomicBool,
}

/// One client. Its connection outlives a history.
pub struct Client {
    number: i64,
    front: Front,
    connection: Option<Connection>,
    random: Rng,
    /// What it saw last of each key; revision 0 where there is none.
    known: [(i64, u64); KEYS],
    written: i64,
}

impl Client {
    pub fn new(number: i64, front: Front, random: Rng) -> Self {
        Self {
            number,
            front,
            connection: None,
            random,
            known: [(0, 0); KEYS],
            written: 0,
        }
    }

    /// Connects, so that this is no part of a history.
    pub fn connect(&mut self, address: &Address) -> Result<()> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(self.front, address)?);
        }
        Ok(())
    }

    /// Sends so many operations, one after the other. Times are nanoseconds since `start`. A read whose answer is unknown
    /// says nothing, and is left out.
    pub fn run(
        &mut self,
        keys: &Keys,
        operations: usize,
        address: &Address,
        start: Instant,
        state: &State,
    ) -> Result<Operations> {
        let mut history = Vec::new();
        self.known = [(0, 0); KEYS];
        for _ in 0..operations {
            let operation = self.choose();
            if let Some(entry) = self.perform(operation, keys, address, start, state)? {
                history.push(entry);
            }
        }
        Ok(history)
    }

    /// One operation, sent once; what cannot be sent waits for the instance.
    pub fn perform(
        &mut self,
        operation: Operation,
        keys: &Keys,
        address: &Address,
        start: Instant,
        state: &State,
    ) -> Result<Option<Entry<Operation, Answer>>> {
        let command = keys.command(&operation);
        let nanoseconds = || start.elapsed().as_nanos() as u64;
        loop {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => match Connection::open(self.front, address) {
                    Ok(connection) => none.insert(connection),
                    Err(Failure::NotSent) => {
                        wait(start, state)?;
                        continue;
                    }
                    Err(other) => return Err(other.into()),
                },
            };
            let called = nanoseconds();
            let outcome = connection.send(&command);
            let time = nanoseconds();
            let answered = match outcome {
                Ok(outcome) => {
                    let answer = keys.answer(&operation, &outcome).ok_or_else(|| {
                        format!("{operation:?} was answered {outcome:?}, which it may not be")
                    })?;
                    self.learn(&operation, &answer);
                    Some((time, answer))
                }
                Err(Failure::NotSent) => {
                    self.connection = None;
                    wait(start, state)?;
                    continue;
                }
                Err(Failure::Unknown(_)) => {
                    self.connection = None;
                    None
                }
                Err(odd) => return Err(odd.into()),
            };
            let is_read = matches!(operation, Operation::Get(_) | Operation::Read { .. });
            let says_something = answered.is_some() || !is_read;
            return Ok(says_something.then_some(Entry {
                operation,
                called,
                answered,
            }));
        }
    }

    fn choose(&mut self) -> Operation {
        let key = self.random.usize(..KEYS);
        let seen = self.known[key].1;
        match self.random.u8(..16) {
            0..3 => Operation::Get(key),
            3..6 => Operation::Read {
                list: self.random.bool(),
            },
            6..8 => Operation::Put {
                key,
                value: self.value(),
                if_revision: None,
            },
            8..10 => Operation::Put {
                key,
                value: self.value(),
                if_revision: Some(seen),
            },
            10..12 => Operation::Incr {
                key,
                by: self.random.i64(1..10),
            },
            12 => Operation::Delete {
                key,
                if_revision: (seen > 0 && self.random.bool()).then_some(seen),
            },
            _ => self.transaction(key),
        }
    }

    fn transaction(&mut self, key: usize) -> Operation {
        let other = (key + 1) % KEYS;
        let guard = |random: &mut Rng, (value, revision)| match revision > 0 && random.bool() {
            true => Guard::Value(value),
            false => Guard::Revision(revision),
        };
        Operation::Txn {
            compare: [key, other]
                .into_iter()
                .filter(|_| self.random.u8(..4) > 0)
                .collect::<Vec<_>>()
                .into_iter()
                .map(|key| (key, guard(&mut self.random, self.known[key])))
                .collect(),
            puts: vec![(key, self.value()), (other, self.value())],
        }
    }

    /// One that nobody else writes; the last digits are for increments.
    fn value(&mut self) -> i64 {
        self.written += 1;
        (self.written * 100 + self.number) * 1000
    }

    fn learn(&mut self, operation: &Operation, answer: &Answer) {
        let known = &mut self.known;
        match (operation, answer) {
            (Operation::Get(key), Answer::One(seen)) => known[*key] = seen.unwrap_or_default(),
            (_, Answer::All(seen) | Answer::Otherwise(seen)) => {
                *known = seen.map(Option::unwrap_or_default);
            }
            (Operation::Put { key, value, .. }, Answer::Written(revisions)) => {
                known[*key] = (*value, revisions[0]);
            }
            (Operation::Txn { puts, .. }, Answer::Written(revisions)) => {
                for ((key, value), revision) in puts.iter().zip(revisions) {
                    known[*key] = (*value, *revision);
                }
            }
            (Operation::Incr { key, .. }, Answer::Counted(value, revision)) => {
                known[*key] = (*value, *revision);
            }
            (Operation::Delete { key, .. }, _) => known[*key] = (0, 0),
            (Operation::Put { key, .. }, Answer::Conflict(revision)) => known[*key].1 = *revision,
            _ => {}
        }
    }
}

/// Until the instance is said to serve.
fn wait(start: Instant, state: &State) -> Result<()> {
    loop {
        std::thread::sleep(Duration::from_millis(2));
        if state.over.load(Ordering::Acquire) {
            return Err("the instance has ended".into());
        }
        if start.elapsed() > DEADLINE {
            return Err("nobody listens any more".into());
        }
        if state.up.load(Ordering::Acquire) {
            return Ok(());
        }
    }
}
