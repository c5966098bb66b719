//! Key-value operations on one key. Pure.

use super::super::{description::*, failures::*, parameters::*, shapes::*};
use super::pairs::*;
use authkv_base::error::{AccessKind, Error};
use authkv_command::Outcome;
use serde_json::{json, Value};
use utoipa::openapi::path::ParameterBuilder;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::Required;

const ONE_OF: &str = "The revision that the pair has to have, as an entity tag, or several of them";

pub fn kv_incr(context: &Context<'_>) -> Description {
    let body = with(of(Type::Object), [by()]);
    let body = closed(with(body, lifetimes("Where the key is new: ")));
    let members = [
        ("key", text("")),
        ("value", integer().into()),
        revision_of("", 2),
    ];
    let added = Outcome::Applied {
        members: msgpack(r#"{"key": "moons", "value": 2, "revision": 11}"#),
        revision: 11,
    };
    answers_of("Sum", exact("The value now", members), [("added", added)])
        .body("Addition", body, json!({"by": 1}))
        .optional()
        .parameters(key_of_query(context))
        .in_path(segment().max_length(Some(context.config.live().limits.key)))
        .fails([forbidden(AccessKind::Write), bad_key(context), TTL])
        .fails(sum())
}

pub fn pair_get(context: &Context<'_>) -> Description {
    let pair = |json: Value| Outcome::Pair(msgpack(&json.to_string()));
    let orbit = json!({"key": "orbit", "value": {"days": 365.25, "next": null}, "revision": 5});
    let [min_revision, timeout, consistency, by_header, least_by_header] = freshness();
    let known = "Revisions that the client has, as entity tags: nothing is sent where the pair has one of them";
    Description {
        answers: vec![
            ("json", pair(orbit)),
            ("bytes", pair(visitor())),
            ("unchanged", pair(planet())),
        ],
        ..Description::default()
    }
    .parameters(key_of_query(context))
    .parameters([
        if_revision(),
        min_revision,
        timeout,
        consistency,
        // Any text: a tag that is no revision matches nothing.
        header("If-Match", ONE_OF, of(Type::String)),
        header("If-None-Match", known, of(Type::String)),
        by_header,
        least_by_header,
    ])
    .fails(of_freshness())
    .fails([
        CONSISTENCY,
        forbidden(AccessKind::Read),
        Error::NoSuchKey(key()),
        conflict(),
    ])
}

pub fn pair_put(context: &Context<'_>) -> Description {
    // Only JSON: generators cannot send JSON or bytes by the type of a body, and bytes can be written in JSON.
    let example = json!({"days": 365.25, "next": null});
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", media(named("Value"), example))
        .description(Some(
            "The value as JSON. Any other type is taken as well: then the bytes are kept as they are, and the type with \
             them.",
        ));
    let written = |created| Outcome::PairWritten {
        key: "planet".to_owned(),
        revision: 5,
        created,
    };
    let created = flag("Whether the key did not exist before");
    let members = [("key", text("")), revision_of("", 2), ("created", created)];
    let shape = exact("What was written", members);
    let examples = [("created", written(true)), ("replaced", written(false))];
    let [ttl, expires_at] = lifetime().map(|(name, about, shape)| query(name, about, shape));
    Description {
        body: Some(body.build()),
        ..answers_of("WrittenPair", shape, examples)
    }
    .in_path(segment().max_length(Some(context.config.live().limits.key)))
    .parameters(key_of_query(context))
    .parameters([
        if_revision(),
        mode(),
        ttl,
        expires_at,
        header(
            "If-Match",
            "The revision that the pair has to have, as an entity tag, or several of them; `*` where it has to exist, then \
             without `mode`",
            of(Type::String),
        ),
        header(
            "If-None-Match",
            "`*` where the key must not exist; not together with `If-Match`",
            one_of(&["*"]),
        ),
    ])
    .fails([forbidden(AccessKind::Write), conflict(), bad_key(context), TTL, BAD_VALUE])
    .fails([too_large(context)])
}

pub fn pair_delete(context: &Context<'_>) -> Description {
    let deleted = Outcome::PairDeleted {
        deleted: true,
        revision: 14,
    };
    let members = [("deleted", yes()), revision_of("That of the deletion", 2)];
    answers_of(
        "DeletedPair",
        exact("Done", members),
        [("deleted", deleted)],
    )
    .parameters(key_of_query(context))
    .parameters([if_revision(), header("If-Match", ONE_OF, of(Type::String))])
    .fails([
        forbidden(AccessKind::Write),
        Error::NoSuchKey(key()),
        conflict(),
    ])
}

fn if_revision() -> ParameterBuilder {
    query(
        "if_revision",
        "The revision that the pair has to have; 0 where it must not exist. As If-Match has it",
        revision(0, ""),
    )
}
