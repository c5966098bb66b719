//! Reads the fields of a document as values of Rust. Pure; any thread.

use super::msgpack::{Head, Reader};
use authkv_base::error::Error;

/// The text of a string field. Errors: `Malformed`, naming the field.
pub fn string(name: &'static str, field: &[u8]) -> Result<String, Error> {
    Reader::new(field)
        .string()
        .ok()
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .map(str::to_owned)
        .ok_or_else(|| Error::malformed(format!("{name} should be a string")))
}

/// The number of a field: whole and not negative. 7.0 counts as whole (JSON Schema, Core §4.2.3). Errors: `Malformed`, naming
/// the field.
pub fn number(name: &'static str, field: &[u8]) -> Result<u64, Error> {
    // Above this, some whole numbers have no exact float.
    const MAX: f64 = (1u64 << 53) as f64;
    let whole = || {
        let float = rmp_serde::from_slice::<f64>(field).ok()?;
        let is_whole = float.fract() == 0.0 && (0.0..=MAX).contains(&float);
        is_whole.then_some(float as u64)
    };
    let number = rmp_serde::from_slice(field).ok().or_else(whole);
    number.ok_or_else(|| Error::malformed(format!("{name} should be a whole number")))
}

/// The integer of a field, of at most 64 bits. 7.0 counts as an integer. Errors: `Malformed`, naming the field.
pub fn integer(name: &'static str, field: &[u8]) -> Result<i128, Error> {
    let float = match Reader::new(field).head()? {
        Head::Uint(n) => return Ok(n.into()),
        Head::Int(n) => return Ok(n.into()),
        Head::F32(n) => n.into(),
        Head::F64(n) => n,
        _ => f64::NAN,
    };
    // Above this, some whole numbers have no exact float.
    match float.fract() == 0.0 && float.abs() <= (1u64 << 53) as f64 {
        true => Ok(float as i128),
        false => Err(Error::malformed(format!("{name} should be an integer"))),
    }
}

/// The seconds of a field, which may have a fraction. Errors: `Malformed`, naming the field.
pub fn seconds(name: &'static str, field: &[u8]) -> Result<f64, Error> {
    shaped(name, field, "a number of seconds")
}

/// The boolean of a field. Errors: `Malformed`, naming the field.
pub fn flag(name: &'static str, field: &[u8]) -> Result<bool, Error> {
    shaped(name, field, "true or false")
}

/// The value of a field that serde can read. Errors: `Malformed`, naming the field and the expected form.
pub fn shaped<T: serde::de::DeserializeOwned>(
    name: &'static str,
    field: &[u8],
    form: &'static str,
) -> Result<T, Error> {
    rmp_serde::from_slice(field).map_err(|_| Error::malformed(format!("{name} should be {form}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Rules};

    #[test]
    fn an_integer_may_be_a_float_of_either_size() {
        for (bytes, expected) in [
            (&b"\x07"[..], Some(7)),
            (b"\xff", Some(-1)),
            (b"\xca\x4f\0\0\0", Some(2_147_483_648)),
            (b"\xcb\xc0\x1c\0\0\0\0\0\0", Some(-7)),
            (b"\xca\x3f\0\0\0", None),
            (b"\xca\x7f\x80\0\0", None),
            (b"\xca\x7f\0\0\0", None),
            (b"\xa1\x37", None),
            (b"\xc0", None),
        ] {
            assert_eq!(integer("n", bytes).ok(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_fraction() {
        for (json, expected) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("529.0", Some(529)),
            ("6e2", Some(600)),
            ("-0.0", Some(0)),
            ("0.5", None),
            ("-1", None),
            ("-1.0", None),
            ("1e300", None),
            ("\"7\"", None),
            ("true", None),
            ("null", None),
        ] {
            let body = Document::from_json(format!("{{\"n\":{json}}}").as_bytes(), Rules::json(9))
                .unwrap();
            let [field] = body.fields(["n"], 0).unwrap();
            assert_eq!(number("n", field).ok(), expected, "{json}");
        }
    }
}
