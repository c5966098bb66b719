//! Batches, of `/v1` and of `/api`.

use super::revisions::Shown;
use super::store::Store;
use crate::command::{Expiry, If, Mode, Put};
use crate::outcome::Refusal;
use crate::value::map;
use rmpv::Value;

/// What is wrong with one key of a batch, as the members that are answered.
type Verdict = Result<(), (&'static str, Option<u64>)>;

impl Store {
    pub fn batch_get(
        &mut self,
        keys: &[String],
        strict: bool,
        shown: &mut Shown,
    ) -> Result<Value, Refusal> {
        check_keys(keys.iter())?;
        if strict {
            self.check_all_exist(keys)?;
        }
        let (found, missing): (Vec<&String>, Vec<&String>) =
            keys.iter().partition(|key| self.pairs.contains_key(*key));
        let pairs = found.iter().map(|key| self.pair(key, shown)).collect();
        let missing = missing.iter().map(|key| key.as_str().into()).collect();
        Ok(map([
            ("pairs", Value::Array(pairs)),
            ("missing", Value::Array(missing)),
        ]))
    }

    pub fn batch_put(
        &mut self,
        pairs: &[Put],
        mode: Option<Mode>,
        atomic: Option<bool>,
        expiry: Option<Expiry>,
        shown: &Shown,
    ) -> Result<Value, Refusal> {
        check_keys(pairs.iter().map(|put| &put.key))?;
        let verdicts: Vec<Verdict> = pairs
            .iter()
            .map(|put| {
                let exists = self.pairs.contains_key(&put.key);
                let revision = self.revision(&put.key);
                match (mode, exists) {
                    _ if put.if_revision.is_some_and(|it| it != If::Is(revision)) => {
                        Err(("conflict", Some(revision)))
                    }
                    (Some(Mode::Insert), true) => Err(("exists", Some(revision))),
                    (Some(Mode::Replace), false) => Err(("missing", None)),
                    _ => Ok(()),
                }
            })
            .collect();
        let aborts = atomic != Some(false) && verdicts.iter().any(Result::is_err);
        let results = pairs.iter().zip(verdicts).map(|(put, verdict)| {
            let (outcome, revision) = match verdict {
                Err(verdict) => verdict,
                Ok(()) if aborts => ("aborted", None),
                Ok(()) => ("written", Some(self.write(put, expiry, shown))),
            };
            result(&put.key, outcome, revision)
        });
        Ok(committed(!aborts, results.collect()))
    }

    pub fn batch_delete(
        &mut self,
        keys: &[(String, Option<If>)],
        atomic: Option<bool>,
        shown: &Shown,
    ) -> Result<Value, Refusal> {
        check_keys(keys.iter().map(|(key, _)| key))?;
        let verdicts: Vec<Verdict> = keys
            .iter()
            .map(|(key, if_revision)| {
                let revision = self.revision(key);
                match self.pairs.contains_key(key) {
                    _ if if_revision.is_some_and(|it| it != If::Is(revision)) => {
                        Err(("conflict", Some(revision)))
                    }
                    false => Err(("missing", None)),
                    true => Ok(()),
                }
            })
            .collect();
        let fails = |verdict: &Verdict| matches!(verdict, Err(("conflict", _)));
        let aborts = atomic != Some(false) && verdicts.iter().any(fails);
        let results = keys.iter().zip(verdicts).map(|((key, _), verdict)| {
            let (outcome, revision) = match verdict {
                Err(verdict) => verdict,
                Ok(()) if aborts => ("aborted", None),
                Ok(()) => ("deleted", self.delete(key, shown)),
            };
            result(key, outcome, revision)
        });
        Ok(committed(!aborts, results.collect()))
    }

    pub fn old_read(&self, keys: &[String]) -> Result<Value, Refusal> {
        check_keys(keys.iter())?;
        self.check_all_exist(keys)?;
        let data = keys
            .iter()
            .map(|key| (key.as_str(), self.pairs[key].value.clone()));
        Ok(map([("data", map(data))]))
    }

    pub fn old_write(
        &mut self,
        pairs: &[(String, Value)],
        shown: &Shown,
    ) -> Result<Value, Refusal> {
        check_keys(pairs.iter().map(|(key, _)| key))?;
        let (old, new): (Vec<_>, Vec<_>) = pairs
            .iter()
            .partition(|(key, _)| self.pairs.contains_key(key));
        for (key, value) in &new {
            self.write_unseen(key, value, shown);
        }
        let existing = old.iter().map(|(key, _)| key.as_str().into()).collect();
        Ok(map([
            ("written", new.len().into()),
            ("existing", Value::Array(existing)),
        ]))
    }

    /// A pair that exists.
    pub fn pair(&mut self, key: &str, shown: &mut Shown) -> Value {
        let members = self.show(key, shown).into_iter().flatten();
        map([("key", key.into())].into_iter().chain(members))
    }

    fn check_all_exist(&self, keys: &[String]) -> Result<(), Refusal> {
        let missing: Vec<&str> = keys
            .iter()
            .filter(|key| !self.pairs.contains_key(*key))
            .map(String::as_str)
            .collect();
        match missing.as_slice() {
            [] => Ok(()),
            keys => Err(Refusal::new(
                "missing_keys",
                format!("These keys don't exist: {}", keys.join(" ")),
            )),
        }
    }
}

/// At least one, none twice.
fn check_keys<'a>(keys: impl Iterator<Item = &'a String> + Clone) -> Result<(), Refusal> {
    let mut repeated: Vec<&str> = Vec::new();
    for key in keys.clone() {
        let times = keys.clone().filter(|other| *other == key).count();
        if times > 1 && !repeated.contains(&key.as_str()) {
            repeated.push(key);
        }
    }
    match (keys.count(), repeated.as_slice()) {
        (0, _) => Err(Refusal::new(
            "no_keys",
            "Incorrect keys: you have not passed any keys".to_owned(),
        )),
        (_, []) => Ok(()),
        (_, keys) => Err(Refusal::new(
            "repeated_keys",
            format!(
                "Incorrect keys: you cannot pass identical keys: {}",
                keys.join(" ")
            ),
        )),
    }
}

fn result(key: &str, outcome: &str, revision: Option<u64>) -> Value {
    let revision = revision.map(|revision| ("revision", revision.into()));
    let members = [("key", key.into()), ("outcome", outcome.into())];
    map(members.into_iter().chain(revision))
}

fn committed(committed: bool, results: Vec<Value>) -> Value {
    map([
        ("committed", committed.into()),
        ("results", Value::Array(results)),
    ])
}
