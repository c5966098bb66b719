//! The data of users except for passwords. Pure; any thread.
//!
//! The doc comments of [`User`] and [`Role`] are in the OpenAPI document.

use super::{Permission, RoleName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub login: String,
    pub name: String,
    pub surname: String,
    /// Seconds since 1970; null for users of the old system
    #[schema(required)]
    pub created_at: Option<u64>,
    /// Such a user cannot log in
    pub disabled: bool,
    pub roles: Vec<String>,
    /// The login is an e-mail address, and its owner has shown to read what is sent there
    pub email_verified: bool,
}

/// The state of a login that its tokens must match. Most users have the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Only tokens with this epoch are valid.
    pub epoch: u64,
    pub disabled: bool,
    /// A user with this login was deleted, and tokens of that user may still be in use.
    pub deleted: bool,
    pub roles: Vec<Granted>,
    /// When all tokens ended last, in seconds since 1970-01-01 UTC by the wall clock; 0 if never. Only tokens of other issuers are
    /// compared with it, because they have no epoch.
    pub ended_at: u64,
}

/// A role that a user has. `since` identifies the role: if a role is deleted and another one with the same name is made, its
/// users do not get the new role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Granted {
    pub name: String,
    pub since: u64,
}

impl Subject {
    pub fn is_active(&self) -> bool {
        !self.disabled && !self.deleted
    }

    /// Whether the subject has the built-in role `recovery`, and not one of the same name that an older version let make.
    pub fn has_recovery(&self) -> bool {
        let is_built_in = |role: &Granted| role.name == RoleName::RECOVERY && role.since == 0;
        self.roles.iter().any(is_built_in)
    }

    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|one| one.name == role)
    }
}

/// A role
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    pub name: String,
    pub permissions: Vec<Permission>,
}
