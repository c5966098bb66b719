//! The input of a command, from any transport. Pure; any thread.

use super::check::{check, Allowed};
use super::fields::string;
use super::msgpack::{check_depth, write_str, Head, Reader};
use super::{json_read, repeated, tagged, unknown, unknown_in};
use authkv_base::error::Error;
use std::borrow::Cow;

/// One complete msgpack value within the depth limit that holds only what [`Allowed`] allows. In any case the keys of maps are
/// UTF-8 strings, and numbers are finite.
///
/// All transports decode into it, so commands are read from one form only. It may hold a password, so it does not print.
pub struct Document<'a> {
    bytes: Cow<'a, [u8]>,
    kind: Kind,
    rules: Rules,
    /// Members given outside the body, in the path or the query.
    elsewhere: Vec<&'static str>,
    /// The body was not empty.
    is_given: bool,
}

/// What a document may hold.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The limit on nested containers in a value.
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

    /// The number of containers around a value: the body or the arguments, and the pairs or a list of objects.
    const fn around(self) -> usize {
        match self.allowed {
            Allowed::Json => 2,
            Allowed::Types(_) => 3,
        }
    }

    /// The limit on nested containers in JSON text with such values.
    const fn of_json(self) -> usize {
        self.around() + self.of_json_value()
    }

    const fn of_json_value(self) -> usize {
        match self.allowed {
            Allowed::Json => self.depth,
            Allowed::Types(_) => tagged::json_depth(self.depth),
        }
    }

    /// Reads a JSON object around a value, as msgpack. Its names must be distinct. Errors: `Malformed`, `TooDeep`.
    pub fn item_from_json(self, text: &[u8]) -> Result<Vec<u8>, Error> {
        json_read::to_msgpack_once(text, self.of_json_value() + 1)
            .map_err(|error| of_value(error, self.depth))
    }

    /// Converts a value of a JSON text to the form in which it is stored. Errors: `TooDeep`, `BadValue`.
    pub fn stored(self, value: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
        match self.allowed {
            Allowed::Types(types) => tagged::untag(value, types, self.depth),
            Allowed::Json => check_depth(value, self.depth).map(|()| value.into()),
        }
    }

    /// Reads a JSON body that is a value, as msgpack. Errors: `Malformed`, `TooDeep`.
    pub fn value_from_json(self, text: &[u8]) -> Result<Vec<u8>, Error> {
        json_read::to_msgpack(without_mark(text), self.of_json_value())
            .map_err(|error| of_value(error, self.depth))
    }
}

/// Removes a byte order mark at the beginning, which a reader may ignore (RFC 8259 §8.1).
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// Makes a `TooDeep` error name the limit for a value, which is the limit that clients know.
fn of_value(error: Error, limit: usize) -> Error {
    match error {
        Error::TooDeep { .. } => Error::TooDeep { limit },
        other => other,
    }
}

/// A member from a path or a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Member {
    Text(String),
    Number(u64),
    Numbers(Vec<u64>),
    Seconds(f64),
    Flag(bool),
    Binary(Vec<u8>),
    /// A value in msgpack.
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
    /// A JSON body of the contract: an object with members by name. Other members are ignored.
    OldBody,
    /// A JSON body: an object with members by name. Other members are errors.
    Body,
    /// The arguments of a procedure: an array with members by position.
    Arguments,
}

impl<'a> Document<'a> {
    /// Reads JSON text (RFC 8259) by the rules of the contract: unknown members are ignored, and of a repeated member the last
    /// one counts. Errors: `Malformed`, `TooDeep`.
    pub fn from_json(text: &[u8], rules: Rules) -> Result<Document<'static>, Error> {
        let bytes = json_read::to_msgpack(without_mark(text), rules.of_json());
        Self::read(bytes, Kind::OldBody, rules)
    }

    /// Reads JSON text and adds `members` from elsewhere in the request, which the text must not repeat. An empty text is an
    /// object without members. Errors: `Malformed`, `TooDeep`.
    pub fn from_json_and(
        text: &[u8],
        rules: Rules,
        members: &[(&'static str, Member)],
    ) -> Result<Document<'static>, Error> {
        let text = without_mark(text);
        let is_given = !text.is_empty();
        let text = if is_given { text } else { b"{}" };
        let bytes = json_read::to_msgpack_once(text, rules.of_json());
        let body = Self::read(bytes, Kind::Body, rules)?;
        if members.is_empty() {
            return Ok(Document { is_given, ..body });
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
            elsewhere: members.iter().map(|(name, _)| *name).collect(),
            is_given,
            ..body
        })
    }

    fn read(
        bytes: Result<Vec<u8>, Error>,
        kind: Kind,
        rules: Rules,
    ) -> Result<Document<'static>, Error> {
        let bytes = bytes.map_err(|error| of_value(error, rules.depth))?;
        Ok(Document {
            bytes: bytes.into(),
            kind,
            rules,
            elsewhere: Vec::new(),
            is_given: true,
        })
    }

    /// Wraps arguments that were put together from parts that fit the rules.
    pub fn from_parts(bytes: &'a [u8], rules: Rules) -> Self {
        Document {
            bytes: bytes.into(),
            kind: Kind::Arguments,
            rules,
            elsewhere: Vec::new(),
            is_given: true,
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
            elsewhere: Vec::new(),
            is_given: true,
        })
    }

    /// The first argument, or `None` if it is null. Errors: `Malformed` if it is missing or not a string.
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

    /// Whether it came as JSON.
    pub fn is_body(&self) -> bool {
        self.kind != Kind::Arguments
    }

    /// Whether there is any input: a body that is not empty, or an argument after the first `skip` that is not null. Errors:
    /// `Malformed`.
    pub fn is_given(&self, skip: usize) -> Result<bool, Error> {
        let mut reader = Reader::new(&self.bytes);
        match (self.kind, reader.head()?) {
            (Kind::Arguments, Head::Array(count)) => {
                let mut last = &[0xc0][..];
                for _ in 0..count {
                    last = reader.value()?;
                }
                Ok(count as usize > skip && last != [0xc0])
            }
            _ => Ok(self.is_given),
        }
    }

    /// The error for a member with an unknown name.
    fn unknown(&self, name: &[u8], names: &[&'static str], options: &[&'static str]) -> Error {
        let known = names.iter().chain(options).copied();
        let known = known.filter(|known| !self.elsewhere.contains(known));
        unknown("member", name, &known.collect::<Vec<_>>())
    }

    /// The members in `names`: of a body by name, of arguments by position after the first `skip`. Errors: `Malformed` for a
    /// body that is no object, a missing member, an unknown or repeated name (except in a body of the contract), or too many
    /// arguments.
    pub fn fields<const N: usize>(
        &self,
        names: [&'static str; N],
        skip: usize,
    ) -> Result<[&[u8]; N], Error> {
        self.fields_and_options(names, [], skip)
            .map(|(fields, [])| fields)
    }

    /// Like [`Self::fields`], with the members in `options`, which may be missing or null. Arguments have the options in a map
    /// after the other arguments. Errors: `Malformed`, also for a name in that map that is not in `options`.
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
            (Kind::Body | Kind::OldBody, Head::Map(count)) => {
                for _ in 0..count {
                    let name = reader.string()?;
                    let value = reader.value()?;
                    let place = if let Some(i) = position(&names, name) {
                        &mut found[i]
                    } else if let Some(i) = position(&options, name) {
                        &mut chosen[i]
                    } else if self.kind == Kind::Body {
                        return Err(self.unknown(name, &names, &options));
                    } else {
                        continue;
                    };
                    if place.replace(value).is_some() && self.kind == Kind::Body {
                        return Err(repeated(name));
                    }
                }
            }
            (Kind::Body | Kind::OldBody, _) => {
                return Err(Error::malformed("The body should be an object"))
            }
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

    /// The members in `names` of the reader's next value: a map inside the document, an item of the list `name`. Errors:
    /// `Malformed` if `name` should have another form, or if a member is unknown or repeated.
    pub fn members<'b, const N: usize>(
        &self,
        name: &str,
        reader: &mut Reader<'b>,
        form: &str,
        names: [&'static str; N],
    ) -> Result<Members<'b, N>, Error> {
        let mut found: Members<'b, N> = [None; N];
        let Head::Map(count) = reader.head()? else {
            return Err(Error::malformed(format!("{name} should be {form}")));
        };
        for _ in 0..count {
            let (member, value) = (reader.string()?, reader.value()?);
            let Some(place) = position(&names, member) else {
                return Err(unknown_in(name, member, &names));
            };
            if found[place].replace(value).is_some() {
                return Err(repeated(member));
            }
        }
        Ok(found)
    }

    /// Converts a value of the document to the form in which it is stored. Errors: `TooDeep`, `BadValue`.
    pub fn value<'b>(&self, value: &'b [u8]) -> Result<Cow<'b, [u8]>, Error> {
        match self.kind {
            Kind::Body | Kind::OldBody => self.rules.stored(value),
            Kind::Arguments => check_depth(value, self.rules.depth).map(|()| value.into()),
        }
    }
}

/// The requested members; `None` if missing.
pub type Members<'a, const N: usize> = [Option<&'a [u8]>; N];

/// The requested options; `None` if missing.
pub type Options<'a, const M: usize> = [Option<&'a [u8]>; M];

fn position(names: &[&str], name: &[u8]) -> Option<usize> {
    names.iter().position(|known| known.as_bytes() == name)
}

/// Reads the map of options of a procedure. Null and an empty Lua table mean no options.
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
        let place = position(&names, name).ok_or_else(|| unknown("member", name, &names))?;
        if chosen[place].replace(reader.value()?).is_some() {
            return Err(repeated(name));
        }
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
mod tests;
