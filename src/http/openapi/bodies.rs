//! The bodies of requests: schemas and examples. Pure.

use super::kv;
use super::shapes::{
    closed, count, exact, flag, list, media, named, object, of, or_null, text, Shape,
};
use authkv_command::{Operation, PUBLISH_MAX, ROLES_MAX};
use authkv_config::Config;
use authkv_domain::{Class, Permissions};
use authkv_wire::routes::{Delivery, Input, Route};
use serde_json::{json, Value};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Required};

/// The body of a route, if it has one.
pub fn of_route(route: &Route) -> Option<RequestBody> {
    // If all members of a body are optional, so is the body.
    let required = match route.operation {
        Operation::KeyRotate | Operation::KvIncr => Required::False,
        _ if route.delivery == Delivery::Import => Required::False,
        _ => Required::True,
    };
    let body = RequestBodyBuilder::new().required(Some(required));
    match (route.input, route.delivery) {
        (Input::Value, _) => return Some(kv::bodies::value(body).build()),
        (_, Delivery::Import) => return Some(kv::body_of_lines(body).build()),
        _ => {}
    };
    let (schema, example) = of_operation(route.operation)?;
    // Only JSON. The form of RFC 7662 §2.1 is left out, because generators write wrong code for two types.
    let body = body.content("application/json", media(named(schema), example));
    Some(body.build())
}

/// The name of the schema, and an example.
fn of_operation(operation: Operation) -> Option<(&'static str, Value)> {
    use Operation::*;
    let person =
        json!({"login": "alice", "password": "Correct-h0rse", "name": "Alice", "surname": "Smith"});
    let credentials = json!({"login": "alice", "password": "Correct-h0rse"});
    Some(match operation {
        Register => ("OldRegistration", person),
        UserRegister => ("Registration", person),
        Login => ("OldCredentials", credentials),
        SessionLogin => ("Credentials", credentials),
        Check => (
            "Check",
            json!({"authorization": "Bearer eyJ0eXAiOiJhdCtqd3Qi…"}),
        ),
        Get => ("OldKeys", json!({"keys": ["orbit", "planet"]})),
        Put => (
            "OldPairs",
            json!({"data": {"planet": "Earth", "moons": 1, "orbit": {"days": 365.25, "next": null}}}),
        ),
        SessionRefresh => (
            "RefreshToken",
            json!({"refresh_token": "Jv2cyPGHmsXqXNOtuYmKLu3a…"}),
        ),
        SessionIntrospect => ("Token", json!({"token": "eyJ0eXAiOiJhdCtqd3Qi…"})),
        UserPassword => (
            "PasswordChange",
            json!({"old_password": "Correct-h0rse", "new_password": "Battery-stap1e"}),
        ),
        UserCreate => {
            let mut person = person;
            person["roles"] = json!(["introspect"]);
            ("NewUser", person)
        }
        UserSetPassword => ("NewPassword", json!({"password": "Battery-stap1e"})),
        RoleSet => (
            "NewPermissions",
            json!({"permissions": [
                {"prefix": "shop/", "read": true, "write": true},
                {"prefix": "rates/", "read": true},
            ]}),
        ),
        KeyRotate => ("Rotation", json!({"publish": 600})),
        Logout | SessionLogoutAll | UserMe | KeySet | UserList | UserGet | UserDelete
        | UserDisable | UserEnable | UserLogout | RoleGrant | RoleRevoke | RoleList
        | RoleDelete | KeyList | KeyRetire => return None,
        BatchGet | BatchPut | BatchDelete | KvTxn | KvList | KvIncr | KvWatch | PairGet
        | PairPut | PairDelete => return kv::bodies::of_operation(operation),
    })
}

/// The schemas of all bodies, with the limits of this instance.
pub fn schemas(config: &Config) -> Vec<(&'static str, Shape)> {
    let any = || text("Any text is taken: what breaks a rule belongs to no user");
    let secret = || password_field().into();
    let roles = list(of(Type::String).into()).max_items(Some(ROLES_MAX));
    let credentials = || object("", [("login", any()), ("password", secret())]);
    vec![
        // Bodies of the profile `/api` may have other members too.
        ("OldRegistration", person(config).into()),
        ("Registration", closed(person(config))),
        ("NewUser", {
            let roles = roles.schema_type(SchemaType::from_iter([Type::Array, Type::Null]));
            let roles = roles.description(Some("Names of roles that exist"));
            closed(person(config).property("roles", roles))
        }),
        ("OldCredentials", credentials().into()),
        ("Credentials", closed(credentials())),
        ("Check", {
            let about = "The token to be checked, as it would stand in the header `Authorization`";
            object(about, [("authorization", of(Type::String).into())]).into()
        }),
        ("OldKeys", keys(config)),
        ("OldPairs", pairs(config)),
        ("RefreshToken", {
            let token = text("The refresh token of the last answer of this session");
            exact("", [("refresh_token", token)])
        }),
        ("Token", {
            // RFC 7662 §2.1: unknown parameters are ignored.
            let token = text("The token that is asked about");
            object("", [("token", token)]).into()
        }),
        ("PasswordChange", {
            let members = [
                ("old_password", secret()),
                ("new_password", password(config)),
            ];
            exact("", members)
        }),
        ("NewPassword", exact("", [("password", password(config))])),
        ("NewPermissions", {
            let permissions = list(named("NewPermission")).max_items(Some(Permissions::MAX));
            exact("", [("permissions", RefOr::T(permissions.into()))])
        }),
        ("NewPermission", new_permission(config)),
        ("Rotation", {
            let about = "Seconds from the publication of the new key to its first signature; those of the settings \
                         where none are given";
            let publish = count().maximum(Some(PUBLISH_MAX)).description(Some(about));
            closed(of(Type::Object).property("publish", or_null(publish)))
        }),
    ]
}

fn person(config: &Config) -> ObjectBuilder {
    let login = of(Type::String)
        .min_length(Some(2))
        .max_length(Some(64))
        .pattern(Some("^[A-Za-z0-9]*$"));
    let initial = || {
        of(Type::String)
            .min_length(Some(2))
            .max_length(Some(32))
            .pattern(Some("^-*[A-Za-z][A-Za-z-]*$"))
            .description(Some("ASCII letters and hyphens, not only hyphens"))
    };
    object(
        "A new user",
        [
            ("login", login.into()),
            ("password", password(config)),
            ("name", initial().into()),
            ("surname", initial().into()),
        ],
    )
}

fn password_field() -> ObjectBuilder {
    of(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
}

/// A new password, with the rules of this instance.
fn password(config: &Config) -> Shape {
    let rules = &config.password_rules;
    let (mut pattern, mut names) = ("^".to_owned(), Vec::new());
    for class in &rules.classes {
        let (name, characters) = match class {
            Class::Lower => ("of a-z", "a-z"),
            Class::Upper => ("of A-Z", "A-Z"),
            Class::Digit => ("of 0-9", "0-9"),
            Class::Special => ("of `!@#$%^&*()_+-=/.,`", r"!@#$%^&*()_+\-=/.,"),
        };
        pattern.push_str(&format!(r"(?=[\s\S]*[{characters}])"));
        names.push(name);
    }
    let mut about = match &*names {
        [] => String::new(),
        names => format!(
            "At least one {}; other characters are allowed too. ",
            names.join(", one ")
        ),
    };
    about.push_str("Under `/v1` it may not be one of the most common ones");
    password_field()
        .min_length(Some(rules.min))
        .max_length(Some(rules.max))
        .pattern((!names.is_empty()).then_some(pattern))
        .description(Some(about))
        .into()
}

/// The keys to read, with the limit of this instance.
fn keys(config: &Config) -> Shape {
    let keys = ArrayBuilder::new()
        .items(of(Type::String))
        .min_items(Some(1))
        .max_items(Some(config.limits.batch))
        .unique_items(true);
    let body = ObjectBuilder::new().property("keys", keys).required("keys");
    body.into()
}

/// The pairs to write, with the limits of this instance.
fn pairs(config: &Config) -> Shape {
    let key = of(Type::String)
        .min_length(Some(1))
        .max_length(Some(config.limits.key))
        .description(Some(format!(
            "At most {} bytes of UTF-8",
            config.limits.key
        )));
    let pairs = of(Type::Object)
        .property_names(Some(key.build()))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .min_properties(Some(1))
        .max_properties(Some(config.limits.batch))
        .description(Some(format!(
            "Any JSON, at most {} arrays and objects inside one another; integers are kept exactly within 64 bits",
            config.json_depth_max
        )));
    object("", [("data", pairs.into())]).into()
}

/// A new permission of a role, with the limits of this instance.
fn new_permission(config: &Config) -> Shape {
    let prefix = of(Type::String)
        .max_length(Some(config.limits.key))
        .description(Some(format!(
            "What the keys begin with, at most {} bytes of UTF-8; an empty one is for all keys",
            config.limits.key
        )));
    let permission = object("", [("prefix", prefix.into())])
        .property("read", flag("`false` where it is left out"))
        .property("write", flag("`false` where it is left out"));
    closed(permission)
}
