//! Runs sequences against an instance, and compares every answer with the model's.

use super::plan::Step;
use super::resolve::Resolver;
use super::revisions::Shown;
use super::store::Store;
use crate::client::{Address, Connection, Front};
use crate::command::{Command, List};
use crate::instance::Instance;
use crate::outcome::Outcome;
use crate::Result;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instance and what it has to hold.
pub struct Run {
    instance: Instance,
    address: Address,
    http: Connection,
    iproto: Connection,
    store: Store,
    /// Of the next sequence.
    number: u64,
    counts: Counts,
}

/// What one sequence did, or many.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub sequences: u64,
    pub commands: u64,
    pub restarts: u64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sequences: self.sequences + other.sequences,
            commands: self.commands + other.commands,
            restarts: self.restarts + other.restarts,
        }
    }
}

impl Run {
    /// With a new instance; with `memtx_use_mvcc_engine` if `mvcc` says so.
    pub fn new(mvcc: bool) -> Result<Self> {
        let instance = Instance::start(mvcc)?;
        let address = Address::of(&instance)?;
        Ok(Self {
            http: Connection::open(Front::Http, &address)?,
            iproto: Connection::open(Front::Iproto, &address)?,
            store: Store::default(),
            number: 0,
            counts: Counts::default(),
            instance,
            address,
        })
    }

    /// Of the last sequence.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Runs one sequence on keys of its own. Errors: what was sent, and the answer that differs. The instance is of no use
    /// then: nobody knows which revisions it has given.
    pub fn sequence(&mut self, steps: &[Step]) -> std::result::Result<(), String> {
        let prefix = format!("{}/", self.number);
        self.number += 1;
        self.counts = Counts {
            sequences: 1,
            ..Counts::default()
        };
        self.store.begin();
        let mut sent = String::new();
        let last = |front| Step::Send(front, Command::List(List::of("")));
        let all = steps
            .iter()
            .cloned()
            .chain([Front::Http, Front::Iproto].map(last));
        for step in all {
            self.step(&prefix, step, &mut sent).map_err(|difference| {
                let tail = match self.instance.is_running() {
                    true => String::new(),
                    false => format!("\nThe instance has ended:\n{}", self.instance.tail()),
                };
                format!("{sent}{difference}{tail}")
            })?;
        }
        Ok(())
    }

    fn step(&mut self, prefix: &str, step: Step, sent: &mut String) -> Result<()> {
        match step {
            Step::Restart(end) => {
                let _ = writeln!(sent, "restart: {end:?}");
                self.counts.restarts += 1;
                self.instance.restart(end)?;
                self.http = Connection::open(Front::Http, &self.address)?;
                self.iproto = Connection::open(Front::Iproto, &self.address)?;
                Ok(())
            }
            Step::Send(front, command) => {
                self.settle();
                let command = Resolver {
                    prefix,
                    store: &self.store,
                    front,
                    now: now(),
                }
                .resolve(command);
                self.send(front, &command, sent)?;
                match command {
                    // Its answer shows no revisions.
                    Command::OldWrite { pairs } if self.store.has_open_revisions() => {
                        let keys = pairs.into_iter().map(|(key, _)| key).collect();
                        let read = Command::BatchGet {
                            keys,
                            strict: false,
                        };
                        self.send(front, &read, sent)
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Waits until all that ends soon has ended.
    fn settle(&mut self) {
        let before = now();
        let wait = self.store.settled_at(before) - before;
        if wait > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(wait));
        }
        self.store.expire(now());
    }

    fn send(&mut self, front: Front, command: &Command, sent: &mut String) -> Result<()> {
        let _ = writeln!(sent, "{front:?} {}", describe(command));
        self.counts.commands += 1;
        let connection = match front {
            Front::Http => &mut self.http,
            Front::Iproto => &mut self.iproto,
        };
        let before = now();
        let answer = connection.send(command)?.without_seen_from()?;
        let mut shown = Shown::by(&answer, before, now());
        let expected = self.store.apply(command, &mut shown).seen(front, command);
        match answer == expected {
            true => Ok(()),
            false => Err(format!(
                "  answered {}\n  expected {}",
                text(&answer),
                text(&expected)
            )
            .into()),
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// A command for a reader.
fn describe(command: &Command) -> String {
    let debug = format!("{command:?}");
    let name = debug.split([' ', '(']).next().unwrap_or_default();
    let mut text = format!("{name} ");
    let keys = match command {
        Command::Incr { key, .. } | Command::PairDelete { key, .. } => key.clone(),
        Command::PairGet {
            key,
            none_match,
            head,
            ..
        } => format!("{key} none_match: {none_match:?} head: {head}"),
        Command::PairPut { put, .. } => format!("{} = {}", put.key, put.value),
        _ => command.batch().to_string(),
    };
    text += &keys;
    for (name, value) in command.options() {
        let _ = write!(text, " {name}: {value}");
    }
    text
}

fn text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(value) => value.to_string(),
        Outcome::Refused(refusal) => format!("{refusal:?}"),
    }
}
