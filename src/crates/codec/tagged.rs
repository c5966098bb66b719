//! Values that JSON has no form for, as objects with one member whose name begins with `$`. Pure; runs on any thread.
//!
//! | value | form |
//! |---|---|
//! | binary data, and strings that are not UTF-8 | `{"$binary": "<base64>"}` |
//! | a decimal, a uuid, a datetime | `{"$decimal": "1.50"}`, `{"$uuid": "…"}`, `{"$datetime": "…"}` |
//! | any other extension, or one that its text would not bring back | `{"$ext": {"type": 6, "data": "<base64>"}}` |
//! | an object whose only member has one of these names | `{"$map": {…}}` |
//!
//! [`super::json_write::write_tagged`] writes these forms, [`untag`] reads them.

use super::msgpack::{check_depth, Head, Reader};
use super::types::{Types, DATETIME, DECIMAL, UUID};
use authkv_base::error::Error;
use base64::engine::{general_purpose::STANDARD, Engine};
use std::borrow::Cow;

/// The kind of a value, as the name of the object's only member gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Binary,
    Decimal,
    Uuid,
    Datetime,
    Ext,
    Map,
}

impl Tag {
    const ALL: [Self; 6] = [
        Self::Binary,
        Self::Decimal,
        Self::Uuid,
        Self::Datetime,
        Self::Ext,
        Self::Map,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "$binary",
            Self::Decimal => "$decimal",
            Self::Uuid => "$uuid",
            Self::Datetime => "$datetime",
            Self::Ext => "$ext",
            Self::Map => "$map",
        }
    }

    pub fn of_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|tag| tag.name().as_bytes() == name)
    }

    /// The tag of an extension type that has a text form.
    pub const fn of_kind(kind: i8) -> Option<Self> {
        match kind {
            DECIMAL => Some(Self::Decimal),
            UUID => Some(Self::Uuid),
            DATETIME => Some(Self::Datetime),
            _ => None,
        }
    }
}

/// The most nested containers in the JSON text of a value with `depth` of them.
pub const fn json_depth(depth: usize) -> usize {
    // Each container may be in a `$map`, and the innermost may hold an `$ext`.
    2 * depth + 2
}

/// Converts the msgpack of a JSON value with tags to the value. Borrows it if there is nothing to convert. `depth_limit` is the
/// limit on nested containers. Errors: `BadValue`, `TooDeep`; `Malformed` for bytes that are not msgpack, if that is noticed.
pub fn untag(value: &[u8], types: Types, depth_limit: usize) -> Result<Cow<'_, [u8]>, Error> {
    if !is_container(value) {
        return Ok(value.into());
    }
    if memchr::memchr(b'$', value).is_none() {
        return check_depth(value, depth_limit).map(|()| value.into());
    }
    let mut reader = Reader::new(value);
    let mut out = Vec::new();
    // How much of `value` has been converted and is in `out`.
    let mut done = 0;
    // For each open container: how many values are still to come, and whether it is a map.
    let mut open: Vec<(u64, bool)> = Vec::new();
    loop {
        let is_key = open
            .last()
            .is_some_and(|&(remaining, map)| map && remaining % 2 == 0);
        let at = |reader: &Reader<'_>| value.len() - reader.rest().len();
        let start = at(&reader);
        let head = reader.head()?;
        let tag = match head {
            Head::Map(1) if !is_key => tag(reader.clone()),
            _ => None,
        };
        let container = match (tag, head) {
            (Some(tag), _) => {
                out.extend_from_slice(&value[done..start]);
                reader.string()?;
                if tag != Tag::Map {
                    write(&mut out, tag, &mut reader, types)?;
                }
                done = at(&reader);
                match tag {
                    Tag::Map => Some(literal(&mut reader)?),
                    _ => None,
                }
            }
            (None, Head::Array(len)) => Some((len.into(), false)),
            (None, Head::Map(len)) => Some((2 * u64::from(len), true)),
            (None, Head::Str(len) | Head::Bin(len) | Head::Ext { len, .. }) => {
                reader.take(len as usize)?;
                None
            }
            _ => None,
        };
        if let Some((remaining, _)) = open.last_mut() {
            *remaining -= 1;
        }
        if let Some(container) = container {
            if open.len() == depth_limit {
                return Err(Error::TooDeep { limit: depth_limit });
            }
            open.push(container);
        }
        while open.pop_if(|(remaining, _)| *remaining == 0).is_some() {}
        if open.is_empty() {
            break;
        }
    }
    if done == 0 {
        return Ok(value.into());
    }
    out.extend_from_slice(&value[done..]);
    Ok(out.into())
}

/// Whether the value is an array or a map.
fn is_container(value: &[u8]) -> bool {
    matches!(value, [0x80..=0x9f | 0xdc..=0xdf, ..])
}

/// The tag that the next name is, if it is one.
fn tag(mut reader: Reader<'_>) -> Option<Tag> {
    Tag::of_name(reader.string().ok()?)
}

/// The head of the map in a `$map`.
fn literal(reader: &mut Reader<'_>) -> Result<(u64, bool), Error> {
    match reader.head()? {
        Head::Map(len) => Ok((2 * u64::from(len), true)),
        _ => Err(Error::BadValue("$map should hold an object")),
    }
}

/// Writes the value of a tag other than `$map`.
fn write(out: &mut Vec<u8>, tag: Tag, reader: &mut Reader<'_>, types: Types) -> Result<(), Error> {
    let mut value = Reader::new(reader.value()?);
    let (kind, payload) = match tag {
        Tag::Binary => {
            let data = base64(&mut value).ok_or(Error::BadValue(
                "$binary should hold base64 (RFC 4648, section 4); an object with such a member of its \
                 own should stand in $map",
            ))?;
            // Writing to a vector does not fail.
            let _ = rmp::encode::write_bin(out, &data);
            return Ok(());
        }
        Tag::Decimal => (DECIMAL, types.read(DECIMAL, text(&mut value))?),
        Tag::Uuid => (UUID, types.read(UUID, text(&mut value))?),
        Tag::Datetime => (DATETIME, types.read(DATETIME, text(&mut value))?),
        Tag::Ext => {
            let (kind, payload) = extension(&mut value).ok_or(Error::BadValue(
                "$ext should hold an object of type, a number from -128 to 127, and data, in base64",
            ))?;
            types.check(kind, &payload)?;
            (kind, payload)
        }
        Tag::Map => return Err(Error::Internal),
    };
    let _ = rmp::encode::write_ext_meta(out, payload.len() as u32, kind);
    out.extend_from_slice(&payload);
    Ok(())
}

/// The text of a string. For any other value an empty text, which no tag accepts.
fn text<'a>(value: &mut Reader<'a>) -> &'a str {
    let text = value.string().ok();
    text.and_then(|text| std::str::from_utf8(text).ok())
        .unwrap_or_default()
}

fn base64(value: &mut Reader<'_>) -> Option<Vec<u8>> {
    STANDARD.decode(value.string().ok()?).ok()
}

/// The type and the payload in an `$ext`.
fn extension(value: &mut Reader<'_>) -> Option<(i8, Vec<u8>)> {
    let Ok(Head::Map(2)) = value.head() else {
        return None;
    };
    let (mut kind, mut data) = (None, None);
    for _ in 0..2 {
        match value.string().ok()? {
            b"type" => {
                kind = match value.head().ok()? {
                    Head::Uint(kind) => i8::try_from(kind).ok(),
                    Head::Int(kind) => i8::try_from(kind).ok(),
                    _ => None,
                }
            }
            b"data" => data = base64(value),
            _ => return None,
        }
    }
    kind.zip(data)
}

#[cfg(test)]
mod tests;
