//! Converts msgpack to JSON text, whatever a space may hold.

use super::msgpack::{is_utf8, Head, Reader};
use super::plain::is_plain;
use super::tagged::Tag;
use super::types;
use authkv_base::error::Error;
use base64::engine::{general_purpose::STANDARD, Engine};

/// The JSON text of one value. See [`write`].
#[cfg(test)]
pub fn to_json(value: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    write(&mut out, &mut Reader::new(value))?;
    Ok(out)
}

/// How a value is written that JSON has no form for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Tagged,
}

/// Appends the JSON text of the reader's next value to `out`.
///
/// Values that authkv wrote come back unchanged. Values of other programs that JSON has no form for become: binary and
/// extension types, a string of their base64 (RFC 4648 §4); a double that is not finite, null; bytes that are not UTF-8,
/// U+FFFD; a key that is not a string, a string of its JSON text. Errors: `Malformed` if the bytes are not msgpack.
pub fn write(out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), Error> {
    write_as(Form::Plain, out, reader)
}

/// Like [`write`], but with the forms of [`super::tagged`], so that every value that passes [`check`](super::check::check)
/// comes back unchanged from its text. Only strings that are not UTF-8 come back as binary data.
pub fn write_tagged(out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), Error> {
    write_as(Form::Tagged, out, reader)
}

/// A container whose end has not been written.
struct Open {
    /// Values still to come. For a map: keys and values together.
    remaining: u64,
    map: bool,
    end: &'static str,
}

fn write_as(form: Form, out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), Error> {
    // The containers around the innermost one. The first innermost one is not part of the value.
    let mut outer: Vec<Open> = Vec::new();
    let mut inner = Open {
        remaining: 1,
        map: false,
        end: "",
    };
    loop {
        let is_key = inner.map && inner.remaining.is_multiple_of(2);
        inner.remaining -= 1;
        if let Some(text) = short_plain(reader) {
            write_plain(out, text);
        } else if is_key {
            write_key(out, reader)?;
        } else {
            let container = match reader.head()? {
                Head::Array(len) => Some(begin_array(out, len)),
                Head::Map(len) => Some(begin_map(form, out, reader, len)),
                scalar => {
                    write_scalar(form, out, reader, scalar)?;
                    None
                }
            };
            if let Some(container) = container {
                outer.push(std::mem::replace(&mut inner, container));
                if inner.remaining > 0 {
                    continue;
                }
            }
        }
        while inner.remaining == 0 {
            out.extend_from_slice(inner.end.as_bytes());
            match outer.pop() {
                Some(container) => inner = container,
                None => return Ok(()),
            }
        }
        out.push(if is_key { b':' } else { b',' });
    }
}

fn begin_array(out: &mut Vec<u8>, len: u32) -> Open {
    out.push(b'[');
    Open {
        remaining: len.into(),
        map: false,
        end: "]",
    }
}

fn begin_map(form: Form, out: &mut Vec<u8>, reader: &Reader<'_>, len: u32) -> Open {
    let is_literal = form == Form::Tagged && looks_tagged(reader.clone(), len);
    out.extend_from_slice(match is_literal {
        true => b"{\"$map\":{",
        false => b"{",
    });
    Open {
        remaining: 2 * u64::from(len),
        map: true,
        end: if is_literal { "}}" } else { "}" },
    }
}

/// Whether an object with these members would be read as a tag: its only member has the name of a tag. The same name twice
/// counts too, because a reader that drops repeated names sees only one member.
fn looks_tagged(mut members: Reader<'_>, len: u32) -> bool {
    let Some(name) = members
        .string()
        .ok()
        .filter(|name| Tag::of_name(name).is_some())
    else {
        return false;
    };
    len == 1 || (members.value().is_ok() && members.string() == Ok(name))
}

fn write_key(out: &mut Vec<u8>, reader: &mut Reader<'_>) -> Result<(), Error> {
    let mut key = Reader::new(reader.value()?);
    match key.clone().head()? {
        Head::Str(_) => write_string(out, key.string()?),
        Head::Array(_) | Head::Map(_) => write_string(out, b"?"),
        _ => {
            let head = key.head()?;
            let mut text = Vec::new();
            write_scalar(Form::Plain, &mut text, &mut key, head)?;
            match text.first() {
                Some(b'"') => out.extend_from_slice(&text),
                _ => write_string(out, &text),
            }
        }
    }
    Ok(())
}

fn write_scalar(
    form: Form,
    out: &mut Vec<u8>,
    reader: &mut Reader<'_>,
    head: Head,
) -> Result<(), Error> {
    match head {
        Head::Nil => out.extend_from_slice(b"null"),
        Head::Bool(true) => out.extend_from_slice(b"true"),
        Head::Bool(false) => out.extend_from_slice(b"false"),
        Head::Uint(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Head::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        // The shortest text of a float may be that of another double.
        Head::F32(n) if n.is_finite() => to_writer(out, &f64::from(n))?,
        Head::F64(n) if n.is_finite() => to_writer(out, &n)?,
        Head::F32(_) | Head::F64(_) => out.extend_from_slice(b"null"),
        Head::Str(len) => {
            let bytes = reader.take(len as usize)?;
            // Text that is not UTF-8 would lose data.
            match form == Form::Plain || is_utf8(bytes) {
                true => write_string(out, bytes),
                false => write_tag(out, Tag::Binary, STANDARD.encode(bytes).as_bytes()),
            }
        }
        Head::Bin(len) => {
            let data = STANDARD.encode(reader.take(len as usize)?);
            match form {
                Form::Tagged => write_tag(out, Tag::Binary, data.as_bytes()),
                Form::Plain => write_string(out, data.as_bytes()),
            }
        }
        Head::Ext { kind, len } => {
            let payload = reader.take(len as usize)?;
            match form {
                Form::Tagged => write_extension(out, kind, payload),
                Form::Plain => write_string(out, STANDARD.encode(payload).as_bytes()),
            }
        }
        Head::Array(_) | Head::Map(_) => return Err(Error::Internal),
    }
    Ok(())
}

fn write_tag(out: &mut Vec<u8>, tag: Tag, text: &[u8]) {
    out.push(b'{');
    write_string(out, tag.name().as_bytes());
    out.push(b':');
    write_string(out, text);
    out.push(b'}');
}

fn write_extension(out: &mut Vec<u8>, kind: i8, payload: &[u8]) {
    if let Some((tag, text)) = Tag::of_kind(kind).zip(types::text(kind, payload)) {
        return write_tag(out, tag, text.as_bytes());
    }
    out.extend_from_slice(b"{\"$ext\":{\"type\":");
    out.extend_from_slice(itoa::Buffer::new().format(kind).as_bytes());
    out.extend_from_slice(b",\"data\":");
    write_string(out, STANDARD.encode(payload).as_bytes());
    out.extend_from_slice(b"}}");
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    match is_plain(text) {
        true => write_plain(out, text),
        // Writing a string to a vector does not fail.
        false => drop(to_writer(out, &*String::from_utf8_lossy(text))),
    }
}

fn write_plain(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Takes the next value if it is a short plain string: both forms write such a string alike everywhere.
fn short_plain<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let mut ahead = reader.clone();
    let text = ahead.short_text().filter(|text| is_plain(text))?;
    *reader = ahead;
    Some(text)
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
            (b"\xca\x3d\xcc\xcc\xcd", "0.10000000149011612"),
            (b"\xca\x4f\0\0\0", "2147483648.0"),
            (b"\x81\xca\x4f\0\0\0\x01", r#"{"2147483648.0":1}"#),
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
    fn a_float_is_written_as_the_double_that_it_is() {
        // Every power of two and its neighbours.
        for bits in (0..=0x7f7f_ffff_u32)
            .step_by(0x7fffff)
            .flat_map(|n| n..n + 3)
        {
            let float = f32::from_bits(bits);
            let value = [&[0xca][..], &bits.to_be_bytes()].concat();
            for form in [Form::Plain, Form::Tagged] {
                let mut text = Vec::new();
                write_as(form, &mut text, &mut Reader::new(&value)).unwrap();
                let double = String::from_utf8(text).unwrap().parse();
                assert_eq!(double, Ok(f64::from(float)), "{bits:x} {form:?}");
            }
        }
    }

    #[test]
    fn strings_are_those_of_serde_json() {
        for char in (0..=0x17f).filter_map(char::from_u32) {
            for length in [1, 31, 32, 255, 256, 70_000] {
                let text = format!("{}{char}", "x".repeat(length - 1));
                let value = rmp_serde::to_vec(&(&text, [(&text, 1)])).unwrap();
                let expected = serde_json::to_string(&(&text, [(&text, 1)])).unwrap();
                assert_eq!(
                    to_json(&value).unwrap(),
                    expected.as_bytes(),
                    "{char:?} {length}"
                );
            }
        }
    }

    #[test]
    fn depth_does_not_use_the_stack() {
        let nested = [vec![0x91; 500_000], vec![0x90]].concat();
        assert_eq!(to_json(&nested).unwrap().len(), 1_000_002);
    }
}
