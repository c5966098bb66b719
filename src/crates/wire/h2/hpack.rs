//! Reads header blocks of HTTP/2 (HPACK, RFC 7541) field by field, and writes plain ones. Pure.
//!
//! The reader inside hyper does not show everything it has read: it drops the fragment of a path.

mod fixed;
mod huffman;

use bytes::Bytes;
use fixed::FIELDS;
use std::collections::VecDeque;

/// The bytes of the dynamic table: the size for clients without another setting (RFC 9113 §6.5.2).
const TABLE_MAX: usize = 4096;
/// The bytes that each field in the table counts in addition to its own (RFC 7541 §4.1).
pub const OVERHEAD: usize = 32;

/// The block cannot be decoded, so the connection cannot continue (RFC 9113 §4.3).
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid;

/// The reader of one connection.
#[derive(Debug)]
pub struct Decoder {
    /// The fields in the dynamic table, the newest first. Many fields may share a name.
    fields: VecDeque<(Bytes, Bytes)>,
    /// The bytes of the fields, and their limit.
    size: usize,
    max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            fields: VecDeque::new(),
            size: 0,
            max: TABLE_MAX,
        }
    }
}

impl Decoder {
    /// Passes each field of a complete block to `each`, as a name and a value. Errors: `Invalid`.
    pub fn decode(
        &mut self,
        block: &[u8],
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Invalid> {
        let mut rest = block;
        let mut may_resize = true;
        while let Some(first) = rest.first() {
            // RFC 7541 §6.
            match first {
                0x80.. => {
                    let index = number(&mut rest, 7)?;
                    let (name, value) = self.field(index)?;
                    each(&name, &value);
                }
                0x40..=0x7f => {
                    let (name, value) = self.literal(&mut rest, 6)?;
                    each(&name, &value);
                    self.insert(name, value);
                }
                0x20..=0x3f => {
                    let max = number(&mut rest, 5)?;
                    // Allowed at the beginning of a block only (RFC 7541 §4.2).
                    if !may_resize || max > TABLE_MAX {
                        return Err(Invalid);
                    }
                    self.max = max;
                    self.shrink(max);
                    continue;
                }
                0x00..=0x1f => {
                    let (name, value) = self.literal(&mut rest, 4)?;
                    each(&name, &value);
                }
            }
            may_resize = false;
        }
        Ok(())
    }

    /// A field of the static or the dynamic table.
    fn field(&self, index: usize) -> Result<(Bytes, Bytes), Invalid> {
        let index = index.checked_sub(1).ok_or(Invalid)?;
        if let Some((name, value)) = FIELDS.get(index) {
            let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
            return Ok((bytes(name), bytes(value)));
        }
        let field = self.fields.get(index - FIELDS.len());
        field.cloned().ok_or(Invalid)
    }

    /// A field with a literal value. Its name is literal or in a table.
    fn literal(&self, rest: &mut &[u8], prefix: u32) -> Result<(Bytes, Bytes), Invalid> {
        let name = match number(rest, prefix)? {
            0 => string(rest)?,
            index => self.field(index)?.0,
        };
        Ok((name, string(rest)?))
    }

    fn insert(&mut self, name: Bytes, value: Bytes) {
        let size = name.len() + value.len() + OVERHEAD;
        // A field larger than the table empties it (RFC 7541 §4.4).
        self.shrink(self.max.saturating_sub(size));
        if size <= self.max {
            self.size += size;
            self.fields.push_front((name, value));
        }
    }

    /// Removes the oldest fields until at most `max` bytes remain.
    fn shrink(&mut self, max: usize) {
        while self.size > max {
            let Some((name, value)) = self.fields.pop_back() else {
                return;
            };
            self.size -= name.len() + value.len() + OVERHEAD;
        }
    }
}

/// Takes a number that begins in the last `prefix` bits of a byte (RFC 7541 §5.1). Errors: `Invalid`, also above 2^28.
fn number(rest: &mut &[u8], prefix: u32) -> Result<usize, Invalid> {
    let mask = (1 << prefix) - 1;
    let mut number = usize::from(take(rest)? & mask as u8);
    if number < mask {
        return Ok(number);
    }
    for shift in [0, 7, 14, 21] {
        let byte = take(rest)?;
        number += usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Invalid)
}

/// Takes a string (RFC 7541 §5.2).
fn string(rest: &mut &[u8]) -> Result<Bytes, Invalid> {
    let is_coded = rest.first().is_some_and(|byte| *byte >= 0x80);
    let length = number(rest, 7)?;
    let (raw, after) = rest.split_at_checked(length).ok_or(Invalid)?;
    *rest = after;
    if !is_coded {
        return Ok(Bytes::copy_from_slice(raw));
    }
    let mut text = Vec::with_capacity(length * 8 / 5);
    huffman::decode(raw, &mut text)?;
    Ok(text.into())
}

fn take(rest: &mut &[u8]) -> Result<u8, Invalid> {
    let (first, after) = rest.split_first().ok_or(Invalid)?;
    *rest = after;
    Ok(*first)
}

/// Appends a field without changing the table (RFC 7541 §6.2.2).
pub fn write(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(0);
    for text in [name, value] {
        write_length(out, text.len());
        out.extend_from_slice(text);
    }
}

/// Appends the length of a string in plain text.
fn write_length(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(0x7f) else {
        out.push(length as u8);
        return;
    };
    out.push(0x7f);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        let pairs = digits.chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn read(decoder: &mut Decoder, block: &[u8]) -> Result<String, Invalid> {
        let mut text = String::new();
        decoder.decode(block, |name, value| {
            text += &String::from_utf8_lossy(name);
            text += "=";
            text += &String::from_utf8_lossy(value);
            text += "\n";
        })?;
        Ok(text)
    }

    /// RFC 7541, C.3, C.4 and C.5: the same fields in plain and in coded form, and fields that are evicted.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let first = ":method=GET\n:scheme=http\n:path=/\n:authority=www.example.com\n";
        let second = format!("{first}cache-control=no-cache\n");
        let third = ":method=GET\n:scheme=https\n:path=/index.html\n:authority=www.example.com\ncustom-key=custom-value\n";
        for blocks in [
            [
                "828684410f7777772e6578616d706c652e636f6d",
                "828684be58086e6f2d6361636865",
                "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
            ],
            [
                "828684418cf1e3c2e5f23a6ba0ab90f4ff",
                "828684be5886a8eb10649cbf",
                "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            ],
        ] {
            let mut decoder = Decoder::default();
            for (block, fields) in blocks.iter().zip([first, &second, third]) {
                assert_eq!(read(&mut decoder, &hex(block)).unwrap(), fields);
            }
            assert_eq!((decoder.fields.len(), decoder.size), (3, 164));
        }
    }

    #[test]
    fn the_table_has_what_fits() {
        let mut decoder = Decoder::default();
        // A table of 64 bytes has room for one of these fields, of 34 bytes.
        let mut block = hex("3f21");
        for name in ["a", "b"] {
            block.extend(hex("40 01"));
            block.extend(name.bytes());
            block.extend(hex("01 78"));
        }
        block.extend(hex("be"));
        assert_eq!(read(&mut decoder, &block).unwrap(), "a=x\nb=x\nb=x\n");
        assert_eq!(read(&mut decoder, &hex("bf")), Err(Invalid));
        // A field that is too large empties the table.
        let large = [hex("40 01 63 28"), vec![b'y'; 40]].concat();
        read(&mut decoder, &large).unwrap();
        assert_eq!(read(&mut decoder, &hex("be")), Err(Invalid));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for block in [
            "80",             // the index 0
            "be",             // a field that is not there
            "82 20",          // a resize after a field
            "3f e2 1f",       // a table above 4096 bytes
            "00 01 61",       // no value
            "00 05 61 01 62", // a name that is cut short
            "ff ff ff ff ff ff ff ff 01",
            "00 81 ff 01 62",          // a byte of padding
            "00 81 18 01 62",          // zeros in the padding: 'a', then 000
            "00 84 ff ff ff ff 01 62", // the end of a string
        ] {
            let read = read(&mut Decoder::default(), &hex(block));
            assert_eq!(read, Err(Invalid), "{block}");
        }
        assert_eq!(
            read(&mut Decoder::default(), &hex("00 81 1f 01 62")).unwrap(),
            "a=b\n"
        );
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let mut decoder = Decoder::default();
        for length in [0, 1, 126, 127, 128, 254, 255, 256, 16_511, 20_000] {
            let mut block = Vec::new();
            let value = vec![0xff; length];
            write(&mut block, b"x", &value);
            let mut seen = 0;
            decoder
                .decode(&block, |_, read| {
                    seen = read.len() + usize::from(read != value)
                })
                .unwrap();
            assert_eq!(seen, length);
        }
        assert!(decoder.fields.is_empty());
    }
}
