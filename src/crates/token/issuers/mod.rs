//! Other issuers whose tokens are accepted: OpenID Connect and RFC 9068. Pure; any thread except tx.
//!
//! An issuer is found by the claim `iss`, and only its own keys verify the token, for its own algorithms. So no token of one
//! issuer is one of another, or one of authkv.

mod algorithm;
mod claims;
mod keys;
mod policy;

pub use algorithm::Algorithm;
pub use keys::{KeySet, TrustedKey};
pub use policy::{KeyFile, KeySource, Policy, Remote};

use crate::unique;
use arc_swap::{ArcSwap, ArcSwapOption};
use authkv_domain::Claims;
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use claims::Refusal;
use ring::digest::{Context, SHA256};
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// All issuers of the file.
#[derive(Default)]
pub struct Issuers {
    list: Vec<Issuer>,
    /// Called when a token names a key that is not known: see [`Issuer::take_wanted`].
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// An issuer with its present keys.
pub struct Issuer {
    pub policy: Policy,
    algorithms: Vec<Algorithm>,
    keys: ArcSwap<KeySet>,
    /// A token has named a key that is not known.
    wanted: AtomicBool,
    /// How many of its tokens were refused, and why the last one was.
    refused: AtomicU64,
    reason: ArcSwapOption<Refusal>,
}

/// A token whose signature and claims are right.
pub struct Accepted {
    pub claims: Claims,
    pub key: Arc<TrustedKey>,
}

impl Issuers {
    /// Reads the text of the file of issuers. `own` is the issuer of authkv's own tokens. The error says what is wrong.
    pub fn parse(text: &str, own: &str) -> Result<Self, String> {
        let list = policy::parse(text, own)?.into_iter().map(Issuer::new);
        Ok(Self {
            list: list.collect(),
            wake: OnceLock::new(),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Issuer> {
        self.list.iter()
    }

    /// The longest time that a token of any of them is good for, in seconds.
    pub fn lifetime_max(&self) -> u64 {
        let lifetimes = self.list.iter().map(|one| one.policy.lifetime_max);
        lifetimes.max().unwrap_or(0)
    }

    /// Sets what is called when a token names a key that is not known. Only the first call counts.
    pub fn on_unknown_key(&self, wake: Box<dyn Fn() + Send + Sync>) {
        let _ = self.wake.set(wake);
    }

    /// The issuer that a token names, and the claims as they are, not verified. `None` if it names none of these, or is not of
    /// the form of a token: canonical base64url (RFC 7515 §2) of an object in which no name stands twice.
    fn named(&self, token: &str) -> Option<(&Issuer, Map<String, Value>)> {
        let payload = object(token.split('.').nth(1)?)?;
        let iss = payload.get("iss")?.as_str()?;
        let issuer = self.list.iter().find(|one| one.policy.issuer == iss)?;
        Some((issuer, payload))
    }

    /// What a token says that another issuer has signed, or `None` if it names none of these as its issuer. The error means that
    /// it is refused. Times are in seconds. Costs the verification of a signature.
    pub fn verify(&self, token: &str, now: u64, leeway: u64) -> Option<Result<Accepted, ()>> {
        let (issuer, payload) = self.named(token)?;
        let verified = issuer.verify(token, &payload, (now, leeway), || self.wake());
        Some(verified.map_err(|reason| {
            issuer.refused.fetch_add(1, Ordering::Relaxed);
            issuer.reason.store(Some(Arc::new(reason)));
        }))
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }
}

impl Issuer {
    fn new(policy: Policy) -> Self {
        Self {
            algorithms: policy.algorithms(),
            policy,
            keys: ArcSwap::default(),
            wanted: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            reason: ArcSwapOption::empty(),
        }
    }

    /// Replaces the keys by those of a JSON Web Key Set. Tokens of keys that it does not have are refused from now on. Returns the
    /// new set. The error says what is wrong; then nothing has changed. Takes milliseconds for each new RSA key.
    pub fn set_keys(&self, text: &str) -> Result<Arc<KeySet>, String> {
        let before = self.keys.load_full();
        let next = Arc::new(KeySet::parse(text, &self.algorithms, &before)?);
        self.keys.store(next.clone());
        before.retire(&next);
        Ok(next)
    }

    /// Whether a token has named a key that is not known. It stays so until [`Self::take_wanted`].
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whether a token has named a key that is not known, since the last call.
    pub fn take_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// How many tokens were refused since the last call, and why the last one was.
    pub fn take_refused(&self) -> Option<(u64, &'static str)> {
        match self.refused.swap(0, Ordering::Relaxed) {
            0 => None,
            count => Some((
                count,
                self.reason.load().as_ref().map_or("", |reason| **reason),
            )),
        }
    }

    fn verify(
        &self,
        token: &str,
        payload: &Map<String, Value>,
        times: (u64, u64),
        wake: impl FnOnce(),
    ) -> Result<Accepted, Refusal> {
        const FORM: Refusal = "it does not have the form of a signed token";
        let (message, signature) = token.rsplit_once('.').ok_or(FORM)?;
        let (header, _) = message.split_once('.').ok_or(FORM)?;
        // Of two parts in `message`: a token of five parts is encrypted (RFC 7516 §3.1).
        if message.matches('.').count() != 1 {
            return Err(FORM);
        }
        let header = object(header).ok_or(FORM)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| FORM)?;
        let (algorithm, kid) = self.check_header(&header)?;
        let keys = self.keys.load();
        let Some(key) = keys.find(kid, algorithm) else {
            if keys.has(kid) {
                return Err("its key is for another algorithm");
            }
            // Once until it is taken, however many such tokens come.
            if !self.wanted.swap(true, Ordering::Relaxed) {
                wake();
            }
            return Err("its key (kid) is not known");
        };
        if !key.has_signed(algorithm, message.as_bytes(), &signature) {
            return Err("its signature is wrong");
        }
        let id = |jti: Option<&str>| match jti {
            Some(jti) => revocation_id(&[b"jti", self.policy.issuer.as_bytes(), jti.as_bytes()]),
            // Without the signature: of one message there may be several valid ones.
            None => revocation_id(&[b"token", message.as_bytes()]),
        };
        let claims = claims::check(&self.policy, payload, times, id)?;
        let key = key.clone();
        Ok(Accepted { claims, key })
    }

    /// The algorithm and the id of the key. The algorithm has to be one of this issuer, and the header may have no other member
    /// than these and `typ`: one would have to be understood (`crit`, RFC 7515 §4.1.11), or followed (`jku`, RFC 8725 §3.10).
    fn check_header<'a>(
        &self,
        header: &'a Map<String, Value>,
    ) -> Result<(Algorithm, &'a str), Refusal> {
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let is_known = |name: &String| {
            matches!(&**name, "alg" | "typ" | "kid") || self.policy.header_members.contains(name)
        };
        if !header.keys().all(is_known) {
            return Err("its header has other members than alg, typ and kid (see header_members)");
        }
        let algorithm = text("alg").and_then(Algorithm::from_name);
        let algorithm = algorithm.filter(|one| self.algorithms.contains(one));
        let algorithm = algorithm.ok_or("its algorithm (alg) is another")?;
        let is_typed = !header.contains_key("typ") || text("typ").is_some();
        if !is_typed || !self.policy.takes_type(text("typ")) {
            return Err("its type (typ) is another");
        }
        let kid = text("kid").ok_or("it does not name its key (kid)")?;
        Ok((algorithm, kid))
    }
}

/// The members of a part of a token.
fn object(part: &str) -> Option<Map<String, Value>> {
    // The decoder refuses padding, white space and stray bits at the end.
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    match unique::parse(&text).ok()? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// A digest of some texts, which differs from every id of authkv's own tokens and sessions by its length.
fn revocation_id(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}

#[cfg(test)]
mod tests;
