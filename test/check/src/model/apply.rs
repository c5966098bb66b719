//! What each command does to the store, and what is answered.

use super::revisions::Shown;
use super::store::{Expires, Store};
use super::values::add;
use crate::command::{Command, If, List, Mode, Put};
use crate::outcome::{Outcome, Refusal};
use crate::value::map;
use rmpv::Value;

/// Of a key whose revision does not hold, 0 where there is none.
pub fn conflict(key: &str, revision: u64) -> Refusal {
    let message = match revision {
        0 => format!("The key {key} does not exist"),
        _ => format!("The key {key} is at revision {revision}"),
    };
    Refusal {
        at: Some((key.to_owned(), Some(revision))),
        ..Refusal::new("conflict", message)
    }
}

impl Store {
    /// Executes a command that is resolved. `shown` is what its answer shows.
    pub fn apply(&mut self, command: &Command, shown: &mut Shown) -> Outcome {
        let result = match command {
            Command::BatchGet { keys, strict } => self.batch_get(keys, *strict, shown),
            Command::BatchPut {
                pairs,
                mode,
                atomic,
                expiry,
            } => self.batch_put(pairs, *mode, *atomic, *expiry, shown),
            Command::BatchDelete { keys, atomic } => self.batch_delete(keys, *atomic, shown),
            Command::Txn {
                compare,
                success,
                failure,
            } => self.txn(compare, success, failure, shown),
            Command::List(list) => Ok(self.list(list, shown)),
            Command::Incr { key, by, expiry } => {
                let is_new = !self.pairs.contains_key(key);
                self.incr(key, by.as_ref(), shown).map(|(value, revision)| {
                    if let (true, Some(pair)) = (is_new, self.pairs.get_mut(key)) {
                        pair.expires = expiry.map(|expiry| Expires::of(expiry, shown));
                    }
                    map([
                        ("key", key.as_str().into()),
                        ("value", value),
                        ("revision", revision.into()),
                    ])
                })
            }
            Command::PairGet {
                key, if_revision, ..
            } => self.pair_get(key, if_revision, shown),
            Command::PairPut {
                put,
                if_revision,
                mode,
            } => {
                let (key, created) = (&put.key, !self.pairs.contains_key(&put.key));
                let revision = self.revision(key);
                if fails(if_revision, revision) || refuses(*mode, created) {
                    Err(conflict(key, revision))
                } else {
                    let revision = self.write(put, None, shown);
                    Ok(map([
                        ("key", key.as_str().into()),
                        ("revision", revision.into()),
                        ("created", created.into()),
                    ]))
                }
            }
            Command::PairDelete { key, if_revision } => self.pair_delete(key, if_revision, shown),
            Command::OldRead { keys } => self.old_read(keys),
            Command::OldWrite { pairs } => self.old_write(pairs, shown),
        };
        result.map_or_else(Outcome::Refused, Outcome::Done)
    }

    /// The new value of an integer and its revision.
    pub fn incr(
        &mut self,
        key: &str,
        by: Option<&Value>,
        shown: &Shown,
    ) -> Result<(Value, u64), Refusal> {
        let one = Value::from(1);
        let zero = Value::from(0);
        let current = self.pairs.get(key).map_or(&zero, |pair| &pair.value);
        let value = add(key, current, by.unwrap_or(&one))?;
        let revision = match self.pairs.get_mut(key) {
            // Everything but the value stays.
            Some(pair) => {
                let revision = self.revisions.next(shown);
                pair.value = value.clone();
                pair.revision = Some(revision);
                revision
            }
            None => self.write(&Put::plain(key, value.clone()), None, shown),
        };
        Ok((value, revision))
    }

    fn pair_get(
        &mut self,
        key: &str,
        if_revision: &[If],
        shown: &mut Shown,
    ) -> Result<Value, Refusal> {
        self.holds(key, if_revision)?;
        // Where its members are learned from an answer that shows none, as HEAD's, they stay open.
        let members = self.show(key, shown).into_iter().flatten();
        Ok(map([("key", key.into())].into_iter().chain(members)))
    }

    fn pair_delete(
        &mut self,
        key: &str,
        if_revision: &[If],
        shown: &Shown,
    ) -> Result<Value, Refusal> {
        self.holds(key, if_revision)?;
        let revision = self.delete(key, shown).unwrap_or_default();
        Ok(map([
            ("deleted", true.into()),
            ("revision", revision.into()),
        ]))
    }

    /// The key exists, at one of these revisions where there are any.
    fn holds(&self, key: &str, if_revision: &[If]) -> Result<(), Refusal> {
        let revision = self.revision(key);
        if fails(if_revision, revision) {
            return Err(conflict(key, revision));
        }
        match self.pairs.contains_key(key) {
            true => Ok(()),
            false => Err(Refusal::new(
                "no_such_key",
                format!("The key {key} does not exist"),
            )),
        }
    }

    fn list(&mut self, list: &List, shown: &mut Shown) -> Value {
        let flag = |flag: Option<bool>| flag == Some(true);
        let keys: Vec<String> = self
            .pairs
            .keys()
            .filter(|key| {
                list.prefix.as_ref().is_none_or(|it| key.starts_with(it))
                    && list.from.as_ref().is_none_or(|it| *key >= it)
                    && list.to.as_ref().is_none_or(|it| *key < it)
                    && list.after.as_ref().is_none_or(|it| *key > it)
            })
            .cloned()
            .collect();
        if flag(list.count) {
            return map([("count", keys.len().into())]);
        }
        let limit = list.limit.unwrap_or(100) as usize;
        let (page, rest) = keys.split_at(limit.min(keys.len()));
        let next = match (page.last(), rest) {
            (Some(last), [_, ..]) => last.as_str().into(),
            // What was not swept yet may be looked for on a page more.
            (Some(last), [])
                if page.len() == limit
                    && !self.revisions.are_certain()
                    && shown.goes_on_after(last) =>
            {
                last.as_str().into()
            }
            _ => Value::Nil,
        };
        let items: Vec<Value> = page
            .iter()
            .map(|key| match flag(list.keys_only) {
                true => key.as_str().into(),
                false => self.pair(key, shown),
            })
            .collect();
        let name = if flag(list.keys_only) {
            "keys"
        } else {
            "pairs"
        };
        map([(name, Value::Array(items)), ("next", next)])
    }
}

/// Whether revisions are named and this is none of them.
fn fails(if_revision: &[If], revision: u64) -> bool {
    !if_revision.is_empty() && !if_revision.contains(&If::Is(revision))
}

fn refuses(mode: Option<Mode>, created: bool) -> bool {
    match mode {
        Some(Mode::Insert) => !created,
        Some(Mode::Replace) => created,
        Some(Mode::Upsert) | None => false,
    }
}
