//! The operations of the contract, `/api`. A body may have other members there. Pure.

use super::super::{description::*, failures::*, parameters::*, shapes::*};
use super::sessions::{alice_and_password, claims, credentials, revoked, TOKEN};
use super::users::{alice, person};
use crate::http::api::{Authorized, Message, TokenMessage};
use authkv_base::error::{AccessKind, Error};
use authkv_codec::json_read::to_msgpack;
use authkv_command::{Outcome, Registered, TokenType};
use authkv_wire::routes::Profile;
use serde_json::json;
use std::collections::HashMap;
use utoipa::openapi::schema::{AdditionalProperties, Type};
use utoipa::ToSchema;

/// The values by their keys, in the order of the request.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Values {
    data: HashMap<String, serde_json::Value>,
}

/// `success`, and which keys have not been written, where there are any.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Written {
    #[schema(pattern = "^success")]
    status: String,
}

pub fn auth_register(context: &Context<'_>) -> Description {
    let login = "alice".to_owned();
    answers::<Message>([("registered", Outcome::Registered(Registered { login }))])
        .body("OldRegistration", person(context).into(), alice())
        .fails(registration(
            "the password should have at least one UPPER_CASE",
        ))
}

pub fn auth_login(_: &Context<'_>) -> Description {
    let logged_in = Outcome::LoggedIn {
        token: TOKEN.to_owned(),
        token_type: TokenType::Bearer,
        expires_in: 1800,
        login: String::new(),
        jti: String::new(),
    };
    answers::<TokenMessage>([("logged_in", logged_in)])
        .body("OldCredentials", credentials().into(), alice_and_password())
        // Wrong credentials, or the service is not offered.
        .with([("LoginFailure", one_named(["TokenMessage", "Message"]))])
        .only_reads()
        // The row of the user has to be durable.
        .fails([Error::InvalidCredentials, ATTEMPTS, Error::NotDurable])
}

pub fn auth_logout(context: &Context<'_>) -> Description {
    let done = revoked("logged_out");
    match context.route.profile {
        Profile::Api => answers::<Message>(done.answers),
        Profile::V1 => done,
    }
}

pub fn auth_check(_: &Context<'_>) -> Description {
    let about = "The token to be checked, as it would stand in the header `Authorization`";
    let body = object(about, [("authorization", of(Type::String).into())]);
    answers::<Authorized>([
        ("authorized", Outcome::Checked(Some(claims()))),
        ("refused", Outcome::Checked(None)),
    ])
    .body(
        "Check",
        body.into(),
        json!({"authorization": format!("Bearer {TOKEN}")}),
    )
    .fails([Error::RevocationsUnknown])
}

pub fn kv_get(context: &Context<'_>) -> Description {
    let found = br#"{"data":{"orbit":{"days":365.25,"next":null},"planet":"Earth"}}"#;
    let found = to_msgpack(found, 3).unwrap_or_default();
    let limit = context.config.live().limits.batch;
    let keys = list(of(Type::String).into()).unique_items(true);
    let keys = keys.min_items(Some(1)).max_items(Some(limit));
    let body = object("", [("keys", keys.into())]);
    answers::<Values>([("found", Outcome::Found(found))])
        .body("OldKeys", body.into(), json!({"keys": ["orbit", "planet"]}))
        .fails(batch(context))
        .fails([
            forbidden(AccessKind::Read),
            repeated(),
            Error::MissingKeys(vec!["planet".to_owned(), "orbit".to_owned()]),
            reply_too_large(context),
        ])
        .fails(of_freshness())
        .parameters(freshness_of_header())
}

pub fn kv_put(context: &Context<'_>) -> Description {
    let config = context.config;
    let written = |existing: &[&str]| Outcome::Written {
        written: 1,
        existing: existing.iter().map(|key| (*key).to_owned()).collect(),
        revision: 9,
    };
    let key = of(Type::String)
        .min_length(Some(1))
        .max_length(Some(config.live().limits.key))
        .description(Some(format!(
            "At most {} bytes of UTF-8",
            config.live().limits.key
        )));
    let pairs = of(Type::Object)
        .property_names(Some(key.build()))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .min_properties(Some(1))
        .max_properties(Some(config.live().limits.batch))
        .description(Some(format!(
            "Any JSON, at most {} arrays and objects inside one another; integers are kept exactly within 64 bits",
            config.live().json_depth_max
        )));
    let example =
        json!({"data": {"planet": "Earth", "moons": 1, "orbit": {"days": 365.25, "next": null}}});
    answers::<Written>([
        ("all_written", written(&[])),
        ("some_existed", written(&["planet", "moons"])),
    ])
    .body(
        "OldPairs",
        object("", [("data", pairs.into())]).into(),
        example,
    )
    .fails(batch(context))
    .fails([
        forbidden(AccessKind::Write),
        bad_key(context),
        too_large(context),
    ])
}
