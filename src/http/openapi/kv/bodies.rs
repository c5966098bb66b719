//! The bodies of key-value requests: schemas and examples.

use super::super::shapes::{
    closed, either, either_of, exact, exact_and, flag_or_null, integer, list, list_or_null, media,
    named, object, of, one_named, only, or_null, revision, segment, with, Shape,
};
use super::parameters::{lifetime, CONTENT_TYPE};
use authkv_command::{Operation, CONTENT_TYPE_MAX};
use authkv_config::Config;
use authkv_domain::{Limits, Txn};
use serde_json::{json, Value};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::RefOr;

/// The name of the schema of a JSON body, and an example.
pub fn of_operation(operation: Operation) -> Option<(&'static str, Value)> {
    use Operation::*;
    Some(match operation {
        BatchGet => ("KeysToRead", json!({"keys": ["orbit", "planet"]})),
        BatchPut => (
            "PairsToWrite",
            json!({"pairs": [
                {"key": "planet", "value": "Earth"},
                {"key": "moons", "value": 1, "if_revision": 0},
                {"key": "visitor", "value": {"name": "Halley"}, "ttl": 3600},
            ]}),
        ),
        BatchDelete => (
            "KeysToDelete",
            json!({"keys": ["visitor", {"key": "moons", "if_revision": 5}]}),
        ),
        KvTxn => (
            "Transaction",
            json!({
                "compare": [{"key": "planet", "value": "Earth"}],
                "success": [{"op": "incr", "key": "moons"}, {"op": "get", "key": "orbit"}],
                "failure": [{"op": "put", "key": "planet", "value": "Earth"}],
            }),
        ),
        KvIncr => ("Addition", json!({"by": 1})),
        _ => return None,
    })
}

/// A body that is a value.
pub fn value(body: RequestBodyBuilder) -> RequestBodyBuilder {
    // Only JSON: generators cannot send JSON or bytes by the type of a body, and bytes can be written in JSON.
    let example = json!({"days": 365.25, "next": null});
    body.content("application/json", media(named("Value"), example))
        .description(Some(
            "The value as JSON. Any other type is taken as well: then the bytes are kept as they are, and the type with \
             them.",
        ))
}

/// The schemas of all bodies, with the limits of this instance.
pub fn schemas(config: &Config) -> Vec<(&'static str, Shape)> {
    let limits = &config.limits;
    let batch = |items: Shape| list(items).min_items(Some(1)).max_items(Some(limits.batch));
    let atomic = || {
        let about = "All or nothing; `true` where it is left out";
        ("atomic", flag_or_null(about))
    };
    vec![
        ("KeysToRead", {
            let keys = batch(any_key()).unique_items(true).into();
            let strict = flag_or_null("A key that is missing is a failure");
            exact_and("", [("keys", RefOr::T(keys))], [("strict", strict)])
        }),
        ("PairsToWrite", {
            let pairs = batch(named("NewPair")).into();
            let object = object("", [("pairs", RefOr::T(pairs))]);
            let about = "What becomes of keys that exist, and of those that do not; `upsert` where it is left out";
            let modes = [
                json!("insert"),
                json!("upsert"),
                json!("replace"),
                Value::Null,
            ];
            let mode = of(Type::String)
                .enum_values(Some(modes))
                .description(Some(about));
            let object = with(object, [("mode", or_null(mode)), atomic()]);
            closed(with(
                object,
                lifetimes("Of pairs that have none of their own: "),
            ))
        }),
        ("NewPair", {
            let members = [("key", new_key(limits)), ("value", named("Value"))];
            let object = with(object("A pair to be written", members), [if_revision()]);
            closed(with(with(object, lifetimes("")), [content_type()]))
        }),
        ("KeysToDelete", {
            let keys = batch(named("KeyToDelete")).into();
            exact_and("", [("keys", RefOr::T(keys))], [atomic()])
        }),
        ("KeyToDelete", either([any_key(), named("KeyAtRevision")])),
        ("KeyAtRevision", {
            exact_and("", [("key", any_key())], [if_revision()])
        }),
        ("Transaction", {
            let steps = |about| list_or_null(list(named("Step")).max_items(Some(Txn::MAX)), about);
            let compare = list(named("Comparison")).max_items(Some(Txn::MAX));
            // The order matters: in another one, a generator for Python makes wrong types.
            let members = [
                ("success", steps("What is done where all comparisons hold")),
                ("failure", steps("What is done else")),
                ("compare", list_or_null(compare, "What has to hold")),
            ];
            closed(with(of(Type::Object), members))
        }),
        ("Comparison", {
            // One object, because some generators do not support two lists of different alternatives in one body.
            let about = "A key, and one of the others";
            let least = "0 where the key does not exist";
            let members = [
                ("exists", of(Type::Boolean).into()),
                ("revision", revision(0, least).into()),
                ("value", named("Value")),
            ];
            let one = with(object(about, [("key", any_key())]), members);
            closed(one.min_properties(Some(2)).max_properties(Some(2)))
        }),
        (
            "Step",
            one_named(["PutStep", "GetStep", "DeleteStep", "IncrStep"]),
        ),
        ("PutStep", put_step(limits)),
        ("GetStep", exact("", [op("get"), ("key", any_key())])),
        (
            "DeleteStep",
            exact_and("", [op("delete"), ("key", any_key())], [if_revision()]),
        ),
        ("IncrStep", {
            let members = [op("incr"), ("key", new_key(limits))];
            exact_and("", members, [("by", by())])
        }),
        ("IfRevision", {
            let one = or_null(revision(0, ""));
            let several = list(revision(0, "").into());
            let about = "The revision that the pair has to have, or several, one of which it has to have; 0 where it must \
                         not exist";
            either_of(about, [one, several.into()])
        }),
        ("Addition", {
            let object = with(of(Type::Object), [("by", by())]);
            closed(with(object, lifetimes("Where the key is new: ")))
        }),
    ]
}

fn put_step(limits: &Limits) -> Shape {
    let members = [
        op("put"),
        ("key", new_key(limits)),
        ("value", named("Value")),
    ];
    let step = with(object("", members), [if_revision()]);
    closed(with(with(step, lifetimes("")), [content_type()]))
}

/// The operation of a step in a transaction.
fn op(name: &str) -> (&'static str, Shape) {
    ("op", only(name))
}

/// A key of any length: a key that is too long does not exist.
fn any_key() -> Shape {
    of(Type::String).into()
}

/// A key to write.
pub fn new_key(limits: &Limits) -> Shape {
    segment()
        .max_length(Some(limits.key))
        .description(Some(format!(
            "At most {} bytes of UTF-8, not `.` or `..`",
            limits.key
        )))
        .into()
}

fn if_revision() -> (&'static str, Shape) {
    ("if_revision", named("IfRevision"))
}

fn lifetimes(about: &str) -> [(&'static str, Shape); 2] {
    lifetime().map(|(name, what, shape)| {
        let shape = shape.description(Some(format!("{about}{what}")));
        (name, or_null(shape))
    })
}

pub fn content_type() -> (&'static str, Shape) {
    let shape = of(Type::String)
        .max_length(Some(CONTENT_TYPE_MAX))
        .pattern(Some(CONTENT_TYPE))
        .description(Some("The media type of a value that is bytes"));
    ("content_type", or_null(shape))
}

fn by() -> Shape {
    let by = integer().minimum(Some(i64::MIN)).maximum(Some(u64::MAX));
    or_null(by.description(Some("What is added; 1 where it is left out")))
}
