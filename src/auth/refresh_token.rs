//! The form of a refresh token: a handle, which all refresh tokens of a session share, and a secret. Pure.
//!
//! Only digests of both are stored. The digest of the handle is the id of the session, which is in access tokens. So an access
//! token is not enough to refresh or to end the session.

use authkv_base::error::Error;
use authkv_token::random;
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use ring::digest::{digest, SHA256};
use ring::hmac;

/// Bytes of the two parts.
const HANDLE: usize = 16;
const SECRET: usize = 32;
/// Bytes of the id of a session.
const ID: usize = 16;

/// A refresh token that a client has sent, or a new one.
pub struct RefreshToken {
    handle: Vec<u8>,
    secret: Vec<u8>,
    /// The id of the session.
    pub id: String,
    /// The digest of the secret.
    pub digest: String,
}

impl RefreshToken {
    /// The first token of a new session.
    pub fn new() -> Result<Self, Error> {
        Ok(Self::from_parts(&random::<HANDLE>()?, &random::<SECRET>()?))
    }

    /// What a client has sent, if it has the form of a refresh token.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (handle, secret) = bytes.split_at_checked(HANDLE)?;
        (secret.len() == SECRET).then(|| Self::from_parts(handle, secret))
    }

    /// The token that replaces this one. The same salt gives the same token, so it need not be stored to be given again. It
    /// takes three secrets to compute it: the key of the instance, the salt, which is drawn at the refresh, and this token.
    pub fn next(&self, key: &hmac::Key, salt: &[u8]) -> Self {
        let mut context = hmac::Context::with_key(key);
        // Each part has a length of its own that never changes.
        for part in [salt, &self.handle, &self.secret] {
            context.update(part);
        }
        Self::from_parts(&self.handle, context.sign().as_ref())
    }

    /// The token for the client.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode([&*self.handle, &*self.secret].concat())
    }

    fn from_parts(handle: &[u8], secret: &[u8]) -> Self {
        let id = digest(&SHA256, handle);
        Self {
            id: URL_SAFE_NO_PAD.encode(&id.as_ref()[..ID]),
            digest: URL_SAFE_NO_PAD.encode(digest(&SHA256, secret)),
            handle: handle.to_vec(),
            secret: secret.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_token_depends_on_the_key_the_salt_and_the_token() {
        let key = |byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
        let token = RefreshToken::new().unwrap();
        let next = token.next(&key(0), b"salt").text();
        assert_eq!(token.next(&key(0), b"salt").text(), next);
        for other in [
            token.next(&key(1), b"salt"),
            token.next(&key(0), b"tlas"),
            RefreshToken::from_parts(&token.handle, &[0; SECRET]).next(&key(0), b"salt"),
            RefreshToken::from_parts(&[0; HANDLE], &token.secret).next(&key(0), b"salt"),
        ] {
            assert_ne!(other.text(), next);
        }
        let parsed = RefreshToken::parse(&next).unwrap();
        assert_eq!((&parsed.id, parsed.text()), (&token.id, next));
        assert_ne!(parsed.digest, token.digest);
    }

    #[test]
    fn what_has_another_length_is_no_token() {
        let text = RefreshToken::new().unwrap().text();
        for wrong in ["", &text[1..], &format!("{text}AAAA"), &format!("{text}=")] {
            assert!(RefreshToken::parse(wrong).is_none(), "{wrong}");
        }
    }
}
