//! The effects of steps.

use super::Stored;
use crate::tx::tuple_bytes;
use authkv_base::error::Error;
use authkv_domain::Action;
use tarantool::tuple::Tuple;

/// The effect of a step.
#[derive(Debug)]
pub enum Effect {
    Found(Found),
    Written {
        revision: u64,
        created: bool,
        /// The sum, if the step was an increment.
        value: Option<i128>,
    },
    Deleted {
        revision: u64,
    },
    Missing,
    Exists {
        revision: u64,
    },
    /// The current revision of the pair, or 0 if it does not exist.
    Conflict {
        revision: u64,
    },
    Forbidden,
    TooLarge,
    NotAnInteger,
    OutOfRange,
}

/// A pair that exists.
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

/// The effects of steps, by the index of the step.
#[derive(Debug)]
pub struct Applied {
    /// Whether the steps that could be taken were committed. If not, nothing has changed.
    pub committed: bool,
    /// The revision from which on everything that the steps did, or found done already, is seen.
    pub revision: u64,
    pub effects: Vec<Effect>,
}

impl Effect {
    /// Whether this effect stops an atomic list of steps.
    pub fn fails(&self, action: &Action) -> bool {
        match self {
            Effect::Found(_) | Effect::Written { .. } | Effect::Deleted { .. } => false,
            Effect::Missing => !action.accepts_missing(),
            Effect::Exists { .. } => !action.accepts_existing(),
            Effect::Conflict { .. } | Effect::Forbidden | Effect::TooLarge => true,
            Effect::NotAnInteger | Effect::OutOfRange => true,
        }
    }
}
