//! Access tokens: JSON Web Tokens (RFC 7519, RFC 9068) signed with a key of the ring. Any thread, but signing and the first
//! verification of a token are too slow for tx.

use crate::issuers::{Issuers, TrustedKey};
use crate::jwt;
use crate::recent::Recent;
use crate::ring::Ring;
use crate::strict;
use arc_swap::{ArcSwap, ArcSwapOption};
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_base::steady;
use authkv_domain::Claims;
use authkv_metrics::{list, per_thread, Family};
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{Header, Validation};
use quick_cache::sync::Cache;
use ring::digest::{digest, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a token.
const MAX_LENGTH: usize = 8192;
/// The type of an access token (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";
/// Seconds. Every request ends sooner after the check of its token.
const MARGIN: u64 = 60;

thread_local! {
    static RECENT: RefCell<Recent<Arc<Verified>>> = const { RefCell::new(Recent::EMPTY) };
}

/// The results of look-ups, in the order of their counters.
const RESULTS: [&str; 4] = ["thread", "shared", "verified", "refused"];
const THREAD: usize = 0;
const SHARED: usize = 1;
const VERIFIED: usize = 2;
const REFUSED: usize = 3;

per_thread! {
    /// Look-ups of tokens by their results.
    static LOOKUPS: RESULTS.len();
}

/// The longest leeway that a setting allows, in seconds.
pub const LEEWAY_MAX: u64 = 300;

/// The claims of new tokens that depend on settings, and how long tokens are valid.
pub struct Settings {
    pub issuer: String,
    pub audience: String,
    pub ttl: Duration,
    /// Allows for clocks that differ.
    pub leeway: Duration,
    /// The number of verified tokens that are remembered.
    pub cache: usize,
}

/// Issues and verifies tokens.
pub struct Tokens {
    /// Unique among all instances of this type.
    number: u64,
    ring: ArcSwap<Ring>,
    /// The id of the key that has signed last.
    signed: ArcSwapOption<String>,
    issuer: String,
    audience: String,
    /// Seconds.
    ttl: AtomicU64,
    /// Seconds.
    leeway: AtomicU64,
    /// Other issuers whose tokens are accepted.
    issuers: Arc<Issuers>,
    /// Claims by the digest of the whole token, with its signature.
    verified: Cache<Digest, Arc<Verified>>,
}

/// SHA-256 of a token.
type Digest = [u8; 32];

struct Verified {
    /// The number of the [`Tokens`] that verified it.
    by: u64,
    claims: Arc<Claims>,
    key: Signer,
}

/// The key that has signed a token.
enum Signer {
    /// The id of one of the ring.
    Own(String),
    /// One of another issuer.
    Trusted(Arc<TrustedKey>),
}

impl Signer {
    fn is_gone(&self) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Trusted(key) => key.is_gone(),
        }
    }
}

/// The result of a look-up without verifying a signature.
pub enum Known {
    /// Verified before and not expired.
    Valid(Arc<Claims>),
    Invalid,
    /// Not verified yet.
    New,
}

/// The owner of a new token.
pub struct Bearer<'a> {
    pub login: &'a str,
    pub epoch: u64,
    /// The session of the token, if any.
    pub session: Option<&'a str>,
}

/// A new token.
pub struct AccessToken {
    pub text: String,
    /// The id of the token for logs.
    pub jti: String,
    /// When it expires, in seconds since 1970-01-01 UTC.
    pub exp: u64,
}

/// A new token that must not be given to anyone before its expiry has been stored.
pub struct Draft(AccessToken);

impl Draft {
    /// When the token expires, in seconds since 1970-01-01 UTC.
    pub fn exp(&self) -> u64 {
        self.0.exp
    }

    /// The token. Call this after storing its expiry.
    pub fn recorded(self) -> AccessToken {
        self.0
    }
}

impl Tokens {
    /// Starts without keys. [`Self::set_ring`] sets them.
    pub fn new(settings: Settings) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        jwt::install();
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            ring: ArcSwap::default(),
            signed: ArcSwapOption::empty(),
            issuer: settings.issuer,
            audience: settings.audience,
            ttl: AtomicU64::new(settings.ttl.as_secs()),
            leeway: AtomicU64::new(settings.leeway.as_secs()),
            issuers: Arc::default(),
            verified: Cache::new(settings.cache),
        }
    }

    /// Accepts tokens of these issuers too.
    pub fn trusting(self, issuers: Arc<Issuers>) -> Self {
        Self { issuers, ..self }
    }

    /// The other issuers whose tokens are accepted.
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// The current keys.
    pub fn ring(&self) -> Arc<Ring> {
        self.ring.load_full()
    }

    /// Replaces the keys. From now on tokens of other keys are refused.
    pub fn set_ring(&self, ring: Ring) {
        self.ring.store(Arc::new(ring));
    }

    /// Fails if tokens of the signing key would not be valid: `ring` refuses to sign with some keys that it verifies.
    pub fn check_signing(&self) -> Result<(), String> {
        let check = Bearer {
            login: "check",
            epoch: 0,
            session: None,
        };
        let token = self.issue(&check).map_err(|_| {
            "this key cannot sign: it should have 2048 to 4096 bits and the exponent 65537"
                .to_owned()
        })?;
        match self.verify(&token.recorded().text) {
            Some(_) => Ok(()),
            None => Err("a token signed with this key does not hold".to_owned()),
        }
    }

    /// The lifetime of a new token.
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl.load(Ordering::Relaxed))
    }

    /// Changes the lifetime of new tokens, and the leeway of all.
    pub fn set_times(&self, ttl: Duration, leeway: Duration) {
        self.ttl.store(ttl.as_secs(), Ordering::Relaxed);
        self.leeway.store(leeway.as_secs(), Ordering::Relaxed);
    }

    /// Seconds.
    fn leeway(&self) -> u64 {
        self.leeway.load(Ordering::Relaxed)
    }

    /// When tokens that expire at `exp` or earlier are no longer accepted. Times are seconds since 1970-01-01 UTC.
    pub fn accepted_until(&self, exp: u64) -> u64 {
        exp + self.leeway() + 1
    }

    /// The time before which expired tokens are irrelevant at `time`: no instance accepts them, whatever leeway it has, now or
    /// after a restart. Data about them can be deleted.
    pub fn forgotten_before(time: u64) -> u64 {
        time.saturating_sub(LEEWAY_MAX + MARGIN)
    }

    /// Whether a token has begun and has not expired, with the leeway.
    pub fn is_in_time(&self, claims: &Claims) -> bool {
        let (now, leeway) = (now(), self.leeway());
        claims.nbf <= now + leeway && claims.exp + leeway >= now
    }

    /// The id of the key that signs now, if there is one.
    pub fn signing_key(&self) -> Option<String> {
        let (ring, last) = (self.ring.load(), self.signed.load());
        let last = last.as_ref().map(|id| id.as_str());
        let (key, _) = ring.signer(steady::now(), last)?;
        Some(key.id().to_owned())
    }

    /// Makes a new token. Costs a signature: some milliseconds for RSA. Errors: `NoSigningKey`.
    pub fn issue(&self, bearer: &Bearer<'_>) -> Result<Draft, Error> {
        let now = now();
        let (ring, last) = (self.ring.load(), self.signed.load());
        let last = last.as_ref().map(|id| id.as_str());
        let signer = ring.signer(steady::now(), last);
        let (key, signing) = signer.ok_or(Error::NoSigningKey)?;
        if last != Some(key.id()) {
            self.signed.store(Some(Arc::new(key.id().to_owned())));
        }
        let jti = URL_SAFE_NO_PAD.encode(random::<16>()?);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: bearer.login.to_owned(),
            jti: jti.clone(),
            iat: now,
            nbf: now,
            exp: now + self.ttl().as_secs(),
            username: bearer.login.to_owned(),
            email: bearer.login.to_owned(),
            epoch: bearer.epoch,
            sid: bearer.session.map(str::to_owned),
            outside: None,
        };
        let header = Header {
            kid: Some(key.id().to_owned()),
            typ: Some(TYPE.to_owned()),
            ..Header::new(key.algorithm().into())
        };
        let text = jsonwebtoken::encode(&header, &claims, signing).map_err(|_| Error::Internal)?;
        let exp = claims.exp;
        Ok(Draft(AccessToken { text, jti, exp }))
    }

    /// Looks a token up among the verified ones. Costs a SHA-256 of the token, unless this thread has looked it up lately.
    pub fn known(&self, token: &str) -> Known {
        if token.len() > MAX_LENGTH {
            LOOKUPS.add(REFUSED, 1);
            return Known::Invalid;
        }
        let Some(verified) = self.find(token) else {
            return Known::New;
        };
        if !self.is_in_time(&verified.claims) {
            return Known::Invalid;
        }
        match &verified.key {
            Signer::Own(kid) if self.ring.load().find(kid, steady::now()).is_none() => {
                Known::Invalid
            }
            // The issuer may have the key again.
            Signer::Trusted(key) if key.is_gone() => Known::New,
            Signer::Own(_) | Signer::Trusted(_) => Known::Valid(verified.claims.clone()),
        }
    }

    fn find(&self, token: &str) -> Option<Arc<Verified>> {
        let recent = RECENT.with_borrow(|recent| recent.get(token).cloned());
        let counts = |found: &Arc<Verified>| found.by == self.number && !found.key.is_gone();
        if recent.as_ref().is_some_and(counts) {
            LOOKUPS.add(THREAD, 1);
            return recent;
        }
        let found = self.verified.get(&digest_of(token))?;
        LOOKUPS.add(SHARED, 1);
        RECENT.with_borrow_mut(|recent| recent.put(token, found.clone()));
        Some(found)
    }

    /// The claims of a valid token: its signature, key, type, times, issuer and audience are right (RFC 7519 §7.2, RFC 8725).
    /// Only the tx thread knows whether it was revoked. Costs the verification of a signature if the token is new.
    pub fn verify(&self, token: &str) -> Option<Arc<Claims>> {
        match self.known(token) {
            Known::Valid(claims) => return Some(claims),
            Known::Invalid => return None,
            Known::New => {}
        }
        let claims = self.verify_new(token);
        LOOKUPS.add(if claims.is_some() { VERIFIED } else { REFUSED }, 1);
        claims
    }

    fn verify_new(&self, token: &str) -> Option<Arc<Claims>> {
        let (claims, key) = match self.verify_outside(token) {
            Some(verified) => verified.ok()?,
            None => self.verify_own(token)?,
        };
        let verified = Verified {
            by: self.number,
            claims: Arc::new(claims),
            key,
        };
        let claims = verified.claims.clone();
        self.verified.insert(digest_of(token), Arc::new(verified));
        Some(claims)
    }

    /// `None` if the token names no other issuer.
    fn verify_outside(&self, token: &str) -> Option<Result<(Claims, Signer), ()>> {
        if self.issuers.is_empty() {
            return None;
        }
        let verified = self.issuers.verify(token, now(), self.leeway())?;
        Some(verified.map(|accepted| (accepted.claims, Signer::Trusted(accepted.key))))
    }

    fn verify_own(&self, token: &str) -> Option<(Claims, Signer)> {
        let kid = strict::kid(token, TYPE)?;
        let ring = self.ring.load();
        let (key, verifying) = ring.find(&kid, steady::now())?;
        let mut validation = Validation::new(key.algorithm().into());
        validation.leeway = self.leeway();
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        let decoded = jsonwebtoken::decode::<Claims>(token, verifying, &validation).ok()?;
        Some((decoded.claims, Signer::Own(kid)))
    }

    /// What is counted of tokens.
    pub fn metrics(&self) -> Vec<Family> {
        let lookups = RESULTS.into_iter().zip(LOOKUPS.sums());
        vec![
            list::TOKEN_LOOKUPS.labelled(lookups),
            list::TOKEN_CACHE.single(self.verified.len()),
            list::TOKEN_CACHE_MAX.single(self.verified.capacity()),
        ]
    }
}

fn digest_of(token: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

/// Random bytes that nobody can guess.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Internal)?;
    Ok(bytes)
}

/// The token of an `Authorization` value: two words, the first `Bearer` in any case (RFC 6750 §2.1).
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization
        .trim_ascii()
        .split_at_checked("Bearer".len())?;
    let word = token.trim_ascii_start();
    let is_apart = !word.is_empty() && word.len() < token.len();
    // Reading all bytes is faster than stopping early.
    let low = word.bytes().fold(false, |any, byte| any | (byte <= b' '));
    let has_space = low && word.contains(|char: char| char.is_ascii_whitespace());
    (scheme.eq_ignore_ascii_case("Bearer") && is_apart && !has_space).then_some(word)
}

#[cfg(test)]
mod tests;
