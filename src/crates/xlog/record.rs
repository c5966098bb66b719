//! A record: a header of fixed size, and a body with a checksum. Pure.

use crc::{Algorithm, Crc, Digest, Table};

/// The bytes of the header of a record (`XLOG_FIXHEADER_SIZE`).
pub const HEADER: usize = 19;

/// The largest body that Tarantool reads (`IPROTO_BODY_LEN_MAX`).
const BODY_MAX: u64 = 0x8000_0000;

/// Begins a record whose rows are as they are.
const PLAIN: [u8; 4] = [0xd5, 0xba, 0x0b, 0xab];
/// Begins a record whose rows are compressed by zstd.
const COMPRESSED: [u8; 4] = [0xd5, 0xba, 0x0b, 0xba];
/// What the two have in common.
pub const MAGIC_START: [u8; 3] = [0xd5, 0xba, 0x0b];
/// Ends a file that was closed.
pub const EOF_MARKER: [u8; 4] = [0xd5, 0x10, 0xad, 0xed];

/// CRC-32C (Castagnoli) as `crc32_calc` of Tarantool computes it: it begins with 0, and the result is not inverted.
const CASTAGNOLI: Algorithm<u32> = Algorithm {
    width: 32,
    poly: 0x1edc_6f41,
    init: 0,
    refin: true,
    refout: true,
    xorout: 0,
    check: 0,
    residue: 0,
};
type Slices = Table<16>;
static CRC: Crc<u32, Slices> = Crc::<u32, Slices>::new(&CASTAGNOLI);

/// A checksum that is being computed.
pub fn digest() -> Digest<'static, u32, Slices> {
    CRC.digest()
}

/// What the header of a record says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub length: u64,
    pub checksum: u32,
}

impl Header {
    /// Reads a header. `None` if it is none.
    pub fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let rest = bytes
            .strip_prefix(&PLAIN)
            .or_else(|| bytes.strip_prefix(&COMPRESSED))?;
        let (length, rest) = unsigned(rest)?;
        // The checksum of the record before, which is not in use.
        let (_, rest) = unsigned(rest)?;
        let (checksum, rest) = unsigned(rest)?;
        let is_padded = match rest.split_first() {
            None => true,
            // A short string of msgpack.
            Some((first, text)) => *first == 0xa0 | text.len() as u8,
        };
        (length <= BODY_MAX && is_padded).then_some(Self {
            length,
            checksum: u32::try_from(checksum).ok()?,
        })
    }
}

/// Whether the bytes are the beginning of a record, or all of its header.
pub fn begins_record(bytes: &[u8]) -> bool {
    match bytes.first_chunk() {
        Some(header) => Header::decode(header).is_some(),
        None => {
            let magic = &bytes[..bytes.len().min(PLAIN.len())];
            PLAIN.starts_with(magic) || COMPRESSED.starts_with(magic)
        }
    }
}

/// Whether a header is that of a compressed record.
pub fn is_compressed(header: &[u8]) -> bool {
    header.starts_with(&COMPRESSED)
}

/// An unsigned number of msgpack, and the bytes after it.
pub fn unsigned(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let size = match first {
        0x00..=0x7f => return Some((u64::from(*first), rest)),
        0xcc => 1,
        0xcd => 2,
        0xce => 4,
        0xcf => 8,
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(size)?;
    let number = number
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Some((number, rest))
}

/// A record that is not compressed.
pub fn encode(body: &[u8]) -> Vec<u8> {
    let mut digest = digest();
    digest.update(body);
    let mut record = PLAIN.to_vec();
    record.push(0xce);
    record.extend((body.len() as u32).to_be_bytes());
    record.push(0);
    record.push(0xce);
    record.extend(digest.finalize().to_be_bytes());
    let padding = HEADER - record.len() - 1;
    record.push(0xa0 | padding as u8);
    record.resize(HEADER, 0);
    record.extend(body);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first record of a log that Tarantool 2.6.0 has written.
    const WRITTEN: &[u8] = include_bytes!("written.xlog");

    fn header(bytes: &[u8]) -> Option<Header> {
        bytes.first_chunk().and_then(Header::decode)
    }

    #[test]
    fn the_checksum_is_that_of_tarantool() {
        let at = memchr::memmem::find(WRITTEN, b"\n\n").unwrap() + 2;
        let header = header(&WRITTEN[at..]).unwrap();
        let body = &WRITTEN[at + HEADER..][..header.length as usize];
        let mut digest = digest();
        digest.update(body);
        assert_eq!(digest.finalize(), header.checksum);
    }

    #[test]
    fn a_header_says_what_was_encoded() {
        for length in [0, 1, 127, 128, 255, 256, 65_536] {
            let record = encode(&vec![7; length]);
            assert_eq!(record.len(), HEADER + length);
            assert_eq!(
                header(&record).map(|header| header.length),
                Some(length as u64)
            );
        }
    }

    #[test]
    fn what_is_no_header_is_none() {
        let record = encode(b"row");
        let changed = |at: usize, to: u8| {
            let mut record = record.clone();
            record[at] = to;
            header(&record)
        };
        assert_eq!(changed(0, 0), None, "the magic");
        assert_eq!(changed(3, 0xac), None, "the magic");
        assert_eq!(changed(4, 0xa1), None, "a text as the length");
        assert_eq!(changed(5, 0x81), None, "a length above the limit");
        assert_eq!(changed(9, 0xc0), None, "nil as the checksum");
        assert_eq!(changed(15, 0xa2), None, "a padding that is too short");
        assert_eq!(header(&[0; HEADER]), None);
    }
}
