//! The errors of the key-value operations.

use super::streams::{self, BAD_VALUE, MODE};
use authkv_base::error::{AccessKind, Error, KeyRule};
use authkv_codec::json_read::to_msgpack;
use authkv_command::Operation;
use authkv_config::Config;
use authkv_wire::routes::{Delivery, Input, Route};

/// The errors of one operation only.
pub fn of_route(route: &Route, config: &Config) -> Vec<Error> {
    use Operation::*;
    if route.delivery != Delivery::Whole {
        return streams::failures(route, config);
    }
    let planet = || "planet".to_owned();
    let forbidden = |kind| Error::Forbidden {
        kind,
        key: planet(),
    };
    let conflict = || Error::Conflict {
        key: planet(),
        revision: 5,
    };
    let bad_key = || {
        let limit = config.limits.key;
        Error::BadKey(KeyRule::Length { limit })
    };
    let too_large = || Error::ValueTooLarge {
        key: planet(),
        limit: usize::try_from(config.memtx_max_tuple_size).unwrap_or(usize::MAX),
    };
    let sum = || {
        let key = || "moons".to_owned();
        [Error::NotAnInteger(key()), Error::OutOfRange(key())]
    };
    match route.operation {
        BatchGet => {
            let mut errors = of_a_batch(config);
            errors.extend([
                forbidden(AccessKind::Read),
                Error::MissingKeys(vec![planet()]),
                Error::ReplyTooLarge {
                    limit: config.reply_max,
                },
            ]);
            errors
        }
        BatchPut => {
            let mut errors = of_a_batch(config);
            errors.extend([bad_key(), MODE, BAD_VALUE]);
            errors
        }
        BatchDelete => of_a_batch(config),
        KvTxn => {
            let mut errors = vec![
                forbidden(AccessKind::Write),
                Error::BadOption {
                    name: "compare",
                    allowed: "at most 1000 items",
                },
                bad_key(),
                BAD_VALUE,
                too_large(),
                conflict(),
            ];
            errors.extend(sum());
            errors
        }
        KvList => vec![Error::BadOption {
            name: "limit",
            allowed: "from 1 to 1000",
        }],
        KvIncr => {
            let mut errors = vec![forbidden(AccessKind::Write), bad_key(), TTL];
            errors.extend(sum());
            errors
        }
        PairGet => vec![
            forbidden(AccessKind::Read),
            Error::NoSuchKey(planet()),
            conflict(),
        ],
        PairPut => vec![
            forbidden(AccessKind::Write),
            conflict(),
            bad_key(),
            TTL,
            BAD_VALUE,
            too_large(),
        ],
        PairDelete => vec![
            forbidden(AccessKind::Write),
            Error::NoSuchKey(planet()),
            conflict(),
        ],
        _ => Vec::new(),
    }
}

/// A body of the wrong shape, and one of the wrong type.
pub fn of_a_body(route: &Route) -> [Error; 2] {
    match (route.input, route.delivery) {
        (Input::Value, _) => [
            // The error of the JSON reader for an empty body.
            to_msgpack(b"", 1).err().unwrap_or(Error::Internal),
            Error::BadMediaType {
                expected: "sent without Content-Encoding",
                codings: Some("identity"),
            },
        ],
        (_, Delivery::Import) => [
            Error::malformed("The line should be an object with key and value"),
            Error::bad_type("application/x-ndjson or application/json"),
        ],
        _ => [
            Error::malformed("The body should be an object"),
            Error::bad_type("application/json"),
        ],
    }
}

const TTL: Error = Error::BadOption {
    name: "ttl",
    allowed: "from 0.001 to 3153600000 seconds",
};

fn of_a_batch(config: &Config) -> Vec<Error> {
    vec![
        Error::NoKeys,
        Error::TooManyKeys {
            limit: config.limits.batch,
        },
        Error::RepeatedKeys(vec!["planet".to_owned()]),
    ]
}
