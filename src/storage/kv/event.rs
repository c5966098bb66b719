//! Changes of pairs as bytes, one behind the other: there are many, and memory of its own for each would cost as much as
//! what it holds. Pure.

use super::stored::Stored;
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_domain::Change;

/// One change.
#[derive(Debug)]
pub struct Event<'a> {
    pub revision: u64,
    pub change: Change,
    /// The tuple that was put, or the key as a one-element array.
    pub tuple: &'a [u8],
}

/// Changes in the order of their revisions: of each its kind, its revision, the length of its tuple, and the tuple.
#[derive(Debug, Default)]
pub struct Events(Vec<u8>);

/// Bytes before a tuple.
const HEAD: usize = 13;
/// Bytes that most transactions do with.
const USUAL: usize = 1024;

impl Events {
    /// That take no more than so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends one.
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

    /// Whether another one fits into what is reserved.
    pub fn has_room(&self, event: &Event<'_>) -> bool {
        self.0.len() + event.size() <= self.0.capacity()
    }

    /// Bytes that are reserved for them.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// All of them in their order.
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
    /// Bytes that it takes among others.
    pub fn size(&self) -> usize {
        HEAD + self.tuple.len()
    }

    /// Whether its key is wanted. Errors: `Malformed`, which a tuple of the space is not.
    pub fn is_of(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<bool, Error> {
        let mut reader = Reader::new(self.tuple);
        reader.head()?;
        Ok(wanted(reader.string()?))
    }

    /// Appends the change as a map.
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
