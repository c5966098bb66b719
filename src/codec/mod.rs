//! JSON ⇄ msgpack, without recursion and within limits. Pure; runs on any thread.

pub mod json_read;
pub mod json_write;
pub mod msgpack;

use crate::error::Error;
use msgpack::{Head, Reader};

/// One msgpack value that is whole, within the depth limit, and that JSON can carry: strings are UTF-8, the
/// keys of maps are strings, numbers are finite, and there is neither binary nor an extension type.
///
/// Both fronts decode into it, so that a command is read from one form only. It may hold a password, so it does not print.
pub struct Document<'a> {
    bytes: std::borrow::Cow<'a, [u8]>,
    kind: Kind,
}

/// Arrays and objects around a value: the body or the arguments, and the pairs.
const AROUND: usize = 2;

/// What a limit of depth is to a client: that of a value.
fn of_value(error: Error, limit: usize) -> Error {
    match error {
        Error::TooDeep { .. } => Error::TooDeep { limit },
        other => other,
    }
}

/// How the members of a document are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A JSON body: an object, members by name.
    Body,
    /// The arguments of a procedure: an array, members by position.
    Arguments,
}

impl<'a> Document<'a> {
    /// Reads JSON text (RFC 8259) whose values nest at most `depth` deep. Errors: `Malformed`, `TooDeep`.
    pub fn from_json(text: &[u8], depth: usize) -> Result<Document<'static>, Error> {
        let bytes = json_read::to_msgpack(text, depth + AROUND)
            .map_err(|error| of_value(error, depth))?
            .into();
        Ok(Document {
            bytes,
            kind: Kind::Body,
        })
    }

    /// Checks msgpack that came from a client, whose values nest at most `depth` deep. Errors: `Malformed`,
    /// `TooDeep`, `BadValue`.
    pub fn from_msgpack(bytes: &'a [u8], depth: usize) -> Result<Document<'a>, Error> {
        msgpack::check(bytes, depth + AROUND).map_err(|error| of_value(error, depth))?;
        Ok(Document {
            bytes: bytes.into(),
            kind: Kind::Arguments,
        })
    }

    /// The first argument, or `None` where it is null. Errors: `Malformed` where there is none, or it is not
    /// a string.
    pub fn first(&self, name: &'static str) -> Result<Option<String>, Error> {
        let mut reader = Reader::new(&self.bytes);
        match reader.head()? {
            Head::Array(1..) => match reader.value()? {
                [0xc0] => Ok(None),
                value => string(name, value).map(Some),
            },
            _ => Err(Error::malformed(format!("{name} is missing"))),
        }
    }

    /// The members named in `names`: of a body by name, of arguments by position
    /// after the first `skip`. Errors: `Malformed` for a body that is no object, a member that is missing, or
    /// too many arguments.
    pub fn fields<const N: usize>(
        &self,
        names: [&'static str; N],
        skip: usize,
    ) -> Result<[&[u8]; N], Error> {
        let mut found: [Option<&[u8]>; N] = [None; N];
        let mut reader = Reader::new(&self.bytes);
        match (self.kind, reader.head()?) {
            (Kind::Body, Head::Map(count)) => {
                for _ in 0..count {
                    let name = reader.string()?;
                    let value = reader.value()?;
                    if let Some(i) = names.iter().position(|known| known.as_bytes() == name) {
                        found[i] = Some(value);
                    }
                }
            }
            (Kind::Body, _) => return Err(Error::malformed("The body should be an object")),
            (Kind::Arguments, Head::Array(count)) if count as usize <= skip + N => {
                for i in 0..count as usize {
                    let value = reader.value()?;
                    if let Some(field) = i.checked_sub(skip).and_then(|i| found.get_mut(i)) {
                        *field = Some(value);
                    }
                }
            }
            (Kind::Arguments, _) => {
                return Err(Error::malformed(format!(
                    "Too many arguments: {}",
                    expected(&names)
                )));
            }
        }
        let mut fields = [&[] as &[u8]; N];
        for (i, value) in found.into_iter().enumerate() {
            fields[i] = value.ok_or_else(|| {
                Error::malformed(format!("{} is missing: {}", names[i], expected(&names)))
            })?;
        }
        Ok(fields)
    }
}

fn expected(names: &[&str]) -> String {
    match names {
        [] => "none is expected".to_owned(),
        names => format!("expected {}", names.join(", ")),
    }
}

/// The text of a field that has to be a string. Errors: `Malformed`, naming the field.
pub fn string(name: &'static str, field: &[u8]) -> Result<String, Error> {
    Reader::new(field)
        .string()
        .ok()
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .map(str::to_owned)
        .ok_or_else(|| Error::malformed(format!("{name} should be a string")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_body_are_found_by_name() {
        let body = Document::from_json(br#"{"b":1,"x":[{}],"a":"last"}"#, 9).unwrap();
        assert_eq!(
            body.fields(["a", "b"], 0).unwrap(),
            [b"\xa4last" as &[u8], b"\x01"]
        );
    }

    #[test]
    fn arguments_are_found_by_position() {
        let arguments = Document::from_msgpack(b"\x93\xc0\xa4last\x01", 9).unwrap();
        assert_eq!(
            arguments.fields(["a", "b"], 1).unwrap(),
            [b"\xa4last" as &[u8], b"\x01"]
        );
        assert_eq!(arguments.first("token"), Ok(None));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let text = |input: Document<'_>| input.fields(["a", "b"], 0).unwrap_err().to_string();
        let body = |json| text(Document::from_json(json, 9).unwrap());
        assert_eq!(body(br#"{"a":1}"#), "b is missing: expected a, b");
        assert_eq!(body(br#"[1,2]"#), "The body should be an object");
        let arguments = |bytes| text(Document::from_msgpack(bytes, 9).unwrap());
        assert_eq!(arguments(b"\x91\x01"), "b is missing: expected a, b");
        assert_eq!(
            arguments(b"\x93\x01\x02\x03"),
            "Too many arguments: expected a, b"
        );
    }
}
