//! Reads pairs in the order of their keys, in slices. Does not yield.

use super::{KeyValues, Stored};
use crate::storage::array;
use crate::tx::{Range, Tx};
use authkv_base::error::Error;
use authkv_base::steady::milliseconds;
use authkv_codec::msgpack::{is_utf8, Reader};
use authkv_domain::{key_text, KeyRange, ListPage, ReadableRanges};

/// The most tuples in one slice, expired ones included.
pub(super) const LOOK: usize = 2000;
/// About the most bytes of values in one slice.
const BYTES: usize = 1 << 20;

/// What a scan of a range has come to.
pub(super) enum At<'a> {
    /// A pair, and the text of its key.
    Pair(Stored<'a>, &'a [u8]),
    /// A key that is not UTF-8. It comes from another program, and is skipped: no client can name it, so no page could continue
    /// after it.
    Other,
    /// What follows the range.
    End,
}

/// Reads a tuple of a scan of `range`. Errors: those of [`Stored::read`].
pub(super) fn read<'a>(tuple: &'a [u8], range: &KeyRange) -> Result<At<'a>, Error> {
    let stored = Stored::read(tuple)?;
    let text = Reader::new(stored.key).string().unwrap_or_default();
    Ok(match (range.reaches(text), is_utf8(text)) {
        (false, _) => At::End,
        (true, false) => At::Other,
        (true, true) => At::Pair(stored, text),
    })
}

impl KeyValues {
    /// A page with at most `limit` keys or pairs of the ranges, after the key `after` if it is given. A page may have fewer
    /// items although more follow: `next` tells.
    pub fn page(
        &self,
        tx: &Tx,
        ranges: &ReadableRanges,
        after: Option<&str>,
        limit: usize,
        keys_only: bool,
    ) -> Result<ListPage, Error> {
        let slice = self.slice(tx, ranges, after, limit, |stored, items| match keys_only {
            true => items.extend_from_slice(stored.key),
            false => stored.write(items),
        });
        slice.map(|page| ListPage { keys_only, ..page })
    }

    /// Counts the pairs of a slice, without returning them.
    pub fn count(
        &self,
        tx: &Tx,
        ranges: &ReadableRanges,
        after: Option<&str>,
    ) -> Result<ListPage, Error> {
        self.slice(tx, ranges, after, LOOK, |_, _| {})
    }

    /// The number of tuples, expired ones included.
    pub fn len(&self, tx: &Tx) -> usize {
        self.space.index(0).len(tx)
    }

    fn slice(
        &self,
        tx: &Tx,
        ranges: &ReadableRanges,
        after: Option<&str>,
        limit: usize,
        mut take: impl FnMut(&Stored<'_>, &mut Vec<u8>),
    ) -> Result<ListPage, Error> {
        let now = milliseconds();
        let looks = self.looks(tx);
        let mut page = ListPage::default();
        let (mut looked, mut last, mut failed) = (0, Vec::new(), None);
        for range in ranges.iter() {
            if after.is_some_and(|after| !range.reaches(after.as_bytes())) {
                continue;
            }
            let from = String::from_utf8_lossy(&range.from);
            let (start, exclusive) = match after {
                Some(after) if after.as_bytes() >= &range.from[..] => (after, true),
                _ => (&*from, false),
            };
            let key = array(&(start,));
            let whole = match exclusive {
                true => Range::After(&key),
                false => Range::From(&key),
            };
            let mut full = false;
            self.space.index(0).scan(tx, whole, |tuple| {
                let stored = match read(tuple, range) {
                    Ok(At::Pair(stored, _)) => stored,
                    Ok(At::Other) => return true,
                    Ok(At::End) => return false,
                    Err(error) => {
                        failed = Some(error);
                        return false;
                    }
                };
                let expired = stored.is_expired(|| now);
                // Expired items alone do not end a page.
                let enough = page.count == limit || page.items.len() > BYTES;
                if looked == LOOK || enough && !expired {
                    full = true;
                    return false;
                }
                looked += 1;
                // A full page continues after its last item, not after expired items behind it.
                if !enough {
                    last.clear();
                    last.extend_from_slice(stored.key);
                }
                looks.saw(&stored);
                if !expired {
                    page.count += 1;
                    take(&stored, &mut page.items);
                }
                true
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            if full {
                page.next = Some(key_text(&last));
                break;
            }
        }
        looks.missed(|feed| {
            feed.is_removing_any(|key| {
                let text = Reader::new(&key[1..]).string().unwrap_or_default();
                let is_in = |range: &KeyRange| *text >= *range.from && range.reaches(text);
                ranges.iter().any(is_in)
            })
        });
        Ok(page)
    }
}
