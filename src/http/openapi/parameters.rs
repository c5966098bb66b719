//! The parameters of paths, queries and headers. Pure.

use super::kv;
use super::shapes::{count, of, segment, Shape};
use authkv_command::{Operation, PAGE, PAGE_MAX};
use authkv_domain::Limits;
use authkv_wire::routes::Route;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::Required;

/// The pattern of a role's name.
const ROLE: &str = r"^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}$";

/// The parameters of a route.
pub fn of_route(route: &Route, limits: &Limits) -> Vec<Parameter> {
    let query = route.query.iter().map(|(name, _)| {
        let (about, shape) = match route.operation {
            Operation::UserList => in_query(name),
            _ => kv::parameters::in_query(route, name),
        };
        parameter(name, about, shape).parameter_in(ParameterIn::Query)
    });
    let path = route.names().map(|name| {
        let (about, shape, example) = in_path(name, route.operation, limits);
        parameter(name, about, shape)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .example(Some(example.into()))
    });
    let header = kv::parameters::in_header(route);
    let header = header.into_iter().map(|(name, about, shape)| {
        parameter(name, about, shape).parameter_in(ParameterIn::Header)
    });
    let all = path.chain(query).chain(header);
    all.map(|one| one.build()).collect()
}

fn parameter(name: &str, about: &str, shape: Shape) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .description(Some(about))
        .schema(Some(shape))
}

fn in_path(
    name: &str,
    operation: Operation,
    limits: &Limits,
) -> (&'static str, Shape, &'static str) {
    let any = segment();
    match (name, operation) {
        ("login", _) => ("The login of a user", any.into(), "alice"),
        // Any name: a role that already exists can be revoked, whatever its name.
        ("role", Operation::RoleRevoke) => ("The name of a role", any.into(), "shop"),
        ("role", _) => {
            let role = of(Type::String).pattern(Some(ROLE));
            ("The name of a role", role.into(), "shop")
        }
        ("key", _) => {
            let (about, key) = kv::parameters::key(operation, limits);
            (about, key, "planet")
        }
        _ => (
            "The id of a key, its thumbprint (RFC 7638)",
            any.into(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    }
}

fn in_query(name: &str) -> (&'static str, Shape) {
    match name {
        "limit" => {
            let limit = count()
                .minimum(Some(1))
                .maximum(Some(PAGE_MAX))
                .default(Some(PAGE.into()));
            ("How many, at most", limit.into())
        }
        _ => (
            "The list begins after this login, which need not exist: what the list before said as `next`",
            of(Type::String).into(),
        ),
    }
}
