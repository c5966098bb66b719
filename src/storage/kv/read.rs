//! Reads pairs by their keys. Does not yield.

use super::{KeyValues, Stored};
use crate::tx::Tx;
use authkv_base::error::Error;
use authkv_base::steady::milliseconds;
use authkv_domain::{key_text, Readable};
use rmp::encode::{write_array_len, write_map_len, write_str};
use std::cell::LazyCell;

/// The most bytes by which an answer grows at once, unless it doubles.
const GROWTH: usize = 2 << 20;

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadForm {
    /// `{data: {key: value}}`. All keys must exist.
    Values,
    /// `{pairs, missing}`. If `strict`, all keys must exist.
    Pairs { strict: bool },
}

impl ReadForm {
    /// The usual number of bytes in an answer for each pair, in addition to the key and the value.
    fn overhead(self) -> usize {
        match self {
            ReadForm::Values => 0,
            ReadForm::Pairs { .. } => 32,
        }
    }
}

impl KeyValues {
    /// The pairs with these keys in msgpack, in the order of the keys. Errors: `MissingKeys`, `ReplyTooLarge`. The result is
    /// the only allocation that grows with the input; it grows as values are added.
    pub fn get(&self, tx: &Tx, keys: &Readable<'_>, form: ReadForm) -> Result<Vec<u8>, Error> {
        let keys = keys.keys();
        let index = self.space.index(0);
        let mut out = Vec::with_capacity(32 + 3 * keys.size());
        // Writing to a vector does not fail.
        let strict = match form {
            ReadForm::Values => {
                out.extend_from_slice(b"\x81\xa4data");
                let _ = write_map_len(&mut out, keys.len() as u32);
                true
            }
            ReadForm::Pairs { strict } => {
                out.extend_from_slice(b"\x82\xa5pairs\xdd\0\0\0\0");
                strict
            }
        };
        let (looks, limit) = (self.looks(tx), self.reply_max());
        let now = LazyCell::new(milliseconds);
        let begin = out.len();
        let mut missing = Vec::new();
        for (done, key) in keys.iter().enumerate() {
            let tuple = index.get(tx, key)?;
            let found = looks.at(key, &tuple)?;
            let live = |stored: &&Stored<'_>| !stored.is_expired(|| *now);
            let Some(stored) = found.as_ref().filter(live) else {
                missing.push(key_text(&key[1..]));
                continue;
            };
            if strict && !missing.is_empty() {
                continue;
            }
            let size = stored.key.len() + stored.value.len();
            if out.len() + size > out.capacity() {
                // Assumes that the remaining pairs are like this one, or a little longer, so that the answer is seldom copied.
                let usual = size + size / 16 + form.overhead();
                out.reserve((usual * (keys.len() - done)).min(GROWTH).max(size));
            }
            match form {
                ReadForm::Values => {
                    out.extend_from_slice(stored.key);
                    out.extend_from_slice(stored.value);
                }
                ReadForm::Pairs { .. } => stored.write(&mut out),
            }
            if out.len() > limit {
                return Err(Error::ReplyTooLarge { limit });
            }
        }
        if strict && !missing.is_empty() {
            return Err(Error::MissingKeys(missing));
        }
        if form != ReadForm::Values {
            let found = (keys.len() - missing.len()) as u32;
            out[begin - 4..begin].copy_from_slice(&found.to_be_bytes());
            let _ = write_str(&mut out, "missing");
            let _ = write_array_len(&mut out, missing.len() as u32);
            for key in &missing {
                let _ = write_str(&mut out, key);
            }
        }
        if out.capacity() > 2 * out.len() + GROWTH / 16 {
            out.shrink_to_fit();
        }
        Ok(out)
    }
}
