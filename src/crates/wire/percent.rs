//! Percent-encoded text (RFC 3986 §2.1), read strictly. Text that does not decode to UTF-8 is refused, because U+FFFD in it
//! would make another name or key. Pure; any thread.

use authkv_base::error::Error;
use percent_encoding::percent_decode;

/// Decodes a text. `name` is the name of the text for errors. Errors: `Malformed`, with the name.
pub fn decode(name: &str, encoded: &[u8]) -> Result<String, Error> {
    let mut codes = encoded.split(|byte| *byte == b'%').skip(1);
    let is_hex = |code: &[u8]| code.len() >= 2 && code[..2].iter().all(u8::is_ascii_hexdigit);
    if !codes.all(is_hex) {
        let what = format!("{name} should have a % before two hexadecimal digits only");
        return Err(Error::malformed(what));
    }
    let bytes: Vec<u8> = percent_decode(encoded).collect();
    String::from_utf8(bytes).map_err(|_| Error::malformed(format!("{name} should be UTF-8")))
}

/// Decodes a part of a form or a query, where a plus means a space (HTML 4.01 §17.13.4.1).
pub fn decode_form(name: &str, encoded: &[u8]) -> Result<String, Error> {
    match memchr::memchr(b'+', encoded) {
        None => decode(name, encoded),
        Some(_) => {
            let space = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
            decode(name, &encoded.iter().map(space).collect::<Vec<u8>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_refused() {
        for (encoded, expected) in [
            (&b""[..], Some("")),
            (b"a", Some("a")),
            (b"%41%62%2b%2B%25", Some("Ab++%")),
            (b"%D1%8F", Some("я")),
            (b"%F0%9F%AA%B2%00", Some("🪲\0")),
            ("я".as_bytes(), Some("я")),
            (b"a+b", Some("a b")),
            (b"%", None),
            (b"%4", None),
            (b"a%4", None),
            (b"%zz", None),
            (b"%4g", None),
            (b"%%41", None),
            (b"% 41", None),
            (b"%u0041", None),
            (b"%FF", None),
            (b"%E6", None),
            (b"%E6%97", None),
            (b"%E6a", None),
            (b"%C0%80", None),
            (b"%ED%A0%80", None),
            (b"%F4%90%80%80", None),
            (b"\xff", None),
            (b"\xd1%8f", Some("я")),
        ] {
            let decoded = decode_form("x", encoded);
            assert_eq!(decoded.as_deref().ok(), expected, "{encoded:?}");
            let named = |error: Error| error.to_string().starts_with("x should ");
            assert!(decoded.map_or_else(named, |_| true), "{encoded:?}");
        }
        assert_eq!(decode("x", b"a+b").as_deref(), Ok("a+b"));
    }
}
