//! What `/openapi.json` says (OpenAPI 3.1). Pure.
//!
//! It is made of the routes, of the table of errors, and of answers that the profile itself has rendered, so it
//! cannot say what the code does not do.

mod answers;
mod bodies;
mod words;

use super::api::{self, Authorized, Message, TokenMessage};
use super::routes::{self, Route};
use crate::command::Operation;
use crate::config::Config;
use bodies::{Check, Credentials, Registration, Values, Written};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Paths, PathsBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, Object, OneOfBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, Content, Header, InfoBuilder, LicenseBuilder, OpenApiBuilder, PathItem, Ref, RefOr,
    Required, Response, ResponseBuilder, ServerBuilder,
};

/// The name of the security scheme, which the page `/docs` knows too.
const TOKEN: &str = "token";
const JSON: &str = "application/json";

const ABOUT: &str = "Users, tokens and a batch key-value store inside Tarantool.\n\n\
    Every path is accepted with and without its trailing slash. Unknown members of a body are ignored. The shape of \
    a body (422) is checked before the token (401), the token before the rules (400).";

/// The document for an instance with these settings, as JSON text.
pub fn json(config: &Config) -> Vec<u8> {
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let tag = |name: &str, about: &str| {
        let tag = TagBuilder::new().name(name).description(Some(about));
        tag.build()
    };
    // Beside the document, wherever the server is mounted.
    let here = ServerBuilder::new()
        .url(".")
        .description(Some("this server"));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([here.build()]))
        .tags(Some([
            tag("authorization", "Users and their tokens"),
            tag("key-value", "Many keys at once"),
        ]))
        .paths(paths(config))
        .components(Some(components(config)));
    // Structures of strings do not fail to encode.
    serde_json::to_vec(&document.build()).unwrap_or_default()
}

fn paths(config: &Config) -> Paths {
    let mut routes: Vec<&Route> = routes::all().iter().collect();
    routes.sort_by_key(|route| route.operation as u8);
    let mut paths = PathsBuilder::new();
    for route in routes {
        let method = match route.has_body() {
            true => HttpMethod::Post,
            false => HttpMethod::Get,
        };
        let item = PathItem::new(method, operation(route, config));
        // The contract prints the slash.
        paths = paths.path(format!("{}/", route.path()), item);
    }
    paths.build()
}

fn operation(route: &Route, config: &Config) -> OperationBuilder {
    let words = words::of(route.operation);
    let (tag, secure) = match route.operation {
        Operation::Get | Operation::Put => ("key-value", true),
        Operation::Logout => ("authorization", true),
        _ => ("authorization", false),
    };
    let mut operation = OperationBuilder::new()
        .operation_id(Some(words.id))
        .tag(tag)
        .summary(Some(words.summary))
        .description(Some(words.description))
        .request_body(words.body.map(|(schema, example)| request(schema, example)));
    if secure {
        operation = operation.security(SecurityRequirement::new(TOKEN, [] as [&str; 0]));
    }
    for (status, response) in responses(route, config) {
        operation = operation.response(status.to_string(), response);
    }
    operation
}

fn request(schema: &str, example: Value) -> RequestBody {
    let content = Content::builder()
        .schema(Some(Ref::from_schema_name(schema)))
        .example(Some(example));
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content(JSON, content.build())
        .build()
}

/// The responses of a route by status, with every answer of that status as an example.
fn responses(route: &Route, config: &Config) -> BTreeMap<u16, Response> {
    let mut examples: BTreeMap<u16, Vec<(&str, Value)>> = BTreeMap::new();
    let mut retry = Vec::new();
    for (name, result) in answers::of(route.operation, route.allow(), config) {
        let rendered = match &result {
            Ok(outcome) => api::render_outcome(outcome).ok(),
            Err(error) => Some(api::render_error(Some(route.operation), error)),
        };
        let Some((status, body)) = rendered else {
            continue;
        };
        let body = serde_json::from_slice(&body).unwrap_or_default();
        examples.entry(status).or_default().push((name, body));
        if result.is_err_and(|error| error.retry_after().is_some()) {
            retry.push(status);
        }
    }
    let response = |(status, examples): (u16, Vec<(&str, Value)>)| {
        let mut response = ResponseBuilder::new().description(description(status));
        if status == 405 {
            response = response.header("Allow", header(Type::String, "The method that is allowed"));
        }
        if retry.contains(&status) {
            let about = "Seconds after which to try again, where that helps";
            response = response.header("Retry-After", header(Type::Integer, about));
        }
        let examples = examples.into_iter().map(|(name, body)| {
            let example = ExampleBuilder::new().value(Some(body));
            (name, example.build())
        });
        let content = Content::builder()
            .schema(Some(schema(route.operation, status)))
            .examples_from_iter(examples);
        (status, response.content(JSON, content.build()).build())
    };
    examples.into_iter().map(response).collect()
}

fn header(schema: Type, about: &str) -> Header {
    let mut header = Header::new(Object::with_type(schema));
    header.description = Some(about.to_owned());
    header
}

fn schema(operation: Operation, status: u16) -> RefOr<Schema> {
    let named = |name: &str| RefOr::Ref(Ref::from_schema_name(name));
    match (operation, status) {
        (Operation::Login, 201) => named("TokenMessage"),
        // Wrong credentials, or a service that is not offered.
        (Operation::Login, 404) => {
            let either = OneOfBuilder::new().item(named("TokenMessage"));
            RefOr::T(either.item(named("Message")).build().into())
        }
        (Operation::Check, 200) => named("Authorized"),
        (Operation::Get, 200) => named("Values"),
        (Operation::Put, 201) => named("Written"),
        _ => named("Message"),
    }
}

fn description(status: u16) -> &'static str {
    match status {
        200 | 201 => "Done",
        400 => "A rule is broken; the first one is named",
        401 => "No valid token",
        404 => "Unknown, or not offered by this instance",
        405 => "Another method than this one",
        408 => "The request did not come in time",
        413 => "The input is too large",
        415 => "The body is of another type",
        417 => "An expectation that cannot be met",
        422 => "The body is not JSON, or has another shape; it is never repeated",
        429 => "Too many connections",
        431 => "The header is too large",
        503 => "Not now",
        507 => "The storage is full",
        _ => "Internal error",
    }
}

fn components(config: &Config) -> Components {
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The token of a login"));
    ComponentsBuilder::new()
        .security_scheme(TOKEN, SecurityScheme::Http(bearer.build()))
        .schema_from::<Registration>()
        .schema_from::<Credentials>()
        .schema_from::<Check>()
        .schema("Keys", bodies::keys(config))
        .schema("Pairs", bodies::pairs(config))
        .schema_from::<Message>()
        .schema_from::<TokenMessage>()
        .schema_from::<Authorized>()
        .schema_from::<Values>()
        .schema_from::<Written>()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn document() -> Value {
        let config = Config::new(BTreeMap::new()).unwrap();
        serde_json::from_slice(&super::json(&config)).unwrap()
    }

    #[test]
    fn the_operations_are_the_routes() {
        let document = document();
        let mut described = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.push((path.trim_end_matches('/').to_owned(), method.to_uppercase()));
            }
        }
        let mut offered: Vec<(String, String)> = routes::all()
            .iter()
            .map(|route| (route.path().to_owned(), route.allow().to_owned()))
            .collect();
        described.sort();
        offered.sort();
        assert_eq!(described, offered);
    }

    #[test]
    fn an_answer_has_the_members_of_its_schema_and_no_more() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        for name in ["Message", "TokenMessage", "Authorized", "Values", "Written"] {
            let schema = &schemas[name];
            let required = schema["required"].as_array().unwrap();
            let mut required: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
            required.sort_unstable();
            let members: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            assert_eq!(schema["additionalProperties"], false, "{name}");
            assert_eq!(members, required, "{name}");
        }
    }
}
