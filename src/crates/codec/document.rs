//! The input of a command, whatever transport it came by. Pure; any thread.

use super::check::{check, Allowed};
use super::fields::string;
use super::msgpack::{check_depth, write_str, Head, Reader};
use super::{json_read, repeated, tagged, unknown, unknown_in};
use authkv_base::error::Error;
use std::borrow::Cow;

/// One msgpack value that is whole, within the depth limit, and of what [`Allowed`] lets in: at least the keys of maps are
/// strings of UTF-8, and numbers are finite.
///
/// Both transports decode into it, so that a command is read from one form only. It may hold a password, so it does not print.
pub struct Document<'a> {
    bytes: Cow<'a, [u8]>,
    kind: Kind,
    rules: Rules,
    /// The members of a body that stand elsewhere in the request.
    elsewhere: Vec<&'static str>,
    /// There was a text of a body.
    is_given: bool,
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

    /// The msgpack of an object around a value, whose names are different. Errors: `Malformed`, `TooDeep`.
    pub fn item_from_json(self, text: &[u8]) -> Result<Vec<u8>, Error> {
        json_read::to_msgpack_once(text, self.of_json_value() + 1)
            .map_err(|error| of_value(error, self.depth))
    }

    /// The msgpack of a body that is a value. Errors: `Malformed`, `TooDeep`.
    pub fn value_from_json(self, text: &[u8]) -> Result<Vec<u8>, Error> {
        json_read::to_msgpack(without_mark(text), self.of_json_value())
            .map_err(|error| of_value(error, self.depth))
    }
}

/// A text without the byte order mark that some programs begin one with, and that a reader may leave out (RFC 8259 §8.1).
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
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
    /// A JSON body of the contract: an object, members by name; others are not looked at.
    OldBody,
    /// A JSON body: an object, members by name, and no others.
    Body,
    /// The arguments of a procedure: an array, members by position.
    Arguments,
}

impl<'a> Document<'a> {
    /// Reads JSON text (RFC 8259) as the contract has it: members that nobody asks for are no failure, and of one that stands
    /// twice the last one counts. Errors: `Malformed`, `TooDeep`.
    pub fn from_json(text: &[u8], rules: Rules) -> Result<Document<'static>, Error> {
        let bytes = json_read::to_msgpack(without_mark(text), rules.of_json());
        Self::read(bytes, Kind::OldBody, rules)
    }

    /// Reads JSON text with members that stand elsewhere in the request, and nowhere else; an empty text is an object without
    /// members. Errors: `Malformed`, `TooDeep`.
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

    /// A body that was put together of parts which were read from JSON.
    pub fn from_parts(bytes: Vec<u8>, rules: Rules) -> Document<'static> {
        Document {
            bytes: bytes.into(),
            kind: Kind::Body,
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
        self.kind != Kind::Arguments
    }

    /// Whether there is an input at all: the text of a body, or an argument behind the first `skip` that is not null. Errors:
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

    /// The failure that a member of a body is not among those that it may have.
    fn unknown(&self, name: &[u8], names: &[&'static str], options: &[&'static str]) -> Error {
        let known = names.iter().chain(options).copied();
        let known = known.filter(|known| !self.elsewhere.contains(known));
        unknown("member", name, &known.collect::<Vec<_>>())
    }

    /// The members named in `names`: of a body by name, of arguments by position
    /// after the first `skip`. Errors: `Malformed` for a body that is no object, a member that is missing, one of another name
    /// or that stands twice (but not in a body of the contract), or too many arguments.
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

    /// The members named in `names` of the reader's next value, a map inside of the document and an item of `name`. Errors:
    /// `Malformed`, saying that `name` should be of that form, or that there is no such member or twice the same.
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

    /// A value inside of the document, as it is stored. Errors: `TooDeep`, `BadValue`.
    pub fn value<'b>(&self, value: &'b [u8]) -> Result<Cow<'b, [u8]>, Error> {
        let Rules { depth, allowed } = self.rules;
        match (self.kind, allowed) {
            (Kind::Body | Kind::OldBody, Allowed::Types(types)) => {
                tagged::untag(value, types, depth)
            }
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
