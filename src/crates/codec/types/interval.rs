//! Intervals: the number of fields, then each field as a byte that names it and an integer.

use crate::msgpack::{Head, Reader};
use authkv_base::error::Error;

/// Fails with `BadValue` unless every Tarantool with intervals reads the payload without changing it.
pub fn check(payload: &[u8]) -> Result<(), Error> {
    match fields(&mut Reader::new(payload)) {
        Some(()) => Ok(()),
        None => Err(Error::BadValue(
            "an interval should be a count and as many fields, each a name from 0 to 8 and an integer \
             in range",
        )),
    }
}

fn fields(reader: &mut Reader<'_>) -> Option<()> {
    let count = reader.take(1).ok()?[0];
    for _ in 0..count {
        let name = reader.take(1).ok()?[0];
        let number = match reader.head().ok()? {
            Head::Uint(number) => i64::try_from(number).ok()?,
            Head::Int(number) => number,
            _ => return None,
        };
        let is_allowed = match name {
            // Years, months, weeks, nanoseconds.
            0..=2 | 7 => i32::try_from(number).is_ok(),
            // Days, hours, minutes and seconds, which Tarantool keeps as doubles.
            3..=6 => number.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS,
            // How to adjust a day that the month does not have.
            8 => (0..=2).contains(&number),
            _ => false,
        };
        if !is_allowed {
            return None;
        }
    }
    reader.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_whole_and_in_range() {
        for (payload, expected) in [
            (b"\x00" as &[u8], true),
            (b"\x01\x00\x01", true),
            (b"\x02\x00\xff\x08\x02", true),
            (b"\x01\x06\xcf\0\x20\0\0\0\0\0\0", true),
            (b"\x01\x06\xd3\xff\xe0\0\0\0\0\0\0", true),
            (b"\x01\x07\xd2\x80\0\0\0", true),
            (b"", false),
            (b"\x00\x00", false),
            (b"\x01", false),
            (b"\x01\x00", false),
            (b"\x02\x00\x01", false),
            (b"\x01\x00\x01\x01\x01", false),
            (b"\x01\x00\xcd\x01", false),
            (b"\x01\x00\xc0", false),
            (b"\x01\x00\xa0", false),
            (b"\x01\x09\x01", false),
            (b"\x01\x08\x03", false),
            (b"\x01\x08\xff", false),
            (b"\x01\x00\xce\x80\0\0\0", false),
            (b"\x01\x06\xcf\0\x20\0\0\0\0\0\x01", false),
            (b"\x01\x06\xcf\x80\0\0\0\0\0\0\0", false),
            (b"\x01\x06\xd3\x80\0\0\0\0\0\0\0", false),
        ] {
            assert_eq!(check(payload).is_ok(), expected, "{payload:?}");
        }
    }
}
