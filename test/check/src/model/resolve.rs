//! From a planned command to one that can be sent: keys get the prefix of the sequence, and what depends on the store, on
//! the time or on the front is decided.

use super::store::Store;
use crate::client::Front;
use crate::command::{Command, Compare, Expiry, If, List, Operation, Put, With};
use rmpv::Value;

/// The seconds in which a key ends that ends soon.
const SOON_TTL: f64 = 0.02;
/// The same, where the request has to arrive before that.
const SOON_AT: f64 = 0.2;

/// What a command is resolved with.
pub struct Resolver<'a> {
    pub prefix: &'a str,
    pub store: &'a Store,
    pub front: Front,
    /// Seconds since 1970.
    pub now: f64,
}

impl Resolver<'_> {
    pub fn resolve(&self, mut command: Command) -> Command {
        match &mut command {
            Command::BatchGet { keys, .. } | Command::OldRead { keys } => {
                keys.iter_mut().for_each(|key| self.key(key));
            }
            Command::BatchPut { pairs, expiry, .. } => {
                pairs.iter_mut().for_each(|put| self.put(put));
                self.expiry(expiry);
            }
            Command::BatchDelete { keys, .. } => {
                for (key, if_revision) in keys {
                    self.key(key);
                    if let Some(revision) = if_revision {
                        self.revision(key, revision);
                    }
                }
            }
            Command::Txn {
                compare,
                success,
                failure,
            } => {
                compare.iter_mut().for_each(|one| self.compare(one));
                success.iter_mut().for_each(|one| self.operation(one));
                failure.iter_mut().for_each(|one| self.operation(one));
            }
            Command::List(list) => self.list(list),
            Command::Incr { key, expiry, .. } => {
                self.key(key);
                self.expiry(expiry);
            }
            Command::PairGet {
                key,
                if_revision,
                none_match,
                ..
            } => {
                self.key(key);
                self.tags(key, if_revision);
                self.tags(key, none_match);
            }
            Command::PairPut {
                put,
                if_revision,
                mode,
            } => {
                self.put(put);
                for revision in if_revision.iter_mut() {
                    self.revision(&put.key, revision);
                }
                if if_revision.contains(&If::Is(0)) {
                    *if_revision = vec![If::Is(0)];
                }
                if self.front == Front::Http {
                    // `If-None-Match: *` is a mode.
                    mode.take_if(|_| *if_revision == [If::Is(0)]);
                    // The content type is that of the bytes.
                    let is_bytes = matches!(put.value, Value::Binary(_));
                    put.content_type.take_if(|_| !is_bytes);
                }
            }
            Command::PairDelete { key, if_revision } => {
                self.key(key);
                self.tags(key, if_revision);
            }
            Command::OldWrite { pairs } => pairs.iter_mut().for_each(|(key, _)| self.key(key)),
        }
        command
    }

    fn key(&self, key: &mut String) {
        key.insert_str(0, self.prefix);
    }

    fn revision(&self, key: &str, revision: &mut If) {
        if *revision == If::Current {
            *revision = If::Is(self.store.revision(key));
        }
    }

    /// There is no tag for a key that does not exist.
    fn tags(&self, key: &str, revisions: &mut Vec<If>) {
        for revision in revisions.iter_mut() {
            self.revision(key, revision);
        }
        revisions.retain(|revision| *revision != If::Is(0));
    }

    fn put(&self, put: &mut Put) {
        self.key(&mut put.key);
        self.expiry(&mut put.expiry);
        if let Some(revision) = &mut put.if_revision {
            self.revision(&put.key, revision);
        }
    }

    fn expiry(&self, expiry: &mut Option<Expiry>) {
        match expiry {
            Some(Expiry::SoonTtl) => *expiry = Some(Expiry::Ttl(SOON_TTL)),
            // Whole milliseconds, which are kept.
            Some(Expiry::SoonAt) => {
                let milliseconds = ((self.now + SOON_AT) * 1000.0).round();
                *expiry = Some(Expiry::At(milliseconds / 1000.0));
            }
            _ => {}
        }
    }

    fn compare(&self, compare: &mut Compare) {
        self.key(&mut compare.key);
        match &mut compare.with {
            With::Revision(revision) => self.revision(&compare.key, revision),
            With::CurrentValue => {
                let pair = self.store.pairs.get(&compare.key);
                compare.with =
                    pair.map_or(With::Exists(false), |pair| With::Value(turned(&pair.value)));
            }
            _ => {}
        }
    }

    fn operation(&self, operation: &mut Operation) {
        match operation {
            Operation::Put(put) => self.put(put),
            Operation::Get { key } | Operation::Incr { key, .. } => self.key(key),
            Operation::Delete { key, if_revision } => {
                self.key(key);
                if let Some(revision) = if_revision {
                    self.revision(key, revision);
                }
            }
        }
    }

    /// Within the keys of the sequence.
    fn list(&self, list: &mut List) {
        if list.prefix.is_none() {
            list.from.get_or_insert_default();
            list.to.get_or_insert_with(|| "\u{10ffff}".to_owned());
        }
        [
            &mut list.prefix,
            &mut list.from,
            &mut list.to,
            &mut list.after,
        ]
        .into_iter()
        .flatten()
        .for_each(|key| self.key(key));
    }
}

/// The same value, with its members in another order.
fn turned(value: &Value) -> Value {
    match value {
        Value::Map(members) => Value::Map(
            members
                .iter()
                .rev()
                .map(|(name, value)| (name.clone(), turned(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(turned).collect()),
        other => other.clone(),
    }
}
