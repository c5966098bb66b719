//! Spaces and tuples, in msgpack bytes.

use super::{is_read_only, Failure, Tx};
use serde::Deserialize;
use std::ffi::{c_char, c_int};
use std::ptr;
use tarantool::ffi::tarantool as ffi;
use tarantool::tuple::Tuple;

/// A space, by its id. The id stays while the space exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    id: u32,
    /// Whether an instance that is read-only may write it: what is local or temporary is not replicated.
    is_own: bool,
}

/// Tarantool's space of spaces, and the number of the field that has [`Options`].
const SPACES: Index = Index {
    space: 280,
    index: 0,
};
const OPTIONS: u32 = 5;

/// What the space of spaces says of a space, of which only this counts here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    temporary: bool,
    group_id: u32,
}

/// An index of a space, by its id.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    space: u32,
    index: u32,
}

/// The tuples of an index to visit, in the order of the index. Keys are msgpack arrays, and may be the beginning of a complete
/// key.
#[derive(Debug, Clone, Copy)]
pub enum Range<'a> {
    All,
    /// From this key on.
    From(&'a [u8]),
    After(&'a [u8]),
    Equal(&'a [u8]),
}

/// Values of Tarantool's `iterator_type`.
const ITER_EQ: c_int = 0;
const ITER_ALL: c_int = 2;
const ITER_GE: c_int = 5;
const ITER_GT: c_int = 6;

impl Space {
    /// Finds a space by its name. Does not yield.
    pub fn find(tx: &Tx, name: &str) -> Option<Self> {
        /// The group of local spaces.
        const LOCAL: u32 = 1;
        // SAFETY: the pointer and the length belong to a live string.
        let id = unsafe { ffi::box_space_id_by_name(name.as_ptr().cast(), name.len() as u32) };
        if id == ffi::BOX_ID_NIL {
            return None;
        }
        let key = rmp_serde::to_vec(&[id]).ok()?;
        let row = SPACES.get(tx, &key).ok()??;
        let options: Options = row.field(OPTIONS).ok()??;
        let is_own = options.temporary || options.group_id == LOCAL;
        Some(Self { id, is_own })
    }

    /// Refuses what Tarantool would refuse with a line in its log for each write, which any client can cause.
    fn check_writable(self, tx: &Tx) -> Result<(), Failure> {
        match !self.is_own && is_read_only(tx) {
            true => Err(Failure::ReadOnly),
            false => Ok(()),
        }
    }

    /// The index with the given id; 0 is the primary one.
    pub fn index(self, index: u32) -> Index {
        Index {
            space: self.id,
            index,
        }
    }

    /// Inserts a tuple, which must not exist. Outside a transaction it commits, so it yields.
    pub fn insert(self, tx: &Tx, tuple: &[u8]) -> Result<(), Failure> {
        self.check_writable(tx)?;
        let (start, end) = bounds(tuple);
        // SAFETY: `start..end` is a live msgpack array. No result is requested.
        done(unsafe { ffi::box_insert(self.id, start, end, ptr::null_mut()) })
    }

    /// Like [`Self::insert`], and returns the address of the tuple in Tarantool.
    pub fn insert_at(self, tx: &Tx, tuple: &[u8]) -> Result<usize, Failure> {
        self.check_writable(tx)?;
        let (start, end) = bounds(tuple);
        let mut made = ptr::null_mut();
        // SAFETY: `start..end` is a live msgpack array, `made` a place for the result.
        done(unsafe { ffi::box_insert(self.id, start, end, &mut made) })?;
        Ok(made as usize)
    }

    /// Inserts or replaces a tuple. Outside a transaction it commits, so it yields.
    pub fn replace(self, tx: &Tx, tuple: &[u8]) -> Result<(), Failure> {
        self.check_writable(tx)?;
        let (start, end) = bounds(tuple);
        // SAFETY: `start..end` is a live msgpack array. No result is requested.
        done(unsafe { ffi::box_replace(self.id, start, end, ptr::null_mut()) })
    }

    /// Applies `[[op, field, value], …]` to the tuple with the given primary key. Fields are numbered from 0. Outside a
    /// transaction it commits, so it yields.
    pub fn update(self, tx: &Tx, key: &[u8], ops: &[u8]) -> Result<(), Failure> {
        self.check_writable(tx)?;
        let ((key, key_end), (ops, ops_end)) = (bounds(key), bounds(ops));
        // SAFETY: both ranges are live msgpack arrays. No result is requested.
        done(unsafe { ffi::box_update(self.id, 0, key, key_end, ops, ops_end, 0, ptr::null_mut()) })
    }

    /// Deletes the tuple with the given primary key, if it exists. Outside a transaction it commits, so it yields.
    pub fn delete(self, tx: &Tx, key: &[u8]) -> Result<(), Failure> {
        self.check_writable(tx)?;
        let (start, end) = bounds(key);
        // SAFETY: `start..end` is a live msgpack array. No result is requested.
        done(unsafe { ffi::box_delete(self.id, 0, start, end, ptr::null_mut()) })
    }
}

impl Index {
    /// The tuple with the given complete key. Does not yield.
    pub fn get(self, _tx: &Tx, key: &[u8]) -> Result<Option<Tuple>, Failure> {
        let (start, end) = bounds(key);
        let mut found = ptr::null_mut();
        // SAFETY: `start..end` is a live msgpack array, `found` a place for the result.
        done(unsafe { ffi::box_index_get(self.space, self.index, start, end, &mut found) })?;
        Ok(Tuple::try_from_ptr(found))
    }

    /// The last tuple. Does not yield.
    pub fn max(self, _tx: &Tx) -> Result<Option<Tuple>, Failure> {
        let (start, end) = bounds(&[0x90]);
        let mut found = ptr::null_mut();
        // SAFETY: `start..end` is an empty msgpack array, `found` a place for the result.
        done(unsafe { ffi::box_index_max(self.space, self.index, start, end, &mut found) })?;
        Ok(Tuple::try_from_ptr(found))
    }

    /// The number of tuples.
    pub fn len(self, _tx: &Tx) -> usize {
        // SAFETY: takes ids only. A negative result is an error.
        usize::try_from(unsafe { ffi::box_index_len(self.space, self.index) }).unwrap_or(0)
    }

    /// Passes the tuples of a range to `body` until it returns `false`. `body` must not yield or write.
    pub fn scan(
        self,
        _tx: &Tx,
        range: Range<'_>,
        mut body: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Failure> {
        let (kind, key): (_, &[u8]) = match range {
            Range::All => (ITER_ALL, &[0x90]),
            Range::From(key) => (ITER_GE, key),
            Range::After(key) => (ITER_GT, key),
            Range::Equal(key) => (ITER_EQ, key),
        };
        let (start, end) = bounds(key);
        // SAFETY: `start..end` is a live msgpack array that outlives the iterator.
        let iterator = unsafe { ffi::box_index_iterator(self.space, self.index, kind, start, end) };
        if iterator.is_null() {
            return Err(Failure::last());
        }
        let iterator = Iterator(iterator);
        loop {
            let mut found = ptr::null_mut();
            // SAFETY: the iterator is live until it is dropped.
            done(unsafe { ffi::box_iterator_next(iterator.0, &mut found) })?;
            match Tuple::try_from_ptr(found) {
                Some(tuple) if body(tuple_bytes(&tuple)) => {}
                _ => return Ok(()),
            }
        }
    }
}

struct Iterator(*mut ffi::BoxIterator);

impl Drop for Iterator {
    fn drop(&mut self) {
        // SAFETY: `box_index_iterator` made it, and it is freed once.
        unsafe { ffi::box_iterator_free(self.0) }
    }
}

/// The msgpack array of a tuple, without a copy.
pub fn tuple_bytes(tuple: &Tuple) -> &[u8] {
    // SAFETY: the tuple is live. A tuple has at least one field: its primary key.
    let (first, count, size) = unsafe {
        let tuple = tuple.as_ptr();
        let first = ffi::box_tuple_field(tuple, 0).cast::<u8>();
        (
            first,
            ffi::box_tuple_field_count(tuple),
            ffi::box_tuple_bsize(tuple),
        )
    };
    // SAFETY: the bytes before the first field are the header of the array: one byte with the count in it, or a marker with a
    // count of two or four bytes. If a short header would suffice, the last byte of a long form is the count itself, below 16,
    // so it cannot be mistaken for a short header. If two bytes would suffice, a count of four bytes has a zero at the place of
    // the marker of the two-byte form.
    unsafe {
        let header = match count {
            0..=15 if *first.sub(1) == 0x90 | count as u8 => 1,
            0..=65535 if *first.sub(3) == 0xdc => 3,
            _ => 5,
        };
        std::slice::from_raw_parts(first.sub(header), size)
    }
}

fn bounds(bytes: &[u8]) -> (*const c_char, *const c_char) {
    let range = bytes.as_ptr_range();
    (range.start.cast(), range.end.cast())
}

fn done(code: c_int) -> Result<(), Failure> {
    match code {
        0.. => Ok(()),
        _ => Err(Failure::last()),
    }
}
