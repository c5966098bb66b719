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
}
