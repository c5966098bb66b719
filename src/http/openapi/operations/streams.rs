//! Watches, exports and imports: the operations with pieces. Pure.
//!
//! OpenAPI 3.1 has no schema for lines, so words describe them.

use super::super::{description::*, failures::*, parameters::*, shapes::*};
use super::pairs::*;
use crate::bulk::{self, Counts, Failure};
use crate::http::response::Response;
use crate::http::{events, lines};
use authkv_base::error::Error;
use authkv_command::Outcome;
use authkv_domain::{Change, ChangePage};
use authkv_wire::input::{BYTES, NDJSON};
use authkv_wire::routes::Delivery;
use serde_json::json;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::Required;

/// The media type of events.
pub const EVENTS: &str = "text/event-stream";

// Examples are whole texts, so that members are in the order of the answers.
const CHANGED: [&str; 3] = [
    r#"{"type": "put", "key": "planet", "revision": 6, "value": "Earth"}"#,
    r#"{"type": "put", "key": "moons", "revision": 7, "value": 1, "expires_at": 1800000000}"#,
    r#"{"type": "expire", "key": "moons", "revision": 8}"#,
];
const EXPORTED: [&str; 2] = [
    r#"{"key": "moons", "value": 1, "revision": 7, "expires_at": 1800000000}"#,
    r#"{"key": "planet", "value": "Earth", "revision": 6}"#,
];
const IMPORTED: &str =
    r#"{"results": [{"outcome": "written"}, {"outcome": "written"}, {"outcome": "exists"}]}"#;

pub fn kv_watch(_: &Context<'_>) -> Description {
    let changes = ChangePage {
        items: page(&CHANGED).items,
        changes: vec![(Change::Put, 6), (Change::Put, 7), (Change::Expire, 8)],
        next: 8,
    };
    let after =
        "The revision after which the events begin; where it is left out, those from now on";
    let last = "The id of the last event that the client has; it counts before `after`";
    Description {
        answers: vec![("changes", Outcome::Changed(changes))],
        success: text(
            "The data of a change is JSON: `type`, `key`, `revision`, and of a put `value`, and `expires_at` and \
             `content_type` where the pair has them.",
        ),
        ..Description::default()
    }
    .parameters([
        query("prefix", "What the keys begin with", of(Type::String)),
        query("after", after, revision(0, "")),
        header("Last-Event-ID", last, revision(0, "")),
    ])
    .fails([
        Error::TooOld {
            after: 5,
            oldest: 10,
        },
        bad_option("after", "a revision that was given"),
        Error::NotStreamed,
    ])
}

pub fn exported() -> Description {
    Description {
        answers: vec![("exported", Outcome::Listed(page(&EXPORTED)))],
        success: bytes(
            "Lines of JSON in UTF-8. Each is a pair, as the schema `Pair` has it; only the last may be `{\"error\": …}` \
             instead, with a problem.",
        ),
        ..Description::default()
    }
    .parameters([query("prefix", "What the keys begin with", of(Type::String))])
    .parameters(freshness())
    .fails([Error::NotStreamed, CONSISTENCY])
    .fails(of_freshness())
}

/// The body is described as bytes, because generators know no array of lines. Generators without NDJSON send
/// `application/octet-stream`.
pub fn imported(context: &Context<'_>) -> Description {
    let example = "{\"key\":\"planet\",\"value\":\"Earth\"}\n{\"key\":\"moons\",\"value\":1,\"expires_at\":1800000000}\n";
    let lines = || media(bytes("Lines of JSON in UTF-8"), json!(example));
    let body = RequestBodyBuilder::new()
        .required(Some(Required::False))
        .content(NDJSON, lines())
        .content(BYTES, lines())
        .description(Some(
            "Each line is an object with the members `key` and `value`; it may have `expires_at` (seconds since 1970, or null), \
             `ttl` (seconds, or null), `content_type` (of a value that is bytes), and `revision`, which is not kept.",
        ));
    let results = || Outcome::Applied {
        members: msgpack(IMPORTED),
        revision: 9,
    };
    Description {
        body: Some(body.build()),
        answers: vec![("done", results()), ("stopped", results())],
        success: bytes(
            "Lines of JSON in UTF-8. Each has a member with counts of lines: `progress` so far, `done` in the last one. A last \
             line with `error`, a problem, and `line`, the first one that was not written, has `done` as well. The last line \
             has `revision`, from which on what was written is seen, unless no line was to be written. \
             The counts are `lines` (all that are not blank), `written`, `exists` and `missing` (not written, by `mode`), \
             `forbidden`, `too_large` and `expired`.",
        ),
        ..Description::default()
    }
    .parameters([mode()])
    .fails([MODE, BAD_VALUE, bad_key(context), Error::NotStreamed])
}

/// An answer as clients get it. `name` is the name of the example.
pub fn render(delivery: Delivery, name: &str, outcome: &Outcome) -> Result<Response, Error> {
    let (media_type, text) = match outcome {
        Outcome::Changed(page) => {
            let mut text = events::ready(5);
            text.extend(events::render(page)?);
            (EVENTS, text)
        }
        Outcome::Listed(page) => (NDJSON, bulk::text(page)?),
        Outcome::Applied {
            members: answer,
            revision,
        } => {
            let mut counts = Counts::default();
            counts.add(answer)?;
            let failure = Failure {
                error: Error::malformed("The line should be an object with key and value"),
                line: Some(counts.lines + 1),
            };
            let stopped = (name == "stopped").then_some(&failure);
            let mut text = stopped.map_or_else(Vec::new, |_| lines::progress(&counts).to_vec());
            text.extend(lines::last_line(stopped, &counts, Some(*revision)));
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
