//! What the model says is what was specified.

use super::revisions::Shown;
use super::store::Store;
use crate::client::Front;
use crate::command::{Command, Compare, Expiry, If, List, Mode, Operation, Put, With};
use crate::outcome::Outcome;
use crate::value::map;
use rmpv::Value;

/// Answers in short: the text of the map, or the name and the message.
fn apply(store: &mut Store, command: &Command) -> String {
    apply_shown(store, command, &Outcome::Done(Value::Nil))
}

fn apply_shown(store: &mut Store, command: &Command, answer: &Outcome) -> String {
    match store.apply(command, &mut Shown::by(answer, 0.0, 0.0)) {
        Outcome::Done(value) => value.to_string().replace('"', "'"),
        Outcome::Refused(refusal) => format!("{}: {}", refusal.name, refusal.message),
    }
}

/// `a` = 1 at revision 2 and `b` = "x" at revision 3.
fn store() -> Store {
    let mut store = Store::default();
    let pairs = vec![Put::plain("a", 1), Put::plain("b", "x")];
    let written = apply(&mut store, &put(pairs, None, None));
    assert!(written.starts_with("{'committed': true"), "{written}");
    store
}

fn put(pairs: Vec<Put>, mode: Option<Mode>, atomic: Option<bool>) -> Command {
    Command::BatchPut {
        pairs,
        mode,
        atomic,
        expiry: None,
    }
}

fn texts(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn delete(keys: &[(&str, Option<u64>)], atomic: Option<bool>) -> Command {
    Command::BatchDelete {
        keys: keys
            .iter()
            .map(|(key, revision)| ((*key).to_owned(), revision.map(If::Is)))
            .collect(),
        atomic,
    }
}

fn get(key: &str, if_revision: &[u64]) -> Command {
    Command::PairGet {
        key: key.to_owned(),
        if_revision: if_revision.iter().copied().map(If::Is).collect(),
        none_match: Vec::new(),
        head: false,
    }
}

fn incr(key: &str, by: i64) -> Operation {
    Operation::Incr {
        key: key.to_owned(),
        by: Some(by.into()),
    }
}

#[test]
fn commands_are_answered_as_specified() {
    let with = |key: &str, revision| Put {
        if_revision: Some(If::Is(revision)),
        ..Put::plain(key, 5)
    };
    let pair_put = |key: &str, revision, mode| Command::PairPut {
        put: Put::plain(key, 5),
        if_revision: vec![If::Is(revision)],
        mode,
    };
    let list = |list: List| Command::List(list);
    for (command, answer) in [
        (
            Command::BatchGet {
                keys: texts(&["c", "b", "a"]),
                strict: false,
            },
            "{'pairs': [{'key': 'b', 'value': 'x', 'revision': 3}, {'key': 'a', 'value': 1, 'revision': 2}], 'missing': ['c']}",
        ),
        (
            Command::BatchGet {
                keys: texts(&["c", "b", "d"]),
                strict: true,
            },
            "missing_keys: These keys don't exist: c d",
        ),
        (
            Command::BatchGet {
                keys: texts(&["b", "a", "b", "a"]),
                strict: true,
            },
            "repeated_keys: Incorrect keys: you cannot pass identical keys: b a",
        ),
        (put(vec![], None, None), "no_keys: Incorrect keys: you have not passed any keys"),
        (
            put(vec![Put::plain("a", 5), Put::plain("c", 5)], Some(Mode::Insert), Some(false)),
            "{'committed': true, 'results': [{'key': 'a', 'outcome': 'exists', 'revision': 2}, {'key': 'c', 'outcome': 'written', 'revision': 4}]}",
        ),
        (
            put(vec![Put::plain("a", 5), Put::plain("c", 5)], Some(Mode::Replace), None),
            "{'committed': false, 'results': [{'key': 'a', 'outcome': 'aborted'}, {'key': 'c', 'outcome': 'missing'}]}",
        ),
        (
            put(vec![with("a", 3), with("c", 0), with("d", 1)], None, Some(false)),
            "{'committed': true, 'results': [{'key': 'a', 'outcome': 'conflict', 'revision': 2}, {'key': 'c', 'outcome': 'written', 'revision': 4}, {'key': 'd', 'outcome': 'conflict', 'revision': 0}]}",
        ),
        (
            delete(&[("b", None), ("c", None), ("a", Some(2))], None),
            "{'committed': true, 'results': [{'key': 'b', 'outcome': 'deleted', 'revision': 4}, {'key': 'c', 'outcome': 'missing'}, {'key': 'a', 'outcome': 'deleted', 'revision': 5}]}",
        ),
        (
            delete(&[("b", None), ("c", Some(7)), ("d", Some(0)), ("a", Some(0))], None),
            "{'committed': false, 'results': [{'key': 'b', 'outcome': 'aborted'}, {'key': 'c', 'outcome': 'conflict', 'revision': 0}, {'key': 'd', 'outcome': 'missing'}, {'key': 'a', 'outcome': 'conflict', 'revision': 2}]}",
        ),
        (get("a", &[7, 2]), "{'key': 'a', 'value': 1, 'revision': 2}"),
        (get("a", &[7]), "conflict: The key a is at revision 2"),
        (get("c", &[7]), "conflict: The key c does not exist"),
        (get("c", &[]), "no_such_key: The key c does not exist"),
        (
            pair_put("c", 0, None),
            "{'key': 'c', 'revision': 4, 'created': true}",
        ),
        (pair_put("a", 2, Some(Mode::Insert)), "conflict: The key a is at revision 2"),
        (
            Command::Txn {
                compare: vec![Compare {
                    key: "a".to_owned(),
                    with: With::Value(1.into()),
                }],
                success: vec![
                    incr("a", -3),
                    Operation::Get {
                        key: "a".to_owned(),
                    },
                    Operation::Delete {
                        key: "a".to_owned(),
                        if_revision: Some(If::Is(4)),
                    },
                    incr("a", 4),
                ],
                failure: vec![],
            },
            "{'succeeded': true, 'results': [{'key': 'a', 'outcome': 'written', 'value': -2, 'revision': 4}, {'key': 'a', 'outcome': 'found', 'value': -2, 'revision': 4}, {'key': 'a', 'outcome': 'deleted', 'revision': 5}, {'key': 'a', 'outcome': 'written', 'value': 4, 'revision': 6}]}",
        ),
        (
            list(List {
                limit: Some(1),
                ..List::of("")
            }),
            "{'pairs': [{'key': 'a', 'value': 1, 'revision': 2}], 'next': 'a'}",
        ),
        (
            list(List {
                after: Some("a".to_owned()),
                keys_only: Some(true),
                limit: Some(1),
                ..List::default()
            }),
            "{'keys': ['b'], 'next': nil}",
        ),
        (
            list(List {
                count: Some(true),
                to: Some("b".to_owned()),
                ..List::default()
            }),
            "{'count': 1}",
        ),
    ] {
        assert_eq!(apply(&mut store(), &command), answer, "{command:?}");
    }
}

#[test]
fn a_transaction_that_fails_changes_nothing() {
    let mut store = store();
    let txn = Command::Txn {
        compare: vec![],
        success: vec![Operation::Put(Put::plain("a", 9)), incr("b", 1)],
        failure: vec![],
    };
    let refused = "not_an_integer: The value of the key b is not an integer";
    assert_eq!(apply(&mut store, &txn), refused);
    let delete = |key: &str, revision| Operation::Delete {
        key: key.to_owned(),
        if_revision: Some(If::Is(revision)),
    };
    for (steps, refused) in [
        (vec![delete("a", 3)], "conflict: The key a is at revision 2"),
        (vec![delete("c", 7)], "conflict: The key c does not exist"),
        (
            vec![Operation::Put(Put::plain("a", 9)), delete("a", 2)],
            "conflict: The key a is at revision 2",
        ),
    ] {
        let txn = Command::Txn {
            compare: vec![],
            success: steps,
            failure: vec![],
        };
        assert_eq!(apply(&mut store, &txn), refused);
    }
    assert_eq!(
        apply(&mut store, &get("a", &[])),
        "{'key': 'a', 'value': 1, 'revision': 2}"
    );
    let next = apply(&mut store, &put(vec![Put::plain("a", 9)], None, None));
    assert!(next.contains("'revision': 4"), "{next}");
}

#[test]
fn a_time_is_learned_once_and_a_key_ends_at_it() {
    let mut store = store();
    let put = Command::PairPut {
        put: Put {
            expiry: Some(Expiry::Ttl(10.0)),
            ..Put::plain("a", 1)
        },
        if_revision: vec![],
        mode: None,
    };
    apply(&mut store, &put);
    let at = |time: f64| Outcome::Done(map([("expires_at", time.into())]));
    let shown = |time| format!("{{'key': 'a', 'value': 1, 'revision': 4, 'expires_at': {time}}}");
    let mut get = |time: f64| apply_shown(&mut store, &get("a", &[]), &at(time));
    assert_ne!(get(11.0), shown(11.0), "too late");
    assert_eq!(get(10.001), shown(10.001));
    assert_eq!(get(9.999), shown(10.001), "it may not change");
    assert!(store.settled_at(9.0) > 10.001);
    store.expire(10.0);
    assert_eq!(store.revision("a"), 4);
    store.expire(10.002);
    assert_eq!(store.revision("a"), 0);
}

#[test]
fn a_revision_that_may_have_a_gap_before_it_is_learned() {
    let mut store = store();
    store.revisions.expire();
    let write = Command::OldWrite {
        pairs: vec![("c".to_owned(), 1.into())],
    };
    apply(&mut store, &write);
    assert!(store.has_open_revisions());
    let five = Outcome::Done(map([("revision", 5.into())]));
    assert_eq!(
        apply_shown(&mut store, &get("c", &[]), &five),
        "{'key': 'c', 'value': 1, 'revision': 5}"
    );
    assert!(!store.has_open_revisions());
}

#[test]
fn a_front_shows_what_it_can() {
    let text = |outcome: Outcome, front, command: &Command| match outcome.seen(front, command) {
        Outcome::Done(value) => value.to_string().replace('"', "'"),
        Outcome::Refused(refusal) => format!("{refusal:?}").replace('"', "'"),
    };
    let typed = |value: Value| {
        Outcome::Done(map([
            ("key", "a".into()),
            ("value", value),
            ("revision", 2.into()),
            ("content_type", "text/plain".into()),
        ]))
    };
    let head = Command::PairGet {
        key: "a".to_owned(),
        if_revision: vec![],
        none_match: vec![If::Is(9)],
        head: true,
    };
    let written = map([
        ("written", 1.into()),
        ("existing", Value::Array(vec!["a".into(), "b".into()])),
    ]);
    for (outcome, command, seen) in [
        (
            typed(1.into()),
            get("a", &[]),
            "{'key': 'a', 'value': 1, 'revision': 2}",
        ),
        (
            typed(Value::Binary(vec![])),
            head,
            "{'key': 'a', 'value': nil, 'revision': 2, 'content_type': 'text/plain'}",
        ),
        (
            Outcome::Done(written),
            Command::OldWrite { pairs: vec![] },
            "{'status': 'success, but these keys have not been written: a b. Because they have already been in kv store'}",
        ),
        (
            Outcome::Done(map([("data", map([("a", Value::Binary(vec![0]))]))])),
            Command::OldRead { keys: vec![] },
            "{'data': {'a': 'AA=='}}",
        ),
    ] {
        assert_eq!(text(outcome.clone(), Front::Http, &command), seen);
        let whole = outcome.clone().seen(Front::Iproto, &command);
        assert_eq!(whole, outcome);
    }
}
