//! Watches, exports and imports: the operations with pieces.
//!
//! OpenAPI 3.1 has no schema for lines, so words describe them.

use super::super::shapes::{bytes, described, media, of, Shape};
use super::encoded::{items, msgpack, page};
use crate::bulk::{self, Counts, Failure};
use crate::http::response::Response;
use crate::http::{events, lines};
use authkv_base::error::{Error, KeyRule};
use authkv_command::Outcome;
use authkv_config::Config;
use authkv_domain::{Change, ChangePage};
use authkv_wire::input::{BYTES, NDJSON};
use authkv_wire::routes::{Delivery, Route};
use serde_json::json;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;

/// The media type of events.
pub const EVENTS: &str = "text/event-stream";

/// Their successes. Examples are whole texts, so that members are in the order of the answers.
pub fn answers(delivery: Delivery) -> Vec<(&'static str, Outcome)> {
    let imported = || Outcome::Encoded(msgpack(IMPORTED));
    match delivery {
        Delivery::Watch => {
            let page = ChangePage {
                items: items(CHANGED),
                changes: vec![(Change::Put, 6), (Change::Put, 7), (Change::Expire, 8)],
                next: 8,
            };
            vec![("changes", Outcome::Changed(page))]
        }
        Delivery::Export => vec![("exported", Outcome::Listed(page(EXPORTED)))],
        _ => vec![("done", imported()), ("stopped", imported())],
    }
}

const CHANGED: &[&str] = &[
    r#"{"type": "put", "key": "planet", "revision": 6, "value": "Earth"}"#,
    r#"{"type": "put", "key": "moons", "revision": 7, "value": 1, "expires_at": 1800000000}"#,
    r#"{"type": "expire", "key": "moons", "revision": 8}"#,
];
const EXPORTED: &[&str] = &[
    r#"{"key": "moons", "value": 1, "revision": 7, "expires_at": 1800000000}"#,
    r#"{"key": "planet", "value": "Earth", "revision": 6}"#,
];
const IMPORTED: &str =
    r#"{"results": [{"outcome": "written"}, {"outcome": "written"}, {"outcome": "exists"}]}"#;

/// An answer as clients get it. `name` is the name of the example.
pub fn render(delivery: Delivery, name: &str, outcome: &Outcome) -> Result<Response, Error> {
    let (media_type, text) = match outcome {
        Outcome::Changed(page) => {
            let mut text = events::ready(5);
            text.extend(events::render(page)?);
            (EVENTS, text)
        }
        Outcome::Listed(page) => (NDJSON, bulk::text(page)?),
        Outcome::Encoded(answer) => {
            let mut counts = Counts::default();
            counts.add(answer)?;
            let failure = Failure {
                error: Error::malformed("The line should be an object with key and value"),
                line: Some(counts.lines + 1),
            };
            let stopped = (name == "stopped").then_some(&failure);
            let mut text = stopped.map_or_else(Vec::new, |_| lines::progress(&counts).to_vec());
            text.extend(lines::last_line(stopped, &counts));
            (NDJSON, text)
        }
        _ => return Err(Error::Internal),
    };
    let mut response = Response::new(200, text);
    response.set("Content-Type", media_type);
    if delivery == Delivery::Export {
        response.set("X-Total-Count", "2");
    }
    Ok(response)
}

pub const MODE: Error = Error::BadOption {
    name: "mode",
    allowed: "insert, upsert or replace",
};
pub const BAD_VALUE: Error = Error::BadValue("$map should hold an object");

/// The errors of one of these operations only.
pub fn failures(route: &Route, config: &Config) -> Vec<Error> {
    let mut errors = match route.delivery {
        Delivery::Watch => vec![
            Error::TooOld {
                after: 5,
                oldest: 10,
            },
            Error::BadOption {
                name: "after",
                allowed: "a revision that was given",
            },
        ],
        Delivery::Export => vec![],
        _ => vec![
            MODE,
            BAD_VALUE,
            Error::BadKey(KeyRule::Length {
                limit: config.limits.key,
            }),
        ],
    };
    errors.push(Error::NotStreamed);
    errors
}

/// The body of an import: described as bytes, because generators know no array of lines. Generators without NDJSON send
/// `application/octet-stream`.
pub fn body(body: RequestBodyBuilder) -> RequestBodyBuilder {
    let example = "{\"key\":\"planet\",\"value\":\"Earth\"}\n{\"key\":\"moons\",\"value\":1,\"expires_at\":1800000000}\n";
    let lines = || media(bytes("Lines of JSON in UTF-8"), json!(example));
    body.content(NDJSON, lines())
        .content(BYTES, lines())
        .description(Some(
            "Each line is an object with the members `key` and `value`; it may have `expires_at` (seconds since 1970, or null), \
             `ttl` (seconds, or null), `content_type` (of a value that is bytes), and `revision`, which is not kept.",
        ))
}

/// The schema of a success.
pub fn of_success(route: &Route) -> Shape {
    match route.delivery {
        Delivery::Export => bytes(
            "Lines of JSON in UTF-8. Each is a pair, as the schema `Pair` has it; only the last may be `{\"error\": …}` \
             instead, with a problem.",
        ),
        Delivery::Import => bytes(
            "Lines of JSON in UTF-8. Each has one member with counts of lines: `progress` so far, `done` in the last one. A \
             last line with `error`, a problem, and `line`, the first one that was not written, has `done` as well. \
             The counts are `lines` (all that are not blank), `written`, `exists` and `missing` (not written, by `mode`), \
             `forbidden`, `too_large` and `expired`.",
        ),
        Delivery::Watch | Delivery::Whole => described(
            of(Type::String),
            "The data of a change is JSON: `type`, `key`, `revision`, and of a put `value`, and `expires_at` and \
             `content_type` where the pair has them.",
        )
        .into(),
    }
}
