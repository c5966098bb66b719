//! Random sequences of commands on keys that are few, so that they collide.

use crate::client::Front;
use crate::command::{Command, Compare, Expiry, If, List, Mode, Operation, Put, With};
use crate::instance::End;
use crate::value::{map, UUID};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use rmpv::Value;

/// In the order of their bytes, with characters that a path or a query has to escape.
const KEYS: [&str; 5] = ["a", "b", "b/ ?&%2F", "c+\"", "ключ"];
const LONGEST: usize = 24;

#[derive(Debug, Clone)]
pub enum Step {
    Send(Front, Command),
    Restart(End),
}

/// Sequences, of which few restart the instance.
pub fn sequences() -> impl Strategy<Value = Vec<Step>> {
    let send = || {
        let front = select(vec![Front::Http, Front::Iproto]);
        (front, commands()).prop_map(|(front, command)| Step::Send(front, command))
    };
    let restart = select(vec![End::Stop, End::Kill]).prop_map(Step::Restart);
    prop_oneof![
        98 => vec(send(), 1..LONGEST),
        2 => vec(prop_oneof![8 => send(), 1 => restart], 1..LONGEST),
    ]
}

fn commands() -> impl Strategy<Value = Command> {
    let batches = prop_oneof![
        (keys(), weighted(0.3, Just(()))).prop_map(|(keys, strict)| Command::BatchGet {
            keys,
            strict: strict.is_some(),
        }),
        (
            batch(put(if_revision())),
            mode(),
            of(any::<bool>()),
            expiry()
        )
            .prop_map(|(pairs, mode, atomic, expiry)| Command::BatchPut {
                pairs,
                mode,
                atomic,
                expiry,
            }),
        (
            batch((Just(String::new()), if_revision())),
            of(any::<bool>())
        )
            .prop_map(|(keys, atomic)| Command::BatchDelete { keys, atomic }),
        txn(),
        list(),
    ];
    let singles = prop_oneof![
        (key(), of(by()), expiry()).prop_map(|(key, by, expiry)| Command::Incr { key, by, expiry }),
        (key(), revisions(), revisions(), any::<bool>()).prop_map(
            |(key, if_revision, none_match, head)| Command::PairGet {
                key,
                if_revision,
                none_match,
                head,
            }
        ),
        (put(Just(None)), revisions(), mode()).prop_map(|(put, if_revision, mode)| {
            Command::PairPut {
                put,
                if_revision,
                mode,
            }
        }),
        (key(), revisions())
            .prop_map(|(key, if_revision)| Command::PairDelete { key, if_revision }),
    ];
    let old = prop_oneof![
        keys().prop_map(|keys| Command::OldRead { keys }),
        distinct((Just(String::new()), json_value())).prop_map(|pairs| Command::OldWrite { pairs }),
    ];
    prop_oneof![5 => batches, 5 => singles, 2 => old]
}

fn key() -> impl Strategy<Value = String> {
    select(KEYS.to_vec()).prop_map(str::to_owned)
}

/// Keys of a batch: nearly always one at least, and none twice.
fn keys() -> impl Strategy<Value = Vec<String>> {
    batch((Just(String::new()), Just(())))
        .prop_map(|keys| keys.into_iter().map(|it| it.0).collect())
}

/// What has a key, to be set.
trait Keyed: std::fmt::Debug + Clone {
    fn set_key(&mut self, key: &str);
}

impl Keyed for Put {
    fn set_key(&mut self, key: &str) {
        key.clone_into(&mut self.key);
    }
}

impl<T: std::fmt::Debug + Clone> Keyed for (String, T) {
    fn set_key(&mut self, key: &str) {
        key.clone_into(&mut self.0);
    }
}

fn batch<T: Keyed>(
    item: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![
        20 => distinct(item.clone()),
        1 => vec(item, 0..3).prop_map(|items| with_keys(items, &KEYS[..1].repeat(3))),
    ]
}

fn distinct<T: Keyed>(
    item: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Vec<T>> {
    subsequence(KEYS.to_vec(), 1..=KEYS.len())
        .prop_shuffle()
        .prop_flat_map(move |keys| {
            vec(item.clone(), keys.len()).prop_map(move |items| with_keys(items, &keys))
        })
}

fn with_keys<T: Keyed>(mut items: Vec<T>, keys: &[&str]) -> Vec<T> {
    for (item, key) in items.iter_mut().zip(keys) {
        item.set_key(key);
    }
    items
}

fn put(
    if_revision: impl Strategy<Value = Option<If>> + Clone + 'static,
) -> impl Strategy<Value = Put> + Clone + 'static {
    let content_types = vec!["text/plain", "image/x-icon; a=\"b\""];
    let content_type = weighted(0.2, select(content_types).prop_map(str::to_owned));
    (key(), value(), if_revision, expiry(), content_type)
        .prop_map(|(key, value, if_revision, expiry, content_type)| Put {
            key,
            value,
            if_revision,
            expiry,
            content_type,
        })
        .boxed()
}

fn txn() -> impl Strategy<Value = Command> {
    let with = prop_oneof![
        any::<bool>().prop_map(With::Exists),
        revision().prop_map(With::Revision),
        value().prop_map(With::Value),
        Just(With::CurrentValue),
    ];
    let compare = (key(), with).prop_map(|(key, with)| Compare { key, with });
    let operation = || {
        prop_oneof![
            4 => put(if_revision()).prop_map(Operation::Put),
            2 => key().prop_map(|key| Operation::Get { key }),
            2 => (key(), if_revision())
                .prop_map(|(key, if_revision)| Operation::Delete { key, if_revision }),
            1 => (key(), of(by())).prop_map(|(key, by)| Operation::Incr { key, by }),
        ]
    };
    (
        vec(compare, 0..3),
        vec(operation(), 0..4),
        vec(operation(), 0..3),
    )
        .prop_map(|(compare, success, failure)| Command::Txn {
            compare,
            success,
            failure,
        })
}

fn list() -> impl Strategy<Value = Command> {
    let bound = || select(vec!["", "a", "b", "b/", "b5", "ключ"]).prop_map(str::to_owned);
    (
        weighted(0.5, bound()),
        weighted(0.3, bound()),
        weighted(0.3, bound()),
        weighted(0.3, bound()),
        weighted(0.6, 1..5_u64),
        weighted(0.3, any::<bool>()),
        weighted(0.2, any::<bool>()),
    )
        .prop_map(|(prefix, from, to, after, limit, keys_only, count)| {
            Command::List(List {
                prefix,
                from,
                to,
                after,
                limit,
                keys_only,
                count,
            })
        })
}

/// That of the key, that of a key that does not exist, or none that was ever given.
fn revision() -> impl Strategy<Value = If> + Clone {
    prop_oneof![
        3 => Just(If::Current),
        1 => Just(If::Is(0)),
        1 => Just(If::Is(1_000_000_000_000)),
    ]
}

fn if_revision() -> impl Strategy<Value = Option<If>> + Clone {
    weighted(0.3, revision())
}

fn revisions() -> impl Strategy<Value = Vec<If>> {
    prop_oneof![3 => Just(Vec::new()), 1 => vec(revision(), 1..3)]
}

fn mode() -> impl Strategy<Value = Option<Mode>> {
    of(select(vec![Mode::Insert, Mode::Upsert, Mode::Replace]))
}

/// Mostly none; what ends soon is waited for, so it is rare.
fn expiry() -> impl Strategy<Value = Option<Expiry>> + Clone {
    prop_oneof![
        200 => Just(None),
        12 => Just(Some(Expiry::Ttl(86_400.5))),
        12 => Just(Some(Expiry::At(4_102_444_800.125))),
        3 => Just(Some(Expiry::SoonTtl)),
        1 => Just(Some(Expiry::SoonAt)),
    ]
}

fn by() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        4 => (-3..4_i64).prop_map(Value::from),
        1 => Just(i64::MIN.into()),
        1 => Just(u64::MAX.into()),
    ]
}

fn value() -> impl Strategy<Value = Value> + Clone + 'static {
    prop_oneof![
        6 => json_value(),
        1 => select(vec![
            Value::Binary(b"\0\xff\r\n".to_vec()),
            Value::Binary(Vec::new()),
            Value::Ext(UUID, (0..16).collect()),
            map([("x", Value::Binary(vec![1]))]),
        ]),
    ]
}

/// Without what JSON has no form for.
fn json_value() -> impl Strategy<Value = Value> + Clone + 'static {
    let nested = Value::Array(vec![map([("x", 1.into()), ("y", Value::Nil)]), "z".into()]);
    prop_oneof![
        (-3..4_i64).prop_map(Value::from),
        select(vec![
            Value::from(u64::MAX),
            Value::from(i64::MIN),
            Value::F64(1.0),
            Value::F64(0.1),
            Value::Nil,
            true.into(),
            "".into(),
            "ü\u{1f600}\u{1}\"\\".into(),
            Value::Array(Vec::new()),
            Value::Map(Vec::new()),
            map([("p", 1.into()), ("q", nested)]),
            map([("$binary", "AA==".into())]),
            map([("$map", map([("$uuid", Value::Nil)]))]),
        ]),
    ]
}

#[cfg(test)]
mod tests {
    use super::KEYS;

    #[test]
    fn keys_are_in_the_order_of_their_bytes() {
        assert!(KEYS.is_sorted_by(|one, other| one.as_bytes() < other.as_bytes()));
    }
}
