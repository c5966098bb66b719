//! Deletes the pairs of a range, in slices.

use super::scan::{read, At, LOOK};
use super::write::Writing;
use super::{KeyValues, Stored};
use crate::storage::array;
use crate::tx::{tuple_bytes, Range, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::write_str;
use authkv_domain::{DeletableRange, KeyRange};

/// The most pairs that one transaction deletes.
const SLICE: usize = 500;

/// What a slice did.
#[derive(Debug, Default)]
pub struct Slice {
    pub deleted: usize,
    /// The revision of the last deletion.
    pub last: Option<u64>,
    /// The key with which the next slice begins; `None` at the end.
    pub next: Option<Vec<u8>>,
    /// The revision from which on none of the deleted pairs is seen.
    pub seen_from: u64,
}

impl KeyValues {
    /// Deletes the first pairs of a range, at most `limit`, in one transaction. Pairs that have expired are left to the sweep.
    /// Errors: as [`Self::apply`]. Yields while it commits.
    pub fn delete_slice(
        &self,
        tx: &Tx,
        range: &DeletableRange<'_>,
        limit: usize,
    ) -> Result<Slice, Error> {
        self.write(tx, true, |writing| {
            let (keys, next) = writing.first(range.range(), limit.min(SLICE))?;
            let mut slice = Slice {
                next,
                ..Slice::default()
            };
            for key in &keys {
                let tuple = self.one(tx, key)?;
                if let Some(tuple) = tuple {
                    slice.last = Some(writing.remove(key, &Stored::read(tuple_bytes(&tuple))?)?);
                    slice.deleted += 1;
                }
            }
            slice.seen_from = writing.seen_from(true);
            Ok((slice, true))
        })
    }
}

/// Keys of pairs, as one-element arrays, and the key that follows them.
type First = (Vec<Vec<u8>>, Option<Vec<u8>>);

impl Writing<'_> {
    /// The keys of the first pairs of a range, as one-element arrays, and the key that follows them.
    fn first(&self, range: &KeyRange, limit: usize) -> Result<First, Error> {
        let (mut keys, mut next, mut failed) = (Vec::new(), None, None);
        if range.is_empty() {
            return Ok((keys, next));
        }
        let start = array(&(String::from_utf8_lossy(&range.from),));
        let mut looked = 0;
        self.scan_pairs(Range::From(&start), |tuple| {
            let (stored, text) = match read(tuple, range) {
                Ok(At::Pair(stored, text)) => (stored, text),
                Ok(At::Other) => return true,
                Ok(At::End) => return false,
                Err(error) => {
                    failed = Some(error);
                    return false;
                }
            };
            let is_expired = stored.is_expired(|| self.now);
            if looked == LOOK || keys.len() == limit && !is_expired {
                next = Some(text.to_vec());
                return false;
            }
            looked += 1;
            if !is_expired {
                let mut key = vec![0x91];
                write_str(&mut key, text);
                keys.push(key);
            }
            true
        })?;
        failed.map_or(Ok((keys, next)), Err)
    }
}
