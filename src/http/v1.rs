//! The profile `/v1`: answers have the members of the outcome, failures are problem details (RFC 9457). Pure; any thread.

use super::response::{json, reason};
use authkv_base::error::Error;
use authkv_codec::json_write::{write_string, write_tagged};
use authkv_codec::msgpack::Reader;
use authkv_command::Outcome;
use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem<'a> {
    /// Always `about:blank`: the code says what it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The words that HTTP has for the status.
    title: &'static str,
    status: u16,
    /// The stable name of the failure.
    code: &'static str,
    /// The failure in words, which may change.
    detail: String,
    /// The key that is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key: Option<&'a str>,
    /// The revision at which that key is; 0 where it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<u64>,
    /// The same as `detail`, for clients of `/api`: only if the server has not seen which path the request is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
    /// The line of an import that it is about: those before it were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    line: Option<u64>,
}

/// The media type of an error.
pub const PROBLEM: &str = "application/problem+json";

/// The status and the JSON body of an error.
pub fn render_error(error: &Error) -> (u16, Vec<u8>) {
    (error.row().v1_status, json(&Problem::new(error)))
}

/// The status and the JSON body of an error if the path is not known: the client may use `/api`.
pub fn render_error_for_anyone(error: &Error) -> (u16, Vec<u8>) {
    (
        error.row().v1_status,
        json(&Problem::new(error).for_anyone()),
    )
}

impl<'a> Problem<'a> {
    pub fn new(error: &'a Error) -> Self {
        let row = error.row();
        Self {
            kind: "about:blank",
            title: reason(row.v1_status),
            status: row.v1_status,
            code: row.name,
            detail: error.to_string(),
            key: match error {
                Error::Forbidden { key, .. } | Error::Conflict { key, .. } => Some(key),
                _ => None,
            },
            revision: match error {
                Error::Conflict { revision, .. } => Some(*revision),
                _ => None,
            },
            message: None,
            line: None,
        }
    }

    /// Adds `message`, for a client that may use `/api`.
    pub fn for_anyone(self) -> Self {
        let message = Some(self.detail.clone());
        Self { message, ..self }
    }

    /// The problem with the number of a line.
    pub fn at(self, line: Option<u64>) -> Self {
        Self { line, ..self }
    }
}

/// The status and the JSON body of a success. `status` is the usual one. Errors: `Malformed` if the result is not msgpack.
pub fn render_outcome(status: u16, outcome: &Outcome) -> Result<(u16, Vec<u8>), Error> {
    let status = match outcome {
        Outcome::PairWritten { created: true, .. } => 201,
        _ => status,
    };
    let body = match outcome {
        Outcome::Found(data)
        | Outcome::Encoded(data)
        | Outcome::Applied { members: data, .. }
        | Outcome::Pair(data) => {
            let mut body = Vec::with_capacity(data.len() * 5 / 4 + 16);
            write_tagged(&mut body, &mut Reader::new(data))?;
            body
        }
        Outcome::Listed(page) => {
            let mut body = Vec::with_capacity(page.items.len() * 5 / 4 + 64);
            body.extend_from_slice(b"{\"");
            body.extend_from_slice(page.name().as_bytes());
            body.extend_from_slice(b"\":[");
            let mut items = Reader::new(&page.items);
            for number in 0..page.count {
                if number > 0 {
                    body.push(b',');
                }
                write_tagged(&mut body, &mut items)?;
            }
            body.extend_from_slice(b"],\"next\":");
            match &page.next {
                Some(next) => write_string(&mut body, next.as_bytes()),
                None => body.extend_from_slice(b"null"),
            }
            body.push(b'}');
            body
        }
        other => json(other),
    };
    Ok((status, body))
}

/// The value of `WWW-Authenticate` for an error (RFC 6750 §3). `has_token`: the request had a token.
pub fn challenge(error: &Error, has_token: bool) -> Option<&'static str> {
    match error.row().v1_status {
        401 if has_token && error.is(&Error::Unauthenticated) => {
            Some(r#"Bearer realm="authkv", error="invalid_token""#)
        }
        401 => Some(r#"Bearer realm="authkv""#),
        403 => Some(r#"Bearer realm="authkv", error="insufficient_scope""#),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_base::error::AccessKind;
    use authkv_command::Done;

    fn text(rendered: (u16, Vec<u8>)) -> (u16, String) {
        (rendered.0, String::from_utf8(rendered.1).unwrap())
    }

    #[test]
    fn a_failure_is_a_problem_with_a_code() {
        let forbidden = Error::Forbidden {
            kind: AccessKind::Write,
            key: "a/b".to_owned(),
        };
        assert_eq!(
            text(render_error(&forbidden)),
            (
                403,
                r#"{"type":"about:blank","title":"Forbidden","status":403,"code":"forbidden","detail":"You may not write the key a/b","key":"a/b"}"#.to_owned()
            )
        );
        assert_eq!(render_error(&Error::InvalidCredentials).0, 401);
    }

    #[test]
    fn an_answer_has_the_members_of_the_outcome() {
        for (outcome, status, body) in [
            (Outcome::Done(Done::Revoked), 200, r#"{"revoked":true}"#),
            (Outcome::Checked(None), 200, r#"{"authorized":false}"#),
            (Outcome::Introspected(None), 200, r#"{"active":false}"#),
            (
                Outcome::PairWritten {
                    key: "a".to_owned(),
                    revision: 2,
                    created: true,
                },
                201,
                r#"{"key":"a","revision":2,"created":true}"#,
            ),
        ] {
            let rendered = render_outcome(200, &outcome).unwrap();
            assert_eq!(text(rendered), (status, body.to_owned()));
        }
    }
}
