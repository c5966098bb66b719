//! Transactions. Pure.

use super::super::{description::*, failures::*, shapes::*};
use super::pairs::*;
use authkv_base::error::AccessKind;
use authkv_domain::Txn;
use serde_json::json;
use utoipa::openapi::schema::Type;

pub fn kv_txn(context: &Context<'_>) -> Description {
    let steps = |about| list_or_null(list(named("Step")).max_items(Some(Txn::MAX)), about);
    let compare = list(named("Comparison")).max_items(Some(Txn::MAX));
    // The order matters: in another one, a generator for Python makes wrong types.
    let members = [
        ("success", steps("What is done where all comparisons hold")),
        ("failure", steps("What is done else")),
        ("compare", list_or_null(compare, "What has to hold")),
    ];
    let body = closed(with(of(Type::Object), members));
    let example = json!({
        "compare": [{"key": "planet", "value": "Earth"}],
        "success": [{"op": "incr", "key": "moons"}, {"op": "get", "key": "orbit"}],
        "failure": [{"op": "put", "key": "planet", "value": "Earth"}],
    });
    let about = "Whether all comparisons held, so that the results are those of `success`";
    let succeeded = json!({"succeeded": true, "results": [
        {"key": "moons", "outcome": "written", "value": 2, "revision": 11},
        {"key": "visitor", "outcome": "found", "value": {"name": "Halley"}, "revision": 7},
        {"key": "orbit", "outcome": "missing"},
    ], "revision": 11});
    let failed = json!({"succeeded": false, "results": [
        {"key": "planet", "outcome": "written", "revision": 12},
        {"key": "visitor", "outcome": "deleted", "revision": 13},
    ], "revision": 13});
    let examples = [("succeeded", succeeded), ("failed", failed)];
    let names = ["TransactionResults", "StepResult"];
    results(names, step_result(), ["succeeded", about], examples)
        .body("Transaction", body, example)
        .with([("Comparison", comparison())])
        .with(steps_of(context))
        .fails([
            forbidden(AccessKind::Write),
            bad_option("compare", "at most 1000 items"),
            bad_key(context),
            BAD_VALUE,
            too_large(context),
            conflict(),
        ])
        .fails(sum())
}

/// One object, because some generators do not support two lists of different alternatives in one body.
fn comparison() -> Shape {
    let about = "A key, and one of the others";
    let members = [
        ("exists", of(Type::Boolean).into()),
        (
            "revision",
            revision(0, "0 where the key does not exist").into(),
        ),
        ("value", named("Value")),
    ];
    let one = with(object(about, [("key", any_key())]), members);
    closed(one.min_properties(Some(2)).max_properties(Some(2)))
}

fn steps_of(context: &Context<'_>) -> [(&'static str, Shape); 5] {
    let op = |name| ("op", only(name));
    let new_key = || ("key", new_key(context));
    let key = || ("key", any_key());
    let put = [op("put"), new_key(), ("value", named("Value"))];
    [
        (
            "Step",
            one_named(["PutStep", "GetStep", "DeleteStep", "IncrStep"]),
        ),
        ("PutStep", exact_and("", put, put_options())),
        ("GetStep", exact("", [op("get"), key()])),
        (
            "DeleteStep",
            exact_and("", [op("delete"), key()], [if_revision()]),
        ),
        ("IncrStep", exact_and("", [op("incr"), new_key()], [by()])),
    ]
}

/// `Value` has no description of its own, so the outcome describes it.
fn step_result() -> Shape {
    let outcome = one_of(&["written", "found", "deleted", "missing"]).description(Some(
        "Of a `get` that has `found`, there is what a pair has; of an `incr` that has `written`, the `value` now",
    ));
    let at = "That of the pair now, or of the deletion: with `written`, `found` and `deleted`";
    let [expires_at, content_type] = options();
    let others = [
        ("value", named("Value")),
        revision_of(at, 1),
        expires_at,
        content_type,
    ];
    exact_and("What became of a step", result(outcome), others)
}
