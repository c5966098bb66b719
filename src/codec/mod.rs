//! JSON ⇄ msgpack, without recursion and within limits. Pure; runs on any thread.

pub mod json_read;
pub mod json_write;
pub mod msgpack;

use crate::error::Error;
use msgpack::{Head, Reader};

/// One msgpack value that is whole, within the depth limit, and that JSON can carry: strings are UTF-8, the
/// keys of maps are strings, numbers are finite, and there is neither binary nor an extension type.
///
/// Both fronts decode into it, so that a command is read from one form only.
#[derive(Debug)]
pub struct Document<'a>(std::borrow::Cow<'a, [u8]>);

impl<'a> Document<'a> {
    /// Reads JSON text (RFC 8259). Errors: `Malformed`, `TooDeep`.
    pub fn from_json(text: &[u8], depth_limit: usize) -> Result<Document<'static>, Error> {
        json_read::to_msgpack(text, depth_limit).map(|bytes| Document(bytes.into()))
    }

    /// Checks msgpack that came from a client. Errors: `Malformed`, `TooDeep`, `BadValue`.
    pub fn from_msgpack(bytes: &'a [u8], depth_limit: usize) -> Result<Document<'a>, Error> {
        msgpack::check(bytes, depth_limit)?;
        Ok(Document(bytes.into()))
    }

    /// The first element of an array, or `None` where it is missing or null.
    pub fn first(&self) -> Option<&[u8]> {
        let mut reader = Reader::new(&self.0);
        match reader.head() {
            Ok(Head::Array(1..)) => reader.value().ok().filter(|value| *value != [0xc0]),
            _ => None,
        }
    }

    /// The members named in `names`, looked up in a map by name (of a repeated member the last) or in an
    /// array by position after the first `skip` elements. Errors: `Malformed` for any other type, a member
    /// that is missing, or one that is too many in an array.
    pub fn fields<const N: usize>(
        &self,
        names: [&'static str; N],
        skip: usize,
    ) -> Result<[&[u8]; N], Error> {
        let mut found: [Option<&[u8]>; N] = [None; N];
        let mut reader = Reader::new(&self.0);
        match reader.head()? {
            Head::Map(count) => {
                for _ in 0..count {
                    let name = reader.string()?;
                    let value = reader.value()?;
                    if let Some(i) = names.iter().position(|known| known.as_bytes() == name) {
                        found[i] = Some(value);
                    }
                }
            }
            Head::Array(count) if count as usize > skip + N => {
                return Err(Error::malformed(format!(
                    "Too many arguments: {}",
                    expected(&names)
                )));
            }
            Head::Array(count) => {
                for i in 0..count as usize {
                    let value = reader.value()?;
                    if let Some(field) = i.checked_sub(skip).and_then(|i| found.get_mut(i)) {
                        *field = Some(value);
                    }
                }
            }
            _ => return Err(Error::malformed("The input should be an object")),
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
    fn fields_are_found_by_name_and_by_position() {
        let by_name =
            Document::from_json(br#"{"b":1,"x":[{}],"a":"first","a":"last"}"#, 9).unwrap();
        assert_eq!(
            by_name.fields(["a", "b"], 0).unwrap(),
            [b"\xa4last" as &[u8], b"\x01"]
        );
        let by_position = Document::from_json(br#"[null,"last",1]"#, 9).unwrap();
        assert_eq!(
            by_position.fields(["a", "b"], 1).unwrap(),
            [b"\xa4last" as &[u8], b"\x01"]
        );
    }

    #[test]
    fn a_missing_or_extra_field_is_named() {
        let text = |json: &[u8]| {
            Document::from_json(json, 9)
                .unwrap()
                .fields(["a", "b"], 0)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(text(br#"{"a":1}"#), "b is missing: expected a, b");
        assert_eq!(text(br#"[1]"#), "b is missing: expected a, b");
        assert_eq!(text(br#"[1,2,3]"#), "Too many arguments: expected a, b");
        assert_eq!(text(br#""a""#), "The input should be an object");
    }
}
