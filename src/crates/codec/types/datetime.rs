//! Datetimes: seconds, then nanoseconds, offset and zone unless all three are 0; little-endian.

use authkv_base::error::Error;
use std::ops::RangeInclusive;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Seconds whose days since the year 1 fit 32 bits.
const SECONDS: RangeInclusive<i64> = -185_604_722_870_400..=185_480_451_417_600;
/// Up to one second more than usual, for leap seconds.
const NANOS: RangeInclusive<i32> = 0..=1_999_999_999;
const OFFSETS: RangeInclusive<i16> = -12 * 60..=14 * 60;

/// The named zones, as the first and the last number of each run. They are the same in 2.10 and all later versions, which crash
/// when they print an unknown zone.
#[rustfmt::skip] // It would give each zone a line of its own.
const ZONES: &[(i16, i16)] = &[
    (1, 25), (32, 32), (40, 40), (48, 48), (56, 56), (64, 64), (72, 72), (80, 80), (88, 88), (96, 96),
    (104, 104), (112, 112), (120, 120), (128, 136), (144, 149), (152, 162), (168, 173), (176, 179),
    (184, 188), (192, 211), (216, 216), (224, 226), (232, 242), (248, 254), (256, 256), (264, 272),
    (280, 284), (288, 298), (304, 305), (312, 320), (328, 345), (352, 361), (368, 369), (376, 382),
    (384, 387), (392, 394), (400, 402), (408, 410), (416, 418), (424, 426), (432, 436), (440, 443),
    (448, 450), (456, 462), (464, 464), (472, 472), (480, 484), (488, 489), (496, 497), (504, 505),
    (512, 518), (520, 522), (528, 531), (536, 540), (544, 545), (552, 553), (560, 560), (568, 568),
    (576, 576), (584, 592), (600, 600), (608, 608), (616, 616), (624, 624), (632, 632), (640, 640),
    (648, 649), (656, 656), (664, 664), (672, 1011),
];

/// A moment with its local time.
#[derive(Debug, PartialEq, Eq)]
pub struct Datetime {
    /// Seconds since 1970-01-01 UTC.
    seconds: i64,
    nanos: i32,
    /// Minutes from UTC to local time.
    offset: i16,
    /// 0 if there is only an offset.
    zone: i16,
}

impl Datetime {
    /// Errors: `BadValue`.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        Self::split(payload).filter(Self::is_allowed).ok_or(Error::BadValue(
            "a datetime should be 8 or 16 bytes: seconds, nanoseconds, offset and zone, each in range",
        ))
    }

    fn split(payload: &[u8]) -> Option<Self> {
        let (seconds, rest) = payload.split_first_chunk()?;
        let (nanos, offset, zone) = match rest {
            [] => ([0; 4], [0; 2], [0; 2]),
            &[a, b, c, d, e, f, g, h] => ([a, b, c, d], [e, f], [g, h]),
            _ => return None,
        };
        Some(Self {
            seconds: i64::from_le_bytes(*seconds),
            nanos: i32::from_le_bytes(nanos),
            offset: i16::from_le_bytes(offset),
            zone: i16::from_le_bytes(zone),
        })
    }

    fn is_allowed(&self) -> bool {
        SECONDS.contains(&self.seconds)
            && SECONDS.contains(&self.local())
            && NANOS.contains(&self.nanos)
            && OFFSETS.contains(&self.offset)
            && (self.zone == 0
                || ZONES
                    .iter()
                    .any(|&(first, last)| (first..=last).contains(&self.zone)))
    }

    /// The seconds of the local time.
    fn local(&self) -> i64 {
        self.seconds + i64::from(self.offset) * 60
    }

    /// The payload as Tarantool encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = self.seconds.to_le_bytes().to_vec();
        if (self.nanos, self.offset, self.zone) != (0, 0, 0) {
            payload.extend(self.nanos.to_le_bytes());
            payload.extend(self.offset.to_le_bytes());
            payload.extend(self.zone.to_le_bytes());
        }
        payload
    }

    /// The text by RFC 3339, or `None` if it has no such text: a named zone, a leap second, a year outside of 1 to 9999.
    pub fn text(&self) -> Option<String> {
        let nanos = u32::try_from(self.nanos).ok()?;
        let offset = UtcOffset::from_whole_seconds(i32::from(self.offset) * 60).ok()?;
        let local = OffsetDateTime::from_unix_timestamp(self.local()).ok()?;
        let local = local.replace_nanosecond(nanos).ok()?.replace_offset(offset);
        let has_text = self.zone == 0 && local.year() > 0;
        local.format(&Rfc3339).ok().filter(|_| has_text)
    }

    /// Reads RFC 3339 §5.6 without leap seconds. Errors: `BadValue`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).filter(Self::is_allowed).ok_or(Error::BadValue(
            "a datetime should be as in RFC 3339, such as 2030-01-31T23:59:59.5+03:00, from the year 1 \
             on, with at most nine digits behind the second",
        ))
    }

    fn read(text: &str) -> Option<Self> {
        let local = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        // What the crate allows besides: a space, leap seconds, digits that it drops.
        let is_strict = matches!(text.as_bytes()[10], b'T' | b't') && &text[17..19] != "60";
        let fraction = text[19..].strip_prefix('.').unwrap_or_default();
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        (is_strict && digits <= 9 && local.year() > 0).then(|| Self {
            seconds: local.unix_timestamp(),
            nanos: local.nanosecond() as i32,
            offset: local.offset().whole_minutes(),
            zone: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(seconds: i64, nanos: i32, offset: i16, zone: i16) -> Vec<u8> {
        [
            &seconds.to_le_bytes() as &[u8],
            &nanos.to_le_bytes(),
            &offset.to_le_bytes(),
            &zone.to_le_bytes(),
        ]
        .concat()
    }

    #[test]
    fn a_text_comes_back() {
        for (text, bytes) in [
            ("1970-01-01T00:00:00Z", vec![0; 8]),
            ("1969-12-31T23:59:59Z", vec![0xff; 8]),
            ("1970-01-01T00:00:00.000000001Z", payload(0, 1, 0, 0)),
            (
                "1970-01-01T03:00:00.5+03:00",
                payload(0, 500_000_000, 180, 0),
            ),
            ("1969-12-31T14:30:00-09:30", payload(0, 0, -570, 0)),
            (
                "0001-01-01T00:00:00Z",
                (-62_135_596_800_i64).to_le_bytes().to_vec(),
            ),
            (
                "9999-12-31T23:59:59.999999999+14:00",
                payload(253_402_250_399, 999_999_999, 840, 0),
            ),
            (
                "9999-12-31T23:59:59-12:00",
                payload(253_402_343_999, 0, -720, 0),
            ),
            (
                "0001-01-01T00:00:00+14:00",
                payload(-62_135_647_200, 0, 840, 0),
            ),
            (
                "2024-02-29T12:00:00-12:00",
                payload(1_709_251_200, 0, -720, 0),
            ),
        ] {
            let datetime = Datetime::parse(text).unwrap();
            assert_eq!(datetime.encode(), bytes, "{text}");
            assert_eq!(Datetime::decode(&bytes).unwrap(), datetime, "{text}");
            assert_eq!(datetime.text().as_deref(), Some(text));
        }
    }

    #[test]
    fn what_rfc_3339_cannot_say_has_no_text() {
        for bytes in [
            payload(0, 0, 180, 947),
            payload(0, 1_000_000_000, 0, 0),
            payload(-62_135_596_801, 0, 0, 0),
            payload(-62_135_596_800, 0, -60, 0),
            payload(253_402_300_800, 0, 0, 0),
            payload(*SECONDS.start(), 0, 0, 0),
            payload(*SECONDS.end(), 0, 0, 0),
        ] {
            assert_eq!(Datetime::decode(&bytes).unwrap().text(), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_datetime_is_refused() {
        for text in [
            "",
            "2030-01-31",
            "2030-01-31T12:00:00",
            "2030-01-31 12:00:00Z",
            "2030-01-31T12:00Z",
            "2030-02-30T12:00:00Z",
            "2030-01-31T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2030-01-31T12:00:00.Z",
            "2030-01-31T12:00:00.1234567891Z",
            "2030-01-31T12:00:00,5Z",
            "2030-01-31T12:00:00+0300",
            "2030-01-31T12:00:00+915:0",
            "2030-01-31T12:00:00+3:000",
            "2030-01-31T12:00:00+03:60",
            "2030-01-31T12:00:00+99:59",
            "2030-01-31T12:00:00+14:01",
            "2030-01-31T12:00:00-12:01",
            "2030-01-31T12:00:00Z Europe/Moscow",
            "0000-12-31T12:00:00Z",
            "10000-01-01T12:00:00Z",
            "-001-01-01T12:00:00Z",
            "2030-01-31Ж12:00:00Z",
        ] {
            assert!(Datetime::parse(text).is_err(), "{text}");
        }
        for bytes in [
            vec![],
            vec![0; 7],
            vec![0; 9],
            vec![0; 15],
            vec![0; 17],
            payload(SECONDS.end() + 1, 0, 0, 0),
            payload(SECONDS.start() - 1, 0, 0, 0),
            payload(*SECONDS.end(), 0, 1, 0),
            payload(i64::MAX, 0, 840, 0),
            payload(0, -1, 0, 0),
            payload(0, 2_000_000_000, 0, 0),
            payload(0, 0, 841, 0),
            payload(0, 0, -721, 0),
            payload(0, 0, 0, 26),
            payload(0, 0, 0, 671),
            payload(0, 0, 0, 1012),
            payload(0, 0, 0, -1),
        ] {
            assert!(Datetime::decode(&bytes).is_err(), "{bytes:?}");
        }
    }
}
