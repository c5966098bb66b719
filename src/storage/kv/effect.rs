//! What becomes of steps.

use super::Stored;
use crate::tx::tuple_bytes;
use authkv_base::error::Error;
use authkv_domain::{Action, Mode};
use tarantool::tuple::Tuple;

/// What became of a step.
#[derive(Debug)]
pub enum Effect {
    Found(Found),
    Written {
        revision: u64,
        created: bool,
        /// The sum, where something was added.
        value: Option<i128>,
    },
    Deleted {
        revision: u64,
    },
    Missing,
    Exists {
        revision: u64,
    },
    /// With the revision there is, or 0.
    Conflict {
        revision: u64,
    },
    Forbidden,
    TooLarge,
    NotAnInteger,
    OutOfRange,
}

/// A pair that was there.
#[derive(Debug)]
pub struct Found(Tuple);

impl Found {
    pub(super) fn new(tuple: Tuple) -> Self {
        Self(tuple)
    }

    pub fn stored(&self) -> Result<Stored<'_>, Error> {
        Stored::read(tuple_bytes(&self.0))
    }
}

/// What became of steps, by their places.
#[derive(Debug)]
pub struct Applied {
    /// Whether the steps that could be taken were; nothing has changed otherwise.
    pub committed: bool,
    pub effects: Vec<Effect>,
}

impl Effect {
    /// Whether nothing else is done where all or nothing was asked for.
    pub fn fails(&self, action: &Action) -> bool {
        match (self, action) {
            (Effect::Found(_) | Effect::Written { .. } | Effect::Deleted { .. }, _) => false,
            (Effect::Missing, Action::Get | Action::Delete) => false,
            (Effect::Exists { .. }, Action::Put { mode, .. }) => *mode != Mode::Fill,
            _ => true,
        }
    }
}
