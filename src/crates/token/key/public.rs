//! Public keys, which verify tokens. Pure.

use super::{pem, sound, Algorithm, Jwk};
use jsonwebtoken::DecodingKey;
use rsa::pkcs1::{self, DecodeRsaPublicKey};
use rsa::pkcs8::der::asn1::BitStringRef;
use rsa::pkcs8::der::{Decode, Encode};
use rsa::pkcs8::spki::SubjectPublicKeyInfoRef;
use rsa::RsaPublicKey;

const WRONG: &str = "is not a public key in PEM: RSA, EC P-256 or Ed25519";

/// A key that verifies. Errors are phrases that follow the name of the key or its file.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// In the form of `ring`: PKCS #1 DER for RSA, the uncompressed point for P-256, the 32 bytes for Ed25519.
    bytes: Vec<u8>,
    /// SPKI in DER.
    spki: Vec<u8>,
    jwk: Jwk,
}

impl PublicKey {
    /// Makes a key from the bytes in the form of `ring`.
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, String> {
        let jwk = match (algorithm, bytes) {
            (Algorithm::Rs256, der) => rsa(der)?,
            // SEC 1 §2.3.3: an uncompressed point begins with 4.
            (Algorithm::Es256, [4, point @ ..]) if point.len() == 64 => {
                sound::p256(bytes)?;
                let (x, y) = point.split_at(32);
                Jwk::p256(x, y)
            }
            (Algorithm::Es256, [2 | 3, ..]) => {
                return Err("is an EC key whose point is compressed".into())
            }
            (Algorithm::Es256, _) => return Err("is an EC key that is no point of P-256".into()),
            (Algorithm::EdDSA, bytes) => {
                sound::ed25519(bytes)?;
                Jwk::ed25519(bytes)
            }
        };
        let spki = BitStringRef::from_bytes(bytes)
            .and_then(|subject_public_key| {
                let algorithm = algorithm.identifier();
                let key = SubjectPublicKeyInfoRef {
                    algorithm,
                    subject_public_key,
                };
                key.to_der()
            })
            .map_err(|e| format!("cannot be encoded: {e}"))?;
        Ok(Self {
            algorithm,
            bytes: bytes.to_vec(),
            spki,
            jwk,
        })
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The thumbprint of the key (RFC 7638), which the header of a token names: 43 letters, digits, `-` and `_`.
    pub fn id(&self) -> &str {
        &self.jwk.kid
    }

    pub fn jwk(&self) -> Jwk {
        self.jwk.clone()
    }

    /// The key in SPKI.
    pub fn to_pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.spki)
    }

    /// Reads a text with one key in SPKI or PKCS #1 (RSA).
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let mut keys = Self::all_from_pem(text)?;
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => Ok(key),
            _ => Err("should hold one public key only".into()),
        }
    }

    /// Reads a text with one or more keys.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, String> {
        let blocks = pem::blocks(text).unwrap_or_default();
        match blocks.is_empty() {
            true => Err(WRONG.into()),
            false => blocks.iter().map(Self::from_block).collect(),
        }
    }

    fn from_block(block: &pem::Block) -> Result<Self, String> {
        if block.label == "RSA PUBLIC KEY" {
            return Self::new(Algorithm::Rs256, &block.der);
        }
        let key = SubjectPublicKeyInfoRef::from_der(&block.der)
            .ok()
            .filter(|_| block.label == "PUBLIC KEY")
            .ok_or(WRONG)?;
        let algorithm = Algorithm::of(&key.algorithm).ok_or(WRONG)?;
        Self::new(algorithm, key.subject_public_key.as_bytes().ok_or(WRONG)?)
    }

    /// The checks that take too long for the tx thread.
    pub fn check_slowly(&self) -> Result<(), String> {
        match self.algorithm {
            Algorithm::Rs256 => {
                let key = RsaPublicKey::from_pkcs1_der(&self.bytes).map_err(|_| WRONG)?;
                sound::rsa_composite(&key)
            }
            Algorithm::Es256 | Algorithm::EdDSA => Ok(()),
        }
    }

    /// The key in the form of `jsonwebtoken`, for the provider in `jwt`.
    pub fn decoding_key(&self) -> DecodingKey {
        match self.algorithm {
            Algorithm::Rs256 => DecodingKey::from_rsa_der(&self.bytes),
            Algorithm::Es256 => DecodingKey::from_ec_der(&self.bytes),
            Algorithm::EdDSA => DecodingKey::from_ed_der(&self.bytes),
        }
    }
}

/// Reads an RSA key in PKCS #1 DER.
fn rsa(der: &[u8]) -> Result<Jwk, String> {
    let key = pkcs1::RsaPublicKey::from_der(der).map_err(|_| WRONG)?;
    let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
    sound::rsa(n, e)?;
    Ok(Jwk::rsa(n, e))
}

#[cfg(test)]
mod tests {
    use super::super::samples::samples;
    use super::*;

    #[test]
    fn a_key_is_read_and_written_as_openssl_does() {
        let s = samples();
        for (algorithm, text) in [
            (Algorithm::Rs256, &s.rsa_public),
            (Algorithm::Es256, &s.ec_public),
            (Algorithm::EdDSA, &s.ed_public),
        ] {
            let key = PublicKey::from_pem(text).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(&key.to_pem(), text);
            assert_eq!(key.jwk().kid, key.id());
        }
        let (spki, pkcs1) = (&s.rsa_public, &s.rsa_public_pkcs1);
        let id = |text| PublicKey::from_pem(text).unwrap().id().to_owned();
        assert_eq!(id(spki), id(pkcs1));
    }

    #[test]
    fn a_text_may_hold_several_keys() {
        let s = samples();
        let text = [&*s.rsa_public, &*s.ed_public, &*s.ec_public].concat();
        let keys = PublicKey::all_from_pem(&text).unwrap();
        let written: String = keys.iter().map(PublicKey::to_pem).collect();
        assert_eq!(written, text);
        assert!(PublicKey::from_pem(&text).is_err());
    }

    #[test]
    fn what_is_no_key_to_verify_with_is_refused() {
        let s = samples();
        for (text, error) in [
            ("", WRONG),
            ("another", WRONG),
            (&s.ed, WRONG),
            (&[&*s.ed_public, &*s.ed].concat(), WRONG),
            (&s.p384_public, WRONG),
            (&s.ec_public_compressed, "compressed"),
            (
                &s.short_public,
                "has 1024 bits, but should have 2048 to 4096",
            ),
        ] {
            let said = PublicKey::all_from_pem(text).err().unwrap();
            assert!(said.contains(error), "{said}");
        }
    }
}
