//! Uuids: sixteen bytes in the order of their text.

use authkv_base::error::Error;

/// Refuses uuids of the variant reserved for the future (RFC 9562 §4.1), which older versions of Tarantool cannot read.
pub fn check(payload: &[u8]) -> Result<(), Error> {
    match payload {
        [_, _, _, _, _, _, _, _, variant, _, _, _, _, _, _, _] if variant >> 5 != 7 => Ok(()),
        _ => Err(Error::BadValue(
            "a uuid should have 16 bytes and a variant that is in use",
        )),
    }
}

/// `None` if the payload is not a valid uuid.
pub fn text(payload: &[u8]) -> Option<String> {
    check(payload).ok()?;
    let mut text = format!("{:032x}", u128::from_be_bytes(payload.try_into().ok()?));
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    Some(text)
}

/// The payload for a text in five groups, in upper or lower case. Errors: `BadValue`.
pub fn parse(text: &str) -> Result<[u8; 16], Error> {
    const WRONG: Error = Error::BadValue(
        "a uuid should be hexadecimal digits in groups of 8, 4, 4, 4 and 12 with - between",
    );
    let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) || !text.split('-').all(is_hex) {
        return Err(WRONG);
    }
    let number = u128::from_str_radix(&text.replace('-', ""), 16).map_err(|_| WRONG)?;
    let payload = number.to_be_bytes();
    check(&payload).map(|()| payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back() {
        for text_ in [
            "00000000-0000-0000-0000-000000000000",
            "64d22e4d-ac92-4a23-899a-e59f34af5479",
            "01020304-0506-0708-df0a-0b0c0d0e0f10",
        ] {
            let payload = parse(text_).unwrap();
            assert_eq!(text(&payload).as_deref(), Some(text_));
            assert_eq!(parse(&text_.to_uppercase()).unwrap(), payload);
        }
        assert_eq!(
            parse("01020304-0506-0708-090a-0b0c0d0e0f10").unwrap(),
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
        );
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in [
            "",
            "64d22e4dac924a23899ae59f34af5479",
            "{64d22e4d-ac92-4a23-899a-e59f34af5479}",
            "64d22e4d-ac92-4a23-899a-e59f34af547",
            "64d22e4d-ac92-4a23-899a-e59f34af547g",
            "+4d22e4d-ac92-4a23-899a-e59f34af5479",
            "64d22e4da-c92-4a23-899a-e59f34af5479",
            "64d22e4d-ac92-4a23-899a-e59f34af5479-",
            "64d22e4d-ac92-4a23-e99a-e59f34af5479",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for payload in [&[0u8; 15] as &[u8], &[0; 17], &[0xff; 16]] {
            assert!(check(payload).is_err(), "{payload:?}");
        }
    }
}
