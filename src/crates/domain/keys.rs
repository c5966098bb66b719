//! The keys of one batch read.

use super::Limits;
use authkv_base::error::Error;
use authkv_codec::are_distinct;
use authkv_codec::msgpack::{is_utf8, write_str, Head, Reader};
use std::collections::HashMap;

/// At least one key, and no key twice. They are encoded once, in the form for look-ups. They may be longer than the limit for
/// writing, because other programs may have stored such keys.
#[derive(Debug, PartialEq, Eq)]
pub struct Keys {
    /// One one-element msgpack array per key, back to back.
    encoded: Vec<u8>,
    /// The start of each array, and the end of the last one.
    bounds: Vec<u32>,
}

impl Keys {
    /// Reads an array of strings. The outer error is about the shape (`Malformed`); the inner one is the first broken rule:
    /// `NoKeys`, `TooManyKeys`, `RepeatedKeys`.
    pub fn decode(field: &[u8], limits: &Limits) -> Result<Result<Self, Error>, Error> {
        let shape = || Error::malformed("keys should be an array of strings");
        let mut reader = Reader::new(field);
        let Head::Array(count) = reader.head()? else {
            return Err(shape());
        };
        // Keys over the limit are read but not kept.
        let kept = (count as usize).min(limits.batch);
        let mut keys = Self {
            encoded: Vec::with_capacity(reader.rest().len() + kept),
            bounds: Vec::with_capacity(kept + 1),
        };
        keys.bounds.push(0);
        for i in 0..count as usize {
            let key = reader.string().map_err(|_| shape())?;
            // Keys are UTF-8, although strings in values need not be.
            if !is_utf8(key) {
                return Err(shape());
            }
            if i < kept {
                write_lookup(&mut keys.encoded, key);
                keys.bounds.push(keys.encoded.len() as u32);
            }
        }
        let checked = limits.check_batch(count as usize);
        Ok(checked
            .and_then(|()| check_different(keys.iter().map(|key| text(&key[1..]))))
            .map(|()| keys))
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// About the number of bytes of all keys in msgpack.
    pub fn size(&self) -> usize {
        self.encoded.len()
    }

    /// Each key as a one-element msgpack array, in the order of the request.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.bounds
            .windows(2)
            .map(|bound| &self.encoded[bound[0] as usize..bound[1] as usize])
    }
}

/// Appends a key in the form for look-ups: a one-element msgpack array.
pub fn write_lookup(out: &mut Vec<u8>, key: &[u8]) {
    out.push(0x91);
    write_str(out, key);
}

/// The text of a key in msgpack.
pub fn key_text(key: &[u8]) -> String {
    String::from_utf8_lossy(text(key)).into_owned()
}

fn text(key: &[u8]) -> &[u8] {
    Reader::new(key).string().unwrap_or_default()
}

/// Errors: `RepeatedKeys` with each repeated key once, in the order of first appearance.
pub fn check_different<'a>(
    keys: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
) -> Result<(), Error> {
    if are_distinct(keys.clone()) {
        return Ok(());
    }
    let mut seen: HashMap<&[u8], u32> = HashMap::new();
    for key in keys.clone() {
        *seen.entry(key).or_default() += 1;
    }
    let repeated = keys.filter(|key| seen.remove(key).is_some_and(|count| count > 1));
    Err(Error::RepeatedKeys(
        repeated
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_codec::json_read::to_msgpack;

    const LIMITS: Limits = Limits { batch: 4, key: 3 };

    fn decode(json: &str) -> Result<Result<Keys, Error>, Error> {
        Keys::decode(&to_msgpack(json.as_bytes(), 9).unwrap(), &LIMITS)
    }

    #[test]
    fn keys_are_encoded_once_in_order() {
        let keys = decode(r#"["b","abc"]"#).unwrap().unwrap();
        assert_eq!(
            keys.iter().collect::<Vec<_>>(),
            [b"\x91\xa1b" as &[u8], b"\x91\xa3abc"]
        );
        assert_eq!(keys.len(), 2);
        assert_eq!(key_text(&keys.iter().nth(1).unwrap()[1..]), "abc");
    }

    #[test]
    fn rules_and_shape_are_told_apart() {
        let list = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        assert_eq!(decode("[]").unwrap(), Err(Error::NoKeys));
        assert_eq!(
            decode(r#"["1","2","3","4","5"]"#).unwrap(),
            Err(Error::TooManyKeys { limit: 4 })
        );
        assert_eq!(
            decode(r#"["b","a","a","b"]"#).unwrap(),
            Err(Error::RepeatedKeys(list(&["b", "a"])))
        );
        assert_eq!(
            decode(r#"["b","a","a","a"]"#).unwrap(),
            Err(Error::RepeatedKeys(list(&["a"])))
        );
        for json in ["{}", "1", r#""a""#, "[1]", r#"["a",null]"#] {
            assert!(matches!(decode(json), Err(Error::Malformed(_))), "{json}");
        }
    }
}
