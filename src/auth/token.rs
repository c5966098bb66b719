//! Access tokens: JSON Web Tokens (RFC 7519) signed with the algorithm of their key. Any thread; signing and the verification of
//! a token not seen before are too slow for tx.

use super::jwt;
use super::key::{PrivateKey, PublicKey};
use crate::config::Config;
use crate::domain::Claims;
use crate::error::Error;
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use ring::digest::{digest, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ISSUER: &str = "authkv";
/// Bytes of the longest token that is looked at.
const MAX_LENGTH: usize = 8192;

/// Issues and verifies tokens.
pub struct Tokens {
    signing: Option<EncodingKey>,
    verifying: DecodingKey,
    key: PublicKey,
    validation: Validation,
    ttl: Duration,
    /// Claims by the digest of the whole token, signature included.
    verified: Cache<Digest, Arc<Claims>>,
}

/// SHA-256 of a token.
type Digest = [u8; 32];

/// What is known of a token without an RSA operation.
pub enum Known {
    /// Verified before, and in time still.
    Valid(Arc<Claims>),
    Invalid,
    /// To be verified.
    New,
}

impl Tokens {
    pub fn new(private: Option<&PrivateKey>, public: &PublicKey, config: &Config) -> Self {
        jwt::install();
        let mut validation = Validation::new(public.algorithm().into());
        validation.leeway = config.token_leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        Self {
            signing: private.map(PrivateKey::encoding_key),
            verifying: public.decoding_key(),
            key: public.clone(),
            validation,
            ttl: config.token_ttl,
            verified: Cache::new(config.token_cache),
        }
    }

    /// Fails where a token of this key would not hold: `ring` refuses to sign with some keys that it verifies.
    pub fn check_signing(&self) -> Result<(), String> {
        let token = self.issue("check").map_err(|_| {
            "this key cannot sign: it should have 2048 to 4096 bits and the exponent 65537"
                .to_owned()
        })?;
        match self.verify(&token) {
            Some(_) => Ok(()),
            None => Err("a token signed with this key does not hold".to_owned()),
        }
    }

    /// How long a new token lives.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Seconds after `exp` for which a token still counts.
    pub fn leeway(&self) -> u64 {
        self.validation.leeway
    }

    /// Whether a token has not expired.
    pub fn is_in_time(&self, claims: &Claims) -> bool {
        claims.exp + self.leeway() >= now()
    }

    /// A new token for `login`. Costs an RSA signature, some milliseconds.
    pub fn issue(&self, login: &str) -> Result<String, Error> {
        let signing = self.signing.as_ref().ok_or(Error::NotOffered)?;
        let mut id = [0; 16];
        SystemRandom::new()
            .fill(&mut id)
            .map_err(|_| Error::Internal)?;
        let now = now();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: login.to_owned(),
            jti: URL_SAFE_NO_PAD.encode(id),
            iat: now,
            nbf: now,
            exp: now + self.ttl.as_secs(),
            username: login.to_owned(),
            email: login.to_owned(),
        };
        let header = Header {
            kid: Some(self.key.id().to_owned()),
            ..Header::new(self.key.algorithm().into())
        };
        jsonwebtoken::encode(&header, &claims, signing).map_err(|_| Error::Internal)
    }

    /// Looks a token up among those verified before. Costs a SHA-256 of it.
    pub fn known(&self, token: &str) -> Known {
        if token.len() > MAX_LENGTH {
            return Known::Invalid;
        }
        match self.verified.get(&digest_of(token)) {
            Some(claims) if self.is_in_time(&claims) => Known::Valid(claims),
            Some(_) => Known::Invalid,
            None => Known::New,
        }
    }

    /// The claims of a valid token: its signature, key, times, issuer and audience hold (RFC 7519 §7.2).
    /// Whether it was revoked is for the tx thread to say. Costs an RSA verification where it is new.
    pub fn verify(&self, token: &str) -> Option<Arc<Claims>> {
        match self.known(token) {
            Known::Valid(claims) => return Some(claims),
            Known::Invalid => return None,
            Known::New => {}
        }
        let token_data =
            jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation).ok()?;
        if token_data.header.kid.as_deref() != Some(self.key.id()) {
            return None;
        }
        let claims = Arc::new(token_data.claims);
        self.verified.insert(digest_of(token), claims.clone());
        Some(claims)
    }
}

fn digest_of(token: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

/// Seconds since 1970-01-01 UTC.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The token of an `Authorization` value: two words, the first `Bearer` in any case (RFC 6750 §2.1).
pub fn bearer(authorization: &str) -> Option<&str> {
    let mut words = authorization.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(token), None) if scheme.eq_ignore_ascii_case("Bearer") => Some(token),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Algorithm;
    use super::*;
    use std::collections::BTreeMap;

    fn tokens(settings: &[(&str, &str)]) -> Tokens {
        let key = PrivateKey::make(Algorithm::EdDSA).unwrap();
        let settings = settings
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_string()));
        Tokens::new(
            Some(&key),
            key.public(),
            &Config::new(settings.collect::<BTreeMap<_, _>>()).unwrap(),
        )
    }

    #[test]
    fn a_token_is_valid_where_its_key_is_known_and_nowhere_else() {
        let (ours, others) = (tokens(&[]), tokens(&[]));
        let token = ours.issue("alice").unwrap();
        assert!(matches!(ours.known(&token), Known::New));
        let claims = ours.verify(&token).unwrap();
        assert_eq!(
            (&*claims.sub, &*claims.username, &*claims.email),
            ("alice", "alice", "alice")
        );
        assert_eq!(claims.exp, claims.iat + 1800);
        assert!(matches!(ours.known(&token), Known::Valid(_)));
        assert!(others.verify(&token).is_none());
        let half = token.len() / 2;
        for broken in [
            "",
            "a.b.c",
            &token[1..],
            &token[..half],
            &token.replace('.', ","),
            &"x".repeat(9000),
        ] {
            assert!(ours.verify(broken).is_none());
        }
    }

    #[test]
    fn a_remembered_token_expires_too() {
        let tokens = tokens(&[("TOKEN_TTL", "1"), ("TOKEN_LEEWAY", "0")]);
        let token = tokens.issue("alice").unwrap();
        let claims = tokens.verify(&token).unwrap();
        while now() <= claims.exp {
            std::thread::yield_now();
        }
        assert!(matches!(tokens.known(&token), Known::Invalid));
        assert!(tokens.verify(&token).is_none());
    }

    #[test]
    fn authorization_is_two_words() {
        for (text, token) in [
            ("Bearer abc", Some("abc")),
            ("bEaReR abc", Some("abc")),
            ("Bearer", None),
            ("abc", None),
            ("Basic abc", None),
            ("Bearer a b", None),
            ("", None),
        ] {
            assert_eq!(bearer(text), token, "{text}");
        }
    }
}
