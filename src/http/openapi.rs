//! The document `/openapi.json` (OpenAPI 3.1). Pure.
//!
//! It is generated from the routes, from the table of errors, and from answers that the profiles have rendered. So it
//! describes what the code does.

mod description;
mod failures;
mod operations;
mod parameters;
mod responses;
mod shapes;
#[cfg(test)]
mod tests;

use super::v1::Problem;
use authkv_command::{Privilege, TAGS};
use authkv_config::{Config, HttpConfig};
use authkv_wire::routes::{self, Route};
use description::{Context, Description};
use operations::{describe, schemas};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Paths, PathsBuilder};
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApiBuilder, PathItem, ServerBuilder,
};

/// The name of the security scheme. The page `/docs` uses it too.
const TOKEN: &str = "token";

const ABOUT: &str = "Users, tokens and a batch key-value store inside Tarantool.\n\n\
    `/api` is what clients of the old services know; `/v1` has sessions, roles and administration, pairs with \
    revisions, which may expire, transactions and changes, and answers failures with problems of RFC 9457. The tokens of both are good for both.\n\n\
    Under `/api` a path may end with a slash as well, and unknown members of a body are ignored; under `/v1` both are \
    failures. The shape of \
    the input (422 under `/api`, 400 under `/v1`) is checked before the token (401), the token before the role (403), \
    and the role before the rules (400 under `/api`, 422 under `/v1`).";

/// The document for an instance with these settings, as JSON. `http` may be newer than the HTTP settings in `config`.
pub fn json(config: &Config, http: &HttpConfig) -> Vec<u8> {
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let tags = TAGS.map(|(name, about)| {
        let tag = TagBuilder::new().name(name).description(Some(about));
        tag.build()
    });
    // Relative to the document, because a proxy may mount the server under a prefix.
    let here = ServerBuilder::new()
        .url(".")
        .description(Some("this server"));
    let all = describe_all(config, http);
    let document = OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([here.build()]))
        .tags(Some(tags))
        .paths(paths(&all))
        .components(Some(components(config, all)));
    super::response::json(&document.build())
}

/// All routes with their descriptions, those of the contract first.
fn describe_all<'a>(config: &'a Config, http: &'a HttpConfig) -> Vec<(Context<'a>, Description)> {
    let mut routes: Vec<&Route> = routes::all().iter().collect();
    routes.sort_by_key(|route| (route.profile as u8, route.operation as u8));
    let described = routes.into_iter().map(|route| {
        let context = Context {
            route,
            config,
            http,
        };
        let description = describe(&context);
        (context, description)
    });
    described.collect()
}

fn paths(all: &[(Context<'_>, Description)]) -> Paths {
    let mut paths = PathsBuilder::new();
    for (context, description) in all {
        let method = match context.route.method() {
            "GET" => HttpMethod::Get,
            "PUT" => HttpMethod::Put,
            "DELETE" => HttpMethod::Delete,
            _ => HttpMethod::Post,
        };
        // Adds an operation to a path. No path ends with a slash, which some tools take for a mistake.
        paths = paths.path(
            context.route.path(),
            PathItem::new(method, operation(context, description)),
        );
    }
    paths.build()
}

fn operation(context: &Context<'_>, description: &Description) -> OperationBuilder {
    let route = context.route;
    let words = route.endpoint;
    // In `/v1` the id of an operation is the name of its procedure.
    let id = match words.id {
        "" => route.operation.row().name,
        id => id,
    };
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag(words.tag)
        .summary(Some(words.summary))
        .description(Some(words.description))
        .request_body(description.body.clone());
    let in_path = parameters::of_path(context, description);
    for parameter in in_path.iter().chain(&description.parameters) {
        operation = operation.parameter(parameter.clone());
    }
    // An empty list says that no token is needed. A missing list could be an omission.
    let needs_token = route.operation.privilege(context.config) != Privilege::Nothing;
    let token = needs_token.then(|| SecurityRequirement::new(TOKEN, [] as [&str; 0]));
    operation = operation.securities(Some(token));
    for (status, response) in responses::of_route(context, description) {
        operation = operation.response(status.to_string(), response);
    }
    operation
}

fn components(config: &Config, all: Vec<(Context<'_>, Description)>) -> Components {
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The token of a login"));
    ComponentsBuilder::new()
        .security_scheme(TOKEN, SecurityScheme::Http(bearer.build()))
        .schema_from::<Problem>()
        .schemas_from_iter(schemas(config))
        .schemas_from_iter(all.into_iter().flat_map(|(_, one)| one.schemas))
        .build()
}
