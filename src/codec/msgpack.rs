//! An iterative msgpack reader, and the check that client input passes before anything else looks at it.
//!
//! The reader of the `tarantool` crate recurses without limit, on a fiber's stack; this one keeps count.

use crate::error::Error;
use rmp::Marker;

/// The first bytes of a value: a whole scalar, or how much follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Head {
    Nil,
    Bool(bool),
    Uint(u64),
    Int(i64),
    F32(f32),
    F64(f64),
    /// Bytes of text that follow.
    Str(u32),
    /// Bytes that follow.
    Bin(u32),
    /// Values that follow.
    Array(u32),
    /// Pairs of values that follow.
    Map(u32),
    /// Bytes of payload that follow.
    Ext(u32),
}

/// Walks over msgpack. Every method fails with `Malformed` at the end of the bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
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
        self.u8()?;
        Ok(Head::Ext(len))
    }

    /// The head of the next value; of a string, binary or extension the payload is still to be taken.
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

    /// The bytes of the next value, whatever it is.
    #[inline]
    pub fn value(&mut self) -> Result<&'a [u8], Error> {
        let start = self.rest;
        let mut pending = 1u64;
        while pending > 0 {
            pending -= 1;
            match self.head()? {
                Head::Str(len) | Head::Bin(len) | Head::Ext(len) => {
                    self.take(len as usize)?;
                }
                Head::Array(len) => pending += u64::from(len),
                Head::Map(len) => pending += 2 * u64::from(len),
                _ => {}
            }
        }
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// The bytes of the next value, which has to be a string.
    pub fn string(&mut self) -> Result<&'a [u8], Error> {
        match self.head()? {
            Head::Str(len) => self.take(len as usize),
            _ => Err(Error::malformed("A string is expected")),
        }
    }
}

/// Fails unless `bytes` are exactly one value as [`super::Document`] describes it.
pub fn check(bytes: &[u8], depth_limit: usize) -> Result<(), Error> {
    struct Open {
        /// Values still to come; of a map, keys and values together.
        remaining: u64,
        map: bool,
    }
    let mut reader = Reader::new(bytes);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let is_key = open
            .last()
            .is_some_and(|container| container.map && container.remaining % 2 == 0);
        let container = match reader.head()? {
            Head::Str(len) => {
                std::str::from_utf8(reader.take(len as usize)?)
                    .map_err(|_| Error::BadValue("a string should be valid UTF-8"))?;
                None
            }
            _ if is_key => return Err(Error::BadValue("the keys of a map should be strings")),
            Head::Bin(_) => {
                return Err(Error::BadValue(
                    "binary data is not allowed, only what JSON can carry",
                ))
            }
            Head::Ext(_) => {
                return Err(Error::BadValue(
                    "extension types are not allowed, only what JSON can carry",
                ))
            }
            Head::F32(n) if !n.is_finite() => {
                return Err(Error::BadValue("a number should be finite"))
            }
            Head::F64(n) if !n.is_finite() => {
                return Err(Error::BadValue("a number should be finite"))
            }
            Head::Array(len) => Some(Open {
                remaining: len.into(),
                map: false,
            }),
            Head::Map(len) => Some(Open {
                remaining: 2 * u64::from(len),
                map: true,
            }),
            _ => None,
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
        while open
            .last()
            .is_some_and(|container| container.remaining == 0)
        {
            open.pop();
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
    fn every_truncation_is_an_error() {
        let bytes = b"\x84\xa1a\x93\x01\xc0\xcb\0\0\0\0\0\0\0\0\xa1b\xda\x00\x03xyz\xa1c\xcd\x01\x02\xa1d\xd3\0\0\0\0\0\0\0\0";
        check(bytes, 3).unwrap();
        for end in 0..bytes.len() {
            assert!(Reader::new(&bytes[..end]).value().is_err(), "{end}");
            assert!(check(&bytes[..end], 3).is_err(), "{end}");
        }
    }

    #[test]
    fn what_json_cannot_carry_is_refused() {
        for (bytes, part) in [
            (b"\xc4\x01x" as &[u8], "binary"),
            (b"\xd4\x01x", "extension"),
            (b"\xa1\xff", "UTF-8"),
            (b"\x81\x01\x02", "keys of a map"),
            (b"\x81\x90\x02", "keys of a map"),
            (b"\xcb\x7f\xf8\0\0\0\0\0\0", "finite"),
            (b"\xca\x7f\x80\0\0", "finite"),
            (b"\x01\x02", "after the end"),
            (b"\xc1", "not valid msgpack"),
        ] {
            let text = check(bytes, 8).unwrap_err().to_string();
            assert!(text.contains(part), "{bytes:?}: {text}");
        }
    }

    #[test]
    fn depth_is_limited_and_does_not_use_the_stack() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert_eq!(check(&nested(64), 64), Ok(()));
        assert_eq!(check(&nested(65), 64), Err(Error::TooDeep { limit: 64 }));
        assert_eq!(
            Reader::new(&nested(1_000_000)).value().unwrap().len(),
            1_000_001
        );
    }
}
