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

/// A member that stands in a path or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    Text(String),
    Number(u64),
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

    /// The same with members that stand elsewhere in the request and count more; an empty text is an object
    /// without members. Errors: `Malformed`, `TooDeep`.
    pub fn from_json_and(
        text: &[u8],
        depth: usize,
        members: &[(&str, Member)],
    ) -> Result<Document<'static>, Error> {
        let text = if text.is_empty() { b"{}" } else { text };
        let body = Self::from_json(text, depth)?;
        if members.is_empty() {
            return Ok(body);
        }
        let mut reader = Reader::new(&body.bytes);
        let Head::Map(count) = reader.head()? else {
            return Err(Error::malformed("The body should be an object"));
        };
        let mut bytes = Vec::with_capacity(body.bytes.len() + 64);
        // Writing to a vector does not fail.
        let _ = rmp::encode::write_map_len(&mut bytes, count + members.len() as u32);
        bytes.extend_from_slice(reader.rest());
        for (name, member) in members {
            let _ = rmp::encode::write_str(&mut bytes, name);
            let _ = match member {
                Member::Text(text) => rmp::encode::write_str(&mut bytes, text),
                Member::Number(number) => rmp::encode::write_uint(&mut bytes, *number).map(drop),
            };
        }
        Ok(Document {
            bytes: bytes.into(),
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
        self.fields_and_options(names, [], skip)
            .map(|(fields, [])| fields)
    }

    /// The same, and the members in `options`, which need not be there and may be null. Among arguments they stand
    /// in a map behind the others. Errors: `Malformed`, also for a name in that map that is not in `options`.
    pub fn fields_and_options<const N: usize, const M: usize>(
        &self,
        names: [&'static str; N],
        options: [&'static str; M],
        skip: usize,
    ) -> Result<([&[u8]; N], Options<'_, M>), Error> {
        let mut found: [Option<&[u8]>; N] = [None; N];
        let mut chosen: Options<'_, M> = [None; M];
        let mut reader = Reader::new(&self.bytes);
        match (self.kind, reader.head()?) {
            (Kind::Body, Head::Map(count)) => {
                for _ in 0..count {
                    let name = reader.string()?;
                    let value = reader.value()?;
                    if let Some(i) = position(&names, name) {
                        found[i] = Some(value);
                    } else if let Some(i) = position(&options, name) {
                        chosen[i] = Some(value);
                    }
                }
            }
            (Kind::Body, _) => return Err(Error::malformed("The body should be an object")),
            (Kind::Arguments, Head::Array(count))
                if count as usize <= skip + N + usize::from(M > 0) =>
            {
                for i in 0..count as usize {
                    let value = reader.value()?;
                    let Some(i) = i.checked_sub(skip) else {
                        continue;
                    };
                    match found.get_mut(i) {
                        Some(field) => *field = Some(value),
                        None => chosen = read_options(options, value)?,
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
        let chosen = chosen.map(|value| value.filter(|value| *value != [0xc0]));
        Ok((fields, chosen))
    }
}

/// What was given of the options asked for.
pub type Options<'a, const M: usize> = [Option<&'a [u8]>; M];

fn position(names: &[&str], name: &[u8]) -> Option<usize> {
    names.iter().position(|known| known.as_bytes() == name)
}

/// The map of options of a procedure; null and an empty table of Lua stand for none.
fn read_options<'a, const M: usize>(
    names: [&'static str; M],
    map: &'a [u8],
) -> Result<Options<'a, M>, Error> {
    let mut chosen = [None; M];
    if matches!(map, [0xc0] | [0x90]) {
        return Ok(chosen);
    }
    let mut reader = Reader::new(map);
    let Head::Map(count) = reader.head()? else {
        return Err(Error::malformed("The options should be a map"));
    };
    for _ in 0..count {
        let name = reader.string()?;
        let place = position(&names, name).ok_or_else(|| {
            Error::malformed(format!(
                "There is no such option: there are {}",
                names.join(", ")
            ))
        })?;
        chosen[place] = Some(reader.value()?);
    }
    Ok(chosen)
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

/// The number of a field that has to be a whole one and not negative; 7.0 is one too (JSON Schema, Core §4.2.3). Errors:
/// `Malformed`, naming the field.
pub fn number(name: &'static str, field: &[u8]) -> Result<u64, Error> {
    // Beyond it not every whole number is a float.
    const MAX: f64 = (1u64 << 53) as f64;
    let whole = || {
        let float = rmp_serde::from_slice::<f64>(field).ok()?;
        let is_whole = float.fract() == 0.0 && (0.0..=MAX).contains(&float);
        is_whole.then_some(float as u64)
    };
    let number = rmp_serde::from_slice(field).ok().or_else(whole);
    number.ok_or_else(|| Error::malformed(format!("{name} should be a whole number")))
}

/// The value of a field of a form that serde knows. Errors: `Malformed`, naming the field and the form.
pub fn shaped<T: serde::de::DeserializeOwned>(
    name: &'static str,
    field: &[u8],
    form: &'static str,
) -> Result<T, Error> {
    rmp_serde::from_slice(field).map_err(|_| Error::malformed(format!("{name} should be {form}")))
}

/// The same of an array of objects: serde would take an array for an object, too. Errors: `Malformed`.
pub fn objects<T: serde::de::DeserializeOwned>(
    name: &'static str,
    field: &[u8],
    form: &'static str,
) -> Result<Vec<T>, Error> {
    let mut reader = Reader::new(field);
    let mut are_objects = true;
    if let Head::Array(count) = reader.head()? {
        for _ in 0..count {
            are_objects &= matches!(Reader::new(reader.value()?).head()?, Head::Map(_));
        }
    }
    match are_objects {
        true => shaped(name, field, form),
        false => Err(Error::malformed(format!("{name} should be {form}"))),
    }
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
    fn members_of_a_path_count_more_than_those_of_a_body() {
        let members = [
            ("a", Member::Text("path".to_owned())),
            ("n", Member::Number(300)),
        ];
        let with = |json: &[u8]| Document::from_json_and(json, 9, &members).unwrap();
        assert_eq!(
            with(br#"{"a":1,"b":2}"#).fields(["a", "b", "n"], 0),
            Ok([b"\xa4path" as &[u8], b"\x02", b"\xcd\x01\x2c"])
        );
        assert_eq!(with(b"").fields(["a"], 0), Ok([b"\xa4path" as &[u8]]));
        assert!(Document::from_json_and(b"[]", 9, &members).is_err());
    }

    #[test]
    fn options_stand_in_a_body_or_in_a_last_map() {
        let found = |input: Document<'_>| {
            let parts = input.fields_and_options(["a"], ["x", "y"], 1);
            parts.map(|(_, options)| options.map(|one| one.map(<[u8]>::to_vec)))
        };
        let of = |bytes: &'static [u8]| found(Document::from_msgpack(bytes, 9).unwrap());
        assert_eq!(of(b"\x92\xc0\x01"), Ok([None, None]));
        assert_eq!(of(b"\x93\xc0\x01\x81\xa1y\x07"), Ok([None, Some(vec![7])]));
        assert_eq!(of(b"\x93\xc0\x01\x90"), Ok([None, None]));
        assert!(of(b"\x93\xc0\x01\x81\xa1z\x07").is_err());
        assert!(of(b"\x94\xc0\x01\x80\x01").is_err());
        let body = Document::from_json(br#"{"a":1,"x":null,"y":2}"#, 9).unwrap();
        assert_eq!(found(body), Ok([None, Some(vec![2])]));
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_fraction() {
        for (json, expected) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("529.0", Some(529)),
            ("6e2", Some(600)),
            ("-0.0", Some(0)),
            ("0.5", None),
            ("-1", None),
            ("-1.0", None),
            ("1e300", None),
            ("\"7\"", None),
            ("true", None),
            ("null", None),
        ] {
            let body = Document::from_json(format!("{{\"n\":{json}}}").as_bytes(), 9).unwrap();
            let [field] = body.fields(["n"], 0).unwrap();
            assert_eq!(number("n", field).ok(), expected, "{json}");
        }
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
