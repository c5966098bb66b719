//! The content of a token (RFC 7519 §4.1).

use serde::{Deserialize, Serialize};

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
    /// The epoch of the user when the token was issued. When the user's epoch changes, the token ends.
    pub epoch: u64,
    /// The session of the token, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

impl Claims {
    /// The id by which this token is revoked: of its session, or of the token itself if it has no session.
    pub fn revocation_id(&self) -> &str {
        self.sid.as_deref().unwrap_or(&self.jti)
    }
}
