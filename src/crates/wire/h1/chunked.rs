//! Reads bodies in chunks (RFC 9112 §7.1) strictly, and writes them. Pure.

use super::super::head::check::is_name;
use authkv_base::error::Error;
use bytes::{Buf, BytesMut};

/// The most bytes of a line with the size of a chunk and its extensions. Extensions are ignored.
const LINE_MAX: usize = 256;
/// The most bytes of the fields after the last chunk. These fields are ignored.
const TRAILER_MAX: usize = 4096;

/// The position of the reader in a body.
#[derive(Debug, Default)]
pub struct Chunked {
    at: At,
    trailer: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum At {
    #[default]
    Size,
    /// The bytes that remain of a chunk.
    Data(usize),
    DataEnd,
    Trailer,
    End,
}

impl Chunked {
    /// Moves the part of the body that `input` has to `body`. Returns whether the body has ended. Errors: `BadRequest`, and
    /// `InputTooLarge` beyond `limit` bytes.
    pub fn read(
        &mut self,
        input: &mut BytesMut,
        body: &mut BytesMut,
        limit: usize,
    ) -> Result<bool, Error> {
        loop {
            match self.at {
                At::Size => {
                    let Some(line) = line(input, LINE_MAX)? else {
                        return Ok(false);
                    };
                    self.at = match size(&line)? {
                        0 => At::Trailer,
                        size if size > limit - body.len() => {
                            return Err(Error::InputTooLarge { limit })
                        }
                        size => At::Data(size),
                    };
                }
                At::Data(left) => {
                    let here = left.min(input.len());
                    body.extend_from_slice(&input[..here]);
                    input.advance(here);
                    if here < left {
                        self.at = At::Data(left - here);
                        return Ok(false);
                    }
                    self.at = At::DataEnd;
                }
                At::DataEnd => match input.get(..2) {
                    Some(b"\r\n") => {
                        input.advance(2);
                        self.at = At::Size;
                    }
                    None if input.is_empty() || input[..] == b"\r"[..] => return Ok(false),
                    _ => return Err(Error::BadRequest("a chunk should end in CR LF")),
                },
                At::Trailer => {
                    let Some(line) = line(input, TRAILER_MAX)? else {
                        return Ok(false);
                    };
                    self.trailer += line.len();
                    if line.is_empty() {
                        self.at = At::End;
                    } else if self.trailer > TRAILER_MAX {
                        return Err(Error::BadRequest("there is too much after the last chunk"));
                    } else if !is_field(&line) {
                        return Err(Error::BadRequest("a line after the last chunk is no field"));
                    }
                }
                At::End => return Ok(true),
            }
        }
    }
}

/// Takes a line without its end, or returns `None` if the line is not complete.
fn line(input: &mut BytesMut, max: usize) -> Result<Option<BytesMut>, Error> {
    let head = &input[..input.len().min(max + 2)];
    match memchr::memchr3(b'\n', b'\r', 0, head) {
        Some(at) if head[at..].starts_with(b"\r\n") => {
            let line = input.split_to(at);
            input.advance(2);
            Ok(Some(line))
        }
        Some(at) if head[at] == b'\r' && at + 1 == input.len() => Ok(None),
        Some(_) => Err(Error::BadRequest("a line of a chunk should end in CR LF")),
        None if head.len() > max => Err(Error::BadRequest("a line of a chunk is too long")),
        None => Ok(None),
    }
}

/// Whether a line has a name and a value (RFC 9112 §5).
fn is_field(line: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; 1];
    let whole = [line, b"\r\n\r\n"].concat();
    matches!(
        httparse::parse_headers(&whole, &mut fields),
        Ok(httparse::Status::Complete((length, [_]))) if length == whole.len()
    )
}

/// The size of a chunk: hexadecimal digits, then optional extensions (RFC 9112 §7.1).
fn size(line: &[u8]) -> Result<usize, Error> {
    const WRONG: Error = Error::BadRequest("the size of a chunk should be a hexadecimal number");
    let digits = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (digits, extension) = line.split_at(digits);
    if !(1..=16).contains(&digits.len()) {
        return Err(WRONG);
    }
    if !are_extensions(extension) {
        return Err(match without_blanks(extension).first() {
            Some(b';') => Error::BadRequest("the extensions of a chunk are wrong"),
            _ => WRONG,
        });
    }
    let text = std::str::from_utf8(digits).map_err(|_| WRONG)?;
    usize::from_str_radix(text, 16).map_err(|_| WRONG)
}

/// Whether the text is a list of extensions, which may be empty: `;name` or `;name=value`, with blanks before and after `;` and
/// `=` (RFC 9112 §7.1.1, RFC 9110 §5.6.3).
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(extension) = without_blanks(rest).strip_prefix(b";") else {
            return false;
        };
        let Some(after) = word(without_blanks(extension)) else {
            return false;
        };
        rest = match without_blanks(after).strip_prefix(b"=") {
            None => after,
            Some(value) => {
                let value = without_blanks(value);
                match quoted(value).or_else(|| word(value)) {
                    Some(after) => after,
                    None => return false,
                }
            }
        };
    }
    true
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    &text[blanks.count()..]
}

/// The rest after a token (RFC 9110 §5.6.2), or `None` if the text does not begin with one.
fn word(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take_while(|byte| is_name(&[**byte])).count();
    (length > 0).then(|| &text[length..])
}

/// The rest after a quoted string (RFC 9110 §5.6.4), or `None` if the text does not begin with one.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'\t' | b' '..=b'~' | 0x80.., rest @ ..] => rest,
            [b'\\', ..] => return None,
            [b'\t' | b' '..=b'~' | 0x80.., rest @ ..] => rest,
            _ => return None,
        };
    }
}

/// Begins a chunk of `length` bytes, which must not be 0. `old`, here and below: the client does not know chunks.
pub fn begin_chunk(out: &mut Vec<u8>, length: usize, old: bool) {
    if !old {
        out.extend_from_slice(format!("{length:x}\r\n").as_bytes());
    }
}

/// Ends a chunk.
pub fn end_chunk(out: &mut Vec<u8>, old: bool) {
    if !old {
        out.extend_from_slice(b"\r\n");
    }
}

/// Ends the body.
pub fn last_chunk(out: &mut Vec<u8>, old: bool) {
    if !old {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]], limit: usize) -> Result<(bool, Vec<u8>, Vec<u8>), Error> {
        let (mut input, mut body) = (BytesMut::new(), BytesMut::new());
        let (mut chunked, mut done) = (Chunked::default(), false);
        for piece in pieces {
            input.extend_from_slice(piece);
            done = chunked.read(&mut input, &mut body, limit)?;
        }
        Ok((done, body.to_vec(), input.to_vec()))
    }

    #[test]
    fn chunks_are_joined_however_they_are_split() {
        let whole = b"5;a=b\r\nhello\r\n00001\r\n!\r\n0\r\nTrailer: x\r\n\r\nrest";
        let expected = Ok((true, b"hello!".to_vec(), b"rest".to_vec()));
        assert_eq!(read(&[whole], 6), expected);
        for split in 0..whole.len() {
            let (a, b) = whole.split_at(split);
            assert_eq!(read(&[a, b], 6), expected, "{split}");
        }
        assert_eq!(read(&[whole], 5), Err(Error::InputTooLarge { limit: 5 }));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let long = [b"1;".to_vec(), vec![b'x'; 300]].concat();
        for wrong in [
            b"0x5\r\n" as &[u8],
            b"-1\r\n",
            b"+1\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"\r\n",
            b";a\r\n",
            b"g\r\n",
            b"11111111111111111\r\n",
            b"5\nhello\r\n",
            b"5;a\nb\r\nhello\r\n",
            b"5\rX",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"0\r\nX: y\n\r\n",
            b"0\r\nGET / HTTP/1.1\r\n\r\n",
            b"0\r\nX: y\r\n z\r\n\r\n",
            &long,
        ] {
            let text = String::from_utf8_lossy(wrong);
            assert!(
                matches!(read(&[wrong], 1 << 20), Err(Error::BadRequest(_))),
                "{text:?}"
            );
        }
        let trailer = [b"0\r\n".to_vec(), b"X: y\r\n".repeat(2000)].concat();
        assert!(read(&[&trailer], 9).is_err());
        assert_eq!(
            read(&[b"ffffffffffffffff\r\n"], 9),
            Err(Error::InputTooLarge { limit: 9 })
        );
    }

    #[test]
    fn extensions_are_those_of_the_standard() {
        for right in [
            "",
            ";a",
            " ;a",
            "\t;a",
            " \t ; \ta",
            ";a;b;c",
            ";a=b",
            ";a = b ; c=\t\"d\"",
            ";a=\"\"",
            ";a=\"; = ( \\\" \\\\ \\a\t\"",
            ";a=\"\u{e9}\\\u{e9}\"",
            ";!#$%&'*+-.^_`|~09Az=1",
            ";a=\"b\";c",
        ] {
            assert!(are_extensions(right.as_bytes()), "{right:?}");
        }
        for wrong in [
            " ",
            "\t",
            ";",
            "; ",
            ";;",
            ";a;",
            ";a ",
            ";a=b ",
            ";a=\"b\" ",
            ";a=",
            ";a= ",
            ";=b",
            ";a==b",
            ";a=b=c",
            ";(a)",
            ";a=(b)",
            ";\"a\"",
            ";a=\"b",
            ";a=\"b\\\"",
            ";a=\"b\"c",
            ";a=b\"c\"",
            ";a=\"\u{1}\"",
            ";a=\"\\\u{1}\"",
            ";a=\"\u{7f}\"",
            ";a\u{1}",
            ";\u{1}",
            ";\u{e9}",
            ";a=\u{e9}",
            ";a b",
            ";a,b",
            ",a",
            "a",
            "=b",
            ";a=b,c",
            ";a/b",
            ";a=\u{b}b",
            "\u{c};a",
        ] {
            assert!(!are_extensions(wrong.as_bytes()), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_written_in_chunks_is_read_as_it_was() {
        let mut out = Vec::new();
        for piece in [&b"id: 1\n\n"[..], &[b'x'; 300], b"0"] {
            begin_chunk(&mut out, piece.len(), false);
            out.extend_from_slice(piece);
            end_chunk(&mut out, false);
        }
        last_chunk(&mut out, false);
        assert!(out.starts_with(b"7\r\nid: 1\n\n\r\n12c\r\nxxx"));
        let (ended, body, left) = read(&[&out], 308).unwrap();
        assert_eq!((ended, body.len(), left.len()), (true, 308, 0));
    }
}
