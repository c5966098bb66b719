//! The key-value service. Runs on the tx thread.

use crate::command::{Outcome, Principal};
use crate::domain::{Keys, Pairs};
use crate::error::Error;
use crate::instance::Instance;
use crate::storage::{KeyValues, Written};
use crate::tx::Tx;

/// The values of all the keys. Errors: `Forbidden` before `MissingKeys`. Does not yield.
pub fn get(tx: &Tx, instance: &Instance, who: &Principal, keys: &Keys) -> Result<Outcome, Error> {
    let keys = who.access(tx, instance)?.reads(keys)?;
    store(instance)?.get(tx, &keys).map(Outcome::Found)
}

/// Inserts the pairs whose keys do not exist, in one transaction. Errors: `Forbidden` before
/// `ValueTooLarge`, `StorageFull`, `ReadOnly`. Yields while it commits.
pub fn put(tx: &Tx, instance: &Instance, who: &Principal, pairs: &Pairs) -> Result<Outcome, Error> {
    let pairs = &who.access(tx, instance)?.writes(pairs)?;
    let Written { written, existing } = store(instance)?.insert(tx, pairs)?;
    Ok(Outcome::Written { written, existing })
}

fn store(instance: &Instance) -> Result<&KeyValues, Error> {
    instance
        .storage
        .key_values
        .as_ref()
        .ok_or(Error::NotOffered)
}
