//! A batch: the pairs of several lines, which one command writes.

use authkv_base::error::Error;
use authkv_base::steady::milliseconds;
use authkv_codec::msgpack::{Head, Reader};
use authkv_codec::{unknown, Rules};
use authkv_domain::{Expiry, Mode, TTL_MAX};
use rmp::encode::{write_array_len, write_bool, write_map_len, write_nil, write_str};
use std::collections::HashSet;

/// How many lines a batch has at most.
const LINES: usize = 1000;
/// How many bytes a batch of more than one line has at most.
const BYTES: usize = 1 << 20;
/// The known members of a line: those of an export except the revision, and the times that a put takes.
const MEMBERS: [&str; 5] = ["key", "value", "expires_at", "ttl", "content_type"];
/// Exports have it too, but an imported pair gets a new one.
const REVISION: &str = "revision";

/// The pair of a line.
#[derive(Debug)]
pub struct Pair {
    /// The number of the line.
    line: u64,
    key: Vec<u8>,
    /// The pair in the form that the procedure `batch_put` takes.
    bytes: Vec<u8>,
    /// Seconds since 1970-01-01 UTC.
    expires_at: Option<f64>,
}

/// Pairs with distinct keys.
#[derive(Debug, Default)]
pub struct Batch {
    pairs: Vec<Pair>,
    keys: HashSet<Vec<u8>>,
    size: usize,
}

impl Pair {
    /// Reads a line at `now`, in seconds. If the pair has expired by then, its value is not checked, and it must not go into a
    /// command. Errors: `Malformed`; `TooDeep` and `BadValue` if it has not expired.
    pub fn read(text: &[u8], line: u64, rules: Rules, now: f64) -> Result<Self, Error> {
        let should_be = || Error::malformed("The line should be an object with key and value");
        let object = rules.item_from_json(text)?;
        let mut reader = Reader::new(&object);
        let Head::Map(count) = reader.head()? else {
            return Err(should_be());
        };
        let mut found: [Option<&[u8]>; MEMBERS.len()] = [None; MEMBERS.len()];
        for _ in 0..count {
            let (name, value) = (reader.string()?, reader.value()?);
            match MEMBERS.iter().position(|known| known.as_bytes() == name) {
                Some(place) => found[place] = Some(value),
                None if name == REVISION.as_bytes() => {}
                None => {
                    let known = [&MEMBERS[..], &[REVISION]].concat();
                    return Err(unknown("member", name, &known));
                }
            }
        }
        let [Some(key), Some(_), expires_at, ..] = found else {
            return Err(should_be());
        };
        let key = Reader::new(key).string().map_err(|_| should_be())?;
        // If it is no number, the command is refused later.
        let expires_at = expires_at.and_then(|seconds| rmp_serde::from_slice(seconds).ok());
        let has_expired = is_over(expires_at, now);
        let members = MEMBERS.iter().zip(found);
        let members = members.filter_map(|(name, value)| Some((name, value?)));
        let mut bytes = Vec::with_capacity(object.len());
        // Writing to a vector cannot fail.
        let _ = write_map_len(&mut bytes, members.clone().count() as u32);
        for (name, value) in members {
            let _ = write_str(&mut bytes, name);
            match *name {
                // A procedure takes values as they are stored.
                "value" if !has_expired => bytes.extend_from_slice(&rules.stored(value)?),
                _ => bytes.extend_from_slice(value),
            }
        }
        Ok(Self {
            line,
            key: key.to_vec(),
            bytes,
            expires_at,
        })
    }

    /// Whether the pair has expired at `now`, in seconds.
    pub fn has_expired(&self, now: f64) -> bool {
        is_over(self.expires_at, now)
    }

    /// Whether a pair that was refused with this error has expired since its line was read. The leader's clock may be ahead of this
    /// one: if the leader refuses a time that is valid here, the pair has expired there. But it may refuse a time near the limit
    /// `TTL_MAX` because its clock is behind.
    pub fn expired_meanwhile(&self, error: &Error) -> bool {
        const DAY: f64 = 86400.0;
        let now = milliseconds();
        let far = now as f64 / 1000.0 + TTL_MAX - DAY;
        let is_valid = |at| at < far && Expiry::new(None, Some(at), now).is_ok();
        let refuses = |at| {
            let (told, known) = (error.to_string(), Expiry::OUT_OF_RANGE.to_string());
            matches!(error, Error::Relayed(_)) && told == known && is_valid(at)
        };
        self.has_expired(now as f64 / 1000.0) || self.expires_at.is_some_and(refuses)
    }
}

fn is_over(expires_at: Option<f64>, now: f64) -> bool {
    expires_at.is_some_and(|at| at <= now)
}

impl Batch {
    /// Adds a pair. Gives it back if it belongs to the next batch: this one has its key already, or is full (at most
    /// `lines` lines).
    pub fn push(&mut self, pair: Pair, lines: usize) -> Result<(), Pair> {
        let is_full = self.pairs.len() >= LINES.min(lines) || self.size + pair.bytes.len() > BYTES;
        if !self.pairs.is_empty() && (is_full || self.keys.contains(&pair.key)) {
            return Err(pair);
        }
        self.size += pair.bytes.len();
        self.keys.insert(pair.key.clone());
        self.pairs.push(pair);
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The size of the pairs in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn get(&self, index: usize) -> Option<&Pair> {
        self.pairs.get(index)
    }

    /// The number of a pair's line.
    pub fn line(&self, index: usize) -> Option<u64> {
        self.get(index).map(|pair| pair.line)
    }

    /// The arguments of the procedure `batch_put` for all pairs, or for only one, in msgpack.
    pub fn arguments(&self, token: Option<&str>, only: Option<usize>, mode: Mode) -> Vec<u8> {
        let pairs = match only {
            Some(index) => self.pairs.get(index..=index).unwrap_or_default(),
            None => &self.pairs,
        };
        let size: usize = pairs.iter().map(|pair| pair.bytes.len()).sum();
        let mut bytes = Vec::with_capacity(size + token.map_or(0, str::len) + 64);
        // Writing to a vector cannot fail.
        let _ = write_array_len(&mut bytes, 3);
        let _ = match token {
            Some(token) => write_str(&mut bytes, token).is_ok(),
            None => write_nil(&mut bytes).is_ok(),
        };
        let _ = write_array_len(&mut bytes, pairs.len() as u32);
        for pair in pairs {
            bytes.extend_from_slice(&pair.bytes);
        }
        let mode = mode.name();
        let _ = write_map_len(&mut bytes, 1 + u32::from(mode.is_some()));
        if let Some(name) = mode {
            let _ = write_str(&mut bytes, "mode").and_then(|()| write_str(&mut bytes, name));
        }
        let _ = write_str(&mut bytes, "atomic");
        let _ = write_bool(&mut bytes, false);
        bytes
    }
}
