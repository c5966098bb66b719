//! Sets of kinds of access. Pure; any thread.

use authkv_base::error::AccessKind;
use std::ops::{BitOr, BitOrAssign};

/// A set of kinds of access.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(0b1111);

    /// One kind, with all of its parts.
    pub const fn of(kind: AccessKind) -> Self {
        Self(match kind {
            AccessKind::Read => 0b0001,
            AccessKind::Insert => 0b0010,
            AccessKind::Update => 0b0100,
            AccessKind::Delete => 0b1000,
            AccessKind::Write => 0b1110,
        })
    }

    /// Whether a kind is in it, with all of its parts.
    pub const fn has(self, kind: AccessKind) -> bool {
        self.covers(Self::of(kind))
    }

    /// Whether all of the other set is in it.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Kinds {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}
