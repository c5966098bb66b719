//! What a token says (RFC 7519 §4.1).

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
    /// That of the user when the token was issued: another one ends it.
    pub epoch: u64,
    /// The session that the token belongs to, where it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

impl Claims {
    /// What a revocation of this token names: its session, or the token itself where it has none.
    pub fn revocation_id(&self) -> &str {
        self.sid.as_deref().unwrap_or(&self.jti)
    }
}
