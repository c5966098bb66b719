//! All answers of each operation, as outcomes and errors. The code renders them, so statuses and texts are those that
//! clients get. Pure.

use super::{failures, kv};
use authkv_base::error::Error;
use authkv_codec::json_read::to_msgpack;
use authkv_command::{Done, KeyRow, Operation, Outcome, Session};
use authkv_config::{Config, HttpConfig};
use authkv_domain::{Claims, Permission, Role, User};
use authkv_token::key::Jwk;
use authkv_wire::routes::Route;
use std::sync::Arc;

/// One possible result of a request: the name of the example, and what is rendered.
pub type Answer = (&'static str, Result<Outcome, Error>);

/// All results of a route's requests, once their head was read.
pub fn of_route(route: &Route, config: &Config, http: &HttpConfig) -> Vec<Answer> {
    let successes = successes(route).into_iter();
    let successes = successes.map(|(name, outcome)| (name, Ok(outcome)));
    successes
        .chain(named(failures::of_route(route, config, http)))
        .collect()
}

/// All results before a head was read, if the path is known.
pub fn without_a_head(http: &HttpConfig) -> Vec<Answer> {
    named(failures::without_a_head(http)).collect()
}

/// All results before a head was read, if the path is not known.
pub fn without_a_path(http: &HttpConfig) -> Vec<Answer> {
    named(failures::without_a_path(http)).collect()
}

fn named(failures: Vec<Error>) -> impl Iterator<Item = Answer> {
    failures
        .into_iter()
        .map(|error| (error.row().name, Err(error)))
}

fn successes(route: &Route) -> Vec<(&'static str, Outcome)> {
    use Operation::*;
    let login = || "alice".to_owned();
    match route.operation {
        BatchGet | BatchPut | BatchDelete | KvTxn | KvList | KvIncr | KvWatch | PairGet
        | PairPut | PairDelete => kv::answers::of_route(route),
        Register | UserRegister => vec![("registered", Outcome::Registered { login: login() })],
        Login => vec![(
            "logged_in",
            Outcome::LoggedIn {
                token: TOKEN.to_owned(),
                token_type: "Bearer",
                expires_in: 1800,
                login: login(),
                jti: String::new(),
            },
        )],
        Logout => vec![("logged_out", Outcome::Done(Done::Revoked))],
        Check => vec![
            ("authorized", Outcome::Checked(Some(claims()))),
            ("refused", Outcome::Checked(None)),
        ],
        Get => vec![("found", Outcome::Found(found()))],
        Put => vec![
            ("all_written", written(&[])),
            ("some_existed", written(&["planet", "moons"])),
        ],
        SessionLogin => vec![("logged_in", session())],
        SessionRefresh => vec![("refreshed", session())],
        SessionLogoutAll | UserLogout => vec![("logged_out", Outcome::Done(Done::Revoked))],
        SessionIntrospect => vec![
            ("active", Outcome::Introspected(Some(claims()))),
            ("inactive", Outcome::Introspected(None)),
        ],
        UserMe => {
            let permissions = vec![Permission::everything()];
            vec![(
                "me",
                Outcome::Me {
                    user: user(&[], false),
                    permissions,
                },
            )]
        }
        UserPassword | UserSetPassword => vec![("changed", Outcome::Done(Done::Changed))],
        KeySet => vec![("keys", Outcome::KeySet { keys: key_set() })],
        UserList => {
            let page = |next| Outcome::Users {
                users: vec![user(&[], false)],
                next,
            };
            vec![("more", page(Some(login()))), ("the_last", page(None))]
        }
        UserGet | UserEnable | RoleRevoke => vec![("user", Outcome::User(user(&[], false)))],
        UserCreate => vec![("created", Outcome::User(user(&["introspect"], false)))],
        UserDelete | RoleDelete => vec![("deleted", Outcome::Done(Done::Deleted))],
        UserDisable => vec![("disabled", Outcome::User(user(&[], true)))],
        RoleGrant => vec![("granted", Outcome::User(user(&["shop"], false)))],
        RoleList => {
            let default = Role {
                name: "default".to_owned(),
                permissions: vec![Permission::everything()],
            };
            let roles = vec![default, shop()];
            vec![("roles", Outcome::Roles { roles })]
        }
        RoleSet => vec![("set", Outcome::Role(shop()))],
        KeyList => vec![(
            "keys",
            Outcome::Keys {
                keys: signing_keys(),
            },
        )],
        KeyRotate => vec![(
            "made",
            Outcome::Rotated {
                kid: KID.to_owned(),
                alg: "EdDSA",
                signs_from: TIME + 300,
            },
        )],
        KeyRetire => vec![(
            "retired",
            Outcome::Retired {
                kid: KID.to_owned(),
                verifies_until: TIME,
            },
        )],
    }
}

const TOKEN: &str = "eyJ0eXAiOiJhdCtqd3Qi…";
const KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const TIME: u64 = 1_800_000_000;

fn written(existing: &[&str]) -> Outcome {
    Outcome::Written {
        written: 1,
        existing: existing.iter().map(|key| (*key).to_owned()).collect(),
    }
}

fn session() -> Outcome {
    Outcome::Session(Session {
        access_token: TOKEN.to_owned(),
        token_type: "Bearer",
        expires_in: 1800,
        refresh_token: "Jv2cyPGHmsXqXNOtuYmKLu3a…".to_owned(),
        refresh_expires_in: 1_209_600,
        login: String::new(),
        jti: String::new(),
    })
}

fn claims() -> Arc<Claims> {
    let login = || "alice".to_owned();
    Arc::new(Claims {
        iss: "authkv".to_owned(),
        aud: "authkv".to_owned(),
        sub: login(),
        jti: "8GTQwyHkZBvqSAnvWM5E5g".to_owned(),
        iat: TIME,
        nbf: TIME,
        exp: TIME + 1800,
        username: login(),
        email: login(),
        epoch: 0,
        sid: None,
    })
}

fn found() -> Vec<u8> {
    let body = br#"{"data":{"orbit":{"days":365.25,"next":null},"planet":"Earth"}}"#;
    to_msgpack(body, 3).unwrap_or_default()
}

fn user(roles: &[&str], disabled: bool) -> User {
    User {
        login: "alice".to_owned(),
        name: "Alice".to_owned(),
        surname: "Smith".to_owned(),
        created_at: Some(TIME),
        disabled,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    }
}

fn shop() -> Role {
    let permission = |prefix: &str, write| Permission {
        prefix: prefix.to_owned(),
        read: true,
        write,
    };
    Role {
        name: "shop".to_owned(),
        permissions: vec![permission("shop/", true), permission("rates/", false)],
    }
}

fn signing_keys() -> Vec<KeyRow> {
    let key = |kid: &str, alg, signs_from, verifies_until, signs| KeyRow {
        kid: kid.to_owned(),
        alg,
        created_at: signs_from,
        signs_from,
        verifies_until,
        signs,
    };
    let rsa = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    vec![
        key(rsa, "RS256", TIME - 1800, Some(TIME + 1830), false),
        key(KID, "EdDSA", TIME, None, true),
    ]
}

/// The keys of RFC 7638 §3.1 (shortened), RFC 7517 §A.1 and RFC 8037 §A.2.
fn key_set() -> Vec<Jwk> {
    let key = |kty, alg, kid: &str| Jwk {
        kty,
        usage: "sig",
        alg,
        kid: kid.to_owned(),
        n: None,
        e: None,
        crv: None,
        x: None,
        y: None,
    };
    let text = |text: &str| Some(text.to_owned());
    vec![
        Jwk {
            n: text("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1…"),
            e: text("AQAB"),
            ..key(
                "RSA",
                "RS256",
                "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            )
        },
        Jwk {
            crv: Some("P-256"),
            x: text("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"),
            y: text("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
            ..key("EC", "ES256", "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s")
        },
        Jwk {
            crv: Some("Ed25519"),
            x: text("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
            ..key("OKP", "EdDSA", KID)
        },
    ]
}
