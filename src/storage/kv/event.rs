//! Changes of pairs as bytes, back to back. There are many, and an allocation for each would cost as much memory as its
//! content. Pure.

use super::stored::Stored;
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_domain::Change;

/// One change of a pair.
#[derive(Debug)]
pub struct Event<'a> {
    pub revision: u64,
    pub change: Change,
    /// The tuple of a put, or the key of a removed pair as a one-element array.
    pub tuple: &'a [u8],
}

/// Changes in the order of their revisions. Each has its kind, its revision, the length of its tuple, and the tuple.
#[derive(Debug, Default)]
pub struct Events(Vec<u8>);

/// The bytes before each tuple.
const HEAD: usize = 13;
/// Enough bytes for most transactions.
const USUAL: usize = 1024;

impl Events {
    /// An empty list with room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends a change.
    pub fn push(&mut self, event: &Event<'_>) {
        if self.0.is_empty() {
            self.0.reserve(USUAL);
        }
        // Tuples are far below 4 GiB.
        let length = event.tuple.len() as u32;
        let mut head = [event.change as u8; HEAD];
        head[1..9].copy_from_slice(&event.revision.to_le_bytes());
        head[9..].copy_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(&head);
        self.0.extend_from_slice(event.tuple);
    }

    /// Whether the change fits without growing the allocation.
    pub fn has_room(&self, event: &Event<'_>) -> bool {
        self.0.len() + event.size() <= self.0.capacity()
    }

    /// The size of the allocation in bytes.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// All changes in order.
    pub fn iter(&self) -> impl Iterator<Item = Event<'_>> {
        let mut bytes = &*self.0;
        std::iter::from_fn(move || {
            let (change, rest) = bytes.split_first()?;
            let (revision, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (tuple, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            bytes = rest;
            let all = [Change::Put, Change::Delete, Change::Expire];
            Some(Event {
                revision: u64::from_le_bytes(*revision),
                change: all.into_iter().find(|one| *one as u8 == *change)?,
                tuple,
            })
        })
    }
}

impl Event<'_> {
    /// The bytes that the change takes in a list.
    pub fn size(&self) -> usize {
        HEAD + self.tuple.len()
    }

    /// Whether `wanted` accepts the key. Errors: `Malformed`, which tuples of the space never cause.
    pub fn is_of(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<bool, Error> {
        let mut reader = Reader::new(self.tuple);
        reader.head()?;
        Ok(wanted(reader.string()?))
    }

    /// Appends the change as a map in msgpack.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut stored = Stored::read(self.tuple)?;
        let name = self.change.name();
        if self.change == Change::Put {
            stored.write_change(out, name);
        } else {
            stored.revision = self.revision;
            stored.write_removal(out, name);
        }
        Ok(())
    }
}
