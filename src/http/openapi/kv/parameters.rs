//! The parameters of key-value operations: paths, queries and headers.

use super::super::shapes::{count, flag, of, one_of, revision, segment, Shape};
use authkv_command::{Operation, PAGE, PAGE_MAX};
use authkv_domain::{Limits, TTL_MAX};
use authkv_wire::routes::{Delivery, Route};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::RefOr;

/// A media type, with or without parameters.
pub const CONTENT_TYPE: &str = "^[ -~]*/[ -~]*$";

/// The key in a path.
pub fn key(operation: Operation, limits: &Limits) -> (&'static str, Shape) {
    let key = segment();
    let is_written = matches!(operation, Operation::PairPut | Operation::KvIncr);
    let key = key.max_length(is_written.then_some(limits.key));
    (
        "The key, percent-encoded as one segment: a slash is `%2F`. Not `.` or `..`",
        key.into(),
    )
}

/// A member of the query.
pub fn in_query(route: &Route, name: &str) -> (&'static str, Shape) {
    let [(_, ttl, for_seconds), (_, expires_at, at)] = lifetime();
    let any = || of(Type::String).into();
    match name {
        "prefix" => ("What the keys begin with", any()),
        "from" => ("The first key, which need not exist", any()),
        "to" => ("The key before which the list ends, which need not exist", any()),
        "after" if route.delivery == Delivery::Watch => (
            "The revision after which the events begin; where it is left out, those from now on",
            revision(0, "").into(),
        ),
        "after" => (
            "The list begins after this key, which need not exist: what the page before said as `next`",
            any(),
        ),
        "limit" => {
            let limit = count().minimum(Some(1)).maximum(Some(PAGE_MAX));
            ("How many, at most", limit.default(Some(PAGE.into())).into())
        }
        "keys_only" => ("Keys without their values", flag("")),
        "count" => ("Only how many there are in all", flag("")),
        "mode" => {
            // No default: generated clients would send it, and a mode together with If-Match is an error.
            let modes = one_of(&["insert", "upsert", "replace"]);
            let about = "What becomes of a key that exists, and of one that does not; `upsert` where it is left out";
            (about, modes.into())
        }
        "if_revision" => (
            "The revision that the pair has to have; 0 where it must not exist. As If-Match has it",
            revision(0, "").into(),
        ),
        "ttl" => (ttl, for_seconds.into()),
        _ => (expires_at, at.into()),
    }
}

/// The header fields of a route, beside those of all routes.
pub fn in_header(route: &Route) -> Vec<(&'static str, &'static str, Shape)> {
    // Any text: a tag that is no revision matches nothing.
    let tags = || RefOr::T(of(Type::String).into());
    let if_match = |about| ("If-Match", about, tags());
    const ONE_OF: &str =
        "The revision that the pair has to have, as an entity tag, or several of them";
    match route.operation {
        _ if route.delivery == Delivery::Watch => vec![(
            "Last-Event-ID",
            "The id of the last event that the client has; it counts before `after`",
            revision(0, "").into(),
        )],
        Operation::PairGet => vec![
            if_match(ONE_OF),
            (
                "If-None-Match",
                "Revisions that the client has, as entity tags: nothing is sent where the pair has one of them",
                tags(),
            ),
        ],
        Operation::PairPut => vec![
            if_match("The revision that the pair has to have, as an entity tag, or several of them; `*` where it has to \
                 exist, then without `mode`"),
            (
                "If-None-Match",
                "`*` where the key must not exist; not together with `If-Match`",
                one_of(&["*"]).into(),
            ),
        ],
        Operation::PairDelete => vec![if_match(ONE_OF)],
        _ => Vec::new(),
    }
}

/// The two ways to limit the life of a pair: names, descriptions and schemas.
pub fn lifetime() -> [(&'static str, &'static str, ObjectBuilder); 2] {
    let ttl = of(Type::Number).minimum(Some(0.001)).maximum(Some(TTL_MAX));
    // It has to be in the future, which a schema cannot express.
    let expires_at = of(Type::Number).minimum(Some(0));
    [
        ("ttl", "Seconds after which the pair expires", ttl),
        (
            "expires_at",
            "Seconds since 1970 at which the pair expires; not together with `ttl`",
            expires_at,
        ),
    ]
}
