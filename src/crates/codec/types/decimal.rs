//! Decimals: a scale in msgpack, then the digits and the sign, four bits each.

use crate::msgpack::{Head, Reader};
use authkv_base::error::Error;
use std::fmt::{self, Display, Formatter};

/// The most digits of a number. Tarantool allows twice as many from 3.5 on.
const DIGITS: i64 = 38;

const TOO_LONG: Error = Error::BadValue("a decimal should have at most 38 digits");

/// A number of at most [`DIGITS`] digits.
#[derive(Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// In ASCII, without leading zeros. Zero has one digit.
    digits: String,
    /// The number of digits after the point. If negative: the number of zeros after the digits.
    scale: i32,
}

impl Decimal {
    /// Errors: `BadValue`.
    fn new(negative: bool, digits: &str, scale: i64) -> Result<Self, Error> {
        let digits = match digits.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        let len = digits.len() as i64;
        let places = match scale {
            0.. => len.max(scale),
            _ => len.saturating_sub(scale),
        };
        match i32::try_from(scale) {
            Ok(scale) if places <= DIGITS => Ok(Self {
                negative,
                digits: digits.to_owned(),
                scale,
            }),
            _ => Err(TOO_LONG),
        }
    }

    /// Errors: `BadValue`.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        const WRONG: Error =
            Error::BadValue("a decimal should be a scale, digits of four bits, and a sign");
        let mut reader = Reader::new(payload);
        let scale = match reader.head() {
            Ok(Head::Uint(scale)) => i64::try_from(scale).map_err(|_| TOO_LONG)?,
            Ok(Head::Int(scale)) => scale,
            _ => return Err(WRONG),
        };
        let packed = reader.rest();
        // Tarantool has no room for more digits.
        if packed.len() as i64 > DIGITS / 2 + 1 {
            return Err(TOO_LONG);
        }
        let mut nibbles: Vec<u8> = packed
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .collect();
        let negative = match nibbles.pop() {
            Some(0xb | 0xd) => true,
            Some(0xa | 0xc | 0xe | 0xf) => false,
            _ => return Err(WRONG),
        };
        if nibbles.iter().any(|&digit| digit > 9) {
            return Err(WRONG);
        }
        let digits: String = nibbles
            .iter()
            .map(|digit| char::from(b'0' + digit))
            .collect();
        Self::new(negative, &digits, scale)
    }

    /// The payload as Tarantool encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(22);
        // Writing to a vector does not fail.
        let _ = rmp::encode::write_sint(&mut payload, self.scale.into());
        // The last byte holds a digit and the sign, so the number of digits must be odd.
        let even = self.digits.len().is_multiple_of(2);
        let mut nibbles: Vec<u8> = Vec::with_capacity(40);
        nibbles.extend(even.then_some(0));
        nibbles.extend(self.digits.bytes().map(|digit| digit - b'0'));
        nibbles.push(if self.negative { 0xd } else { 0xc });
        payload.extend(nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
        payload
    }

    /// Reads digits with an optional point and exponent. Errors: `BadValue`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        const WRONG: Error = Error::BadValue("a decimal should be digits such as -1.50 or 1.5E+9");
        let all_digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (negative, number) = match text.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, text),
        };
        let (number, exponent) = match number.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent),
            None => (number, "0"),
        };
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if all_digits(fraction) => (whole, fraction),
            Some(_) => return Err(WRONG),
            None => (number, ""),
        };
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if !all_digits(whole) || !all_digits(unsigned) {
            return Err(WRONG);
        }
        let exponent: i32 = exponent.parse().map_err(|_| TOO_LONG)?;
        let scale = fraction.len() as i64 - i64::from(exponent);
        Self::new(negative, &[whole, fraction].concat(), scale)
    }
}

/// Like Tarantool's text, except that fifteen thousands is 15E+3: written-out zeros would be read as digits.
impl Display for Decimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        match usize::try_from(self.scale) {
            Ok(0) => write!(f, "{sign}{}", self.digits),
            Ok(scale) => {
                let digits = format!("{:0>1$}", self.digits, scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                write!(f, "{sign}{whole}.{fraction}")
            }
            Err(_) => write!(f, "{sign}{}E{:+}", self.digits, -self.scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINES: &str = "99999999999999999999999999999999999999";

    #[test]
    fn a_payload_has_its_text() {
        for (payload, text) in [
            (b"\x00\x0c" as &[u8], "0"),
            (b"\x00\x0d", "-0"),
            (b"\x02\x0c", "0.00"),
            (b"\x02\x15\x0c", "1.50"),
            (b"\x01\x01\x2d", "-1.2"),
            (b"\x03\x5c", "0.005"),
            (b"\x06\x1c", "0.000001"),
            (b"\x07\x1c", "0.0000001"),
            (b"\x08\x01\x5c", "0.00000015"),
            (b"\x03\x1d", "-0.001"),
            (b"\xfd\x01\x5c", "15E+3"),
            (b"\xd0\xdb\x1c", "1E+37"),
            (b"\xfe\x0c", "0E+2"),
            (b"\x00\x12\x34\x5c", "12345"),
        ] {
            let decimal = Decimal::decode(payload).unwrap();
            assert_eq!(decimal.to_string(), text);
            assert_eq!(decimal.encode(), payload, "{text}");
            assert_eq!(Decimal::parse(text).unwrap(), decimal, "{text}");
        }
        let packed = [b"\x00\x09" as &[u8], &[0x99; 18], b"\x9c"].concat();
        assert_eq!(Decimal::decode(&packed).unwrap().to_string(), NINES);
        assert_eq!(Decimal::parse(NINES).unwrap().encode(), packed);
    }

    #[test]
    fn a_text_is_read_as_it_is_meant() {
        for (text, written) in [
            ("007", "7"),
            ("-000.10", "-0.10"),
            ("1e3", "1E+3"),
            ("1.5e1", "15"),
            ("15e-1", "1.5"),
            ("1.5E+4", "15E+3"),
            ("1E-7", "0.0000001"),
            ("-0e-38", "-0.00000000000000000000000000000000000000"),
            ("0.1E+0001", "1"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        let long = format!("1{NINES}");
        let fine = format!("0.0{NINES}");
        for text in [
            "",
            "-",
            "+1",
            ".",
            "1.",
            ".5",
            "1.5.2",
            "e5",
            "1e",
            "1e+",
            "1e+-5",
            "1e++5",
            "--1",
            " 1",
            "1 ",
            "1,5",
            "0x10",
            "NaN",
            "Infinity",
            "١",
            "1e38",
            "1e-39",
            "0e38",
            "1e999999999999",
            &long,
            &fine,
        ] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        let many = [b"\x00" as &[u8], &[0; 20], b"\x1c"].concat();
        let long = [b"\x00" as &[u8], &[0x99; 19], b"\x9c"].concat();
        for payload in [
            b"" as &[u8],
            b"\x00",
            b"\x00\x10",
            b"\x00\xac\x1c",
            b"\x27\x1c",
            b"\xd0\xda\x1c",
            b"\xcd\x00",
            b"\xc0\x1c",
            b"\xa1a\x1c",
            b"\xcf\0\0\0\x01\0\0\0\x02\x1c",
            b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x1c",
            b"\xd3\x80\0\0\0\0\0\0\0\x1c",
            &many,
            &long,
        ] {
            assert!(Decimal::decode(payload).is_err(), "{payload:?}");
        }
    }
}
