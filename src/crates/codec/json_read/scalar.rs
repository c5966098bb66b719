//! Converts literal names, numbers and strings of JSON text to msgpack.

use super::Parser;
use crate::msgpack::{write_str, write_uint};
use crate::plain;
use authkv_base::error::Error;

impl Parser<'_> {
    pub(super) fn word(&mut self, word: &[u8], marker: u8) -> Result<(), Error> {
        if !self.text[self.at - 1..].starts_with(word) {
            return Err(self.error("a value is expected"));
        }
        self.at += word.len() - 1;
        self.out.push(marker);
        Ok(())
    }

    /// A number whose first byte has been consumed (RFC 8259 §6).
    pub(super) fn number(&mut self) -> Result<(), Error> {
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
                write_uint(&mut self.out, n);
                return Ok(());
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
    pub(super) fn string(&mut self) -> Result<(), Error> {
        let text = self.text;
        let start = self.at;
        self.at += plain::run(&text[start..]);
        if text.get(self.at) != Some(&b'"') {
            return self.string_with_escapes(start);
        }
        write_str(&mut self.out, &text[start..self.at]);
        self.at += 1;
        Ok(())
    }

    /// Continues a string at its first escape. The bytes since `start` are plain.
    fn string_with_escapes(&mut self, start: usize) -> Result<(), Error> {
        let text = self.text;
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
                    self.at += plain::run(text.get(plain..).unwrap_or_default());
                }
                Some(_) => {
                    return Err(self.error("a control character in a string should be escaped"))
                }
            }
        }
        self.unescaped.extend_from_slice(&text[plain..self.at]);
        self.at += 1;
        write_str(&mut self.out, &self.unescaped);
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
}

/// Writing to a vector does not fail, although the signature of `rmp` allows it.
fn written<E>(result: Result<(), E>) -> Result<(), Error> {
    result.map_err(|_| Error::Internal)
}
