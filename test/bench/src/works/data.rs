//! The keys and values, which are the same for all.

use crate::subjects::etcd::{put, range};
use crate::Result;
use serde_json::{json, Map, Value};

/// In a batch.
pub const BATCH: usize = 10;
pub const CONNECTIONS: u32 = 64;

/// Keys with their values.
pub type Pairs = Vec<(String, String)>;

/// `count` pairs from the `first` on: keys of 16 bytes, and values of `size` bytes that are all different.
pub fn pairs(first: usize, count: usize, size: usize) -> Pairs {
    (first..first + count)
        .map(|number| (format!("key-{number:012}"), value(number, size)))
        .collect()
}

/// Batches of the same keys as [`pairs`], with values of their own each.
pub fn batches(first: usize, count: usize) -> Vec<Pairs> {
    (0..count)
        .map(|batch| pairs(first + batch * BATCH, BATCH, 32))
        .collect()
}

fn value(number: usize, size: usize) -> String {
    format!("value-{number:010}-")
        .chars()
        .cycle()
        .take(size)
        .collect()
}

pub fn keys(pairs: &Pairs) -> Vec<String> {
    pairs.iter().map(|(key, _)| key.clone()).collect()
}

/// `{key: value}`
pub fn object(pairs: &Pairs) -> Map<String, Value> {
    pairs
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect()
}

/// The body of `POST /v1/batch/put`.
pub fn put_body(pairs: &Pairs) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect();
    json!({ "pairs": pairs }).to_string()
}

/// A pair for the procedure `batch_put`.
pub fn put_value((key, value): &(String, String)) -> rmpv::Value {
    let members = [("key", key), ("value", value)];
    rmpv::Value::Map(
        members
            .map(|(name, text)| (name.into(), text.as_str().into()))
            .into(),
    )
}

/// The body of `POST /api/read/`.
pub fn read_body(pairs: &Pairs) -> String {
    json!({ "keys": keys(pairs) }).to_string()
}

/// A command for Webdis.
pub fn mget(pairs: &Pairs) -> String {
    format!("MGET/{}", keys(pairs).join("/"))
}

pub fn mset(pairs: &Pairs) -> String {
    let words: Vec<_> = pairs
        .iter()
        .map(|(key, value)| format!("{key}/{value}"))
        .collect();
    format!("MSET/{}", words.join("/"))
}

/// Operations for etcd.
pub fn ranges(pairs: &Pairs) -> Value {
    pairs.iter().map(|(key, _)| range(key)).collect()
}

pub fn puts(pairs: &Pairs) -> Value {
    pairs.iter().map(|(key, value)| put(key, value)).collect()
}

/// Checks that an answer has all the values, as `show` writes them.
pub fn check(answer: &[u8], pairs: &Pairs, show: fn(&str) -> String) -> Result<()> {
    let has = |text: &str| {
        answer
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    match pairs.iter().find(|(_, value)| !has(&show(value))) {
        None => Ok(()),
        Some((key, _)) => {
            let answer = String::from_utf8_lossy(&answer[..answer.len().min(2000)]);
            Err(format!("the value of {key} is not in the answer: {answer}").into())
        }
    }
}

/// Values as they are.
pub fn plain(value: &str) -> String {
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_the_sizes_asked_for_and_are_all_different() {
        let pairs = pairs(7, 20, 32);
        assert!(pairs
            .iter()
            .all(|(key, value)| key.len() == 16 && value.len() == 32));
        let values: std::collections::HashSet<_> = pairs.iter().map(|(_, value)| value).collect();
        assert_eq!(values.len(), 20);
    }

    #[test]
    fn an_answer_has_to_have_every_value() {
        let pairs = pairs(0, 2, 32);
        let answer = json!(object(&pairs)).to_string();
        assert!(check(answer.as_bytes(), &pairs, plain).is_ok());
        assert!(check(&answer.as_bytes()[..60], &pairs, plain).is_err());
    }
}
