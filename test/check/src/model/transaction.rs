//! Transactions.

use super::apply::conflict;
use super::revisions::Shown;
use super::store::Store;
use crate::command::{Compare, If, Operation, With};
use crate::outcome::Refusal;
use crate::value::{map, same};
use rmpv::Value;

impl Store {
    pub fn txn(
        &mut self,
        compare: &[Compare],
        success: &[Operation],
        failure: &[Operation],
        shown: &mut Shown,
    ) -> Result<Value, Refusal> {
        let succeeded = compare.iter().all(|one| self.is_true(one));
        let operations = if succeeded { success } else { failure };
        // All or nothing.
        let mut after = self.clone();
        let results: Vec<Value> = operations
            .iter()
            .map(|operation| {
                if !after.allows(operation) {
                    let key = operation.key();
                    // What was undone is not told.
                    return Err(conflict(key, self.revision(key)));
                }
                after.operate(operation, shown)
            })
            .collect::<Result<_, _>>()?;
        *self = after;
        Ok(map([
            ("succeeded", succeeded.into()),
            ("results", Value::Array(results)),
        ]))
    }

    fn is_true(&self, compare: &Compare) -> bool {
        let pair = self.pairs.get(&compare.key);
        match &compare.with {
            With::Exists(exists) => pair.is_some() == *exists,
            With::Revision(revision) => self.revision(&compare.key) == revision.number(),
            With::Value(value) => pair.is_some_and(|pair| same(&pair.value, value)),
            With::CurrentValue => unreachable!("a value that was not resolved"),
        }
    }

    /// Whether the key is at the revision that the operation asks for.
    fn allows(&self, operation: &Operation) -> bool {
        let revision = match operation {
            Operation::Put(put) => put.if_revision,
            Operation::Delete { if_revision, .. } => *if_revision,
            Operation::Get { .. } | Operation::Incr { .. } => None,
        };
        revision.is_none_or(|one| one == If::Is(self.revision(operation.key())))
    }

    fn operate(&mut self, operation: &Operation, shown: &mut Shown) -> Result<Value, Refusal> {
        let (outcome, members) = match operation {
            Operation::Put(put) => {
                let revision = self.write(put, None, shown);
                ("written", vec![("revision", revision.into())])
            }
            Operation::Get { key } => match self.show(key, shown) {
                Some(members) => ("found", members),
                None => ("missing", Vec::new()),
            },
            Operation::Delete { key, .. } => match self.delete(key, shown) {
                Some(revision) => ("deleted", vec![("revision", revision.into())]),
                None => ("missing", Vec::new()),
            },
            Operation::Incr { key, by } => {
                let (value, revision) = self.incr(key, by.as_ref(), shown)?;
                (
                    "written",
                    vec![("value", value), ("revision", revision.into())],
                )
            }
        };
        let head = [("key", operation.key().into()), ("outcome", outcome.into())];
        Ok(map(head.into_iter().chain(members)))
    }
}
