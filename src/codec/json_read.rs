//! JSON text (RFC 8259) to msgpack in one pass, with a stack of its own.

use crate::error::Error;

/// Converts `text`, which has to be exactly one JSON value.
///
/// Integers that fit 64 bits, signed or unsigned, stay integers; other numbers become doubles. Members of an
/// object stay as they are, repeated ones too. Errors: `Malformed` with the byte offset, `TooDeep` beyond
/// `depth_limit` containers inside one another.
pub fn to_msgpack(text: &[u8], depth_limit: usize) -> Result<Vec<u8>, Error> {
    std::str::from_utf8(text).map_err(|e| {
        Error::malformed(format!(
            "The body is not valid UTF-8 at byte {}",
            e.valid_up_to()
        ))
    })?;
    let mut parser = Parser {
        text,
        at: 0,
        out: Vec::with_capacity(text.len()),
        open: Vec::new(),
        unescaped: Vec::new(),
    };
    parser.document(depth_limit)?;
    Ok(parser.out)
}

/// A container whose end has not been seen.
struct Open {
    /// Where its one-byte msgpack header was written.
    header: usize,
    /// Members so far.
    count: usize,
    object: bool,
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
    open: Vec<Open>,
    unescaped: Vec<u8>,
}

impl Parser<'_> {
    fn document(&mut self, depth_limit: usize) -> Result<(), Error> {
        loop {
            // A value is due here; a container that opens leads to its first value or to its end.
            match self.token()? {
                open @ (b'{' | b'[') => {
                    if self.open.len() == depth_limit {
                        return Err(Error::TooDeep { limit: depth_limit });
                    }
                    let object = open == b'{';
                    self.open.push(Open {
                        header: self.out.len(),
                        count: 0,
                        object,
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
            // A value has ended: so may any number of containers.
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
                    byte if byte == closing(object) => self.close(),
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
            match self.token()? {
                b'"' => self.string()?,
                _ => return Err(self.error("a name in double quotes is expected")),
            }
            if self.token()? != b':' {
                return Err(self.error("a colon is expected"));
            }
        }
        Ok(())
    }

    /// Puts the header of the innermost container right, now that its size is known.
    fn close(&mut self) {
        let Some(Open {
            header,
            count,
            object,
        }) = self.open.pop()
        else {
            return;
        };
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

    /// The next byte that is not white space, not consumed.
    fn peek(&mut self) -> Result<u8, Error> {
        self.skip_space();
        self.text
            .get(self.at)
            .copied()
            .ok_or_else(|| self.error("the text is cut short"))
    }

    /// The next byte that is not white space, consumed.
    fn token(&mut self) -> Result<u8, Error> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn word(&mut self, word: &[u8], marker: u8) -> Result<(), Error> {
        if !self.text[self.at - 1..].starts_with(word) {
            return Err(self.error("a value is expected"));
        }
        self.at += word.len() - 1;
        self.out.push(marker);
        Ok(())
    }

    /// A number whose first byte has been consumed (RFC 8259 §6).
    fn number(&mut self) -> Result<(), Error> {
        let text = self.text;
        let start = self.at - 1;
        let negative = text[start] == b'-';
        self.at = start + usize::from(negative);
        let first = self.at;
        self.digits()?;
        if text[first] == b'0' && self.at > first + 1 {
            return Err(self.error("a number does not begin with 0"));
        }
        let mut integer = true;
        if text.get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = text.get(self.at) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(text.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        let literal = std::str::from_utf8(&text[start..self.at]).unwrap_or_default();
        // "-0" is a double: as an integer it would lose its sign.
        if integer && literal != "-0" {
            if let Ok(n) = literal.parse::<u64>() {
                return written(rmp::encode::write_uint(&mut self.out, n).map(|_| ()));
            }
            if let Ok(n) = literal.parse::<i64>() {
                return written(rmp::encode::write_sint(&mut self.out, n).map(|_| ()));
            }
        }
        match literal.parse::<f64>() {
            Ok(n) if n.is_finite() => written(rmp::encode::write_f64(&mut self.out, n)),
            _ => Err(self.error("a number is out of the range of a double")),
        }
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => Err(self.error("a digit is expected")),
        }
    }

    /// A string whose opening quote has been consumed.
    fn string(&mut self) -> Result<(), Error> {
        let text = self.text;
        let start = self.at;
        self.unescaped.clear();
        let mut plain = start;
        loop {
            match text.get(self.at) {
                None => return Err(self.error("the text is cut short")),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.unescaped.extend_from_slice(&text[plain..self.at]);
                    self.at += 1;
                    self.escape()?;
                    plain = self.at;
                }
                Some(0..=0x1f) => {
                    return Err(self.error("a control character in a string should be escaped"))
                }
                Some(_) => self.at += 1,
            }
        }
        let tail = &text[plain..self.at];
        self.at += 1;
        let len = (self.unescaped.len() + tail.len()) as u32;
        written(rmp::encode::write_str_len(&mut self.out, len).map(|_| ()))?;
        self.out.extend_from_slice(&self.unescaped);
        self.out.extend_from_slice(tail);
        Ok(())
    }

    /// An escape whose backslash has been consumed (RFC 8259 §7).
    fn escape(&mut self) -> Result<(), Error> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        let plain = match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("an unknown escape")),
        };
        self.unescaped.push(plain);
        Ok(())
    }

    fn unicode(&mut self) -> Result<(), Error> {
        let unit = self.hex4()?;
        let code = match unit {
            0xd800..=0xdbff => {
                if !self.text[self.at.min(self.text.len())..].starts_with(b"\\u") {
                    return Err(self.error("half of a surrogate pair"));
                }
                self.at += 2;
                let low = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(self.error("half of a surrogate pair"));
                }
                0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            unit => unit,
        };
        let char = char::from_u32(code).ok_or_else(|| self.error("half of a surrogate pair"))?;
        self.unescaped
            .extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let digits = self.text.get(self.at..self.at + 4);
        let unit = digits.and_then(|digits| {
            digits.iter().try_fold(0, |unit, &digit| {
                Some(unit * 16 + (digit as char).to_digit(16)?)
            })
        });
        self.at += 4;
        unit.ok_or_else(|| self.error("four hexadecimal digits are expected after \\u"))
    }

    fn error(&self, what: &str) -> Error {
        Error::malformed(format!(
            "The body is not valid JSON: {what} near byte {}",
            self.at
        ))
    }
}

/// Writing to a vector does not fail, but rmp's signature says it may.
fn written<E>(result: Result<(), E>) -> Result<(), Error> {
    result.map_err(|_| Error::Internal)
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
    use crate::codec::json_write::to_json;

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
            crate::codec::msgpack::check(&bytes, 8).unwrap();
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
            (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
        ] {
            assert_eq!(
                to_json(&to_msgpack(text.as_bytes(), 8).unwrap()).unwrap(),
                written.as_bytes(),
                "{text}"
            );
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
