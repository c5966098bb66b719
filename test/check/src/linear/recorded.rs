//! Histories that another program has recorded: `test/support/replication/histories.py` writes them, one JSON object in a line.

use super::checker::{check, Entry, Verdict};
use super::history::Operations;
use super::spec::{Answer, Operation, State, Store};
use crate::Result;
use serde::Deserialize;

/// One history.
#[derive(Debug, Deserialize)]
pub struct Recorded {
    pub number: u64,
    /// A revision that was given before the history began.
    after: u64,
    operations: Vec<Line>,
}

/// Times are nanoseconds. Without an answer nobody knows whether it happened.
#[derive(Debug, Deserialize)]
struct Line {
    called: u64,
    operation: Operation,
    answered: Option<(u64, Answer)>,
}

impl Recorded {
    /// The history of a line. Errors: a line that is none.
    pub fn read(line: &str) -> Result<Self> {
        Ok(serde_json::from_str(line)?)
    }

    /// What the clients did, in the order of their calls.
    pub fn history(&self) -> Operations {
        let mut history: Operations = self
            .operations
            .iter()
            .map(|line| Entry {
                operation: line.operation.clone(),
                called: line.called,
                answered: line.answered.clone(),
            })
            .collect();
        history.sort_by_key(|entry| entry.called);
        history
    }

    /// Whether the history has an order. Its keys are not there when it begins, and others write too.
    pub fn verdict(&self) -> Verdict {
        let store = Store { dense: false };
        check(&store, &State::after(self.after), &self.history())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(operations: &str) -> Verdict {
        let line = format!(r#"{{"number": 1, "after": 4, "operations": [{operations}]}}"#);
        Recorded::read(&line).unwrap().verdict()
    }

    const PUT: &str = r#"{"called": 1, "operation": {"Put": {"key": 0, "value": 7, "if_revision": null}},
        "answered": [2, {"Written": [5]}]}"#;
    const INCR: &str = r#"{"called": 3, "operation": {"Incr": {"key": 0, "by": 2}}, "answered": [4, {"Counted": [9, 8]}]}"#;
    const UNKNOWN: &str =
        r#"{"called": 3, "operation": {"Incr": {"key": 0, "by": 2}}, "answered": null}"#;

    fn read(seen: &str) -> String {
        format!(
            r#"{{"called": 8, "operation": {{"Read": {{"list": false}}}}, "answered": [9, {{"All": [{seen}, null, null]}}]}}"#
        )
    }

    #[test]
    fn a_history_is_read_and_has_an_order() {
        let reads = [(INCR, "[9, 8]"), (UNKNOWN, "[9, 8]"), (UNKNOWN, "[7, 5]")];
        for (increment, seen) in reads {
            let seen = verdict(&[PUT, increment, &read(seen)].join(","));
            assert!(matches!(seen, Verdict::Linearizable(_)), "{seen:?}");
        }
    }

    #[test]
    fn a_lost_write_is_found() {
        for seen in ["null", "[7, 5]"] {
            let seen = verdict(&[PUT, INCR, &read(seen)].join(","));
            assert!(matches!(seen, Verdict::Not(_)), "{seen:?}");
        }
    }

    #[test]
    fn a_revision_that_went_back_is_found() {
        let back = PUT.replace("[5]", "[4]");
        assert!(matches!(verdict(&back), Verdict::Not(_)));
    }
}
