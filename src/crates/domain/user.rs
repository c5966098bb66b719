//! What is known of a user beside the password. Pure; any thread.

use super::Permission;
use serde::{Deserialize, Serialize};

/// A user, as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    pub login: String,
    pub name: String,
    pub surname: String,
    /// Seconds since 1970-01-01 UTC; none of users of the old system.
    pub created_at: Option<u64>,
    pub disabled: bool,
    pub roles: Vec<String>,
}

/// What tokens of a login have to match; that of most users is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Only tokens that were issued in it hold.
    pub epoch: u64,
    pub disabled: bool,
    /// There was such a user, and tokens of that one may be about.
    pub deleted: bool,
    pub roles: Vec<Granted>,
}

/// A role that was given to a user, and which of those that had this name: one that is made after another was deleted
/// is not given to the same users.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Granted {
    pub name: String,
    pub since: u64,
}

impl Subject {
    pub fn is_active(&self) -> bool {
        !self.disabled && !self.deleted
    }

    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|one| one.name == role)
    }
}

/// A role, as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Role {
    pub name: String,
    pub permissions: Vec<Permission>,
}
