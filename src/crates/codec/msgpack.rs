//! A msgpack reader without recursion.
//!
//! The reader of the `tarantool` crate recurses without a limit, on the small stack of a fiber.

mod write;

pub use write::{write_str, write_uint};

use authkv_base::error::Error;
use rmp::Marker;

/// The first bytes of a value: a complete scalar, or the size of what follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Head {
    Nil,
    Bool(bool),
    Uint(u64),
    Int(i64),
    F32(f32),
    F64(f64),
    /// The number of bytes of text that follow.
    Str(u32),
    /// The number of bytes that follow.
    Bin(u32),
    /// The number of values that follow.
    Array(u32),
    /// The number of pairs that follow.
    Map(u32),
    /// The type of an extension, and the number of bytes of payload that follow.
    Ext {
        kind: i8,
        len: u32,
    },
}

/// Reads msgpack step by step. Every method fails with `Malformed` at the end of the bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that have not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| Error::malformed("The input is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn ext(&mut self, len: u32) -> Result<Head, Error> {
        let kind = self.u8()? as i8;
        Ok(Head::Ext { kind, len })
    }

    /// The head of the next value. The payload of a string, binary or extension must be taken afterwards.
    #[inline]
    pub fn head(&mut self) -> Result<Head, Error> {
        Ok(match Marker::from_u8(self.u8()?) {
            Marker::Null => Head::Nil,
            Marker::True => Head::Bool(true),
            Marker::False => Head::Bool(false),
            Marker::FixPos(n) => Head::Uint(n.into()),
            Marker::U8 => Head::Uint(self.u8()?.into()),
            Marker::U16 => Head::Uint(self.u16()?.into()),
            Marker::U32 => Head::Uint(self.u32()?.into()),
            Marker::U64 => Head::Uint(self.u64()?),
            Marker::FixNeg(n) => Head::Int(n.into()),
            Marker::I8 => Head::Int((self.u8()? as i8).into()),
            Marker::I16 => Head::Int((self.u16()? as i16).into()),
            Marker::I32 => Head::Int((self.u32()? as i32).into()),
            Marker::I64 => Head::Int(self.u64()? as i64),
            Marker::F32 => Head::F32(f32::from_bits(self.u32()?)),
            Marker::F64 => Head::F64(f64::from_bits(self.u64()?)),
            Marker::FixStr(len) => Head::Str(len.into()),
            Marker::Str8 => Head::Str(self.u8()?.into()),
            Marker::Str16 => Head::Str(self.u16()?.into()),
            Marker::Str32 => Head::Str(self.u32()?),
            Marker::Bin8 => Head::Bin(self.u8()?.into()),
            Marker::Bin16 => Head::Bin(self.u16()?.into()),
            Marker::Bin32 => Head::Bin(self.u32()?),
            Marker::FixArray(len) => Head::Array(len.into()),
            Marker::Array16 => Head::Array(self.u16()?.into()),
            Marker::Array32 => Head::Array(self.u32()?),
            Marker::FixMap(len) => Head::Map(len.into()),
            Marker::Map16 => Head::Map(self.u16()?.into()),
            Marker::Map32 => Head::Map(self.u32()?),
            Marker::FixExt1 => self.ext(1)?,
            Marker::FixExt2 => self.ext(2)?,
            Marker::FixExt4 => self.ext(4)?,
            Marker::FixExt8 => self.ext(8)?,
            Marker::FixExt16 => self.ext(16)?,
            Marker::Ext8 => {
                let len = self.u8()?;
                self.ext(len.into())?
            }
            Marker::Ext16 => {
                let len = self.u16()?;
                self.ext(len.into())?
            }
            Marker::Ext32 => {
                let len = self.u32()?;
                self.ext(len)?
            }
            Marker::Reserved => return Err(Error::malformed("The input is not valid msgpack")),
        })
    }

    /// The next value, if it is a short string, as most strings are: its bytes and its text.
    #[inline]
    fn short_string(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (header, length) = match *self.rest {
            [mark @ 0xa0..=0xbf, ..] => (1, usize::from(mark & 0x1f)),
            [0xd9, length, ..] => (2, usize::from(length)),
            [0xda, a, b, ..] => (3, usize::from(u16::from_be_bytes([a, b]))),
            _ => return None,
        };
        let (value, rest) = self.rest.split_at_checked(header + length)?;
        self.rest = rest;
        Some((value, &value[header..]))
    }

    /// The text of the next value, if it is a short string.
    #[inline]
    pub fn short_text(&mut self) -> Option<&'a [u8]> {
        self.short_string().map(|(_, text)| text)
    }

    /// The bytes of the next value, of any type.
    #[inline]
    pub fn value(&mut self) -> Result<&'a [u8], Error> {
        match self.short_string() {
            Some((value, _)) => Ok(value),
            None => self.any_value(),
        }
    }

    /// The length of the next value, which must be an array.
    #[inline]
    pub fn array_len(&mut self) -> Result<u32, Error> {
        if let [mark @ 0x90..=0x9f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u32::from(mark & 0x0f));
        }
        match self.head()? {
            Head::Array(len) => Ok(len),
            _ => Err(Error::malformed("An array is expected")),
        }
    }

    /// The next value, if it is a whole number of 0 or more; `None` for any other value.
    #[inline]
    pub fn uint(&mut self) -> Result<Option<u64>, Error> {
        let Some((mark, rest)) = self.rest.split_first() else {
            return self.any_uint();
        };
        let (number, rest) = match (mark, rest) {
            (0..=0x7f, _) => (Some(u64::from(*mark)), rest),
            (0xc0, _) => (None, rest),
            (0xcd, [a, b, rest @ ..]) => (Some(u16::from_be_bytes([*a, *b]).into()), rest),
            (0xce, [a, b, c, d, rest @ ..]) => {
                (Some(u32::from_be_bytes([*a, *b, *c, *d]).into()), rest)
            }
            _ => return self.any_uint(),
        };
        self.rest = rest;
        Ok(number)
    }

    fn any_uint(&mut self) -> Result<Option<u64>, Error> {
        match Reader::new(self.value()?).head()? {
            Head::Uint(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    fn any_value(&mut self) -> Result<&'a [u8], Error> {
        let start = self.rest;
        let mut pending = 1u64;
        while pending > 0 {
            pending -= 1;
            if self.short_string().is_some() {
                continue;
            }
            match self.head()? {
                Head::Str(len) | Head::Bin(len) | Head::Ext { len, .. } => {
                    self.take(len as usize)?;
                }
                Head::Array(len) => pending += u64::from(len),
                Head::Map(len) => pending += 2 * u64::from(len),
                _ => {}
            }
        }
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// The text of the next value, which must be a string.
    #[inline]
    pub fn string(&mut self) -> Result<&'a [u8], Error> {
        if let Some(text) = self.short_text() {
            return Ok(text);
        }
        match self.head()? {
            Head::Str(len) => self.take(len as usize),
            _ => Err(Error::malformed("A string is expected")),
        }
    }
}

/// Whether a string is UTF-8: strings of msgpack need not be.
#[inline]
pub fn is_utf8(text: &[u8]) -> bool {
    // Most strings are ASCII, and this check is faster for them.
    text.is_ascii() || std::str::from_utf8(text).is_ok()
}

/// Fails with `TooDeep` if the value has more than `limit` nested containers.
pub fn check_depth(value: &[u8], limit: usize) -> Result<(), Error> {
    // Each container takes at least a byte.
    if value.len() <= limit {
        return Ok(());
    }
    let mut reader = Reader::new(value);
    // For each open container: how many values are still to come.
    let mut open: Vec<u64> = Vec::new();
    loop {
        let container = match reader.head()? {
            Head::Array(len) => Some(u64::from(len)),
            Head::Map(len) => Some(2 * u64::from(len)),
            Head::Str(len) | Head::Bin(len) | Head::Ext { len, .. } => {
                reader.take(len as usize)?;
                None
            }
            _ => None,
        };
        if let Some(remaining) = open.last_mut() {
            *remaining -= 1;
        }
        if let Some(container) = container {
            if open.len() == limit {
                return Err(Error::TooDeep { limit });
            }
            open.push(container);
        }
        while open.pop_if(|remaining| *remaining == 0).is_some() {}
        if open.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_its_last_member_ends() {
        let bytes = b"\x82\xa1a\x93\x01\xc0\xcb\0\0\0\0\0\0\0\0\xa1b\xd6\x01\0\0\0\0\x07";
        let mut reader = Reader::new(bytes);
        assert_eq!(reader.value().unwrap().len(), bytes.len() - 1);
        assert_eq!(reader.head().unwrap(), Head::Uint(7));
        assert!(reader.is_empty());
    }

    #[test]
    fn a_whole_number_is_read_as_it_was_written() {
        for (number, size) in [
            (0, 1),
            (0x7f, 1),
            (0x80, 2),
            (0xff, 2),
            (0x100, 3),
            (0xffff, 3),
            (0x1_0000, 5),
            (0xffff_ffff, 5),
            (0x1_0000_0000, 9),
            (u64::MAX, 9),
        ] {
            let mut bytes = vec![0x91];
            write_uint(&mut bytes, number);
            assert_eq!(bytes.len(), 1 + size, "{number}");
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.array_len(), Ok(1));
            assert_eq!(reader.uint(), Ok(Some(number)));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn what_is_no_whole_number_is_passed_over() {
        for bytes in [
            b"\xc0\x07" as &[u8],
            b"\xff\x07",
            b"\xa1a\x07",
            b"\x91\xc0\x07",
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.uint(), Ok(None), "{bytes:?}");
            assert_eq!(reader.uint(), Ok(Some(7)), "{bytes:?}");
        }
        assert!(Reader::new(b"\xcd\x01").uint().is_err());
        assert!(Reader::new(b"\x07").array_len().is_err());
        assert_eq!(Reader::new(b"\xdc\x00\x01\x07").array_len(), Ok(1));
    }

    #[test]
    fn an_extension_has_its_type() {
        for (bytes, kind, len) in [
            (b"\xd4\x01" as &[u8], 1, 1),
            (b"\xd8\xff", -1, 16),
            (b"\xc7\x03\x04", 4, 3),
            (b"\xc8\x01\x00\x80", -128, 256),
            (b"\xc9\x00\x01\x00\x00\x7f", 127, 65_536),
        ] {
            let head = Reader::new(bytes).head().unwrap();
            assert_eq!(head, Head::Ext { kind, len }, "{bytes:?}");
        }
    }

    #[test]
    fn depth_is_that_of_the_innermost_container() {
        for (value, depth) in [
            (b"\x01" as &[u8], 0),
            (b"\xa3abc", 0),
            (b"\x92\x90\x90", 2),
            (b"\x93\x01\x82\xa1a\x91\xc4\x01\x91\xa1b\x80\xc0", 3),
        ] {
            assert_eq!(check_depth(value, depth), Ok(()), "{value:?}");
            let limit = depth.saturating_sub(1);
            let too_deep = (depth > 0).then_some(Error::TooDeep { limit });
            assert_eq!(check_depth(value, limit).err(), too_deep, "{value:?}");
        }
    }

    #[test]
    fn depth_does_not_use_the_stack() {
        let nested = [vec![0x91; 1_000_000], vec![0xc0]].concat();
        assert_eq!(Reader::new(&nested).value().unwrap().len(), 1_000_001);
    }
}
