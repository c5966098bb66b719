//! The answers of lists and watches: pages with items in msgpack. Pure; any thread.

use authkv_codec::msgpack::write_uint;
use rmp::encode::{write_array_len, write_map_len, write_str};

/// A page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The items are keys, without values.
    pub keys_only: bool,
    /// Keys or pairs, one after another.
    pub items: Vec<u8>,
    pub count: usize,
    /// The key after which the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// A page of changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChangePage {
    /// A map for each change, one after another.
    pub items: Vec<u8>,
    /// The kind and the revision of each change.
    pub changes: Vec<(Change, u64)>,
    /// The revision after which the next page begins. If it is not the last known one, there may be more changes.
    pub next: u64,
}

/// What happened to a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Put,
    Delete,
    Expire,
}

// Writing to a vector does not fail.

impl ListPage {
    /// The name of the items in an answer.
    pub fn name(&self) -> &'static str {
        match self.keys_only {
            true => "keys",
            false => "pairs",
        }
    }

    /// `{pairs, next}`, or `{keys, next}`, in msgpack.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.items.len() + 64);
        let _ = write_map_len(&mut out, 2);
        let _ = write_str(&mut out, self.name());
        let _ = write_array_len(&mut out, self.count as u32);
        out.extend_from_slice(&self.items);
        let _ = write_str(&mut out, "next");
        match &self.next {
            Some(next) => drop(write_str(&mut out, next)),
            None => out.push(0xc0),
        }
        out
    }
}

impl ChangePage {
    /// `{events, revision}` in msgpack.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.items.len() + 40);
        let _ = write_map_len(&mut out, 2);
        let _ = write_str(&mut out, "events");
        let _ = write_array_len(&mut out, self.changes.len() as u32);
        out.extend_from_slice(&self.items);
        let _ = write_str(&mut out, "revision");
        write_uint(&mut out, self.next);
        out
    }
}

impl Change {
    pub fn name(self) -> &'static str {
        match self {
            Change::Put => "put",
            Change::Delete => "delete",
            Change::Expire => "expire",
        }
    }
}
