//! What comes back, the same whatever the front.

use crate::value::member;
use rmpv::Value;

/// The map that the procedure returns, or a refusal.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Done(Value),
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Empty under `/api`, which does not tell it.
    pub name: String,
    pub message: String,
    /// `key` and `revision` of a problem of HTTP.
    pub at: Option<(String, Option<u64>)>,
}

/// Name, code of Tarantool, status under `/v1`, what stands for it in a problem.
pub const REFUSALS: [(&str, u32, u16, &str); 7] = [
    ("no_keys", 20010, 422, "Unprocessable Content"),
    ("repeated_keys", 20011, 422, "Unprocessable Content"),
    ("missing_keys", 20012, 404, "Not Found"),
    ("no_such_key", 20050, 404, "Not Found"),
    ("conflict", 20051, 412, "Precondition Failed"),
    ("not_an_integer", 20052, 409, "Conflict"),
    ("out_of_range", 20053, 409, "Conflict"),
];

impl Refusal {
    pub fn new(name: &str, message: String) -> Self {
        Self {
            name: name.to_owned(),
            message,
            at: None,
        }
    }
}

impl Outcome {
    /// The member of the map; none where it is a refusal.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Done(value) => member(value, name),
            Self::Refused(_) => None,
        }
    }

    /// Every number that stands under `name`, in order, but not inside of values.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let mut numbers = Vec::new();
        if let Self::Done(value) = self {
            collect(value, name, &mut numbers);
        }
        numbers
    }

    /// Without the revision from which on the results of a batch or a transaction are seen. Errors: it is below one that they
    /// have been given.
    pub fn without_seen_from(mut self) -> Result<Self, String> {
        let given = match self.member("results") {
            Some(Value::Array(results)) => results.clone(),
            _ => return Ok(self),
        };
        let was_given = |one: &&Value| {
            let outcome = member(one, "outcome").and_then(Value::as_str);
            matches!(outcome, Some("written" | "deleted" | "found"))
        };
        let given = given.iter().filter(was_given);
        let last = given
            .filter_map(|one| member(one, "revision")?.as_u64())
            .max();
        let Self::Done(Value::Map(members)) = &mut self else {
            return Ok(self);
        };
        let place = members
            .iter()
            .position(|(name, _)| name.as_str() == Some("revision"));
        let seen_from = place.and_then(|place| members.remove(place).1.as_u64());
        match seen_from.is_some_and(|seen_from| seen_from >= last.unwrap_or(1)) {
            true => Ok(self),
            false => Err(format!("seen from {seen_from:?}, but {last:?} was given")),
        }
    }

    /// With times as doubles, however they were written.
    pub fn with_times(mut self) -> Self {
        if let Self::Done(value) = &mut self {
            widen_times(value);
        }
        self
    }
}

fn collect(value: &Value, wanted: &str, numbers: &mut Vec<f64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, wanted, numbers)),
        Value::Map(members) => {
            for (name, value) in members {
                match name.as_str() {
                    Some("value" | "data") => {}
                    Some(name) if name == wanted => numbers.extend(value.as_f64()),
                    _ => collect(value, wanted, numbers),
                }
            }
        }
        _ => {}
    }
}

fn widen_times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(widen_times),
        Value::Map(members) => {
            for (name, value) in members {
                match (name.as_str(), value.as_f64()) {
                    (Some("value" | "data"), _) => {}
                    (Some("expires_at"), Some(time)) => *value = time.into(),
                    _ => widen_times(value),
                }
            }
        }
        _ => {}
    }
}
