//! The errors of each operation. Pure.

use super::kv;
use authkv_base::error::{AccessKind, Error, KeyRule, NAME_LETTERS};
use authkv_command::{Operation, Privilege};
use authkv_config::{Config, HttpConfig};
use authkv_domain::RoleName;
use authkv_wire::routes::{Kind, Route};

/// The errors of a route's requests, once their head was read.
pub fn of_route(route: &Route, config: &Config, http: &HttpConfig) -> Vec<Error> {
    let operation = route.operation;
    let mut errors = of_the_caller(operation.privilege(config));
    errors.extend(of_operation(route, config));
    if writes(operation) {
        errors.extend([
            Error::ReadOnly,
            Error::StorageFull,
            Error::NotDurable,
            Error::DataGone,
            Error::TransactionAborted,
        ]);
    }
    if route.has_body() {
        errors.extend(of_a_body(route, config, http));
    } else if let Some(name) = route.names().next() {
        errors.push(Error::malformed(format!("{name} should be UTF-8")));
    } else if let Some((name, kind)) = route.query.last() {
        errors.push(Error::malformed(match kind {
            Kind::Text => format!("{name} should be given once"),
            Kind::Number => format!("{name} should be a whole number"),
            Kind::Seconds => format!("{name} should be a number of seconds"),
            Kind::Flag => format!("{name} should be true or false"),
        }));
    }
    errors.extend([
        Error::NotOffered,
        Error::WrongMethod {
            allow: route.allow(),
        },
        Error::Overloaded {
            what: "requests at a time",
            limit: http.requests_max,
        },
        Error::ShuttingDown,
        Error::Internal,
    ]);
    errors
}

/// The errors before a head was read, if the path is known.
pub fn without_a_head(http: &HttpConfig) -> Vec<Error> {
    vec![
        Error::BadRequest("Host is missing"),
        Error::BadExpectation,
        Error::HeaderTooLarge {
            limit: http.header_max,
            unit: "bytes",
        },
    ]
}

/// The errors before a head was read, if the path is not known.
pub fn without_a_path(http: &HttpConfig) -> Vec<Error> {
    vec![
        Error::HeaderTimeout {
            limit: http.header_timeout.as_secs(),
        },
        Error::TooManyConnections {
            limit: http.connections_per_address,
        },
    ]
}

/// The errors of authentication and authorization.
fn of_the_caller(privilege: Privilege) -> Vec<Error> {
    let mut errors = vec![Error::Unauthenticated, Error::RevocationsUnknown];
    match privilege {
        Privilege::Nothing => return Vec::new(),
        Privilege::Token => {}
        Privilege::Admin => errors.push(Error::RoleRequired(RoleName::ADMIN)),
        Privilege::Introspect => errors.push(Error::RoleRequired(RoleName::INTROSPECT)),
    }
    errors
}

/// The errors of this operation only.
fn of_operation(route: &Route, config: &Config) -> Vec<Error> {
    use Operation::*;
    match route.operation {
        Register => registration(NO_UPPER_CASE),
        UserRegister => in_plain_words(registration(COMMON)),
        UserCreate => {
            let mut errors = in_plain_words(registration(COMMON));
            errors.push(Error::NoSuchRole);
            errors
        }
        // The row of the user has to be durable.
        Login => vec![Error::InvalidCredentials, ATTEMPTS, Error::NotDurable],
        SessionLogin => vec![Error::InvalidCredentials, ATTEMPTS],
        SessionRefresh => vec![Error::InvalidRefreshToken { reused: None }],
        Check => vec![Error::RevocationsUnknown],
        Get => reading(config),
        Put => writing(config),
        UserPassword => vec![
            Error::BadPassword(COMMON.into()),
            Error::InvalidCredentials,
            ATTEMPTS,
        ],
        UserList => vec![Error::BadOption {
            name: "limit",
            allowed: "from 1 to 1000",
        }],
        UserGet | UserDelete | UserDisable | UserEnable | UserLogout | RoleRevoke => {
            vec![Error::NoSuchUser]
        }
        UserSetPassword => vec![Error::NoSuchUser, Error::BadPassword(COMMON.into())],
        RoleGrant => vec![
            Error::NoSuchUser,
            Error::NoSuchRole,
            Error::BadRole("a user may have at most 100 roles"),
        ],
        RoleSet => vec![BAD_NAME],
        RoleDelete => vec![BAD_NAME, Error::NoSuchRole],
        KeyRotate => vec![Error::BadOption {
            name: "publish",
            allowed: "from 0 to 86400 seconds",
        }],
        KeyRetire => vec![Error::NoSuchSigningKey, Error::KeySigns],
        BatchGet | BatchPut | BatchDelete | KvTxn | KvList | KvIncr | KvWatch | PairGet
        | PairPut | PairDelete => kv::failures::of_route(route, config),
        Logout | SessionLogoutAll | SessionIntrospect | UserMe | KeySet | RoleList | KeyList => {
            Vec::new()
        }
    }
}

/// Whether the operation changes what is stored. Two operations use a lane of writes, but only sign or verify.
fn writes(operation: Operation) -> bool {
    operation.may_write() && !matches!(operation, Operation::Login | Operation::SessionIntrospect)
}

const NO_UPPER_CASE: &str = "the password should have at least one UPPER_CASE";
const COMMON: &str = "it is one of the most common ones";
const ATTEMPTS: Error = Error::TooManyAttempts { seconds: 4 };
const BAD_NAME: Error = Error::BadRole("admin and introspect cannot be changed");

fn registration(password: &'static str) -> Vec<Error> {
    vec![
        Error::LoginTaken,
        Error::BadLogin("the length should be no less than 2 symbols"),
        Error::BadPassword(password.into()),
        Error::BadPersonName(NAME_LETTERS),
    ]
}

fn in_plain_words(errors: Vec<Error>) -> Vec<Error> {
    errors.into_iter().map(Error::in_plain_words).collect()
}

fn of_a_batch(kind: AccessKind, config: &Config) -> Vec<Error> {
    vec![
        Error::Forbidden {
            kind,
            key: "planet".to_owned(),
        },
        Error::NoKeys,
        Error::TooManyKeys {
            limit: config.limits.batch,
        },
    ]
}

fn reading(config: &Config) -> Vec<Error> {
    let mut errors = of_a_batch(AccessKind::Read, config);
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
    let mut errors = of_a_batch(AccessKind::Write, config);
    errors.extend([
        Error::BadKey(KeyRule::Length {
            limit: config.limits.key,
        }),
        Error::ValueTooLarge {
            key: "planet".to_owned(),
            limit: usize::try_from(config.memtx_max_tuple_size).unwrap_or(usize::MAX),
        },
    ]);
    errors
}

/// The errors of any body.
fn of_a_body(route: &Route, config: &Config, http: &HttpConfig) -> [Error; 6] {
    let [shape, media_type] = kv::failures::of_a_body(route);
    [
        shape,
        Error::TooDeep {
            limit: config.json_depth_max,
        },
        Error::InputTooLarge {
            limit: route.operation.input_max(config),
        },
        Error::BodyTimeout {
            limit: http.body_timeout.as_secs(),
        },
        media_type,
        Error::BadRequest("a chunk should end in CR LF"),
    ]
}
