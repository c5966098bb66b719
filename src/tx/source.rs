//! Whether this instance may tell others what it has: how far it has come in its replica set. Runs on the tx thread.

use super::{fiber, is_read_only, is_split, lua, Tx};
use authkv_base::error::Error;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How far an instance has come: for each instance of its replica set, the number of the last row from there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vclock(Vec<(u32, u64)>);

impl Vclock {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an instance at `other` has every row that an instance at this place has.
    pub fn is_within(&self, other: &Self) -> bool {
        let has = |(id, row): &(u32, u64)| other.0.iter().any(|(of, to)| of == id && to >= row);
        self.0.iter().all(has)
    }
}

/// What an instance knows of its place in its replica set.
#[derive(Debug, Deserialize)]
pub struct Source {
    /// The UUID of the replica set.
    pub cluster: String,
    pub vclock: Vclock,
    /// Seconds since it certainly knew all changes; 0 on an instance that may write.
    pub age: f64,
    /// Why that is not known at all.
    behind: Option<String>,
    /// How many changes are shown here that the leader has not confirmed yet.
    unconfirmed: u64,
}

/// How long to wait for a moment at which all changes are confirmed.
const PATIENCE: Duration = Duration::from_secs(1);

/// The place of this instance now. Evaluates Lua. Does not yield.
pub fn place(tx: &Tx) -> Result<Source, Error> {
    lua::ask(tx, "source", "place")
}

/// What an instance hears from the leader of its replica set.
#[derive(Debug, Deserialize)]
pub struct Contact {
    /// It is read-only, and needs a leader to know what has changed.
    pub depends: bool,
    /// Seconds since it has heard from the leader. `None` if it does not hear from it.
    #[serde(default)]
    pub silence: Option<f64>,
}

/// What this instance hears from its leader. Evaluates Lua. Does not yield.
pub fn contact(tx: &Tx) -> Result<Contact, Error> {
    lua::ask(tx, "source", "contact")
}

/// How far this instance has come. Evaluates Lua. Does not yield.
pub fn position(tx: &Tx) -> Result<Vclock, Error> {
    lua::ask(tx, "source", "position")
}

/// How many rows of other instances of its replica set this instance has. Evaluates Lua. Does not yield.
pub fn rows_of_others(tx: &Tx) -> Result<u64, Error> {
    lua::ask(tx, "source", "rows_of_others")
}

/// Whether this instance or Tarantool has noticed that two instances of the replica set have written. Evaluates Lua. Does not yield.
pub fn is_split_brain(tx: &Tx) -> bool {
    is_split(tx) || ask_why(tx, "split").is_some()
}

/// Why a split brain keeps this instance from serving: it must not write, or it refuses the rows of the leader. Evaluates Lua. Does
/// not yield.
pub fn split_brain(tx: &Tx) -> Option<String> {
    if is_split(tx) {
        return Some("another instance of the replica set writes too".to_owned());
    }
    is_read_only(tx)
        .then(|| ask_why(tx, "split_from_leader"))
        .flatten()
}

fn ask_why(tx: &Tx, function: &str) -> Option<String> {
    lua::ask(tx, "source", function).ok().flatten()
}

/// The place of this instance at a moment at which it shows only confirmed changes. That moment lasts until the next yield.
/// Errors: `Behind`. Yields while it waits.
pub fn settled(tx: &Tx) -> Result<Source, Error> {
    const UNCONFIRMED: &str = "it shows changes that its leader has not confirmed";
    let deadline = Instant::now() + PATIENCE;
    loop {
        let source = place(tx)?;
        if let Some(why) = source.behind {
            return Err(Error::Behind { why: why.into() });
        }
        if source.unconfirmed == 0 {
            return Ok(source);
        }
        if Instant::now() > deadline || fiber::is_cancelled(tx) {
            return Err(Error::Behind {
                why: UNCONFIRMED.into(),
            });
        }
        fiber::sleep(tx, Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_lacks_a_row_is_behind() {
        let at = |places: &[(u32, u64)]| Vclock(places.to_vec());
        let heard = at(&[(1, 10), (2, 3)]);
        for (source, has_all) in [
            (at(&[(1, 10), (2, 3)]), true),
            (at(&[(2, 4), (1, 11), (3, 1)]), true),
            (at(&[(1, 10), (2, 2)]), false),
            (at(&[(1, 99)]), false),
            (at(&[]), false),
        ] {
            assert_eq!(heard.is_within(&source), has_all, "{source:?}");
        }
        assert!(Vclock::default().is_within(&at(&[])));
    }
}
