//! The input of a command, whatever front it came by. Pure; any thread.

use super::check::{check, Allowed};
use super::fields::string;
use super::msgpack::{check_depth, write_str, Head, Reader};
use super::{json_read, tagged};
use crate::error::Error;
use std::borrow::Cow;

/// One msgpack value that is whole, within the depth limit, and of what [`Allowed`] lets in: at least the keys of maps are
/// strings of UTF-8, and numbers are finite.
///
/// Both fronts decode into it, so that a command is read from one form only. It may hold a password, so it does not print.
pub struct Document<'a> {
    bytes: Cow<'a, [u8]>,
    kind: Kind,
    rules: Rules,
}

/// What a document may hold.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Containers that a value may have inside one another.
    pub depth: usize,
    pub allowed: Allowed,
}

impl Rules {
    /// Only what JSON can carry.
    pub const fn json(depth: usize) -> Self {
        Self {
            depth,
            allowed: Allowed::Json,
        }
    }

    /// Containers around a value: the body or the arguments, and the pairs, or a list of objects.
    const fn around(self) -> usize {
        match self.allowed {
            Allowed::Json => 2,
            Allowed::Types(_) => 3,
        }
    }

    /// Containers that JSON text with such values may have.
    const fn of_json(self) -> usize {
        self.around() + self.of_json_value()
    }

    const fn of_json_value(self) -> usize {
        match self.allowed {
            Allowed::Json => self.depth,
            Allowed::Types(_) => tagged::json_depth(self.depth),
        }
    }

    /// The msgpack of an object around a value. Errors: `Malformed`, `TooDeep`.
    pub fn item_from_json(self, text: &[u8]) -> Result<Vec<u8>, Error> {
        json_read::to_msgpack(text, self.of_json_value() + 1)
            .map_err(|error| of_value(error, self.depth))
    }

    /// The msgpack of a body that is a value. Errors: `Malformed`, `TooDeep`.
    pub fn value_from_json(self, text: &[u8]) -> Result<Vec<u8>, Error> {
        json_read::to_msgpack(text, self.of_json_value())
            .map_err(|error| of_value(error, self.depth))
    }
}

/// What a limit of depth is to a client: that of a value.
fn of_value(error: Error, limit: usize) -> Error {
    match error {
        Error::TooDeep { .. } => Error::TooDeep { limit },
        other => other,
    }
}

/// A member that stands in a path or a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Member {
    Text(String),
    Number(u64),
    Numbers(Vec<u64>),
    Seconds(f64),
    Flag(bool),
    Binary(Vec<u8>),
    /// In msgpack already.
    Encoded(Vec<u8>),
}

impl Member {
    fn write(&self, out: &mut Vec<u8>) {
        use rmp::encode::{write_array_len, write_bin, write_f64, write_str, write_uint};
        // Writing to a vector does not fail.
        let _ = match self {
            Member::Text(text) => write_str(out, text),
            Member::Number(number) => write_uint(out, *number).map(drop),
            Member::Numbers(all) => {
                let _ = write_array_len(out, all.len() as u32);
                all.iter()
                    .try_for_each(|number| write_uint(out, *number).map(drop))
            }
            Member::Seconds(seconds) => write_f64(out, *seconds),
            Member::Flag(flag) => return out.push(if *flag { 0xc3 } else { 0xc2 }),
            Member::Binary(bytes) => write_bin(out, bytes),
            Member::Encoded(bytes) => return out.extend_from_slice(bytes),
        };
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
    /// Reads JSON text (RFC 8259). Errors: `Malformed`, `TooDeep`.
    pub fn from_json(text: &[u8], rules: Rules) -> Result<Document<'static>, Error> {
        let bytes = json_read::to_msgpack(text, rules.of_json())
            .map_err(|error| of_value(error, rules.depth))?
            .into();
        Ok(Document {
            bytes,
            kind: Kind::Body,
            rules,
        })
    }

    /// The same with members that stand elsewhere in the request and count more; an empty text is an object
    /// without members. Errors: `Malformed`, `TooDeep`.
    pub fn from_json_and(
        text: &[u8],
        rules: Rules,
        members: &[(&str, Member)],
    ) -> Result<Document<'static>, Error> {
        let text = if text.is_empty() { b"{}" } else { text };
        let body = Self::from_json(text, rules)?;
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
            write_str(&mut bytes, name.as_bytes());
            member.write(&mut bytes);
        }
        Ok(Document {
            bytes: bytes.into(),
            kind: Kind::Body,
            rules,
        })
    }

    /// A body that was put together of parts which were read from JSON.
    pub fn from_parts(bytes: Vec<u8>, rules: Rules) -> Document<'static> {
        Document {
            bytes: bytes.into(),
            kind: Kind::Body,
            rules,
        }
    }

    /// Checks msgpack that came from a client. Errors: `Malformed`, `TooDeep`, `BadValue`.
    pub fn from_msgpack(bytes: &'a [u8], rules: Rules) -> Result<Document<'a>, Error> {
        check(bytes, rules.depth + rules.around(), rules.allowed)
            .map_err(|error| of_value(error, rules.depth))?;
        Ok(Document {
            bytes: bytes.into(),
            kind: Kind::Arguments,
            rules,
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

    /// Whether it was JSON.
    pub fn is_body(&self) -> bool {
        self.kind == Kind::Body
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

    /// The members named in `names` of the reader's next value, a map inside of the document and an item of `name`. Others
    /// are no failure in a body. Errors: `Malformed`, saying that `name` should be of that form.
    pub fn members<'b, const N: usize>(
        &self,
        name: &str,
        reader: &mut Reader<'b>,
        form: &str,
        names: [&'static str; N],
    ) -> Result<Members<'b, N>, Error> {
        let malformed = || Error::malformed(format!("{name} should be {form}"));
        let mut found: Members<'b, N> = [None; N];
        let Head::Map(count) = reader.head()? else {
            return Err(malformed());
        };
        for _ in 0..count {
            let (member, value) = (reader.string()?, reader.value()?);
            match (position(&names, member), self.kind) {
                (Some(place), _) => found[place] = Some(value),
                (None, Kind::Body) => {}
                (None, Kind::Arguments) => return Err(malformed()),
            }
        }
        Ok(found)
    }

    /// A value inside of the document, as it is stored. Errors: `TooDeep`, `BadValue`.
    pub fn value<'b>(&self, value: &'b [u8]) -> Result<Cow<'b, [u8]>, Error> {
        let Rules { depth, allowed } = self.rules;
        match (self.kind, allowed) {
            (Kind::Body, Allowed::Types(types)) => tagged::untag(value, types, depth),
            _ => check_depth(value, depth).map(|()| value.into()),
        }
    }
}

/// What was given of the members asked for.
pub type Members<'a, const N: usize> = [Option<&'a [u8]>; N];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_body_are_found_by_name() {
        let body = Document::from_json(br#"{"b":1,"x":[{}],"a":"last"}"#, Rules::json(9)).unwrap();
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
        let with = |json: &[u8]| Document::from_json_and(json, Rules::json(9), &members).unwrap();
        assert_eq!(
            with(br#"{"a":1,"b":2}"#).fields(["a", "b", "n"], 0),
            Ok([b"\xa4path" as &[u8], b"\x02", b"\xcd\x01\x2c"])
        );
        assert_eq!(with(b"").fields(["a"], 0), Ok([b"\xa4path" as &[u8]]));
        assert!(Document::from_json_and(b"[]", Rules::json(9), &members).is_err());
    }

    #[test]
    fn options_stand_in_a_body_or_in_a_last_map() {
        let found = |input: Document<'_>| {
            let parts = input.fields_and_options(["a"], ["x", "y"], 1);
            parts.map(|(_, options)| options.map(|one| one.map(<[u8]>::to_vec)))
        };
        let of =
            |bytes: &'static [u8]| found(Document::from_msgpack(bytes, Rules::json(9)).unwrap());
        assert_eq!(of(b"\x92\xc0\x01"), Ok([None, None]));
        assert_eq!(of(b"\x93\xc0\x01\x81\xa1y\x07"), Ok([None, Some(vec![7])]));
        assert_eq!(of(b"\x93\xc0\x01\x90"), Ok([None, None]));
        assert!(of(b"\x93\xc0\x01\x81\xa1z\x07").is_err());
        assert!(of(b"\x94\xc0\x01\x80\x01").is_err());
        let body = Document::from_json(br#"{"a":1,"x":null,"y":2}"#, Rules::json(9)).unwrap();
        assert_eq!(found(body), Ok([None, Some(vec![2])]));
    }

    #[test]
    fn arguments_are_found_by_position() {
        let arguments = Document::from_msgpack(b"\x93\xc0\xa4last\x01", Rules::json(9)).unwrap();
        assert_eq!(
            arguments.fields(["a", "b"], 1).unwrap(),
            [b"\xa4last" as &[u8], b"\x01"]
        );
        assert_eq!(arguments.first("token"), Ok(None));
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let text = |input: Document<'_>| input.fields(["a", "b"], 0).unwrap_err().to_string();
        let body = |json| text(Document::from_json(json, Rules::json(9)).unwrap());
        assert_eq!(body(br#"{"a":1}"#), "b is missing: expected a, b");
        assert_eq!(body(br#"[1,2]"#), "The body should be an object");
        let arguments = |bytes| text(Document::from_msgpack(bytes, Rules::json(9)).unwrap());
        assert_eq!(arguments(b"\x91\x01"), "b is missing: expected a, b");
        assert_eq!(
            arguments(b"\x93\x01\x02\x03"),
            "Too many arguments: expected a, b"
        );
    }
}
