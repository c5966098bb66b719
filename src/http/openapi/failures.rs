//! The failures of requests: those of all operations, and what several descriptions have in common. Pure.

use super::description::{Context, Description};
use authkv_base::error::{AccessKind, Error, KeyRule, NAME_LETTERS};
use authkv_codec::json_read::to_msgpack;
use authkv_command::{Operation, Privilege};
use authkv_config::{Config, Consistency, HttpConfig};
use authkv_domain::RoleName;
use authkv_wire::routes::{Delivery, Input, Kind, Route};

/// The errors of a route's requests, once their head was read.
pub fn of_route(context: &Context<'_>, description: &Description) -> Vec<Error> {
    let (route, http) = (context.route, context.http);
    let operation = route.operation;
    let mut errors = of_the_caller(operation, operation.privilege(context.config));
    errors.extend(description.failures.iter().cloned());
    errors.extend(of_limits(context));
    if operation.may_write() && !description.only_reads {
        errors.extend([
            Error::ReadOnly { leader: None },
            Error::StorageFull,
            Error::NotDurable,
            Error::DataGone,
            Error::TransactionAborted,
            Error::OutcomeUnknown {
                seconds: context.config.live().commit_timeout.as_secs(),
            },
            Error::Unconfirmed,
            Error::SplitBrain,
        ]);
    }
    let is_default = context.config.live().consistency == Consistency::StaleOk;
    if operation.reads_what_is_replicated() && !is_default && !operation.takes_freshness() {
        errors.extend(of_freshness().into_iter().take(1));
    }
    if route.has_body() {
        errors.extend(of_a_body(context));
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
        Error::BadRequest("Host is missing"),
        Error::BadExpectation,
        Error::HeaderTooLarge {
            limit: http.header_max,
            unit: "bytes",
        },
    ]);
    errors
}

/// The errors before a head was read, so that the path is not known.
pub fn without_a_path(http: &HttpConfig) -> [Error; 2] {
    [
        Error::HeaderTimeout {
            limit: http.header_timeout.as_secs(),
        },
        Error::TooManyConnections {
            limit: http.connections_per_address,
        },
    ]
}

/// The errors of the limits that this instance has.
fn of_limits(context: &Context<'_>) -> Vec<Error> {
    let (config, operation) = (context.config, context.route.operation);
    let mut errors = Vec::new();
    let registers = operation.is_registration() && config.live().registration_open;
    if limits(context.route, config) {
        errors.push(Error::TooManyRequests {
            policy: "requests-per-address",
            seconds: 4,
        });
    }
    if let Some(limit) = config.live().users_max.filter(|_| registers) {
        errors.push(Error::TooManyUsers { limit });
    }
    let writes_pairs = operation.may_write() && operation.is_of_pairs();
    if let Some(quota) = config.kv_quotas.first().filter(|_| writes_pairs) {
        errors.push(Error::QuotaExceeded {
            prefix: quota.pattern.replace('*', "alice"),
            unit: "pairs",
            used: 1000,
            limit: 1000,
        });
    }
    errors
}

/// Whether a limit of a rate concerns the requests of a route.
pub fn limits(route: &Route, config: &Config) -> bool {
    let operation = route.operation;
    let has_user = operation.privilege(config) != Privilege::Nothing;
    let live = config.live();
    live.requests_per_address.is_some()
        || live.requests_per_user.is_some() && has_user
        || live.registrations_per_address.is_some()
            && operation.is_registration()
            && live.registration_open
}

/// The errors of authentication and authorization.
fn of_the_caller(operation: Operation, privilege: Privilege) -> Vec<Error> {
    let mut errors = vec![Error::Unauthenticated, Error::RevocationsUnknown];
    match privilege {
        Privilege::Nothing => return Vec::new(),
        Privilege::Token => {}
        Privilege::Admin => errors.push(Error::RoleRequired(RoleName::ADMIN.into())),
        Privilege::Recovery => errors.push(Error::RoleRequired(RoleName::RECOVERY.into())),
        Privilege::Introspect => errors.push(Error::RoleRequired(RoleName::INTROSPECT.into())),
    }
    if operation.may_refuse_api_keys() {
        errors.push(Error::NotForApiKeys);
    }
    errors
}

/// The errors of any body.
fn of_a_body(context: &Context<'_>) -> [Error; 6] {
    let (route, config) = (context.route, context.config);
    let (shape, media_type) = match (route.input, route.delivery) {
        (Input::Value, _) => (
            // The error of the JSON reader for an empty body.
            to_msgpack(b"", 1).err().unwrap_or(Error::Internal),
            Error::BadMediaType {
                expected: "sent without Content-Encoding",
                codings: Some("identity"),
            },
        ),
        (_, Delivery::Import) => (
            Error::malformed("The line should be an object with key and value"),
            Error::bad_type("application/x-ndjson or application/json"),
        ),
        _ => (
            Error::malformed("The body should be an object"),
            Error::bad_type("application/json"),
        ),
    };
    [
        shape,
        Error::TooDeep {
            limit: config.live().json_depth_max,
        },
        Error::InputTooLarge {
            limit: route.operation.input_max(config),
        },
        Error::BodyTimeout {
            limit: context.http.body_timeout.as_secs(),
        },
        media_type,
        Error::BadRequest("a chunk should end in CR LF"),
    ]
}

pub const ATTEMPTS: Error = Error::TooManyAttempts { seconds: 4 };
pub const BAD_VALUE: Error = Error::BadValue("$map should hold an object");
pub const BAD_LIMIT: Error = bad_option("limit", "from 1 to 1000");
pub const MODE: Error = bad_option("mode", "insert, upsert or replace");
pub const CONSISTENCY: Error = bad_option("consistency", Consistency::ALLOWED);

/// The errors of reads that say how fresh the pairs have to be.
pub fn of_freshness() -> [Error; 2] {
    [
        Error::Behind {
            why: "it has the changes up to revision 7".into(),
        },
        Error::ConsistencyUnavailable {
            consistency: "linearizable",
            missing: "it needs memtx_use_mvcc_engine, an option of box.cfg".into(),
        },
    ]
}

pub const TTL: Error = bad_option("ttl", "from 0.001 to 3153600000 seconds");

pub const fn bad_option(name: &'static str, allowed: &'static str) -> Error {
    Error::BadOption { name, allowed }
}

/// `rule`: the rule for passwords that is broken.
pub fn registration(rule: &'static str) -> [Error; 4] {
    [
        Error::LoginTaken,
        Error::BadLogin("the length should be no less than 2 symbols"),
        Error::BadPassword(rule.into()),
        Error::BadPersonName(NAME_LETTERS),
    ]
}

/// The key that errors name.
pub fn key() -> String {
    "planet".to_owned()
}

pub fn forbidden(kind: AccessKind) -> Error {
    Error::Forbidden { kind, key: key() }
}

pub fn conflict() -> Error {
    Error::Conflict {
        key: key(),
        revision: 5,
    }
}

/// The errors of any batch.
pub fn batch(context: &Context<'_>) -> [Error; 2] {
    let limit = context.config.live().limits.batch;
    [Error::NoKeys, Error::TooManyKeys { limit }]
}

pub fn repeated() -> Error {
    Error::RepeatedKeys(vec![key()])
}

pub fn reply_too_large(context: &Context<'_>) -> Error {
    Error::ReplyTooLarge {
        limit: context.config.live().reply_max,
    }
}

pub fn bad_key(context: &Context<'_>) -> Error {
    let limit = context.config.live().limits.key;
    Error::BadKey(KeyRule::Length { limit })
}

pub fn too_large(context: &Context<'_>) -> Error {
    Error::ValueTooLarge {
        key: key(),
        limit: usize::try_from(context.config.memtx_max_tuple_size).unwrap_or(usize::MAX),
    }
}

/// The errors of an addition.
pub fn sum() -> [Error; 2] {
    let key = || "moons".to_owned();
    [Error::NotAnInteger(key()), Error::OutOfRange(key())]
}
