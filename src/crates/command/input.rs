//! The inputs of operations, and what the server has to know of them before it executes a command. Pure; any thread.

use authkv_base::error::{AccessKind, Error};
use authkv_domain::{Deletion, Keys, Listing, Permission, RoleName, Steps, Txn, Watching};
use secrecy::SecretString;

/// The input of a registration before the check of its rules: a taken login is reported first.
#[derive(Debug)]
pub struct Registration {
    pub login: String,
    pub password: SecretString,
    pub name: String,
    pub surname: String,
}

/// A login and a password, not checked against any rules.
#[derive(Debug)]
pub struct Credentials {
    pub login: String,
    pub password: SecretString,
}

/// The passwords of a user before and after a change, not checked against any rules.
#[derive(Debug)]
pub struct PasswordChange {
    pub old: SecretString,
    pub new: SecretString,
}

/// A role to give to a user or take away.
#[derive(Debug)]
pub struct Grant {
    pub login: String,
    pub role: String,
}

/// A role as it is to be, before the check of its name.
#[derive(Debug)]
pub struct NewRole {
    pub name: String,
    /// Errors: `BadRole`.
    pub permissions: Result<Vec<Permission>, Error>,
}

/// What a caller has to have.
#[derive(Debug)]
pub struct Question {
    pub role: Option<RoleName>,
    pub key: Option<(AccessKind, String)>,
}

/// A session of a user, by its id.
#[derive(Debug)]
pub struct UserSession {
    pub login: String,
    pub session: String,
}

/// A session of the caller, by its id.
#[derive(Debug)]
pub struct SessionId(pub String);

/// An API key to be made.
#[derive(Debug)]
pub struct ApiKeyInput {
    pub name: String,
    /// The names of the roles that it has, or `None` for all of its user's.
    pub roles: Option<Vec<String>>,
    /// Seconds.
    pub ttl: Option<u64>,
}

/// An API key to be made for a user.
#[derive(Debug)]
pub struct UserApiKeyInput {
    pub login: String,
    pub key: ApiKeyInput,
}

/// An API key of the caller, by its id.
#[derive(Debug)]
pub struct ApiKeyId(pub String);

/// An API key of a user, by its id.
#[derive(Debug)]
pub struct UserApiKey {
    pub login: String,
    pub api_key: String,
}

/// A name and a surname, not checked against any rules.
#[derive(Debug)]
pub struct Names {
    pub name: String,
    pub surname: String,
}

/// The user for whom a one-time token is made.
#[derive(Debug)]
pub struct OneTimeRequest {
    pub login: String,
    /// Seconds.
    pub ttl: Option<u64>,
}

/// A one-time token and a new password, not checked against any rules.
#[derive(Debug)]
pub struct NewPassword {
    pub token: SecretString,
    pub password: SecretString,
}

/// A service user to be made.
#[derive(Debug)]
pub struct ServiceUser {
    pub login: String,
    /// The names of roles.
    pub roles: Vec<String>,
}

/// The requested part of a list.
#[derive(Debug)]
pub struct Page {
    /// The part begins after this item.
    pub after: Option<String>,
    pub limit: usize,
}

/// The first value of every command is one of these.
pub trait Arguments {
    /// The login, role or key that the audit log names.
    fn object(&self) -> Option<&str> {
        None
    }

    /// The role that is granted or revoked, for the audit log.
    fn role(&self) -> Option<&str> {
        None
    }

    /// The session that is ended, for the audit log.
    fn session(&self) -> Option<&str> {
        None
    }

    /// The API key that is revoked, for the audit log.
    fn api_key(&self) -> Option<&str> {
        None
    }

    /// How many look-ups the operation makes on tx, if it does not yield.
    fn look_ups(&self) -> usize {
        1
    }
}

impl Arguments for () {}
impl Arguments for SecretString {}
impl Arguments for PasswordChange {}
impl Arguments for Option<u64> {}
impl Arguments for bool {}
impl Arguments for Listing {}
impl Arguments for Steps {}
impl Arguments for Txn {}
impl Arguments for Deletion {}
impl Arguments for Question {}

/// The name of what the operation is about.
impl Arguments for String {
    fn object(&self) -> Option<&str> {
        Some(self)
    }
}

impl Arguments for Registration {
    fn object(&self) -> Option<&str> {
        Some(&self.login)
    }
}

impl Arguments for Credentials {
    fn object(&self) -> Option<&str> {
        Some(&self.login)
    }
}

impl Arguments for Grant {
    fn object(&self) -> Option<&str> {
        Some(&self.login)
    }

    fn role(&self) -> Option<&str> {
        Some(&self.role)
    }
}

impl Arguments for UserSession {
    fn object(&self) -> Option<&str> {
        Some(&self.login)
    }

    fn session(&self) -> Option<&str> {
        Some(&self.session)
    }
}

impl Arguments for SessionId {
    fn session(&self) -> Option<&str> {
        Some(&self.0)
    }
}

impl Arguments for ApiKeyInput {}

impl Arguments for UserApiKeyInput {
    fn object(&self) -> Option<&str> {
        Some(&self.login)
    }
}

impl Arguments for ApiKeyId {
    fn api_key(&self) -> Option<&str> {
        Some(&self.0)
    }
}

impl Arguments for UserApiKey {
    fn object(&self) -> Option<&str> {
        Some(&self.login)
    }

    fn api_key(&self) -> Option<&str> {
        Some(&self.api_key)
    }
}

impl Arguments for Names {}
impl Arguments for NewPassword {}

impl Arguments for OneTimeRequest {
    fn object(&self) -> Option<&str> {
        Some(&self.login)
    }
}

impl Arguments for ServiceUser {
    fn object(&self) -> Option<&str> {
        Some(&self.login)
    }
}

impl Arguments for NewRole {
    fn object(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Arguments for Page {
    fn look_ups(&self) -> usize {
        1 + self.limit
    }
}

impl Arguments for Keys {
    fn look_ups(&self) -> usize {
        1 + self.len()
    }
}

impl Arguments for Watching {
    // A watch that asks repeatedly finds few new changes.
    fn look_ups(&self) -> usize {
        64
    }
}

impl<T: Arguments> Arguments for Result<T, Error> {
    fn look_ups(&self) -> usize {
        self.as_ref().map_or(1, T::look_ups)
    }
}
