//! Sets of keys of other issuers (RFC 7517): which of them verify, and for which algorithms. Pure; not on tx, because the check
//! of an RSA key takes milliseconds.

use super::algorithm::{Algorithm, Verifier};
use crate::key::sound;
use crate::unique;
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// The most keys in a set: of more, none is looked at.
const KEYS_MAX: usize = 64;
/// The most bytes of the id of a key.
const KID_MAX: usize = 256;

/// The keys of an issuer at one moment.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Arc<TrustedKey>>,
    /// A phrase for each key that is left out: what it is, and why.
    pub left_out: Vec<String>,
}

/// A key that verifies tokens of an issuer.
pub struct TrustedKey {
    kid: String,
    /// The algorithms for which it may be used: the issuer's, as far as the key is for them.
    algorithms: Vec<Algorithm>,
    material: Material,
    /// A later set does not have it any more.
    gone: AtomicBool,
}

#[derive(PartialEq, Eq)]
enum Material {
    /// Modulus and exponent, without leading zeros.
    Rsa(Vec<u8>, Vec<u8>),
    /// The uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys that cannot be used are left out (RFC 7517 §5): of another use than signatures, of another
    /// type or algorithm, without an id, or unsound. Keys that `before` has too stay the same. The error says what is wrong with
    /// the set; then it should not replace another.
    pub fn parse(text: &str, allowed: &[Algorithm], before: &Self) -> Result<Self, String> {
        let Value::Object(mut set) = unique::parse(text)? else {
            return Err("it is not an object with keys".into());
        };
        let Some(Value::Array(keys)) = set.remove("keys") else {
            return Err("it has no list keys".into());
        };
        if keys.len() > KEYS_MAX {
            return Err(format!("it has more than {KEYS_MAX} keys"));
        }
        let mut read = Self::default();
        for (number, key) in keys.iter().enumerate() {
            let added = TrustedKey::read(key, allowed).and_then(|key| before.or_same(key));
            match added {
                Ok(key) => read.add(key)?,
                Err(why) => {
                    let kid = key.get("kid").and_then(Value::as_str).unwrap_or_default();
                    let kid: String = kid
                        .chars()
                        .filter(char::is_ascii_graphic)
                        .take(64)
                        .collect();
                    read.left_out
                        .push(format!("key {} ({kid}) {why}", number + 1));
                }
            }
        }
        Ok(read)
    }

    /// The key, or that of this set if it is the same one. Another one is checked: the error is a phrase that follows its name.
    fn or_same(&self, key: TrustedKey) -> Result<Arc<TrustedKey>, String> {
        let known = self.keys.iter().find(|one| {
            one.kid == key.kid && one.algorithms == key.algorithms && one.material == key.material
        });
        match known.filter(|one| !one.is_gone()) {
            Some(known) => Ok(known.clone()),
            None => key.check_slowly().map(|()| Arc::new(key)),
        }
    }

    fn add(&mut self, key: Arc<TrustedKey>) -> Result<(), String> {
        let is_like = |one: &Arc<TrustedKey>| {
            let mut algorithms = one.algorithms.iter();
            one.kid == key.kid && algorithms.any(|each| key.algorithms.contains(each))
        };
        if self.keys.iter().any(is_like) {
            return Err("it has two keys of the same id and algorithm".into());
        }
        self.keys.push(key);
        Ok(())
    }

    /// How many keys verify.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key with this id that may be used for this algorithm.
    pub fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&Arc<TrustedKey>> {
        self.keys
            .iter()
            .find(|key| key.kid == kid && key.algorithms.contains(&algorithm))
    }

    /// Whether a key has this id, whatever it is for.
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid == kid)
    }

    /// Notes which keys `next` does not have any more: what they have verified does not hold any more.
    pub fn retire(&self, next: &Self) {
        for key in &self.keys {
            let stays = next.keys.iter().any(|other| Arc::ptr_eq(key, other));
            if !stays {
                key.gone.store(true, Ordering::Release);
            }
        }
    }
}

impl TrustedKey {
    /// Whether a later set of keys does not have it any more.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Whether this key has signed the message, with this algorithm.
    pub fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.algorithms.contains(&algorithm) {
            return false;
        }
        let verified = match (&self.material, algorithm.verifier()) {
            (Material::Rsa(n, e), Verifier::Rsa(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (
                Material::P256(key) | Material::P384(key) | Material::Ed25519(key),
                Verifier::Curve(kind),
            ) => UnparsedPublicKey::new(kind, key).verify(message, signature),
            _ => return false,
        };
        verified.is_ok()
    }

    /// Reads a key. The error is a phrase that follows its name.
    fn read(key: &Value, allowed: &[Algorithm]) -> Result<Self, String> {
        let Value::Object(key) = key else {
            return Err("is not an object".into());
        };
        if let Some(usage) = key.get("use") {
            if usage.as_str() != Some("sig") {
                return Err("is not for signatures (use)".into());
            }
        }
        if let Some(operations) = key.get("key_ops") {
            let operations = operations.as_array().map(Vec::as_slice).unwrap_or_default();
            if !operations.iter().any(|one| one.as_str() == Some("verify")) {
                return Err("is not for verifying (key_ops)".into());
            }
        }
        if key.contains_key("d") || key.contains_key("k") {
            return Err("is a private or a shared key".into());
        }
        let kid = text(key, "kid")?;
        if kid.is_empty() || kid.len() > KID_MAX {
            return Err(format!("has an id (kid) that has not 1 to {KID_MAX} bytes"));
        }
        let (material, fitting) = material(key)?;
        let algorithms = fitting.iter().filter(|one| allowed.contains(one));
        let algorithms: Vec<Algorithm> = match key.get("alg") {
            None => algorithms.copied().collect(),
            Some(named) => {
                let named = named.as_str().and_then(Algorithm::from_name);
                algorithms
                    .filter(|one| Some(**one) == named)
                    .copied()
                    .collect()
            }
        };
        if algorithms.is_empty() {
            return Err("is for no algorithm of this issuer".into());
        }
        Ok(Self {
            kid: kid.to_owned(),
            algorithms,
            material,
            gone: AtomicBool::new(false),
        })
    }

    /// The checks that take long.
    fn check_slowly(&self) -> Result<(), String> {
        match &self.material {
            Material::Rsa(n, e) => sound::rsa_parts(n, e),
            _ => Ok(()),
        }
    }
}

/// The key itself, and the algorithms that a key of its kind is for.
fn material(key: &Map<String, Value>) -> Result<(Material, &'static [Algorithm]), String> {
    use Algorithm::{EdDSA, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    let curve = key.get("crv").and_then(Value::as_str).unwrap_or_default();
    match (text(key, "kty")?, curve) {
        ("RSA", _) => {
            let (n, e) = (bytes(key, "n")?, bytes(key, "e")?);
            if n.first() == Some(&0) || e.first() == Some(&0) {
                return Err("has a number that begins with a zero byte".into());
            }
            sound::rsa(&n, &e)?;
            let fitting = &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
            Ok((Material::Rsa(n, e), fitting))
        }
        ("EC", "P-256") => {
            let point = point(key, 32)?;
            sound::p256(&point)?;
            Ok((Material::P256(point), &[Es256]))
        }
        ("EC", "P-384") => {
            let point = point(key, 48)?;
            sound::p384(&point)?;
            Ok((Material::P384(point), &[Es384]))
        }
        ("OKP", "Ed25519") => {
            let x = bytes(key, "x")?;
            sound::ed25519(&x)?;
            Ok((Material::Ed25519(x), &[EdDSA]))
        }
        _ => Err("is of a type (kty, crv) that is not known".into()),
    }
}

/// An uncompressed point (SEC 1 §2.3.3) of coordinates of this size.
fn point(key: &Map<String, Value>, size: usize) -> Result<Vec<u8>, String> {
    let (x, y) = (bytes(key, "x")?, bytes(key, "y")?);
    match x.len() == size && y.len() == size {
        true => Ok([&[4], &*x, &*y].concat()),
        false => Err(format!("has a coordinate that has not {size} bytes")),
    }
}

fn text<'a>(key: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    let text = key.get(name).and_then(Value::as_str);
    text.ok_or_else(|| format!("has no {name}"))
}

fn bytes(key: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD
        .decode(text(key, name)?)
        .map_err(|_| format!("has a member {name} that is not base64url"))
}
