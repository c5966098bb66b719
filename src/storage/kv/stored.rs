//! The tuples of the space `key_value_store`, and their forms for clients. Pure.
//!
//! A tuple is key, value, revision, expiry in milliseconds, content type. Everything after the value may be missing or null,
//! because the old system had two fields.

use authkv_base::error::Error;
use authkv_codec::msgpack::{write_uint, Reader};
use authkv_domain::Expiry;
use rmp::encode::write_str;

/// The revision of pairs without one.
pub const OLD: u64 = 1;

/// A tuple in msgpack. Its parts borrow the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub revision: u64,
    pub expiry: Option<Expiry>,
    /// A string in msgpack; empty if there is none.
    pub content_type: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Errors: `Malformed`, which the format of the space prevents.
    // Inlined, because a call and a result in memory cost as much as the work.
    #[inline(always)]
    pub fn read(tuple: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(tuple);
        let fields = reader.array_len()?;
        let key = reader.value()?;
        let value = match fields {
            0..2 => &[0xc0],
            _ => reader.value()?,
        };
        let revision = match fields {
            0..3 => None,
            _ => reader.uint()?,
        };
        let expiry = match fields {
            0..4 => None,
            _ => reader.uint()?,
        };
        let content_type = match fields {
            0..5 => &[],
            _ => match reader.value()? {
                [0xc0] => &[],
                text => text,
            },
        };
        Ok(Self {
            key,
            value,
            revision: revision.unwrap_or(OLD),
            expiry: expiry.map(Expiry::from_ms),
            content_type,
        })
    }

    /// Whether the pair has expired. `now` is in milliseconds.
    pub fn is_expired(&self, now: impl FnOnce() -> u64) -> bool {
        self.expiry.is_some_and(|expiry| expiry.ms() <= now())
    }

    /// Appends the pair as a map in msgpack.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.begin(out, 3);
        self.write_content(out);
    }

    /// Appends the pair as the effect of a step.
    pub fn write_found(&self, out: &mut Vec<u8>) {
        self.begin(out, 4);
        out.extend_from_slice(b"\xa7outcome\xa5found");
        self.write_content(out);
    }

    /// Appends the pair as a change.
    pub fn write_change(&self, out: &mut Vec<u8>, change: &str) {
        write_members(out, 4 + self.options());
        self.write_type(out, change);
        self.write_revision(out);
        self.write_value(out);
        self.write_options(out);
    }

    /// Appends the pair as a change that removed it.
    pub fn write_removal(&self, out: &mut Vec<u8>, change: &str) {
        write_members(out, 3);
        self.write_type(out, change);
        self.write_revision(out);
    }

    fn write_type(&self, out: &mut Vec<u8>, change: &str) {
        out.extend_from_slice(b"\xa4type");
        // Writing to a vector does not fail.
        let _ = write_str(out, change);
        out.extend_from_slice(b"\xa3key");
        out.extend_from_slice(self.key);
    }

    /// Begins a map with `members` members and the optional members of the pair.
    fn begin(&self, out: &mut Vec<u8>, members: u8) {
        write_members(out, members + self.options());
        out.extend_from_slice(b"\xa3key");
        out.extend_from_slice(self.key);
    }

    fn options(&self) -> u8 {
        u8::from(self.expiry.is_some()) + u8::from(!self.content_type.is_empty())
    }

    fn write_content(&self, out: &mut Vec<u8>) {
        self.write_value(out);
        self.write_revision(out);
        self.write_options(out);
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\xa5value");
        out.extend_from_slice(self.value);
    }

    fn write_options(&self, out: &mut Vec<u8>) {
        if let Some(expiry) = self.expiry {
            out.extend_from_slice(b"\xaaexpires_at");
            expiry.write_seconds(out);
        }
        if !self.content_type.is_empty() {
            out.extend_from_slice(b"\xaccontent_type");
            out.extend_from_slice(self.content_type);
        }
    }

    fn write_revision(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\xa8revision");
        write_uint(out, self.revision);
    }

    /// Replaces `out` by a tuple. `key` is a one-element array.
    pub fn encode(
        out: &mut Vec<u8>,
        key: &[u8],
        value: &[u8],
        revision: u64,
        (expiry, content_type): (Option<Expiry>, &[u8]),
    ) {
        /// The bytes of a header, a revision and a time.
        const REST: usize = 19;
        out.clear();
        out.reserve(key.len() + value.len() + content_type.len() + REST);
        let fields = match (expiry, content_type) {
            (None, []) => 3,
            (Some(_), []) => 4,
            _ => 5,
        };
        out.push(0x90 | fields);
        out.extend_from_slice(&key[1..]);
        out.extend_from_slice(value);
        write_uint(out, revision);
        if fields > 3 {
            match expiry {
                Some(expiry) => write_uint(out, expiry.ms()),
                None => out.push(0xc0),
            }
        }
        if fields > 4 {
            out.extend_from_slice(content_type);
        }
    }
}

/// Appends the head of a map with `members` members, fewer than 16.
fn write_members(out: &mut Vec<u8>, members: u8) {
    out.push(0x80 | members);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read() {
        for (expiry, content_type) in [
            (None, b"" as &[u8]),
            (Some(Expiry::from_ms(1500)), b""),
            (None, b"\xa3a/b"),
            (Some(Expiry::from_ms(2000)), b"\xa3a/b"),
        ] {
            let mut tuple = b"junk".to_vec();
            let rest = (expiry, content_type);
            Stored::encode(&mut tuple, b"\x91\xa1k", b"\x92\x01\xc0", 300, rest);
            let stored = Stored::read(&tuple).unwrap();
            assert_eq!(
                (stored.key, stored.value),
                (b"\xa1k" as _, b"\x92\x01\xc0" as _)
            );
            assert_eq!(stored.revision, 300);
            assert_eq!((stored.expiry, stored.content_type), rest);
            let mut told = Vec::new();
            stored.write(&mut told);
            assert_eq!(Reader::new(&told).value().unwrap(), told);
        }
    }

    #[test]
    fn tuples_of_the_old_system_are_read() {
        for (tuple, value) in [
            (b"\x91\xa1k" as &[u8], b"\xc0" as &[u8]),
            (b"\x92\xa1k\x07", b"\x07"),
            (b"\x95\xa1k\x07\xc0\xc0\xc0", b"\x07"),
        ] {
            let stored = Stored::read(tuple).unwrap();
            assert_eq!((stored.value, stored.revision), (value, OLD));
            assert_eq!((stored.expiry, stored.content_type), (None, b"" as _));
        }
    }
}
