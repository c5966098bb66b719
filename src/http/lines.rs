//! Lines of exports and imports (NDJSON) that are not pairs. Pure.

use super::response::json;
use super::v1;
use crate::bulk::{Counts, Failure};
use authkv_base::error::Error;
use authkv_codec::in_one_line;
use bytes::Bytes;
use serde::Serialize;

#[derive(Serialize)]
struct Progress<'a> {
    progress: &'a Counts,
}

#[derive(Serialize)]
struct Done<'a> {
    done: &'a Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

#[derive(Serialize)]
struct Failed<'a> {
    error: v1::Problem<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    done: &'a Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// The last line of an export that ends early. It is no pair, so a client notices that the export is incomplete.
pub fn failure(error: &Error) -> Vec<u8> {
    let mut text = b"{\"error\":".to_vec();
    text.extend(in_one_line(v1::render_error(error).1));
    text.extend_from_slice(b"}\n");
    text
}

/// The body of an answer that only says why an import ended early.
pub fn problem_of_line(failure: &Failure) -> Bytes {
    let problem = v1::Problem::new(&failure.error).at(failure.line);
    line(&problem).trim_ascii_end().to_vec().into()
}

/// A line of an import that reports progress.
pub fn progress(counts: &Counts) -> Bytes {
    line(&Progress { progress: counts })
}

/// The last line of an import, with the error that ended it early, if any, and the revision from which on what it has written is
/// seen.
pub fn last_line(failure: Option<&Failure>, done: &Counts, revision: Option<u64>) -> Bytes {
    match failure {
        None => line(&Done { done, revision }),
        Some(failure) => line(&Failed {
            error: v1::Problem::new(&failure.error),
            line: failure.line,
            done,
            revision,
        }),
    }
}

fn line<T: Serialize>(value: &T) -> Bytes {
    let mut line = in_one_line(json(value));
    line.push(b'\n');
    line.into()
}
