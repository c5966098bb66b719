//! Checks msgpack from a client before anything else reads it. Pure; runs on any thread.

use super::msgpack::{is_utf8, Head, Reader};
use super::types::Types;
use authkv_base::error::Error;

/// What a document may hold in addition to null, booleans, finite numbers, text, arrays, and maps with text keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Nothing more: only what JSON can carry.
    Json,
    /// Binary data, strings that are not UTF-8, and extensions of these types. A map must not have a name twice, because JSON
    /// could not carry both.
    Types(Types),
}

/// A container that has not ended.
struct Open {
    /// Values still to come. For a map: keys and values together.
    remaining: u64,
    map: bool,
    /// The place of this map's first key in the list of keys of all open maps.
    keys: usize,
}

/// Fails unless `bytes` are exactly one allowed value with at most `depth_limit` nested containers. Errors: `Malformed`,
/// `TooDeep`, `BadValue`.
pub fn check(bytes: &[u8], depth_limit: usize, allowed: Allowed) -> Result<(), Error> {
    let mut reader = Reader::new(bytes);
    let mut open: Vec<Open> = Vec::new();
    let mut keys: Vec<&[u8]> = Vec::new();
    loop {
        let is_key = open
            .last()
            .is_some_and(|container| container.map && container.remaining % 2 == 0);
        let container = if is_key {
            let key = key(&mut reader)?;
            if allowed != Allowed::Json {
                keys.push(key);
            }
            None
        } else {
            value(&mut reader, allowed)?.map(|(remaining, map)| Open {
                remaining,
                map,
                keys: keys.len(),
            })
        };
        if let Some(parent) = open.last_mut() {
            parent.remaining -= 1;
        }
        if let Some(container) = container {
            if open.len() == depth_limit {
                return Err(Error::TooDeep { limit: depth_limit });
            }
            open.push(container);
        }
        while let Some(ended) = open.pop_if(|container| container.remaining == 0) {
            if has_twice(&mut keys[ended.keys..]) {
                return Err(Error::BadValue("a map should have no key twice"));
            }
            keys.truncate(ended.keys);
        }
        if open.is_empty() {
            break;
        }
    }
    match reader.is_empty() {
        true => Ok(()),
        false => Err(Error::malformed(
            "There is something after the end of the input",
        )),
    }
}

fn key<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let Head::Str(len) = reader.head()? else {
        return Err(Error::BadValue("the keys of a map should be strings"));
    };
    let key = reader.take(len as usize)?;
    match is_utf8(key) {
        true => Ok(key),
        false => Err(Error::BadValue("the keys of a map should be valid UTF-8")),
    }
}

/// Reads a scalar (`None`), or the head of a container: the number of its values, and whether it is a map.
fn value(reader: &mut Reader<'_>, allowed: Allowed) -> Result<Option<(u64, bool)>, Error> {
    match (reader.head()?, allowed) {
        (Head::Array(len), _) => return Ok(Some((len.into(), false))),
        (Head::Map(len), _) => return Ok(Some((2 * u64::from(len), true))),
        (Head::Str(len), _) => {
            let text = reader.take(len as usize)?;
            if allowed == Allowed::Json && !is_utf8(text) {
                return Err(Error::BadValue("a string should be valid UTF-8"));
            }
        }
        (Head::Bin(_), Allowed::Json) => {
            return Err(Error::BadValue(
                "binary data is not allowed, only what JSON can carry",
            ))
        }
        (Head::Ext { .. }, Allowed::Json) => {
            return Err(Error::BadValue(
                "extension types are not allowed, only what JSON can carry",
            ))
        }
        (Head::Bin(len), Allowed::Types(_)) => {
            reader.take(len as usize)?;
        }
        (Head::Ext { kind, len }, Allowed::Types(types)) => {
            types.check(kind, reader.take(len as usize)?)?;
        }
        (Head::F32(n), _) if !n.is_finite() => return Err(NOT_FINITE),
        (Head::F64(n), _) if !n.is_finite() => return Err(NOT_FINITE),
        _ => {}
    }
    Ok(None)
}

const NOT_FINITE: Error = Error::BadValue("a number should be finite");

fn has_twice(keys: &mut [&[u8]]) -> bool {
    // Comparing a few keys is faster than sorting them.
    if keys.len() <= 8 {
        return (1..keys.len()).any(|i| keys[..i].contains(&keys[i]));
    }
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Allowed = Allowed::Types(Types::of_version(2, 6));
    const NEW: Allowed = Allowed::Types(Types::of_version(2, 10));

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = b"\x85\xa1a\x93\x01\xc0\xcb\0\0\0\0\0\0\0\0\xa1b\xda\x00\x03xyz\xa1c\xcd\x01\x02\xa1d\xd3\0\0\0\0\0\0\0\0\xa1e\xa0";
        let typed = b"\x93\xc4\x02ab\xc7\x03\x01\x02\x15\x0c\xa1\xff";
        check(bytes, 3, Allowed::Json).unwrap();
        check(bytes, 3, NEW).unwrap();
        check(typed, 3, NEW).unwrap();
        for end in 0..bytes.len() {
            assert!(Reader::new(&bytes[..end]).value().is_err(), "{end}");
            assert!(check(&bytes[..end], 3, Allowed::Json).is_err(), "{end}");
        }
        for end in 0..typed.len() {
            assert!(check(&typed[..end], 3, NEW).is_err(), "{end}");
        }
    }

    #[test]
    fn what_json_cannot_carry_is_refused() {
        for (bytes, part) in [
            (b"\xc4\x01x" as &[u8], "binary"),
            (b"\xd4\x01x", "extension"),
            (b"\xa1\xff", "UTF-8"),
            (b"\x81\xa1\xff\x02", "UTF-8"),
            (b"\x81\x01\x02", "keys of a map"),
            (b"\x81\x90\x02", "keys of a map"),
            (b"\xcb\x7f\xf8\0\0\0\0\0\0", "finite"),
            (b"\xca\x7f\x80\0\0", "finite"),
            (b"\x01\x02", "after the end"),
            (b"\xc1", "not valid msgpack"),
        ] {
            let text = check(bytes, 8, Allowed::Json).unwrap_err().to_string();
            assert!(text.contains(part), "{bytes:?}: {text}");
        }
    }

    #[test]
    fn what_tarantool_can_carry_is_checked() {
        for (bytes, allowed, part) in [
            (
                b"\x93\xc4\x01x\xa1\xff\xc7\x02\x01\0\x1c" as &[u8],
                OLD,
                None,
            ),
            (b"\x91\xd7\x04\0\0\0\0\0\0\0\0", NEW, None),
            (
                b"\x91\xd7\x04\0\0\0\0\0\0\0\0",
                OLD,
                Some("decimal (1) or a uuid (2)"),
            ),
            (b"\xd4\x03\x80", NEW, Some("interval (6)")),
            (b"\xd4\x01\x0c", NEW, Some("a decimal should")),
            (b"\xd4\x02\x0c", NEW, Some("a uuid should")),
            (b"\xd4\x04\x0c", NEW, Some("a datetime should")),
            (b"\xd4\x06\x0c", NEW, Some("an interval should")),
            (b"\xc7\x00\x06", NEW, Some("an interval should")),
            (b"\x81\xa1\xff\x02", NEW, Some("UTF-8")),
            (b"\x81\xc4\x01a\x02", NEW, Some("keys of a map")),
            (b"\xcb\x7f\xf8\0\0\0\0\0\0", NEW, Some("finite")),
            (b"\xca\x7f\x80\0\0", NEW, Some("finite")),
            (b"\x82\xa1a\x01\xa1b\x81\xa1a\x02", NEW, None),
            (b"\x82\xa1a\x01\xa1a\x02", NEW, Some("no key twice")),
            (b"\x82\xa1a\x01\xd9\x01a\x02", NEW, Some("no key twice")),
            (
                b"\x82\xa1a\x82\xa0\x01\xa0\x02\xa1b\x01",
                NEW,
                Some("no key twice"),
            ),
            (b"\x82\xa1a\x01\xa1a\x02", Allowed::Json, None),
        ] {
            let text = check(bytes, 8, allowed)
                .err()
                .map(|error| error.to_string());
            match (&text, part) {
                (Some(text), Some(part)) => assert!(text.contains(part), "{bytes:?}: {text}"),
                _ => assert_eq!(text.as_deref(), part, "{bytes:?}"),
            }
        }
        let many = |last: u8| {
            let members = (0..20)
                .map(|i| [0xa1, b'a' + i, 0x01])
                .collect::<Vec<_>>()
                .concat();
            [b"\xde\x00\x15" as &[u8], &members, &[0xa1, last, 0x01]].concat()
        };
        assert_eq!(check(&many(b'z'), 8, NEW), Ok(()));
        assert!(check(&many(b'b'), 8, NEW).is_err());
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert_eq!(check(&nested(64), 64, Allowed::Json), Ok(()));
        assert_eq!(
            check(&nested(65), 64, NEW),
            Err(Error::TooDeep { limit: 64 })
        );
    }
}
