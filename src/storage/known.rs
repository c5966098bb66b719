//! What was made of tuples lately, so that not every request decodes them. Runs on the tx thread.
//!
//! While a tuple is held here, no other tuple is at its address. So what was made of a tuple is up to date if the space has the same
//! tuple, whoever has changed the space: this instance, a replication or a restore.

use crate::tx::{tuple_bytes, Tx, TxCell};
use authkv_base::error::Error;
use std::cell::RefCell;
use std::collections::HashMap;
use tarantool::tuple::Tuple;

/// About the most bytes that are kept for one space. Beyond it all are forgotten.
const MAX: usize = 16 << 20;
/// About the bytes that an entry takes beside its tuple and what was made of it.
const ENTRY: usize = 256;

/// What was made of tuples of one space, by their ids.
pub struct Known<T>(TxCell<RefCell<Entries<T>>>);

struct Entries<T> {
    by_id: HashMap<String, Entry<T>>,
    /// About the bytes of all of them.
    size: usize,
}

struct Entry<T> {
    tuple: Tuple,
    made: T,
    size: usize,
}

impl<T: Clone> Known<T> {
    pub fn new(tx: &Tx) -> Self {
        let entries = Entries {
            by_id: HashMap::new(),
            size: 0,
        };
        Self(TxCell::new(tx, RefCell::new(entries)))
    }

    /// What was made of this tuple. Does not yield.
    pub fn get(&self, tx: &Tx, id: &str, tuple: &Tuple) -> Option<T> {
        let entries = self.0.get(tx).borrow();
        let entry = entries.by_id.get(id)?;
        let is_same = std::ptr::eq(tuple_bytes(&entry.tuple), tuple_bytes(tuple));
        is_same.then(|| entry.made.clone())
    }

    /// What was made of the tuple with this id, or what `make` makes of it now, together with about the bytes that this takes. `None`
    /// of `make` is not kept. Does not yield.
    pub fn get_or_make(
        &self,
        tx: &Tx,
        id: &str,
        tuple: Tuple,
        make: impl FnOnce(&[u8]) -> Result<Option<(T, usize)>, Error>,
    ) -> Result<Option<T>, Error> {
        if let Some(made) = self.get(tx, id, &tuple) {
            return Ok(Some(made));
        }
        let bytes = tuple_bytes(&tuple);
        let Some((made, size)) = make(bytes)? else {
            return Ok(None);
        };
        let entry = Entry {
            size: size + bytes.len() + 2 * id.len() + ENTRY,
            made: made.clone(),
            tuple,
        };
        self.0.get(tx).borrow_mut().keep(id, entry);
        Ok(Some(made))
    }
}

impl<T> Entries<T> {
    fn keep(&mut self, id: &str, entry: Entry<T>) {
        if let Some(before) = self.by_id.remove(id) {
            self.size -= before.size;
        }
        if self.size + entry.size > MAX {
            self.by_id.clear();
            self.size = 0;
        }
        self.size += entry.size;
        self.by_id.insert(id.to_owned(), entry);
    }
}
