//! Key-value operations on many keys. Pure.

use super::super::{description::*, failures::*, parameters::*, shapes::*};
use super::pairs::*;
use super::streams::{exported, imported};
use authkv_base::error::{AccessKind, Error};
use authkv_command::{Outcome, Purged, DELETION_MAX};
use authkv_domain::ListPage;
use authkv_wire::routes::Delivery;
use serde_json::{json, Value};
use utoipa::openapi::schema::{ArrayBuilder, Type};

const COMMITTED: [&str; 2] = [
    "committed",
    "Whether the batch was carried out; always, where `atomic` is false",
];

pub fn batch_get(context: &Context<'_>) -> Description {
    let keys = batch_of(context, any_key()).unique_items(true);
    let strict = flag_or_null("A key that is missing is a failure");
    let body = closed(with(
        with(object("", [("keys", keys.into())]), [("strict", strict)]),
        freshness_of_body(),
    ));
    let pairs = ("pairs", list(named("Pair")).into());
    let missing = ("missing", list(text("")).into());
    let shape = exact("What is there, and what is not", [pairs, missing]);
    let found = encoded(json!({"pairs": [planet(), visitor()], "missing": ["orbit"]}));
    answers_of("FoundPairs", shape, [("found", found)])
        .body("KeysToRead", body, json!({"keys": ["orbit", "planet"]}))
        .fails(batch(context))
        .fails([
            repeated(),
            forbidden(AccessKind::Read),
            reply_too_large(context),
        ])
        .fails([Error::MissingKeys(vec![key()]), CONSISTENCY])
        .fails(of_freshness())
        .parameters(freshness_of_header())
}

/// Also of an import.
pub fn batch_put(context: &Context<'_>) -> Description {
    if context.route.delivery == Delivery::Import {
        return imported(context);
    }
    let about =
        "What becomes of keys that exist, and of those that do not; `upsert` where it is left out";
    let modes = [
        json!("insert"),
        json!("upsert"),
        json!("replace"),
        Value::Null,
    ];
    let mode = of(Type::String)
        .enum_values(Some(modes))
        .description(Some(about));
    let pairs = ("pairs", batch_of(context, named("NewPair")).into());
    let body = with(object("", [pairs]), [("mode", or_null(mode)), atomic()]);
    let body = with(body, lifetimes("Of pairs that have none of their own: "));
    let example = json!({"pairs": [
        {"key": "planet", "value": "Earth"},
        {"key": "moons", "value": 1, "if_revision": 0},
        {"key": "visitor", "value": {"name": "Halley"}, "ttl": 3600},
    ]});
    let members = [("key", new_key(context)), ("value", named("Value"))];
    let pair = exact_and("A pair to be written", members, put_options());
    let outcomes = [
        "written",
        "exists",
        "conflict",
        "missing",
        "forbidden",
        "too_large",
        "aborted",
    ];
    let at = "That of the pair now, 0 where there is none: with `written`, `exists` and `conflict`";
    let committed = json!({"committed": true, "results": [
        {"key": "planet", "outcome": "written", "revision": 8},
        {"key": "moons", "outcome": "written", "revision": 9},
    ], "revision": 9});
    let aborted = json!({"committed": false, "results": [
        {"key": "planet", "outcome": "aborted"},
        {"key": "moons", "outcome": "conflict", "revision": 6},
    ], "revision": 7});
    let examples = [("committed", committed), ("aborted", aborted)];
    results(
        ["PutResults", "PutResult"],
        at_revision(&outcomes, at),
        COMMITTED,
        examples,
    )
    .body("PairsToWrite", closed(body), example)
    .with([("NewPair", pair)])
    .fails(batch(context))
    .fails([repeated(), bad_key(context), MODE, BAD_VALUE])
}

pub fn batch_delete(context: &Context<'_>) -> Description {
    let keys = ("keys", batch_of(context, named("KeyToDelete")).into());
    let example = json!({"keys": ["visitor", {"key": "moons", "if_revision": 5}]});
    let outcomes = ["deleted", "conflict", "missing", "forbidden", "aborted"];
    let at = "That of the deletion, or of the pair that is there, 0 where there is none: with `deleted` and `conflict`";
    let committed = json!({"committed": true, "results": [
        {"key": "visitor", "outcome": "deleted", "revision": 10},
        {"key": "orbit", "outcome": "missing"},
    ], "revision": 10});
    let aborted = json!({"committed": false, "results": [
        {"key": "visitor", "outcome": "aborted"},
        {"key": "moons", "outcome": "conflict", "revision": 6},
    ], "revision": 7});
    let examples = [("committed", committed), ("aborted", aborted)];
    results(
        ["DeleteResults", "DeleteResult"],
        at_revision(&outcomes, at),
        COMMITTED,
        examples,
    )
    .body("KeysToDelete", exact_and("", [keys], [atomic()]), example)
    .with([
        (
            "KeyToDelete",
            either("", [any_key(), named("KeyAtRevision")]),
        ),
        (
            "KeyAtRevision",
            exact_and("", [("key", any_key())], [if_revision()]),
        ),
    ])
    .fails(batch(context))
    .fails([repeated()])
}

/// Also of an export.
pub fn kv_list(context: &Context<'_>) -> Description {
    if context.route.delivery == Delivery::Export {
        return exported();
    }
    let about = "What to ask `after` for those that follow; null at the end";
    let next = || ("next", or_null(of(Type::String).description(Some(about))));
    let pairs = ListPage {
        next: Some("visitor".to_owned()),
        ..page(&[&planet().to_string(), &visitor().to_string()])
    };
    let keys = ListPage {
        keys_only: true,
        ..page(&["\"planet\"", "\"visitor\""])
    };
    let examples = [
        ("pairs", Outcome::Listed(pairs)),
        ("keys", Outcome::Listed(keys)),
        ("count", Outcome::Counted { count: Some(2) }),
    ];
    let pairs = [("pairs", list(named("Pair")).into()), next()];
    let keys = [("keys", list(text("")).into()), next()];
    let any = || of(Type::String);
    let forms = ["PairListing", "KeyListing", "PairCount"];
    answers_of("Listing", one_named(forms), examples)
        .with([
            ("PairListing", exact("Pairs", pairs)),
            ("KeyListing", exact("With `keys_only`", keys)),
            ("PairCount", exact("With `count`", [("count", count().into())])),
        ])
        .parameters([
            query("prefix", "What the keys begin with", any()),
            query("from", "The first key, which need not exist", any()),
            query("to", "The key before which the list ends, which need not exist", any()),
            query(
                "after",
                "The list begins after this key, which need not exist: what the page before said as `next`",
                any(),
            ),
            limit(),
            query("keys_only", "Keys without their values", of(Type::Boolean)),
            query("count", "Only how many there are in all", of(Type::Boolean)),
        ])
        .parameters(freshness())
        .fails([BAD_LIMIT, CONSISTENCY])
        .fails(of_freshness())
}

pub fn kv_delete(_: &Context<'_>) -> Description {
    let purged = |deleted, more, revision| {
        Outcome::Purged(Purged {
            deleted,
            more,
            revision,
            seen_from: revision.unwrap_or(14),
        })
    };
    let examples = [
        ("deleted", purged(3, false, Some(14))),
        ("nothing", purged(0, false, None)),
    ];
    let limit = count().minimum(Some(1)).maximum(Some(DELETION_MAX));
    answers::<Purged>(examples)
        .parameters([
            query("prefix", "What the keys begin with", of(Type::String)),
            query(
                "from",
                "The first key, which need not exist",
                of(Type::String),
            ),
            query(
                "to",
                "The key before which the range ends, which need not exist",
                of(Type::String),
            ),
            query(
                "limit",
                "How many keys are deleted, at most; 100000 where it is left out",
                limit,
            ),
            query(
                "all",
                "`true` to delete all keys, without `prefix`, `from` and `to`",
                of(Type::Boolean),
            ),
        ])
        .fails([
            forbidden(AccessKind::Delete),
            bad_option("all", "true, to delete all keys"),
        ])
}

fn batch_of(context: &Context<'_>, items: Shape) -> ArrayBuilder {
    let limit = context.config.live().limits.batch;
    list(items).min_items(Some(1)).max_items(Some(limit))
}

fn atomic() -> (&'static str, Shape) {
    (
        "atomic",
        flag_or_null("All or nothing; `true` where it is left out"),
    )
}

/// The result for a key. Only some outcomes have a revision.
fn at_revision(outcomes: &[&str], about: &str) -> Shape {
    exact_and(
        "What became of a key",
        result(one_of(outcomes)),
        [revision_of(about, 0)],
    )
}
