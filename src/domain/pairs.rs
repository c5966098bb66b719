//! The pairs of one batch write.

use super::Limits;
use crate::codec::msgpack::{Head, Reader};
use crate::error::Error;
use std::collections::hash_map::{Entry, HashMap};

/// At least one pair, each key within the limits, none twice; encoded once, as the space takes them.
#[derive(Debug, PartialEq, Eq)]
pub struct Pairs {
    /// Two-element msgpack arrays, one per pair, back to back.
    encoded: Vec<u8>,
    /// Where each begins, where its value begins, and where it ends.
    bounds: Vec<[u32; 3]>,
}

/// One pair of [`Pairs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// `[key, value]` in msgpack.
    pub tuple: &'a [u8],
    /// The key in msgpack, without an array around it.
    pub key: &'a [u8],
}

impl Pairs {
    /// Reads a map of any values. Of a key that is named twice the last value counts, at the place of the
    /// first. The outer error is one of shape (`Malformed`); the inner one is the first rule broken: `NoKeys`,
    /// `TooManyKeys`, `BadKey`.
    pub fn decode(field: &[u8], limits: &Limits) -> Result<Result<Self, Error>, Error> {
        let mut reader = Reader::new(field);
        let Head::Map(count) = reader.head()? else {
            return Err(Error::malformed(
                "data should be an object of keys and values",
            ));
        };
        // One pair over the limit is enough to know that it is broken; the rest is only read.
        let kept = (count as usize).min(limits.batch + 1);
        let mut pairs: Vec<(&[u8], &[u8])> = Vec::with_capacity(kept);
        let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(kept);
        for _ in 0..count {
            let (key, value) = (reader.string()?, reader.value()?);
            match places.entry(key) {
                Entry::Occupied(place) => pairs[*place.get()].1 = value,
                Entry::Vacant(place) if pairs.len() < kept => {
                    place.insert(pairs.len());
                    pairs.push((key, value));
                }
                Entry::Vacant(_) => {}
            }
        }
        Ok(Self::new(&pairs, limits))
    }

    fn new(pairs: &[(&[u8], &[u8])], limits: &Limits) -> Result<Self, Error> {
        limits.check_batch(pairs.len())?;
        let mut encoded = Vec::with_capacity(
            pairs
                .iter()
                .map(|(key, value)| key.len() + value.len() + 6)
                .sum(),
        );
        let mut bounds = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            limits.check_key(key)?;
            let start = encoded.len() as u32;
            encoded.push(0x92);
            // Writing to a vector does not fail.
            let _ = rmp::encode::write_str_len(&mut encoded, key.len() as u32);
            encoded.extend_from_slice(key);
            let middle = encoded.len() as u32;
            encoded.extend_from_slice(value);
            bounds.push([start, middle, encoded.len() as u32]);
        }
        Ok(Self { encoded, bounds })
    }

    pub fn iter(&self) -> impl Iterator<Item = Pair<'_>> {
        self.bounds.iter().map(|&[start, middle, end]| Pair {
            tuple: &self.encoded[start as usize..end as usize],
            key: &self.encoded[start as usize + 1..middle as usize],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json_read::to_msgpack;

    fn decode(json: &str) -> Result<Result<Pairs, Error>, Error> {
        Pairs::decode(
            &to_msgpack(json.as_bytes(), 9).unwrap(),
            &Limits { batch: 2, key: 3 },
        )
    }

    #[test]
    fn the_last_value_of_a_repeated_key_counts() {
        let pairs = decode(r#"{"a":1,"b":[2],"a":{}}"#).unwrap().unwrap();
        let tuples: Vec<&[u8]> = pairs.iter().map(|pair| pair.tuple).collect();
        assert_eq!(tuples, [b"\x92\xa1a\x80" as &[u8], b"\x92\xa1b\x91\x02"]);
        assert_eq!(pairs.iter().map(|pair| pair.key).last().unwrap(), b"\xa1b");
    }

    #[test]
    fn rules_and_shape_are_told_apart() {
        assert_eq!(decode("{}").unwrap(), Err(Error::NoKeys));
        assert_eq!(
            decode(r#"{"a":1,"b":1,"c":1}"#).unwrap(),
            Err(Error::TooManyKeys { limit: 2 })
        );
        assert_eq!(
            decode(r#"{"":1}"#).unwrap(),
            Err(Error::BadKey { limit: 3 })
        );
        assert_eq!(
            decode(r#"{"abcd":1}"#).unwrap(),
            Err(Error::BadKey { limit: 3 })
        );
        for json in ["[]", "null", r#""a""#] {
            assert!(matches!(decode(json), Err(Error::Malformed(_))), "{json}");
        }
    }
}
