//! Converts JSON text (RFC 8259) to msgpack in one pass, with an explicit stack instead of recursion.

mod scalar;

use super::are_distinct;
use super::msgpack::{is_utf8, Reader};
use super::nearest::repeated;
use authkv_base::error::Error;
use std::collections::hash_map::{Entry, HashMap};

/// Converts `text`, which has to be exactly one JSON value.
///
/// Integers that fit 64 bits, signed or unsigned, stay integers; other numbers become doubles. If an object has a name twice,
/// the last value counts, at the place of the first. Errors: `Malformed` with the byte offset; `TooDeep` for more than
/// `depth_limit` nested containers.
pub fn to_msgpack(text: &[u8], depth_limit: usize) -> Result<Vec<u8>, Error> {
    read(text, depth_limit, false)
}

/// Like [`to_msgpack`], but a repeated name is an error (`Malformed`), so that it is never unclear which one counts (RFC 8259
/// §4). Inside members named `value`, which are stored and not read, the last one counts.
pub fn to_msgpack_once(text: &[u8], depth_limit: usize) -> Result<Vec<u8>, Error> {
    read(text, depth_limit, true)
}

/// The name of the member that is stored and not read, in msgpack.
const STORED: &[u8] = b"\xa5value";

fn read(text: &[u8], depth_limit: usize, once: bool) -> Result<Vec<u8>, Error> {
    if !is_utf8(text) {
        let valid = std::str::from_utf8(text).map_or_else(|e| e.valid_up_to(), str::len);
        return Err(Error::malformed(format!(
            "The body is not valid UTF-8 at byte {valid}"
        )));
    }
    let mut parser = Parser {
        text,
        at: 0,
        out: Vec::with_capacity(text.len()),
        open: Vec::new(),
        members: Vec::new(),
        unescaped: Vec::new(),
        once,
    };
    parser.document(depth_limit)?;
    Ok(parser.out)
}

/// A container that has not ended.
struct Open {
    /// The offset of its one-byte msgpack header.
    header: usize,
    /// Members so far.
    count: usize,
    object: bool,
    /// The index of its first member in [`Parser::members`].
    members: usize,
    /// A repeated name is an error.
    once: bool,
}

/// A member of an object, as offsets in the output.
#[derive(Clone, Copy)]
struct Member {
    name: usize,
    value: usize,
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
    open: Vec<Open>,
    /// The members of all open objects.
    members: Vec<Member>,
    unescaped: Vec<u8>,
    /// A repeated name is an error, except in stored values.
    once: bool,
}

impl Parser<'_> {
    fn document(&mut self, depth_limit: usize) -> Result<(), Error> {
        loop {
            // A value is expected here. After the start of a container, its first value or its end follows.
            match self.token()? {
                open @ (b'{' | b'[') => {
                    if self.open.len() == depth_limit {
                        return Err(Error::TooDeep { limit: depth_limit });
                    }
                    let object = open == b'{';
                    let once = self.is_read();
                    self.open.push(Open {
                        header: self.out.len(),
                        count: 0,
                        object,
                        members: self.members.len(),
                        once,
                    });
                    self.out.push(0);
                    if self.peek()? != closing(object) {
                        self.member()?;
                        continue;
                    }
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true", 0xc3)?,
                b'f' => self.word(b"false", 0xc2)?,
                b'n' => self.word(b"null", 0xc0)?,
                _ => return Err(self.error("a value is expected")),
            }
            // A value has ended, and with it perhaps any number of containers.
            loop {
                let Some(container) = self.open.last() else {
                    return self.end();
                };
                let object = container.object;
                match self.token()? {
                    b',' => {
                        self.member()?;
                        break;
                    }
                    byte if byte == closing(object) => self.close()?,
                    _ if object => return Err(self.error("a comma or } is expected")),
                    _ => return Err(self.error("a comma or ] is expected")),
                }
            }
        }
    }

    /// Counts a member of the innermost container and, in an object, reads its name.
    fn member(&mut self) -> Result<(), Error> {
        let Some(container) = self.open.last_mut() else {
            return Ok(());
        };
        container.count += 1;
        if container.object {
            let name = self.out.len();
            match self.token()? {
                b'"' => self.string()?,
                _ => return Err(self.error("a name in double quotes is expected")),
            }
            if self.token()? != b':' {
                return Err(self.error("a colon is expected"));
            }
            let value = self.out.len();
            self.members.push(Member { name, value });
        }
        Ok(())
    }

    /// Whether the container that begins here is read by name, not stored.
    fn is_read(&self) -> bool {
        let Some(around) = self.open.last() else {
            return self.once;
        };
        let name = |member: &Member| &self.out[member.name..member.value];
        let is_stored = around.object && self.members.last().map(name) == Some(STORED);
        around.once && !is_stored
    }

    /// Corrects the header of the innermost container, now that its size is known. Errors: `Malformed` for a repeated name, if
    /// that is an error here.
    fn close(&mut self) -> Result<(), Error> {
        let Some(Open {
            header,
            mut count,
            object,
            members,
            once,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        if object {
            count = self.drop_repeated(members, once)?;
            self.members.truncate(members);
        }
        let (fix, long) = if object { (0x80, 0xde) } else { (0x90, 0xdc) };
        match (u8::try_from(count), u16::try_from(count)) {
            (Ok(count), _) if count < 16 => self.out[header] = fix | count,
            (_, Ok(count)) => {
                let [a, b] = count.to_be_bytes();
                self.out.splice(header..=header, [long, a, b]);
            }
            _ => {
                let [a, b, c, d] = (count as u32).to_be_bytes();
                self.out.splice(header..=header, [long + 1, a, b, c, d]);
            }
        }
        Ok(())
    }

    /// Drops repeated names among the members from `first` on. Returns how many members are left. Errors: `Malformed` if a name
    /// is repeated and `once` is set.
    fn drop_repeated(&mut self, first: usize, once: bool) -> Result<usize, Error> {
        let members = &self.members[first..];
        let name = |member: &Member| &self.out[member.name..member.value];
        if are_distinct(members.iter().map(name)) {
            return Ok(members.len());
        }
        let mut places = HashMap::new();
        let mut kept: Vec<&[u8]> = Vec::new();
        for (i, member) in members.iter().enumerate() {
            let end = members.get(i + 1).map_or(self.out.len(), |next| next.name);
            let whole = &self.out[member.name..end];
            match places.entry(name(member)) {
                Entry::Occupied(_) if once => {
                    return Err(repeated(Reader::new(name(member)).string()?));
                }
                Entry::Occupied(place) => kept[*place.get()] = whole,
                Entry::Vacant(place) => {
                    place.insert(kept.len());
                    kept.push(whole);
                }
            }
        }
        let (start, count, kept) = (members[0].name, kept.len(), kept.concat());
        self.out.truncate(start);
        self.out.extend_from_slice(&kept);
        Ok(count)
    }

    fn end(&mut self) -> Result<(), Error> {
        self.skip_space();
        match self.at == self.text.len() {
            true => Ok(()),
            false => Err(self.error("there is something after the value")),
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space, without consuming it.
    fn peek(&mut self) -> Result<u8, Error> {
        self.skip_space();
        self.text
            .get(self.at)
            .copied()
            .ok_or_else(|| self.error("the text is cut short"))
    }

    /// Consumes the next byte that is not white space.
    fn token(&mut self) -> Result<u8, Error> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn error(&self, what: &str) -> Error {
        Error::malformed(format!(
            "The body is not valid JSON: {what} near byte {}",
            self.at
        ))
    }
}

fn closing(object: bool) -> u8 {
    match object {
        true => b'}',
        false => b']',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{check, Allowed};
    use crate::json_write::to_json;

    #[test]
    fn what_was_read_is_written_back() {
        let many = format!("[{}]", ["1"; 70_000].join(","));
        let some = format!(
            "{{{}}}",
            (0..20)
                .map(|i| format!("\"{i}\":{i}"))
                .collect::<Vec<_>>()
                .join(",")
        );
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "\"\"",
            "[]",
            "{}",
            "1.5",
            "-0.0",
            "1e+300",
            "5e-324",
            "18446744073709551615",
            "-9223372036854775808",
            "[[],{},[{\"a\":[]}]]",
            "{\"a\":{\"b\":[1,2,\"x\"]},\"c\":null}",
            "\"жук 🪲 \u{7f}\"",
            &many,
            &some,
        ] {
            let bytes = to_msgpack(text.as_bytes(), 8).unwrap();
            check(&bytes, 8, Allowed::Json).unwrap();
            assert_eq!(to_json(&bytes).unwrap(), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn text_is_read_as_json_means_it() {
        for (text, written) in [
            (" [ 1 , 2 ] ", "[1,2]"),
            ("1.0", "1.0"),
            ("1e2", "100.0"),
            ("-0", "-0.0"),
            ("18446744073709551616", "1.8446744073709552e+19"),
            ("-9223372036854775809", "-9.223372036854776e+18"),
            (r#""\u0041\n\/\ud83e\udeb2\u0000""#, "\"A\\n/🪲\\u0000\""),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (
                r#"[{"a":{"b":1},"c":[0],"a":{"b":2,"b":3},"d":4,"\u0063":{}}]"#,
                r#"[{"a":{"b":3},"c":{},"d":4}]"#,
            ),
        ] {
            assert_eq!(
                to_json(&to_msgpack(text.as_bytes(), 8).unwrap()).unwrap(),
                written.as_bytes(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_name_that_is_read_stands_once() {
        for (text, repeated) in [
            (r#"{"a":1,"b":2}"#, None),
            (r#"{"a":1,"b":2,"a":3}"#, Some("a")),
            (r#"{"a":1,"\u0061":1}"#, Some("a")),
            (
                r#"{"pairs":[{"key":1},{"key":1,"ttl":1,"ttl":1}]}"#,
                Some("ttl"),
            ),
            (r#"{"value":1,"value":2}"#, Some("value")),
            (r#"{"x":{"y":[{"z":1,"z":2}]}}"#, Some("z")),
            // Stored values are not checked.
            (r#"{"pairs":[{"value":{"a":1,"a":[{"b":1,"b":2}]}}]}"#, None),
            (r#"{"values":{"a":1,"a":2}}"#, Some("a")),
            (r#"{"value":[{"a":1,"a":2}],"x":{"a":1,"a":2}}"#, Some("a")),
            (r#"["value",{"a":1,"a":2}]"#, Some("a")),
        ] {
            let error = to_msgpack_once(text.as_bytes(), 8).err();
            let expected = repeated.map(|name| format!("{name} should be given once"));
            assert_eq!(error.map(|one| one.to_string()), expected, "{text}");
            assert!(to_msgpack(text.as_bytes(), 8).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "tru",
            "+1",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "NaN",
            "Infinity",
            "1e999",
            "'a'",
            "\"",
            "\"\\",
            "\"\\u12",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\\x\"",
            "\"\n\"",
            "\"\0\"",
            "[",
            "]",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{]",
            "[}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{1:2}",
            "{\"a\" 1}",
            "1 2",
            "[]]",
            "\u{feff}1",
            "\0",
            "[1\0]",
            "/**/1",
        ] {
            let error = to_msgpack(text.as_bytes(), 8).unwrap_err();
            assert!(matches!(error, Error::Malformed(_)), "{text:?}: {error:?}");
        }
        assert!(to_msgpack(b"\"\xff\"", 8)
            .unwrap_err()
            .to_string()
            .contains("UTF-8 at byte 1"));
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(to_msgpack(&nested(64), 64).is_ok());
        assert_eq!(
            to_msgpack(&nested(65), 64),
            Err(Error::TooDeep { limit: 64 })
        );
        assert_eq!(
            to_msgpack(&nested(100_000), 64),
            Err(Error::TooDeep { limit: 64 })
        );
        assert_eq!(
            to_msgpack(&[b'['; 65], 64),
            Err(Error::TooDeep { limit: 64 })
        );
    }
}
