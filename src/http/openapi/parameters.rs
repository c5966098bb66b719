//! The parameters of paths, queries and headers. Pure.

use super::description::{Context, Description};
use super::shapes::{count, of, one_of, segment, Shape};
use authkv_command::{PAGE, PAGE_MAX};
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

/// The mode of a write.
pub fn mode() -> ParameterBuilder {
    // No default: generated clients would send it, and a mode together with If-Match is an error.
    let modes = one_of(&["insert", "upsert", "replace"]);
    let about = "What becomes of a key that exists, and of one that does not; `upsert` where it is left out";
    query("mode", about, modes)
}
