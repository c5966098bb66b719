//! The bodies of answers. Pure.
//!
//! Those of `/v1` describe what `command/outcome.rs` serializes. The tests of `openapi.rs` check that each has the members
//! of its schema and no others.

use super::kv;
use super::shapes::{
    count, exact, exact_and, flag, list, named, of, one_named, only, or_null, seconds, text, yes,
    Shape,
};
use authkv_command::Operation;
use authkv_wire::routes::{Profile, Route};
use std::collections::HashMap;
use utoipa::openapi::schema::Type;
use utoipa::openapi::RefOr;
use utoipa::ToSchema;

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

/// The schema of the body of a route's success.
pub fn of_success(route: &Route) -> Shape {
    use Operation::*;
    named(match (route.operation, route.profile) {
        (Register, _) => "Message",
        (Login, _) => "TokenMessage",
        (Logout, Profile::Api) => "Message",
        (Check, _) => "Authorized",
        (Get, _) => "Values",
        (Put, _) => "Written",
        (UserRegister, _) => "Registered",
        (SessionLogin | SessionRefresh, _) => "Session",
        (Logout, Profile::V1) => "Revoked",
        (SessionLogoutAll | UserLogout, _) => "Revoked",
        (SessionIntrospect, _) => "Introspection",
        (UserMe, _) => "Me",
        (UserPassword | UserSetPassword, _) => "Changed",
        (KeySet, _) => "KeySet",
        (UserList, _) => "UserPage",
        (UserGet | UserCreate | UserDisable | UserEnable, _) => "User",
        (RoleGrant | RoleRevoke, _) => "User",
        (UserDelete | RoleDelete, _) => "Deleted",
        (RoleList, _) => "RoleList",
        (RoleSet, _) => "Role",
        (KeyList, _) => "SigningKeys",
        (KeyRotate, _) => "NewSigningKey",
        (KeyRetire, _) => "RetiredSigningKey",
        (
            BatchGet | BatchPut | BatchDelete | KvTxn | KvList | KvIncr | KvWatch | PairGet
            | PairPut | PairDelete,
            _,
        ) => return kv::schemas::of_success(route),
    })
}

/// A login that failed under `/api`: wrong credentials, or the service is not offered.
pub fn login_failure() -> Shape {
    one_named(["TokenMessage", "Message"])
}

/// The schemas of successes in `/v1`.
pub fn of_v1() -> Vec<(&'static str, Shape)> {
    let array = |items: Shape| RefOr::T(list(items).into());
    let one = |about: &str, member: &str, shape: Shape| exact(about, [(member, shape)]);
    let mut schemas = vec![
        (
            "Registered",
            one("The new user", "login", text("The login")),
        ),
        ("Session", session()),
        ("Revoked", one("Done", "revoked", yes())),
        ("Changed", one("Done", "changed", yes())),
        ("Deleted", one("Done", "deleted", yes())),
        ("User", exact("A user", user())),
        ("Me", {
            let [login, name, surname, created_at, disabled, roles] = user();
            let about = "What the roles give, that of the role `default` included";
            let permissions = list(named("Permission")).description(Some(about));
            let permissions = ("permissions", RefOr::T(permissions.into()));
            let members = [
                login,
                name,
                surname,
                created_at,
                disabled,
                roles,
                permissions,
            ];
            exact("The user of the token", members)
        }),
        ("UserPage", {
            let next = of(Type::String).description(Some(
                "What to ask `after` for those that follow; null at the end",
            ));
            let members = [("users", array(named("User"))), ("next", or_null(next))];
            exact("Users in the order of their logins", members)
        }),
        ("Permission", permission()),
        ("Role", {
            let permissions = array(named("Permission"));
            exact("A role", [("name", text("")), ("permissions", permissions)])
        }),
        (
            "RoleList",
            one(
                "All roles, in the order of their names",
                "roles",
                array(named("Role")),
            ),
        ),
        ("Introspection", introspection()),
        ("KeySet", {
            let about = "A set of keys (RFC 7517)";
            one(about, "keys", array(named("Jwk")))
        }),
        ("SigningKey", signing_key()),
        (
            "SigningKeys",
            one(
                "The keys that are published",
                "keys",
                array(named("SigningKey")),
            ),
        ),
        ("NewSigningKey", {
            let signs_from = seconds("It signs from then on: seconds since 1970");
            exact(
                "",
                [
                    ("kid", kid()),
                    ("alg", algorithm()),
                    ("signs_from", signs_from),
                ],
            )
        }),
        ("RetiredSigningKey", {
            let until = seconds("Its tokens fail from then on: seconds since 1970");
            exact("", [("kid", kid()), ("verifies_until", until)])
        }),
    ];
    schemas.extend(jwks());
    schemas
}

/// A session (RFC 6749 §5.1).
fn session() -> Shape {
    exact(
        "The tokens of a session",
        [
            (
                "access_token",
                text("For the header `Authorization`, with `Bearer` before it"),
            ),
            ("token_type", only("Bearer")),
            ("expires_in", seconds("Seconds that the access token lives")),
            ("refresh_token", text("Good for one refresh")),
            (
                "refresh_expires_in",
                seconds("Seconds that the refresh token lives"),
            ),
        ],
    )
}

fn user() -> [(&'static str, Shape); 6] {
    let created_at =
        count().description(Some("Seconds since 1970; null for users of the old system"));
    [
        ("login", text("")),
        ("name", text("")),
        ("surname", text("")),
        ("created_at", or_null(created_at)),
        ("disabled", flag("Such a user cannot log in")),
        ("roles", RefOr::T(list(text("")).into())),
    ]
}

fn permission() -> Shape {
    let members = [
        ("prefix", text("")),
        ("read", flag("")),
        ("write", flag("")),
    ];
    exact(
        "What may be done with the keys that begin with `prefix`",
        members,
    )
}

/// The result of introspection (RFC 7662 §2.2). One object, because generators cannot tell two apart by a boolean.
fn introspection() -> Shape {
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
    ];
    exact_and("What a token is worth", [("active", active)], others)
}

/// Public keys (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
fn jwks() -> [(&'static str, Shape); 4] {
    let number = || text("base64url");
    let rsa = exact(
        "RSA",
        [
            ("kty", only("RSA")),
            ("use", only("sig")),
            ("alg", only("RS256")),
            ("kid", kid()),
            ("n", number()),
            ("e", number()),
        ],
    );
    let ec = exact(
        "ECDSA",
        [
            ("kty", only("EC")),
            ("use", only("sig")),
            ("alg", only("ES256")),
            ("kid", kid()),
            ("crv", only("P-256")),
            ("x", number()),
            ("y", number()),
        ],
    );
    let okp = exact(
        "Ed25519",
        [
            ("kty", only("OKP")),
            ("use", only("sig")),
            ("alg", only("EdDSA")),
            ("kid", kid()),
            ("crv", only("Ed25519")),
            ("x", number()),
        ],
    );
    [
        ("Jwk", one_named(["RsaJwk", "EcJwk", "OkpJwk"])),
        ("RsaJwk", rsa),
        ("EcJwk", ec),
        ("OkpJwk", okp),
    ]
}

fn kid() -> Shape {
    text("The id of the key, its thumbprint (RFC 7638)")
}

fn algorithm() -> Shape {
    let names = ["RS256", "ES256", "EdDSA"];
    of(Type::String).enum_values(Some(names)).into()
}

fn signing_key() -> Shape {
    let until =
        "Its tokens hold until then at most: seconds since 1970; null while that is not known";
    exact(
        "A key that is published",
        [
            ("kid", kid()),
            ("alg", algorithm()),
            ("created_at", seconds("Seconds since 1970")),
            ("signs_from", seconds("Seconds since 1970")),
            ("verifies_until", or_null(count().description(Some(until)))),
            ("signs", flag("This instance signs with it at present")),
        ],
    )
}
