//! What a front shows of an outcome.

use crate::client::Front;
use crate::command::{Command, If};
use crate::outcome::{Outcome, Refusal};
use crate::value::{as_api_shows, map, member};
use rmpv::Value;

impl Outcome {
    /// The outcome of `command` as a client of `front` sees it.
    pub fn seen(self, front: Front, command: &Command) -> Self {
        match (front, self) {
            (Front::Iproto, Self::Refused(refusal)) => Self::Refused(Refusal {
                at: None,
                ..refusal
            }),
            (Front::Iproto, done) => done,
            (Front::Http, Self::Refused(refusal)) => Self::Refused(refused(command, refusal)),
            (Front::Http, Self::Done(value)) => Self::Done(match command {
                Command::PairGet {
                    none_match, head, ..
                } => pair(value, none_match, *head),
                Command::OldRead { .. } => as_api_shows(&value),
                Command::OldWrite { .. } => written(&value),
                _ => value,
            }),
        }
    }
}

fn refused(command: &Command, refusal: Refusal) -> Refusal {
    match command {
        // No body.
        Command::PairGet { head: true, .. } => Refusal::new(&refusal.name, String::new()),
        Command::OldRead { .. } | Command::OldWrite { .. } => Refusal::new("", refusal.message),
        _ => refusal,
    }
}

/// The answer to GET or HEAD: the content type of a value that is no bytes is JSON's.
fn pair(value: Value, none_match: &[If], head: bool) -> Value {
    let revision = member(&value, "revision").and_then(Value::as_u64);
    if revision.is_some_and(|revision| none_match.contains(&If::Is(revision))) {
        let named = |name| member(&value, name).cloned().unwrap_or(Value::Nil);
        return map([
            ("key", named("key")),
            ("not_modified", true.into()),
            ("revision", named("revision")),
        ]);
    }
    let is_bytes = matches!(member(&value, "value"), Some(Value::Binary(_)));
    let Value::Map(mut members) = value else {
        return value;
    };
    members.retain(|(name, _)| is_bytes || name.as_str() != Some("content_type"));
    for (name, value) in &mut members {
        if head && name.as_str() == Some("value") {
            *value = Value::Nil;
        }
    }
    Value::Map(members)
}

/// The answer to `POST /api/write`.
fn written(value: &Value) -> Value {
    let existing: Vec<&str> = member(value, "existing")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let status = match existing.as_slice() {
        [] => "success".to_owned(),
        keys => format!(
            "success, but these keys have not been written: {}. Because they have already been in kv store",
            keys.join(" ")
        ),
    };
    map([("status", status.into())])
}
