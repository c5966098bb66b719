//! What each operation may answer, as the outcomes and errors themselves: their statuses and texts are then those
//! that clients get.

use crate::codec::json_read::to_msgpack;
use crate::command::{Operation, Outcome};
use crate::config::Config;
use crate::domain::Claims;
use crate::error::Error;
use std::sync::Arc;

/// One way in which a request may end: the name of the example, and what is rendered.
pub type Answer = (&'static str, Result<Outcome, Error>);

/// Every way in which a request of an operation may end.
pub fn of(operation: Operation, allow: &'static str, config: &Config) -> Vec<Answer> {
    let mut failures = match operation {
        Operation::Register => registration(),
        Operation::Login => vec![Error::InvalidCredentials],
        Operation::Logout => vec![Error::Unauthenticated, Error::RevocationsUnknown],
        Operation::Check => vec![Error::RevocationsUnknown],
        Operation::Get => reading(config),
        Operation::Put => writing(config),
    };
    if matches!(
        operation,
        Operation::Register | Operation::Logout | Operation::Put
    ) {
        failures.extend([Error::ReadOnly, Error::StorageFull, Error::NotDurable]);
    }
    if operation != Operation::Logout {
        failures.extend(of_a_body(operation, config));
    }
    failures.extend([
        Error::NotOffered,
        Error::WrongMethod { allow },
        Error::BadRequest("Host is missing"),
        Error::HeaderTooLarge {
            limit: config.http.header_max,
            unit: "bytes",
        },
        Error::HeaderTimeout {
            limit: config.http.header_timeout.as_secs(),
        },
        Error::TooManyConnections {
            limit: config.http.connections_per_address,
        },
        Error::Overloaded {
            what: "requests at a time",
            limit: config.http.requests_max,
        },
        Error::ShuttingDown,
        Error::Internal,
    ]);
    let failures = failures
        .into_iter()
        .map(|error| (error.row().name, Err(error)));
    successes(operation).into_iter().chain(failures).collect()
}

fn successes(operation: Operation) -> Vec<Answer> {
    let written = |existing: &[&str]| Outcome::Written {
        written: 1,
        existing: existing.iter().map(|key| (*key).to_owned()).collect(),
    };
    let outcomes = match operation {
        Operation::Register => vec![(
            "registered",
            Outcome::Registered {
                login: String::new(),
            },
        )],
        Operation::Login => vec![(
            "logged_in",
            Outcome::LoggedIn {
                token: "eyJ0eXAiOiJKV1Qi…".to_owned(),
                expires_in: 0,
            },
        )],
        Operation::Logout => vec![("logged_out", Outcome::LoggedOut)],
        Operation::Check => vec![
            ("authorized", Outcome::Checked(Some(claims()))),
            ("refused", Outcome::Checked(None)),
        ],
        Operation::Get => vec![("found", Outcome::Found(found()))],
        Operation::Put => vec![
            ("all_written", written(&[])),
            ("some_existed", written(&["planet", "moons"])),
        ],
    };
    outcomes
        .into_iter()
        .map(|(name, outcome)| (name, Ok(outcome)))
        .collect()
}

/// Claims of which the answer says only that they are there.
fn claims() -> Arc<Claims> {
    Arc::new(Claims {
        iss: String::new(),
        aud: String::new(),
        sub: String::new(),
        jti: String::new(),
        iat: 0,
        nbf: 0,
        exp: 0,
        username: String::new(),
        email: String::new(),
    })
}

fn found() -> Vec<u8> {
    let body = br#"{"data":{"orbit":{"days":365.25,"next":null},"planet":"Earth"}}"#;
    to_msgpack(body, 3).unwrap_or_default()
}

fn registration() -> Vec<Error> {
    vec![
        Error::LoginTaken,
        Error::BadLogin("the length should be no less than 2 symbols"),
        Error::BadPassword("the password should have at least one UPPER_CASE"),
        Error::BadInitial("initial should have only lower-upper latin letters"),
    ]
}

fn of_a_batch(config: &Config) -> Vec<Error> {
    vec![
        Error::Unauthenticated,
        Error::RevocationsUnknown,
        Error::NoKeys,
        Error::TooManyKeys {
            limit: config.limits.batch,
        },
    ]
}

fn reading(config: &Config) -> Vec<Error> {
    let mut errors = of_a_batch(config);
    errors.extend([
        Error::RepeatedKeys(vec!["planet".to_owned()]),
        Error::MissingKeys(vec!["planet".to_owned(), "orbit".to_owned()]),
        Error::ReplyTooLarge {
            limit: config.reply_max,
        },
    ]);
    errors
}

fn writing(config: &Config) -> Vec<Error> {
    let mut errors = of_a_batch(config);
    errors.extend([
        Error::BadKey {
            limit: config.limits.key,
        },
        Error::ValueTooLarge {
            key: "planet".to_owned(),
            limit: usize::try_from(config.memtx_max_tuple_size).unwrap_or(usize::MAX),
        },
    ]);
    errors
}

/// What may be wrong with any body.
fn of_a_body(operation: Operation, config: &Config) -> [Error; 6] {
    [
        Error::malformed("The body should be an object"),
        Error::TooDeep {
            limit: config.json_depth_max,
        },
        Error::InputTooLarge {
            limit: operation.input_max(config),
        },
        Error::BodyTimeout {
            limit: config.http.body_timeout.as_secs(),
        },
        Error::BadMediaType("application/json"),
        Error::BadExpectation,
    ]
}
