//! Successes of the key-value operations, as outcomes.

use super::encoded::{msgpack, page};
use super::streams;
use authkv_command::{Operation, Outcome};
use authkv_domain::ListPage;
use authkv_wire::routes::{Delivery, Route};
use serde_json::{json, Value};

/// All successes of a route, by name.
pub fn of_route(route: &Route) -> Vec<(&'static str, Outcome)> {
    use Operation::*;
    if route.delivery != Delivery::Whole {
        return streams::answers(route.delivery);
    }
    let planet = || json!({"key": "planet", "value": "Earth", "revision": 5});
    let visitor = || {
        let value = json!({"$binary": "SGFsbGV5"});
        json!({
            "key": "visitor", "value": value, "revision": 7, "expires_at": 1_800_000_000, "content_type": "text/plain",
        })
    };
    match route.operation {
        BatchGet => vec![(
            "found",
            encoded(json!({"pairs": [planet(), visitor()], "missing": ["orbit"]})),
        )],
        BatchPut => vec![
            (
                "committed",
                encoded(json!({"committed": true, "results": [
                    {"key": "planet", "outcome": "written", "revision": 8},
                    {"key": "moons", "outcome": "written", "revision": 9},
                ]})),
            ),
            (
                "aborted",
                encoded(json!({"committed": false, "results": [
                    {"key": "planet", "outcome": "aborted"},
                    {"key": "moons", "outcome": "conflict", "revision": 6},
                ]})),
            ),
        ],
        BatchDelete => vec![
            (
                "committed",
                encoded(json!({"committed": true, "results": [
                    {"key": "visitor", "outcome": "deleted", "revision": 10},
                    {"key": "orbit", "outcome": "missing"},
                ]})),
            ),
            (
                "aborted",
                encoded(json!({"committed": false, "results": [
                    {"key": "visitor", "outcome": "aborted"},
                    {"key": "moons", "outcome": "conflict", "revision": 6},
                ]})),
            ),
        ],
        KvTxn => vec![
            (
                "succeeded",
                encoded(json!({"succeeded": true, "results": [
                    {"key": "moons", "outcome": "written", "value": 2, "revision": 11},
                    {"key": "visitor", "outcome": "found", "value": {"name": "Halley"}, "revision": 7},
                    {"key": "orbit", "outcome": "missing"},
                ]})),
            ),
            (
                "failed",
                encoded(json!({"succeeded": false, "results": [
                    {"key": "planet", "outcome": "written", "revision": 12},
                    {"key": "visitor", "outcome": "deleted", "revision": 13},
                ]})),
            ),
        ],
        KvList => vec![
            (
                "pairs",
                Outcome::Listed(ListPage {
                    next: Some("visitor".to_owned()),
                    ..page(&[&planet().to_string(), &visitor().to_string()])
                }),
            ),
            (
                "keys",
                Outcome::Listed(ListPage {
                    keys_only: true,
                    ..page(&["\"planet\"", "\"visitor\""])
                }),
            ),
            ("count", Outcome::Counted { count: Some(2) }),
        ],
        KvIncr => vec![(
            "added",
            encoded(json!({"key": "moons", "value": 2, "revision": 11})),
        )],
        PairGet => vec![
            (
                "json",
                pair(
                    json!({"key": "orbit", "value": {"days": 365.25, "next": null}, "revision": 5}),
                ),
            ),
            ("bytes", pair(visitor())),
            ("unchanged", pair(planet())),
        ],
        PairPut => {
            let written = |created| Outcome::PairWritten {
                key: "planet".to_owned(),
                revision: 5,
                created,
            };
            vec![("created", written(true)), ("replaced", written(false))]
        }
        PairDelete => vec![(
            "deleted",
            Outcome::PairDeleted {
                deleted: true,
                revision: 14,
            },
        )],
        _ => vec![],
    }
}

fn encoded(json: Value) -> Outcome {
    Outcome::Encoded(msgpack(&json.to_string()))
}

fn pair(json: Value) -> Outcome {
    Outcome::Pair(msgpack(&json.to_string()))
}
