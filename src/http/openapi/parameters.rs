//! The parameters of paths, queries and headers. Pure.

use super::description::{Context, Description};
use super::shapes::{count, of, one_of, or_null, revision, segment, Shape};
use authkv_command::{PAGE, PAGE_MAX, WAIT_MAX};
use serde_json::{json, Value};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::Required;

/// The pattern of a role's name.
pub const ROLE: &str = r"^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}$";

/// The names in the path of a route.
pub fn of_path(context: &Context<'_>, description: &Description) -> Vec<Parameter> {
    let names = context.route.names().map(|name| {
        let any = segment();
        let (about, shape, example) = match name {
            "login" => ("The login of a user", any, "alice"),
            "role" => {
                let role = of(Type::String).pattern(Some(ROLE));
                ("The name of a role", role, "shop")
            }
            "session" => ("The id of a session", any, "mZ0tYrF3Qx2cVbKJ8eWu5g"),
            "api_key" => ("The id of an API key", any, "q0RZx7c3m3nFZ1T5tUu2dA"),
            "key" => (
                "The key, percent-encoded as one segment: a slash is `%2F`. Not `.` or `..`",
                any,
                "planet",
            ),
            _ => (
                "The id of a key, its thumbprint (RFC 7638)",
                any,
                "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            ),
        };
        let shape = description.in_path.clone().unwrap_or(shape.into());
        parameter(name, about, shape, ParameterIn::Path)
            .required(Required::True)
            .example(Some(example.into()))
            .build()
    });
    names.collect()
}

/// A member of the query.
pub fn query(name: &str, about: &str, shape: ObjectBuilder) -> ParameterBuilder {
    parameter(name, about, shape.into(), ParameterIn::Query)
}

/// A field of the header.
pub fn header(name: &str, about: &str, shape: ObjectBuilder) -> ParameterBuilder {
    parameter(name, about, shape.into(), ParameterIn::Header)
}

fn parameter(name: &str, about: &str, shape: Shape, place: ParameterIn) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .description(Some(about))
        .schema(Some(shape))
        .parameter_in(place)
}

/// The key of the operation, if it is in the query and not in the path.
pub fn key_of_query(context: &Context<'_>) -> Vec<ParameterBuilder> {
    let in_query = context.route.names().next().is_none();
    let key = || {
        query(
            "key",
            "The key: a slash may be `/` or `%2F`",
            of(Type::String),
        )
    };
    let key = in_query.then(|| {
        key()
            .required(Required::True)
            .example(Some("planet".into()))
    });
    key.into_iter().collect()
}

/// The size of a page.
pub fn limit() -> ParameterBuilder {
    let limit = count().minimum(Some(1)).maximum(Some(PAGE_MAX));
    query(
        "limit",
        "How many, at most",
        limit.default(Some(PAGE.into())),
    )
}

const CONSISTENCY: &str = "`stale_ok`: what this instance has; `leader`: at least what the leader has now; `linearizable`: at least \
     what most instances have now. Otherwise as the setting `CONSISTENCY` says";
const MIN_REVISION: &str = "The read waits until this instance has the changes up to this revision";

/// How fresh the pairs of a read have to be, in the query and in the header.
pub fn freshness() -> [ParameterBuilder; 5] {
    let [min_revision, timeout, consistency] = freshness_of_query();
    let [by_header, least_by_header] = freshness_of_header();
    [
        min_revision,
        timeout,
        consistency,
        by_header,
        least_by_header,
    ]
}

fn freshness_of_query() -> [ParameterBuilder; 3] {
    [
        query("min_revision", MIN_REVISION, revision(0, "")),
        query(
            "timeout",
            "Seconds that the read waits at most; 2 where it is left out",
            seconds(),
        ),
        query("consistency", CONSISTENCY, one_of(&CONSISTENCIES)),
    ]
}

/// The same in the header only.
pub fn freshness_of_header() -> [ParameterBuilder; 2] {
    [
        header("Authkv-Consistency", CONSISTENCY, one_of(&CONSISTENCIES)),
        header("Authkv-Min-Revision", MIN_REVISION, revision(0, "")),
    ]
}

/// The same as members of a body.
pub fn freshness_of_body() -> [(&'static str, Shape); 3] {
    let about = |shape: ObjectBuilder, about| or_null(shape.description(Some(about)));
    [
        ("min_revision", about(revision(0, ""), MIN_REVISION)),
        (
            "timeout",
            about(
                seconds(),
                "Seconds that the read waits at most; 2 where it is left out",
            ),
        ),
        (
            "consistency",
            about(
                of(Type::String).enum_values(Some(
                    CONSISTENCIES
                        .map(|name| json!(name))
                        .into_iter()
                        .chain([Value::Null]),
                )),
                CONSISTENCY,
            ),
        ),
    ]
}

const CONSISTENCIES: [&str; 3] = ["stale_ok", "leader", "linearizable"];

fn seconds() -> ObjectBuilder {
    of(Type::Number).minimum(Some(0)).maximum(Some(WAIT_MAX))
}

/// The mode of a write.
pub fn mode() -> ParameterBuilder {
    // No default: generated clients would send it, and a mode together with If-Match is an error.
    let modes = one_of(&["insert", "upsert", "replace"]);
    let about = "What becomes of a key that exists, and of one that does not; `upsert` where it is left out";
    query("mode", about, modes)
}
