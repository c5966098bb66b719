//! Msgpack to JSON text, for whatever a space may hold.

use super::msgpack::{Head, Reader};
use crate::error::Error;
use base64::engine::{general_purpose::STANDARD, Engine};

/// The JSON text of one value. See [`write`].
#[cfg(test)]
pub fn to_json(value: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    write(&mut out, &mut Reader::new(value))?;
    Ok(out)
}

/// Appends the JSON text of the reader's next value to `out`.
///
/// What authkv wrote is written as it was read. Data that others put into a space and JSON has no form for
/// becomes: binary and extension types, their base64 (RFC 4648 §4) as a string; a double that is not finite,
/// null; bytes that are not UTF-8, U+FFFD; a key that is no string, its JSON text as a string.
/// Errors: `Malformed` where the bytes are not msgpack.
pub fn write(out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), Error> {
    struct Open {
        remaining: u64,
        map: bool,
    }
    let mut open: Vec<Open> = Vec::new();
    loop {
        let is_key = match open.last() {
            Some(container) => container.map && container.remaining % 2 == 0,
            None => false,
        };
        let container = if is_key {
            write_key(out, reader)?;
            None
        } else {
            match reader.head()? {
                Head::Array(len) => Some(Open {
                    remaining: len.into(),
                    map: false,
                }),
                Head::Map(len) => Some(Open {
                    remaining: 2 * u64::from(len),
                    map: true,
                }),
                scalar => {
                    write_scalar(out, reader, scalar)?;
                    None
                }
            }
        };
        if let Some(parent) = open.last_mut() {
            parent.remaining -= 1;
        }
        match container {
            Some(container) => {
                out.push(if container.map { b'{' } else { b'[' });
                open.push(container);
            }
            None => separate(
                out,
                open.last().map(|parent| (parent.remaining, parent.map)),
            ),
        }
        while let Some(Open { remaining: 0, map }) = open.last() {
            out.push(if *map { b'}' } else { b']' });
            open.pop();
            separate(
                out,
                open.last().map(|parent| (parent.remaining, parent.map)),
            );
        }
        if open.is_empty() {
            return Ok(());
        }
    }
}

/// What stands between a value that has just ended and the next one in the same container.
fn separate(out: &mut Vec<u8>, parent: Option<(u64, bool)>) {
    match parent {
        None | Some((0, _)) => {}
        Some((remaining, true)) if remaining % 2 == 1 => out.push(b':'),
        Some(_) => out.push(b','),
    }
}

fn write_key(out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), Error> {
    let mut key = Reader::new(reader.value()?);
    match key.clone().head()? {
        Head::Str(_) => write_string(out, key.string()?),
        Head::Array(_) | Head::Map(_) => write_string(out, b"?"),
        _ => {
            let head = key.head()?;
            let mut text = Vec::new();
            write_scalar(&mut text, &mut key, head)?;
            match text.first() {
                Some(b'"') => out.extend_from_slice(&text),
                _ => write_string(out, &text),
            }
        }
    }
    Ok(())
}

fn write_scalar(out: &mut Vec<u8>, reader: &mut Reader<'_>, head: Head) -> Result<(), Error> {
    match head {
        Head::Nil => out.extend_from_slice(b"null"),
        Head::Bool(true) => out.extend_from_slice(b"true"),
        Head::Bool(false) => out.extend_from_slice(b"false"),
        Head::Uint(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Head::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Head::F32(n) if n.is_finite() => to_writer(out, &n)?,
        Head::F64(n) if n.is_finite() => to_writer(out, &n)?,
        Head::F32(_) | Head::F64(_) => out.extend_from_slice(b"null"),
        Head::Str(len) => write_string(out, reader.take(len as usize)?),
        Head::Bin(len) | Head::Ext(len) => {
            write_string(out, STANDARD.encode(reader.take(len as usize)?).as_bytes());
        }
        Head::Array(_) | Head::Map(_) => return Err(Error::Internal),
    }
    Ok(())
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    // Writing a string to a vector does not fail.
    let _ = to_writer(out, &*String::from_utf8_lossy(text));
}

fn to_writer<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    serde_json::to_writer(out, value).map_err(|_| Error::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_others_has_a_form_in_json() {
        for (value, text) in [
            (b"\xc4\x03\x00\x01\xff" as &[u8], r#""AAH/""#),
            (b"\xd6\x02abcd", r#""YWJjZA==""#),
            (b"\xa2a\xff", "\"a\u{fffd}\""),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", "null"),
            (b"\xca\x3d\xcc\xcc\xcd", "0.1"),
            (
                b"\x84\x01\x02\xc0\x03\x91\x01\x04\xc4\x01a\x05",
                r#"{"1":2,"null":3,"?":4,"YQ==":5}"#,
            ),
            (b"\x92\x80\x90", "[{},[]]"),
        ] {
            assert_eq!(String::from_utf8(to_json(value).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn depth_does_not_use_the_stack() {
        let nested = [vec![0x91; 500_000], vec![0x90]].concat();
        assert_eq!(to_json(&nested).unwrap().len(), 1_000_002);
    }
}
