//! Sessions and their tokens. Pure.

use super::super::{description::*, failures::*, parameters::*, shapes::*};
use authkv_base::error::{AccessKind, Error};
use authkv_command::{
    ActiveSession, Allowed, Done, Introspection, Outcome, Session, SessionList, TokenType,
};
use authkv_domain::Claims;
use serde_json::{json, Value};
use std::sync::Arc;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

pub const TOKEN: &str = "eyJ0eXAiOiJhdCtqd3Qi…";
const REFRESH: &str = "Jv2cyPGHmsXqXNOtuYmKLu3a…";
/// The id of a session.
const SESSION_ID: &str = "mZ0tYrF3Qx2cVbKJ8eWu5g";
/// A moment, in seconds since 1970.
pub const TIME: u64 = 1_800_000_000;

pub fn session_login(_: &Context<'_>) -> Description {
    answers::<Session>([("logged_in", session())])
        .body("Credentials", closed(credentials()), alice_and_password())
        .fails([Error::InvalidCredentials, ATTEMPTS])
}

pub fn session_refresh(_: &Context<'_>) -> Description {
    let token = text("The refresh token of the last answer of this session");
    let example = json!({"refresh_token": REFRESH});
    answers::<Session>([("refreshed", session())])
        .body(
            "RefreshToken",
            exact("", [("refresh_token", token)]),
            example,
        )
        .fails([Error::InvalidRefreshToken { reused: None }])
}

/// The answer has no body over HTTP.
pub fn auth_access(_: &Context<'_>) -> Description {
    let allowed = Outcome::Allowed(Allowed {
        login: "alice".to_owned(),
        roles: vec!["shop".to_owned()],
    });
    let kinds = one_of(&["read", "write", "insert", "update", "delete"]);
    Description {
        answers: vec![("allowed", allowed)],
        ..Description::default()
    }
    .parameters([
        query(
            "role",
            "A role that the user has to have",
            of(Type::String).pattern(Some(ROLE)),
        ),
        query(
            "key",
            "A key that the user has to have access to, which need not exist",
            of(Type::String),
        ),
        query(
            "access",
            "Which access to `key`; `read` where it is left out",
            kinds,
        ),
    ])
    .fails([
        Error::RoleRequired("shop".into()),
        forbidden(AccessKind::Read),
        bad_option("access", "given together with key"),
        Error::BadRole("its name should have 1 to 128 ASCII letters, digits, _, - and ."),
    ])
}

pub fn session_list(_: &Context<'_>) -> Description {
    sessions(true)
}

pub fn session_revoke(_: &Context<'_>) -> Description {
    revoked("revoked").fails([Error::NoSuchSession])
}

pub fn user_session_list(_: &Context<'_>) -> Description {
    sessions(false).fails([Error::NoSuchUser])
}

pub fn user_session_revoke(_: &Context<'_>) -> Description {
    revoked("revoked").fails([Error::NoSuchUser, Error::NoSuchSession])
}

fn sessions(current: bool) -> Description {
    let session = ActiveSession {
        session: SESSION_ID.to_owned(),
        created_at: TIME,
        refreshed_at: Some(TIME + 1800),
        expires_at: TIME + 1800 + 1_209_600,
        address: Some("192.0.2.7".to_owned()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0)".to_owned()),
        current,
    };
    let sessions = vec![session];
    answers::<SessionList>([("sessions", Outcome::Sessions(SessionList { sessions }))])
}

pub fn session_logout_all(_: &Context<'_>) -> Description {
    revoked("logged_out")
}

/// RFC 7662 §2. The answer is one object, because generators cannot tell two apart by a boolean.
pub fn session_introspect(_: &Context<'_>) -> Description {
    // Unknown parameters are ignored.
    let body = object("", [("token", text("The token that is asked about"))]);
    let time = |about: &str| seconds(&format!("{about}: seconds since 1970"));
    let active =
        flag("Whether it holds at this moment. Only then there are other members, and all of them");
    let others = [
        ("token_type", only("Bearer")),
        ("username", text("The login")),
        ("sub", text("The login")),
        ("iss", text("")),
        ("aud", text("")),
        ("jti", text("The id of the token")),
        ("iat", time("It was issued then")),
        ("nbf", time("It holds from then on")),
        ("exp", time("It holds until then")),
        (
            "email_verified",
            flag("Whether the login is an e-mail address that is verified"),
        ),
    ];
    let shape = exact_and("What a token is worth", [("active", active)], others);
    let known = Introspection {
        claims: claims(),
        email_verified: false,
    };
    let examples = [
        ("active", Outcome::Introspected(Some(known))),
        ("inactive", Outcome::Introspected(None)),
    ];
    answers_of("Introspection", shape, examples)
        .body("Token", body.into(), json!({"token": TOKEN}))
        .only_reads()
}

/// The end of sessions.
pub fn revoked(example: &'static str) -> Description {
    let shape = exact("Done", [("revoked", yes())]);
    answers_of("Revoked", shape, [(example, Outcome::Done(Done::Revoked))])
}

pub fn credentials() -> ObjectBuilder {
    let login = text("Any text is taken: what breaks a rule belongs to no user");
    object("", [("login", login), ("password", secret().into())])
}

pub fn alice_and_password() -> Value {
    json!({"login": "alice", "password": "Correct-h0rse"})
}

/// A password, to be refined.
pub fn secret() -> ObjectBuilder {
    of(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
}

fn session() -> Outcome {
    Outcome::Session(Session {
        access_token: TOKEN.to_owned(),
        token_type: TokenType::Bearer,
        expires_in: 1800,
        refresh_token: REFRESH.to_owned(),
        refresh_expires_in: 1_209_600,
        login: String::new(),
        jti: String::new(),
        again: false,
    })
}

pub fn claims() -> Arc<Claims> {
    Arc::new(Claims {
        iss: "authkv".to_owned(),
        aud: "authkv".to_owned(),
        sub: "alice".to_owned(),
        jti: "8GTQwyHkZBvqSAnvWM5E5g".to_owned(),
        iat: TIME,
        nbf: TIME,
        exp: TIME + 1800,
        username: "alice".to_owned(),
        email: "alice".to_owned(),
        epoch: 0,
        sid: None,
        outside: None,
    })
}
