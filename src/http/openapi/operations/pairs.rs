//! What descriptions of key-value operations share: parts of pairs, and examples. Pure.

use super::super::{description::*, shapes::*};
use authkv_codec::json_read::to_msgpack;
use authkv_codec::tagged::untag;
use authkv_codec::types::Types;
use authkv_command::{Outcome, CONTENT_TYPE_MAX};
use authkv_config::Config;
use authkv_domain::{ListPage, TTL_MAX};
use serde_json::{json, Value};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

/// The schemas that several operations use.
pub fn schemas(config: &Config) -> [(&'static str, Shape); 3] {
    let about = format!(
        "Any JSON, at most {} arrays and objects inside one another; integers are kept exactly within 64 bits.\n\n\
         What JSON has no form for is an object with one member: `{{\"$binary\": \"<base64>\"}}` for bytes, and, at whatever \
         depth, for values that were stored by other ways: `{{\"$decimal\": \"1.50\"}}`, `{{\"$uuid\": \"…\"}}`, \
         `{{\"$datetime\": \"<RFC 3339>\"}}`, and `{{\"$ext\": {{\"type\": 6, \"data\": \"<base64>\"}}}}` for any other \
         extension of MessagePack. They are read as they are written. An object that itself has one such member only is \
         written `{{\"$map\": {{…}}}}`.",
        config.live().json_depth_max
    );
    let value = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(about));
    let at = revision(
        1,
        "Every change of a pair has a higher one than all before it",
    );
    let pair = [
        ("key", text("")),
        ("value", named("Value")),
        ("revision", at.into()),
    ];
    let several = list(revision(0, "").into());
    let if_revision = either(
        "The revision that the pair has to have, or several, one of which it has to have; 0 where it must not exist",
        [or_null(revision(0, "")), several.into()],
    );
    [
        ("Value", value.into()),
        ("Pair", exact_and("A pair", pair, options())),
        ("IfRevision", if_revision),
    ]
}

/// Members that only some pairs have.
pub fn options() -> [(&'static str, Shape); 2] {
    let expires_at = of(Type::Number)
        .minimum(Some(0))
        .description(Some("Seconds since 1970, where it expires"));
    let content_type = text("Of bytes, where they came with one");
    [
        ("expires_at", expires_at.into()),
        ("content_type", content_type),
    ]
}

/// A key of any length: a key that is too long does not exist.
pub fn any_key() -> Shape {
    of(Type::String).into()
}

/// A key to write.
pub fn new_key(context: &Context<'_>) -> Shape {
    let limit = context.config.live().limits.key;
    segment()
        .max_length(Some(limit))
        .description(Some(format!(
            "At most {limit} bytes of UTF-8, not `.` or `..`"
        )))
        .into()
}

pub fn if_revision() -> (&'static str, Shape) {
    ("if_revision", named("IfRevision"))
}

/// What a put may have besides the key and the value.
pub fn put_options() -> [(&'static str, Shape); 4] {
    let content_type = of(Type::String)
        .max_length(Some(CONTENT_TYPE_MAX))
        // A media type, with or without parameters.
        .pattern(Some("^[ -~]*/[ -~]*$"))
        .description(Some("The media type of a value that is bytes"));
    let [ttl, expires_at] = lifetimes("");
    let content_type = ("content_type", or_null(content_type));
    [if_revision(), ttl, expires_at, content_type]
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

/// They as members of a body. `whose` is what their descriptions begin with.
pub fn lifetimes(whose: &str) -> [(&'static str, Shape); 2] {
    lifetime().map(|(name, about, shape)| {
        let shape = shape.description(Some(format!("{whose}{about}")));
        (name, or_null(shape))
    })
}

pub fn by() -> (&'static str, Shape) {
    let by = integer().minimum(Some(i64::MIN)).maximum(Some(u64::MAX));
    let by = by.description(Some("What is added; 1 where it is left out"));
    ("by", or_null(by))
}

pub fn revision_of(about: &str, least: usize) -> (&'static str, Shape) {
    ("revision", revision(least, about).into())
}

/// The answers of a batch or a transaction, with the schema of one result. `flag` is the name and the meaning of the member
/// beside `results`.
pub fn results<const N: usize>(
    [name, name_of_one]: [&str; 2],
    one: Shape,
    [member, about]: [&str; 2],
    examples: [(&'static str, Value); N],
) -> Description {
    let results = list(named(name_of_one)).description(Some("In the order of the request"));
    let revision = revision_of("What a read takes as `min_revision` to see all of this", 1);
    let members = [(member, flag(about)), ("results", results.into()), revision];
    let shape = exact("", members);
    let applied = |example: Value| Outcome::Applied {
        revision: example["revision"].as_u64().unwrap_or_default(),
        members: msgpack(&example.to_string()),
    };
    let examples = examples.map(|(name, example)| (name, applied(example)));
    answers_of(name, shape, examples).with([(name_of_one, one)])
}

/// The members of every result.
pub fn result(outcome: ObjectBuilder) -> [(&'static str, Shape); 2] {
    [("key", text("")), ("outcome", outcome.into())]
}

pub fn planet() -> Value {
    json!({"key": "planet", "value": "Earth", "revision": 5})
}

pub fn visitor() -> Value {
    let value = json!({"$binary": "SGFsbGV5"});
    json!({
        "key": "visitor", "value": value, "revision": 7, "expires_at": 1_800_000_000, "content_type": "text/plain",
    })
}

pub fn encoded(json: Value) -> Outcome {
    Outcome::Encoded(msgpack(&json.to_string()))
}

/// A JSON text in the encoding of the core.
pub fn msgpack(text: &str) -> Vec<u8> {
    const TYPES: Types = Types::of_version(2, 11);
    const DEPTH: usize = 9;
    let plain = to_msgpack(text.as_bytes(), DEPTH).unwrap_or_default();
    let value = untag(&plain, TYPES, DEPTH).map(|value| value.into_owned());
    value.unwrap_or_default()
}

/// The last page of a list, with these items.
pub fn page(texts: &[&str]) -> ListPage {
    ListPage {
        items: texts.iter().flat_map(|text| msgpack(text)).collect(),
        count: texts.len(),
        ..ListPage::default()
    }
}
