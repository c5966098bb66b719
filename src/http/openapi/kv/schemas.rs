//! The bodies of key-value answers, and what they share with those of requests.
//!
//! They describe what `kv/answers.rs` and `storage` write. The tests of `openapi.rs` check that each example has the
//! members of its schema and no others.

use super::super::shapes::{
    count, exact, exact_and, flag, integer, list, named, of, one_named, one_of, or_null, revision,
    text, yes, Shape,
};
use super::streams;
use authkv_command::Operation;
use authkv_config::Config;
use authkv_wire::routes::{Delivery, Route};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

const CARRIED_OUT: &str = "Whether the batch was carried out; always, where `atomic` is false";

/// The schema of a success.
pub fn of_success(route: &Route) -> Shape {
    use Operation::*;
    if route.delivery != Delivery::Whole {
        return streams::of_success(route);
    }
    named(match route.operation {
        BatchGet => "FoundPairs",
        BatchPut => "PutResults",
        BatchDelete => "DeleteResults",
        KvTxn => "TransactionResults",
        KvList => "Listing",
        KvIncr => "Sum",
        PairPut => "WrittenPair",
        PairDelete => "DeletedPair",
        // The body is the value itself: see `responses.rs`.
        _ => "Value",
    })
}

/// The schemas of the answers.
pub fn all(config: &Config) -> Vec<(&'static str, Shape)> {
    vec![
        ("Value", value(config)),
        ("Pair", pair()),
        ("FoundPairs", {
            let members = [
                ("pairs", array(named("Pair"))),
                ("missing", array(text(""))),
            ];
            exact("What is there, and what is not", members)
        }),
        (
            "PutResults",
            results_of("committed", CARRIED_OUT, "PutResult"),
        ),
        ("PutResult", {
            let at = "That of the pair now, 0 where there is none: with `written`, `exists` and `conflict`";
            let outcomes = [
                "written",
                "exists",
                "conflict",
                "missing",
                "forbidden",
                "too_large",
                "aborted",
            ];
            result(&outcomes, [revision_of(at, 0)])
        }),
        (
            "DeleteResults",
            results_of("committed", CARRIED_OUT, "DeleteResult"),
        ),
        ("DeleteResult", {
            let at = "That of the deletion, or of the pair that is there, 0 where there is none: with `deleted` and \
                      `conflict`";
            let outcomes = ["deleted", "conflict", "missing", "forbidden", "aborted"];
            result(&outcomes, [revision_of(at, 0)])
        }),
        ("TransactionResults", {
            let about = "Whether all comparisons held, so that the results are those of `success`";
            results_of("succeeded", about, "StepResult")
        }),
        ("StepResult", step_result()),
        (
            "Listing",
            one_named(["PairListing", "KeyListing", "PairCount"]),
        ),
        (
            "PairListing",
            exact("Pairs", [("pairs", array(named("Pair"))), next()]),
        ),
        (
            "KeyListing",
            exact("With `keys_only`", [("keys", array(text(""))), next()]),
        ),
        (
            "PairCount",
            exact("With `count`", [("count", count().into())]),
        ),
        ("Sum", {
            let members = [
                ("key", text("")),
                ("value", integer().into()),
                revision_of("", 2),
            ];
            exact("The value now", members)
        }),
        ("WrittenPair", {
            let created = flag("Whether the key did not exist before");
            let members = [("key", text("")), revision_of("", 2), ("created", created)];
            exact("What was written", members)
        }),
        ("DeletedPair", {
            let members = [("deleted", yes()), revision_of("That of the deletion", 2)];
            exact("Done", members)
        }),
    ]
}

fn array(items: Shape) -> Shape {
    list(items).into()
}

fn value(config: &Config) -> Shape {
    let about = format!(
        "Any JSON, at most {} arrays and objects inside one another; integers are kept exactly within 64 bits.\n\n\
         What JSON has no form for is an object with one member: `{{\"$binary\": \"<base64>\"}}` for bytes, and, at whatever \
         depth, for values that were stored by other ways: `{{\"$decimal\": \"1.50\"}}`, `{{\"$uuid\": \"…\"}}`, \
         `{{\"$datetime\": \"<RFC 3339>\"}}`, and `{{\"$ext\": {{\"type\": 6, \"data\": \"<base64>\"}}}}` for any other \
         extension of MessagePack. They are read as they are written. An object that itself has one such member only is \
         written `{{\"$map\": {{…}}}}`.",
        config.json_depth_max
    );
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(about))
        .into()
}

fn revision_of(about: &str, least: usize) -> (&'static str, Shape) {
    ("revision", revision(least, about).into())
}

/// Members that only some pairs have.
fn options() -> [(&'static str, Shape); 2] {
    let expires_at = of(Type::Number)
        .minimum(Some(0))
        .description(Some("Seconds since 1970, where it expires"));
    let content_type = text("Of bytes, where they came with one");
    [
        ("expires_at", expires_at.into()),
        ("content_type", content_type),
    ]
}

fn pair() -> Shape {
    let members = [
        ("key", text("")),
        ("value", named("Value")),
        revision_of(
            "Every change of a pair has a higher one than all before it",
            1,
        ),
    ];
    exact_and("A pair", members, options())
}

/// The outcome for a key. Members that depend on the outcome may be missing.
fn result<const N: usize>(outcomes: &[&str], others: [(&'static str, Shape); N]) -> Shape {
    let members = [("key", text("")), ("outcome", one_of(outcomes).into())];
    exact_and("What became of a key", members, others)
}

fn results_of(member: &str, about: &str, result: &str) -> Shape {
    let results = list(named(result)).description(Some("In the order of the request"));
    exact("", [(member, flag(about)), ("results", results.into())])
}

/// `Value` has no description of its own, so the outcome describes it.
fn step_result() -> Shape {
    let outcome = one_of(&["written", "found", "deleted", "missing"]).description(Some(
        "Of a `get` that has `found`, there is what a pair has; of an `incr` that has `written`, the `value` now",
    ));
    let members = [("key", text("")), ("outcome", outcome.into())];
    let at = "That of the pair now, or of the deletion: with `written`, `found` and `deleted`";
    let [expires_at, content_type] = options();
    let others = [
        ("value", named("Value")),
        revision_of(at, 1),
        expires_at,
        content_type,
    ];
    exact_and("What became of a step", members, others)
}

/// The position after a page.
fn next() -> (&'static str, Shape) {
    let about = "What to ask `after` for those that follow; null at the end";
    ("next", or_null(of(Type::String).description(Some(about))))
}
