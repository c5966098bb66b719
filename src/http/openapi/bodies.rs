//! The bodies of requests, and those of answers that no structure stands for. They exist for their schemas only.

use crate::config::Config;
use std::collections::HashMap;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, Schema, Type,
};
use utoipa::ToSchema;

/// A new user.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Registration {
    #[schema(min_length = 2, max_length = 64, pattern = "^[A-Za-z0-9]*$")]
    login: String,
    /// At least one of a-z, of A-Z, of 0-9 and of `!@#$%^&*()_+-=/.,`; other characters are allowed too.
    #[schema(
        format = Password,
        min_length = 8,
        max_length = 64,
        pattern = r"^(?=[\s\S]*[a-z])(?=[\s\S]*[A-Z])(?=[\s\S]*[0-9])(?=[\s\S]*[!@#$%^&*()_+\-=/.,])"
    )]
    password: String,
    /// ASCII letters and hyphens, not only hyphens.
    #[schema(min_length = 2, max_length = 32, pattern = "^-*[A-Za-z][A-Za-z-]*$")]
    name: String,
    /// ASCII letters and hyphens, not only hyphens.
    #[schema(min_length = 2, max_length = 32, pattern = "^-*[A-Za-z][A-Za-z-]*$")]
    surname: String,
}

/// Any texts are taken: what breaks a rule belongs to no user.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Credentials {
    login: String,
    #[schema(format = Password)]
    password: String,
}

/// The token to be checked, as it would stand in the header `Authorization`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Check {
    authorization: String,
}

/// The values by their keys, in the order of the request.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Values {
    data: HashMap<String, serde_json::Value>,
}

/// `success`, and which keys have not been written, where there are any.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Written {
    #[schema(pattern = "^success")]
    status: String,
}

/// The keys to be read, as many as this instance allows.
pub fn keys(config: &Config) -> Schema {
    let keys = ArrayBuilder::new()
        .items(Object::with_type(Type::String))
        .min_items(Some(1))
        .max_items(Some(config.limits.batch))
        .unique_items(true);
    let body = ObjectBuilder::new().property("keys", keys).required("keys");
    body.into()
}

/// The pairs to be written, within the limits of this instance.
pub fn pairs(config: &Config) -> Schema {
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(config.limits.key))
        .description(Some(format!(
            "At most {} bytes of UTF-8",
            config.limits.key
        )));
    let pairs = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(key.build()))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .min_properties(Some(1))
        .max_properties(Some(config.limits.batch))
        .description(Some(format!(
            "Any JSON, at most {} arrays and objects inside one another; integers are kept exactly within 64 bits",
            config.json_depth_max
        )));
    let body = ObjectBuilder::new()
        .property("data", pairs)
        .required("data");
    body.into()
}
