//! API keys and service users. Pure.

use super::super::{description::*, shapes::*};
use super::sessions::{revoked, TIME};
use super::users::one_user;
use authkv_base::error::{Error, LOGIN_LETTERS};
use authkv_command::{ApiKeyList, ListedApiKey, NewApiKey, Outcome, ROLES_MAX};
use serde_json::json;
use utoipa::openapi::schema::{Schema, Type};
use utoipa::openapi::RefOr;
use utoipa::PartialSchema;

/// Errors of the input of a new key.
const BAD_TTL: Error = Error::BadOption {
    name: "ttl",
    allowed: "from 1 to 315360000 seconds",
};

const BAD_NAME: Error = Error::BadOption {
    name: "name",
    allowed: "1 to 64 characters without control characters",
};

pub fn api_key_create(_: &Context<'_>) -> Description {
    created().fails([
        BAD_TTL,
        Error::NoSuchRole,
        Error::BadRole("its user does not have it"),
        Error::TooManyApiKeys { limit: 100 },
        BAD_NAME,
    ])
}

pub fn api_key_list(_: &Context<'_>) -> Description {
    listed()
}

pub fn api_key_revoke(_: &Context<'_>) -> Description {
    revoked("revoked").fails([Error::NoSuchApiKey])
}

pub fn user_api_key_create(context: &Context<'_>) -> Description {
    api_key_create(context).fails([Error::NoSuchUser])
}

pub fn user_api_key_list(_: &Context<'_>) -> Description {
    listed().fails([Error::NoSuchUser])
}

pub fn user_api_key_revoke(_: &Context<'_>) -> Description {
    revoked("revoked").fails([Error::NoSuchUser, Error::NoSuchApiKey])
}

pub fn user_create_service(_: &Context<'_>) -> Description {
    let login = of(Type::String)
        .min_length(Some(2))
        .max_length(Some(64))
        .pattern(Some("^[A-Za-z0-9]*$"));
    let body = exact_and("", [("login", login.into())], [("roles", roles())]);
    let mut described = one_user("created", &["introspect"], false);
    described.failures.clear();
    let example = json!({"login": "backup", "roles": ["introspect"]});
    described.body("NewService", body, example).fails([
        Error::LoginTaken,
        Error::BadLogin(LOGIN_LETTERS).in_plain_words(),
        Error::NoSuchRole,
    ])
}

fn roles() -> Shape {
    let roles = list(segment().into()).max_items(Some(ROLES_MAX));
    list_or_null(roles, "Names of roles that exist")
}

fn created() -> Description {
    let ttl = count().minimum(Some(1)).maximum(Some(315_360_000));
    let ttl = ttl.description(Some("Seconds that the key lives; a year if it is left out"));
    // No control characters of either range.
    let name = of(Type::String)
        .min_length(Some(1))
        .max_length(Some(64))
        .pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]*$"));
    let body = exact_and(
        "A new API key",
        [("name", name.into())],
        [("roles", roles()), ("ttl", or_null(ttl))],
    );
    let made = Outcome::ApiKeyMade(NewApiKey {
        key: "authkv_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg…".to_owned(),
        about: one(None),
    });
    let mut shape = ListedApiKey::schema();
    if let RefOr::T(Schema::Object(shape)) = &mut shape {
        shape.description = Some("A new API key. `key` is not shown again".to_owned());
        let about = "For the header `Authorization`, with `Bearer` before it";
        shape.properties.insert("key".to_owned(), text(about));
        shape.required.push("key".to_owned());
    }
    let example = json!({"name": "nightly backup", "roles": ["default"], "ttl": 2_592_000});
    answers_of("NewApiKey", shape, [("made", made)]).body("ApiKeyRequest", body, example)
}

fn listed() -> Description {
    let api_keys = vec![one(Some(TIME + 3600))];
    answers::<ApiKeyList>([("api_keys", Outcome::ApiKeys(ApiKeyList { api_keys }))])
}

fn one(used_at: Option<u64>) -> ListedApiKey {
    ListedApiKey {
        api_key: "q0RZx7c3m3nFZ1T5tUu2dA".to_owned(),
        name: "nightly backup".to_owned(),
        roles: Some(vec!["default".to_owned()]),
        created_at: TIME,
        expires_at: TIME + 2_592_000,
        used_at,
    }
}
