//! The rows in a log: how far they reach. A row has a number, and who made it: the sum of the last numbers of all is the number
//! that the next log has for its name.

use crate::record::unsigned;
use crate::scan::Log;
use ruzstd::decoding::StreamingDecoder;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

/// Keys in the header of a row (`iproto_constants.h` of Tarantool).
const KIND: u64 = 0x00;
const ORIGIN: u64 = 0x02;
const NUMBER: u64 = 0x03;
/// The kind of a row without a body (`IPROTO_NOP`).
const NOTHING: u64 = 12;

/// The last number of each origin.
type Clock = BTreeMap<u64, u64>;

/// The number after the last whole record. `None` if the rows are not understood.
pub fn reach(file: impl Read + Seek) -> io::Result<Option<u64>> {
    let mut log = Log::new(file)?;
    let mut at = log.meta()?;
    let Some(mut clock) = begin(log.read(0, at as usize)?) else {
        return Ok(None);
    };
    while let Some(next) = log.record(at)? {
        let (body, is_compressed) = log.body(at, next)?;
        let rows = if is_compressed {
            decompress(&body)
        } else {
            Some(body)
        };
        if rows.and_then(|rows| follow(&mut clock, &rows)).is_none() {
            return Ok(None);
        }
        at = next;
    }
    Ok(Some(clock.values().sum()))
}

/// The clock in the text that begins a file, such as `VClock: {1: 4, 2: 7}`.
fn begin(text: &[u8]) -> Option<Clock> {
    let text = std::str::from_utf8(text).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VClock: {")?.strip_suffix('}'))?;
    let parts = line.split(", ").filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (origin, number) = part.split_once(": ")?;
            Some((origin.parse().ok()?, number.parse().ok()?))
        })
        .collect()
}

fn decompress(body: &[u8]) -> Option<Vec<u8>> {
    let mut rows = Vec::new();
    StreamingDecoder::new(body)
        .ok()?
        .read_to_end(&mut rows)
        .ok()?;
    Some(rows)
}

/// Takes the numbers of rows.
fn follow(clock: &mut Clock, mut rows: &[u8]) -> Option<()> {
    while !rows.is_empty() {
        let (pairs, mut rest) = map(rows)?;
        let (mut kind, mut origin, mut number) = (None, 0, None);
        for _ in 0..pairs {
            let (key, value) = unsigned(rest)?;
            match key {
                KIND => kind = Some(unsigned(value)?.0),
                ORIGIN => origin = unsigned(value)?.0,
                NUMBER => number = Some(unsigned(value)?.0),
                _ => {}
            }
            rest = skip(value)?;
        }
        if kind? != NOTHING && !rest.is_empty() {
            rest = skip(rest)?;
        }
        if let Some(number) = number {
            let last = clock.entry(origin).or_default();
            *last = number.max(*last);
        }
        rows = rest;
    }
    Some(())
}

/// How many pairs a map of msgpack has, and the bytes of them.
fn map(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0x80..=0x8f => Some((u64::from(first & 0x0f), rest)),
        0xde => big_endian(rest, 2),
        0xdf => big_endian(rest, 4),
        _ => None,
    }
}

fn big_endian(bytes: &[u8], size: usize) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_at_checked(size)?;
    let sum = number
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Some((sum, rest))
}

/// The bytes after a value of msgpack.
fn skip(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut left: u64 = 1;
    while left > 0 {
        let (first, rest) = bytes.split_first()?;
        let first = u64::from(*first);
        // How many bytes belong to the value, and how many values.
        let sized = |size: usize, more: u64| {
            let (length, rest) = big_endian(rest, size)?;
            Some((length + more, 0, rest))
        };
        let many = |size: usize, each: u64| {
            let (values, rest) = big_endian(rest, size)?;
            Some((0, values * each, rest))
        };
        let (length, values, rest) = match first {
            0x80..=0x8f => (0, 2 * (first & 0x0f), rest),
            0x90..=0x9f => (0, first & 0x0f, rest),
            0xa0..=0xbf => (first & 0x1f, 0, rest),
            0xc4..=0xc6 => sized(1 << (first - 0xc4), 0)?,
            0xc7..=0xc9 => sized(1 << (first - 0xc7), 1)?,
            0xca | 0xce | 0xd2 => (4, 0, rest),
            0xcb | 0xcf | 0xd3 => (8, 0, rest),
            0xcc | 0xd0 => (1, 0, rest),
            0xcd | 0xd1 => (2, 0, rest),
            0xd4..=0xd8 => (1 + (1 << (first - 0xd4)), 0, rest),
            0xd9..=0xdb => sized(1 << (first - 0xd9), 0)?,
            0xdc | 0xdd => many(2 << (first - 0xdc), 1)?,
            0xde | 0xdf => many(2 << (first - 0xde), 2)?,
            _ => (0, 0, rest),
        };
        bytes = rest.get(usize::try_from(length).ok()?..)?;
        left = left - 1 + values;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{record, row, META};
    use std::io::Cursor;

    #[test]
    fn the_rows_of_a_log_that_tarantool_has_written_reach_its_end() {
        let written = include_bytes!("written.xlog");
        assert!(reach(Cursor::new(written)).unwrap().unwrap() > 0);
    }

    #[test]
    fn the_number_after_the_last_whole_record_is_that_of_all_origins() {
        let rows = [
            record(&[row(1, 5), row(1, 6)].concat()),
            record(&row(0, 1)),
            record(&row(2, 9)),
        ];
        for (many, number) in [(0, 4), (1, 6), (2, 7), (3, 16)] {
            let log = [META, &rows[..many].concat(), &rows[0][..30]].concat();
            assert_eq!(reach(Cursor::new(log)).unwrap(), Some(number));
        }
        let log = [META, &record(b"no row")].concat();
        assert_eq!(reach(Cursor::new(log)).unwrap(), None);
    }

    #[test]
    fn each_value_of_msgpack_is_skipped_wholly() {
        let values = [
            "00",
            "c0",
            "c3",
            "ff",
            "cc01",
            "cd0102",
            "ce01020304",
            "cf0102030405060708",
            "d001",
            "d10102",
            "d201020304",
            "d30102030405060708",
            "ca01020304",
            "cb0102030405060708",
            "a3616263",
            "d90161",
            "da000161",
            "db0000000161",
            "c40161",
            "c5000161",
            "c60000000161",
            "d40001",
            "d8000102030405060708090a0b0c0d0e0f10",
            "c7010061",
            "c800010061",
            "c90000000100 61",
            "92a16101",
            "dc00020102",
            "dd000000020102",
            "8101a161",
            "de00010102",
            "df000000010102",
        ];
        for value in values {
            let digits: Vec<u8> = value.bytes().filter(|byte| *byte != b' ').collect();
            let bytes: Vec<u8> = digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            let more = [&bytes[..], &[0xc1]].concat();
            assert_eq!(skip(&more), Some(&[0xc1][..]), "{value}");
            assert_eq!(skip(&bytes[..bytes.len() - 1]), None, "{value}");
        }
    }
}
