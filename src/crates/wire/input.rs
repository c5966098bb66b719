//! Checks the types of bodies, and reads forms and queries. Pure; any thread.

use super::head::{Field, Head};
use super::percent;
use super::routes::{Kind, Members};
use authkv_base::error::Error;
use authkv_codec::{repeated, shown, unknown, Member};
use std::borrow::Cow;

const FORM: &str = "application/x-www-form-urlencoded";
/// JSON texts, one in a line.
pub const NDJSON: &str = "application/x-ndjson";
/// Bytes of an unknown type (RFC 2046 §4.5.1).
pub const BYTES: &str = "application/octet-stream";
/// The types accepted for lines of JSON. Clients that know no type for lines send `BYTES`.
const LINES_OF_JSON: [&str; 4] = [NDJSON, "application/ndjson", "application/jsonl", BYTES];

/// Whether the header says that the body is a form.
pub fn is_form(head: &Head) -> bool {
    essence(head.content_type.text().unwrap_or_default()) == FORM
}

/// A media type without its parameters, in lower case.
fn essence(text: &str) -> Cow<'_, str> {
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => essence.to_ascii_lowercase().into(),
        false => essence.into(),
    }
}

/// The coding of a body (RFC 9110 §8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
}

/// The coding of a body. `lines`: gzip is allowed. Errors: `BadMediaType` with the accepted codings.
pub fn coding(head: &Head, lines: bool) -> Result<Coding, Error> {
    // `x-gzip` means the same as `gzip` (RFC 9110 §8.4.1.3).
    let is_gzip =
        |name: &[u8]| name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip");
    match &head.content_encoding {
        Field::None => Ok(Coding::Identity),
        Field::One(name) if name.eq_ignore_ascii_case(b"identity") => Ok(Coding::Identity),
        Field::One(name) if lines && is_gzip(name) => Ok(Coding::Gzip),
        Field::One(_) | Field::Many if lines => Err(Error::BadMediaType {
            expected: "sent without Content-Encoding, or in gzip",
            codings: Some("gzip, identity"),
        }),
        Field::One(_) | Field::Many => Err(Error::BadMediaType {
            expected: "sent without Content-Encoding",
            codings: Some("identity"),
        }),
    }
}

/// Whether a body is read as JSON: the header says so, or has the type that `curl -d` sends for any body, or has no type.
/// Errors: `BadMediaType` for an unclear type.
pub fn is_json(head: &Head) -> Result<bool, Error> {
    match &head.content_type {
        Field::None => Ok(true),
        field => {
            let text = field.text();
            let text = text.ok_or(Error::bad_type("of one type, in visible ASCII"))?;
            let essence = essence(text);
            Ok(essence == "application/json" || essence == FORM)
        }
    }
}

/// Errors: `BadMediaType` for a body that is not JSON according to the header, or that is coded. `lines`: the body is lines of
/// JSON.
pub fn check_type(head: &Head, lines: bool) -> Result<(), Error> {
    const JSON: Error = Error::bad_type("application/json");
    const LINES: Error = Error::bad_type("application/x-ndjson or application/json");
    let wrong = || if lines { LINES } else { JSON };
    coding(head, lines)?;
    match &head.content_type {
        Field::None => Ok(()),
        Field::Many => Err(wrong()),
        Field::One(_) => {
            let text = head.content_type.text().ok_or_else(wrong)?;
            // Parameters do not matter: JSON is always UTF-8 (RFC 8259 §11).
            let essence = essence(text);
            let json = essence == "application/json"
                || (essence.starts_with("application/") && essence.ends_with("+json"));
            // `curl -d` sends the type of a form for any body.
            match json || essence == FORM || lines && LINES_OF_JSON.contains(&&*essence) {
                true => Ok(()),
                false => Err(wrong()),
            }
        }
    }
}

/// A number of digits only.
pub fn whole_number(text: &str) -> Option<u64> {
    // Rust would accept a sign too.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// How to treat unknown parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    Refused,
    Ignored,
}

/// The known parameters of a form or a query. Errors: `Malformed`, naming the parameter.
pub fn form(text: &[u8], kinds: &[(&'static str, Kind)], others: Others) -> Result<Members, Error> {
    let mut members = Members::new();
    for pair in text.split(|byte| *byte == b'&') {
        if pair.is_empty() {
            continue;
        }
        let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let encoded = &pair[..end];
        let name = percent::decode_form(&format!("The name {}", shown(encoded)), encoded)?;
        let value = pair.get(end + 1..).unwrap_or_default();
        let Some((name, kind)) = kinds.iter().find(|(known, _)| *known == name) else {
            if others == Others::Ignored {
                percent::decode_form(&shown(name.as_bytes()), value)?;
                continue;
            }
            let known: Vec<&str> = kinds.iter().map(|(known, _)| *known).collect();
            return Err(unknown("parameter", name.as_bytes(), &known));
        };
        // A parameter may appear once only (RFC 6749 §3.2).
        if members.iter().any(|(known, _)| known == name) {
            return Err(repeated(name.as_bytes()));
        }
        let value = percent::decode_form(name, value)?;
        members.push((
            *name,
            match kind {
                Kind::Text => Member::Text(value),
                Kind::Number => {
                    Member::Number(whole_number(&value).ok_or_else(|| {
                        Error::malformed(format!("{name} should be a whole number"))
                    })?)
                }
                Kind::Seconds => Member::Seconds(value.parse().map_err(|_| {
                    Error::malformed(format!("{name} should be a number of seconds"))
                })?),
                Kind::Flag => match &*value {
                    "true" => Member::Flag(true),
                    "false" => Member::Flag(false),
                    _ => return Err(Error::malformed(format!("{name} should be true or false"))),
                },
            },
        ));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_strictly() {
        const KINDS: &[(&str, Kind)] = &[("a", Kind::Text), ("n", Kind::Number)];
        let read = |text: &str| form(text.as_bytes(), KINDS, Others::Refused);
        let text = |name, text: &str| (name, Member::Text(text.to_owned()));
        for (given, expected) in [
            ("", vec![]),
            ("&&", vec![]),
            ("a=1", vec![text("a", "1")]),
            ("a", vec![text("a", "")]),
            (
                "a=b=c+d%26&n=7",
                vec![text("a", "b=c d&"), ("n", Member::Number(7))],
            ),
            ("%61=%D1%8F", vec![text("a", "я")]),
        ] {
            assert_eq!(read(given), Ok(expected), "{given}");
        }
        for (given, what) in [
            ("a=%FF", "a should be UTF-8"),
            (
                "%61=%zz",
                "a should have a % before two hexadecimal digits only",
            ),
            (
                "a=1&n=%",
                "n should have a % before two hexadecimal digits only",
            ),
            ("a=1&a=%zz", "a should be given once"),
            ("%FF=1", "The name %FF should be UTF-8"),
            (
                "x%4=1",
                "The name x%4 should have a % before two hexadecimal digits only",
            ),
            (
                "=1",
                "There is no parameter \"\": did you mean a? Known are a, n",
            ),
            ("n=%2B7", "n should be a whole number"),
        ] {
            assert_eq!(read(given).unwrap_err().to_string(), what, "{given}");
        }
        let others = |text: &str| form(text.as_bytes(), KINDS, Others::Ignored);
        assert_eq!(others("x=1&a=2&x=3"), Ok(vec![text("a", "2")]));
        assert_eq!(
            others("hint=%E6").unwrap_err().to_string(),
            "hint should be UTF-8"
        );
    }

    #[test]
    fn a_whole_number_is_digits() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+5", None),
            ("-0", None),
            (" 5", None),
            ("5.0", None),
            ("٥", None),
        ] {
            assert_eq!(whole_number(text), number, "{text}");
        }
    }
}
