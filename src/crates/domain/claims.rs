//! The content of a token (RFC 7519 §4.1).

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The claims of an access token. Times are seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// The login.
    pub sub: String,
    pub jti: String,
    pub iat: u64,
    pub nbf: u64,
    pub exp: u64,
    /// The login, for existing readers of the token.
    pub username: String,
    /// The login, for existing readers of the token.
    pub email: String,
    /// The epoch of the user when the token was issued. When the user's epoch changes, the token ends. Tokens of other issuers have
    /// none: they end by the time at which they were issued.
    pub epoch: u64,
    /// The session of the token, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// What else a token of another issuer says; `None` for authkv's own tokens. Never read from a token as such.
    #[serde(skip)]
    pub outside: Option<Arc<Outside>>,
}

/// What a token of another issuer says of its user, as the file of issuers understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The id by which the token is revoked. No token of authkv and of yet another issuer has the same.
    pub revocation_id: String,
    /// The roles that the token gives, beside those that were granted to the user.
    pub roles: Vec<String>,
    /// A user who is not there yet is made.
    pub creates: bool,
    /// For a user who is made.
    pub name: String,
    pub surname: String,
}

impl Claims {
    /// The id by which this token is revoked: of its session, or of the token itself if it has no session.
    pub fn revocation_id(&self) -> &str {
        match &self.outside {
            Some(outside) => &outside.revocation_id,
            None => self.sid.as_deref().unwrap_or(&self.jti),
        }
    }
}
