//! One pair as an HTTP resource: the body is its value, the entity tag its revision (RFC 9110 §8.8.3). Pure; any thread.

use super::response::Response;
use authkv_base::error::Error;
use authkv_codec::msgpack::{Head as Start, Reader};
use authkv_codec::{json_write, Member, Rules};
use authkv_command::Operation;
use authkv_wire::head::{Field, Head};
use authkv_wire::input::{coding, is_json, BYTES};
use authkv_wire::routes::Members;
use bytes::Bytes;
use hyper::Method;
use std::borrow::Cow;

/// Adds the conditions of a request (RFC 9110 §13.1) to the members of its query. Errors: `Malformed`.
pub fn conditions(head: &Head, operation: Operation, query: &mut Members) -> Result<(), Error> {
    let mut members = Members::new();
    let writes = operation != Operation::PairGet;
    match tags(&head.if_match, "If-Match", false)? {
        None => {}
        Some(Tags::Any) if operation == Operation::PairPut => {
            members.push(("mode", Member::Text("replace".to_owned())));
        }
        // If there is no pair, the answer is 404 anyway.
        Some(Tags::Any) => {}
        Some(Tags::Some(revisions)) => members.push(("if_revision", Member::Numbers(revisions))),
    }
    match tags(&head.if_none_match, "If-None-Match", true)? {
        Some(Tags::Any) if operation == Operation::PairPut && members.is_empty() => {
            members.push(("if_revision", Member::Number(0)));
        }
        Some(_) if writes => {
            return Err(Error::malformed(
                "If-None-Match should be * and stand without If-Match, with PUT only",
            ))
        }
        _ => {}
    }
    let is_given = |name| query.iter().any(|(given, _)| *given == name);
    if members.iter().any(|(name, _)| is_given(*name)) {
        let what = "mode and if_revision should stand without conditions in the header";
        return Err(Error::malformed(what));
    }
    query.extend(members);
    Ok(())
}

/// The value in a body, with its type if that is not JSON. Errors: `Malformed`, `TooDeep`, `BadMediaType`.
pub fn value(head: &Head, body: &[u8], rules: Rules) -> Result<Members, Error> {
    if is_json(head)? {
        let value = rules.value_from_json(body)?;
        return Ok(vec![("value", Member::Encoded(value))]);
    }
    let mut members = vec![("value", Member::Binary(body.to_vec()))];
    if let Some(text) = head.content_type.text() {
        members.push(("content_type", Member::Text(text.to_owned())));
    }
    Ok(members)
}

/// Errors: `BadMediaType` for a body with a coding, or without a clear type.
pub fn check_type(head: &Head) -> Result<(), Error> {
    coding(head, false)?;
    is_json(head).map(drop)
}

/// The answer with a pair. Errors: `Malformed` if the pair is not msgpack.
pub fn response(head: &Head, pair: &[u8]) -> Result<Response, Error> {
    let mut reader = Reader::new(pair);
    let Start::Map(count) = reader.head()? else {
        return Err(Error::Internal);
    };
    let (mut value, mut revision, mut expires_at, mut content_type) = (None, 0, None, None);
    for _ in 0..count {
        let (name, member) = (reader.string()?, reader.value()?);
        match name {
            b"value" => value = Some(member),
            b"revision" => revision = rmp_serde::from_slice(member).unwrap_or_default(),
            b"expires_at" => expires_at = rmp_serde::from_slice::<f64>(member).ok(),
            b"content_type" => content_type = rmp_serde::from_slice::<String>(member).ok(),
            _ => {}
        }
    }
    let mut response = match is_unchanged(head, revision)? {
        true => Response::new(304, Bytes::new()),
        false => body(value.unwrap_or(&[0xc0]), content_type)?,
    };
    response.set("ETag", tag(revision));
    if let Some(seconds) = expires_at {
        response.set("Authkv-Expires-At", seconds.to_string());
    }
    Ok(response)
}

/// The entity tag of a revision.
pub fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// Whether the text may be in a header (RFC 9110 §5.5). The application may have written any text to the space.
fn is_field(text: &str) -> bool {
    let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_visible && !text.is_empty() && text.trim() == text
}

/// The body with its type. The headers keep a browser from taking a client's value for a page of this server.
fn body(value: &[u8], content_type: Option<String>) -> Result<Response, Error> {
    let mut reader = Reader::new(value);
    let mut response = match reader.head()? {
        Start::Bin(length) => {
            let mut response = Response::new(200, reader.take(length as usize)?.to_vec());
            let content_type = content_type.filter(|text| is_field(text));
            response.set("Content-Type", content_type.map_or(BYTES.into(), Cow::from));
            response
        }
        _ => {
            let mut text = Vec::new();
            json_write::write_tagged(&mut text, &mut Reader::new(value))?;
            Response::json(200, text)
        }
    };
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Content-Security-Policy", "sandbox; default-src 'none'");
    Ok(response)
}

/// Whether the client has this revision already (RFC 9110 §13.1.2).
fn is_unchanged(head: &Head, revision: u64) -> Result<bool, Error> {
    let asks = matches!(head.method, Method::GET | Method::HEAD);
    Ok(match tags(&head.if_none_match, "If-None-Match", true)? {
        Some(Tags::Any) => asks,
        Some(Tags::Some(revisions)) => asks && revisions.contains(&revision),
        None => false,
    })
}

/// The entity tags of a condition.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    /// Revisions. Tags that cannot be revisions are left out.
    Some(Vec<u64>),
}

/// The tags of a field. With `weak`, weak tags count too. Errors: `Malformed`.
fn tags(field: &Field, name: &str, weak: bool) -> Result<Option<Tags>, Error> {
    let malformed = || Error::malformed(format!("{name} should be * or a list of entity tags"));
    let text = match field {
        Field::None => return Ok(None),
        _ => field.text().ok_or_else(malformed)?,
    };
    if text.trim() == "*" {
        return Ok(Some(Tags::Any));
    }
    let mut revisions = Vec::new();
    // A tag that is no revision matches nothing.
    for tag in text.split(',').map(str::trim) {
        let (is_weak, tag) = match tag.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, tag),
        };
        let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let revision = tag.and_then(|tag| tag.parse::<u64>().ok());
        // Only the exact form that authkv writes is a revision.
        let is_ours = |revision: &u64| *revision > 0 && tag == Some(&revision.to_string());
        let revision = revision.filter(is_ours);
        revisions.extend(revision.filter(|_| weak || !is_weak));
    }
    Ok(Some(Tags::Some(revisions)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &'static str) -> Field {
        Field::One(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn tags_are_revisions() {
        let read = |text, weak| tags(&field(text), "If-Match", weak);
        let some = |revisions: &[u64]| Ok(Some(Tags::Some(revisions.to_vec())));
        assert_eq!(read("*", false), Ok(Some(Tags::Any)));
        assert_eq!(read(r#""5""#, false), some(&[5]));
        assert_eq!(read(r#" "5" , W/"6","x","007" "#, false), some(&[5]));
        assert_eq!(read(r#""5", W/"6""#, true), some(&[5, 6]));
        for text in ["", "5", "\"5", "W/5", "\"5\" \"6\"", "\"+5\""] {
            assert_eq!(read(text, true), some(&[]), "{text}");
        }
        assert_eq!(read(r#","a,b",,"5""#, true), some(&[5]));
        assert_eq!(tags(&Field::None, "If-Match", false), Ok(None));
        assert!(tags(&Field::Many, "If-Match", false).is_err());
    }

    #[test]
    fn conditions_become_options() {
        let with =
            |operation, if_match: Option<&'static str>, if_none_match: Option<&'static str>| {
                let mut head = Head::new(Method::PUT, Bytes::from_static(b"/"));
                head.if_match = if_match.map_or(Field::None, field);
                head.if_none_match = if_none_match.map_or(Field::None, field);
                let mut members = Members::new();
                conditions(&head, operation, &mut members).map(|()| members)
            };
        let text = |name, text: &str| (name, Member::Text(text.to_owned()));
        use Operation::{PairDelete, PairGet, PairPut};
        assert_eq!(
            with(PairPut, Some("*"), None),
            Ok(vec![text("mode", "replace")])
        );
        assert_eq!(
            with(PairPut, None, Some("*")),
            Ok(vec![("if_revision", Member::Number(0))])
        );
        let one = ("if_revision", Member::Numbers(vec![5]));
        assert_eq!(with(PairDelete, Some("\"5\""), None), Ok(vec![one]));
        assert_eq!(with(PairGet, Some("*"), Some("\"5\"")), Ok(vec![]));
        assert!(with(PairPut, None, Some("\"5\"")).is_err());
        assert!(with(PairPut, Some("*"), Some("*")).is_err());
        assert!(with(PairDelete, None, Some("*")).is_err());
    }

    #[test]
    fn a_content_type_that_is_no_field_is_not_told() {
        for (text, told) in [
            ("text/csv; charset=utf-8", "text/csv; charset=utf-8"),
            ("a\r\nSet-Cookie: b", BYTES),
            ("a\tb", BYTES),
            ("я", BYTES),
            (" a", BYTES),
            ("a ", BYTES),
            ("", BYTES),
        ] {
            let response = body(b"\xc4\x01x", Some(text.to_owned())).unwrap();
            assert_eq!(
                response.headers[0],
                ("Content-Type".into(), told.into()),
                "{text}"
            );
        }
    }
}
