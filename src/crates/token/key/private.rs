//! Private keys, which sign tokens: makes, reads and writes them. RSA is slow: keep it off the tx thread of a started instance.

use super::{pem, sound, Algorithm, PublicKey};
use jsonwebtoken::EncodingKey;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, ECDSA_P256_SHA256_FIXED_SIGNING as P256,
};
use rsa::pkcs1::{self, DecodeRsaPrivateKey, EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs8::der::asn1::OctetStringRef;
use rsa::pkcs8::der::{Decode, Encode};
use rsa::pkcs8::PrivateKeyInfo;
use rsa::RsaPrivateKey;
use sec1::EcPrivateKey;
use std::fmt::Display;
use zeroize::Zeroizing;

/// Bits of a new RSA key.
const BITS: usize = 3072;
const WRONG: &str = "is not a private key in PEM: RSA, EC P-256 or Ed25519, not encrypted";

/// A key that signs. Errors are phrases that follow the name of the key or its file, and never quote the key.
pub struct PrivateKey {
    /// PKCS #8 DER of version 1 (RFC 5958), always the same for the same key.
    der: Zeroizing<Vec<u8>>,
    /// The offset of the key itself in `der`, in the form of its algorithm.
    inner: usize,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a new key. Takes some seconds for RSA.
    pub fn make(algorithm: Algorithm) -> Result<Self, String> {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::Rs256 => {
                let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS).map_err(failed)?;
                let der = key.to_pkcs1_der().map_err(failed)?;
                Self::read(algorithm, der.as_bytes())
            }
            Algorithm::Es256 => {
                let der = EcdsaKeyPair::generate_pkcs8(&P256, &random).map_err(failed)?;
                let info = PrivateKeyInfo::from_der(der.as_ref()).map_err(failed)?;
                Self::read(algorithm, info.private_key)
            }
            Algorithm::EdDSA => {
                // RFC 8032 §5.1.5: a private key is any 32 bytes.
                let mut seed = Zeroizing::new([0; 32]);
                random.fill(&mut *seed).map_err(failed)?;
                let der = OctetStringRef::new(&*seed).and_then(|seed| seed.to_der());
                Self::read(algorithm, &Zeroizing::new(der.map_err(failed)?))
            }
        }
    }

    /// Reads a text with one key in PKCS #8, PKCS #1 (RSA) or SEC 1 (EC).
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let mut blocks = pem::blocks(text).unwrap_or_default();
        // `openssl ecparam` writes this block before a key, but the key names its curve itself.
        blocks.retain(|block| block.label != "EC PARAMETERS");
        let [block] = &blocks[..] else {
            return Err(WRONG.into());
        };
        match &*block.label {
            "RSA PRIVATE KEY" => Self::read(Algorithm::Rs256, &block.der),
            "EC PRIVATE KEY" => Self::read(Algorithm::Es256, &block.der),
            "PRIVATE KEY" => {
                let info = PrivateKeyInfo::from_der(&block.der).map_err(|_| WRONG)?;
                let algorithm = Algorithm::of(&info.algorithm).ok_or(WRONG)?;
                let key = Self::read(algorithm, info.private_key)?;
                let public = info.public_key.map(|it| PublicKey::new(algorithm, it));
                match public.transpose()? {
                    Some(public) if public.id() != key.public.id() => Err(WRONG.into()),
                    _ => Ok(key),
                }
            }
            _ => Err(WRONG.into()),
        }
    }

    /// Reads a key in the form of its algorithm: PKCS #1 (RFC 8017 §A.1.2), SEC 1 (RFC 5915 §3), or an octet string (RFC 8410
    /// §7).
    fn read(algorithm: Algorithm, inner: &[u8]) -> Result<Self, String> {
        let (inner, public) = match algorithm {
            Algorithm::Rs256 => rsa(inner)?,
            Algorithm::Es256 => p256(inner)?,
            Algorithm::EdDSA => ed25519(inner)?,
        };
        let info = PrivateKeyInfo::new(algorithm.identifier(), &inner);
        let der = Zeroizing::new(info.to_der().map_err(failed)?);
        let public = PublicKey::new(algorithm, &public)?;
        // Checks that the parts fit together and that `ring` can sign with the key.
        let fits = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(&der).map(drop),
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&P256, &der, &SystemRandom::new()).map(drop)
            }
            Algorithm::EdDSA => Ok(()),
        };
        fits.map_err(|why| format!("is a key whose parts do not fit together: {why}"))?;
        Ok(Self {
            inner: der.len() - inner.len(),
            der,
            public,
        })
    }

    /// The key in PKCS #8.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::encode("PRIVATE KEY", &self.der))
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key in the form of `jsonwebtoken`, for the provider in `jwt`.
    pub fn encoding_key(&self) -> EncodingKey {
        match self.public.algorithm() {
            Algorithm::Rs256 => EncodingKey::from_rsa_der(&self.der),
            Algorithm::Es256 => EncodingKey::from_ec_der(&self.der),
            Algorithm::EdDSA => EncodingKey::from_ed_der(&self.der),
        }
    }

    /// 32 bytes that only holders of this key can compute. The same purpose always gives the same bytes.
    pub fn derive(&self, purpose: &[u8]) -> [u8; 32] {
        let secret = self.der.get(self.inner..).unwrap_or(&self.der);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }
}

/// The private key in a canonical form of its algorithm, and its public half in the form of `ring`.
type Halves = (Zeroizing<Vec<u8>>, Vec<u8>);

fn rsa(inner: &[u8]) -> Result<Halves, String> {
    let given = pkcs1::RsaPrivateKey::from_der(inner).map_err(|_| WRONG)?;
    // Comes first, because the crate `rsa` rejects such keys without saying why.
    sound::rsa(given.modulus.as_bytes(), given.public_exponent.as_bytes())?;
    let key = RsaPrivateKey::from_pkcs1_der(inner).map_err(|_| WRONG)?;
    let public = key.to_public_key().to_pkcs1_der().map_err(failed)?;
    let inner = key.to_pkcs1_der().map_err(failed)?.to_bytes();
    Ok((inner, public.into_vec()))
}

fn p256(inner: &[u8]) -> Result<Halves, String> {
    let key = EcPrivateKey::from_der(inner).map_err(|_| WRONG)?;
    let public = key
        .public_key
        .ok_or("is an EC key without its public half")?;
    let one_form = EcPrivateKey {
        parameters: None,
        ..key
    };
    let inner = one_form.to_der().map_err(failed)?;
    Ok((Zeroizing::new(inner), public.to_vec()))
}

fn ed25519(inner: &[u8]) -> Result<Halves, String> {
    let seed = OctetStringRef::from_der(inner).map_err(|_| WRONG)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_bytes()).map_err(|_| WRONG)?;
    let inner = Zeroizing::new(inner.to_vec());
    Ok((inner, pair.public_key().as_ref().to_vec()))
}

fn failed(e: impl Display) -> String {
    format!("cannot be made or encoded: {e}")
}

#[cfg(test)]
mod tests {
    use super::super::samples::samples;
    use super::*;

    #[test]
    fn a_key_is_read_as_openssl_makes_it() {
        let s = samples();
        for (text, public, written) in [
            (&s.rsa, &s.rsa_public, &s.rsa),
            (&s.rsa_pkcs1, &s.rsa_public, &s.rsa),
            (&s.ec, &s.ec_public, &s.ec),
            (&s.ec_sec1, &s.ec_public, &s.ec),
            (&s.ed, &s.ed_public, &s.ed),
        ] {
            let key = PrivateKey::from_pem(text).unwrap();
            assert_eq!(&key.public().to_pem(), public);
            assert_eq!(&*key.to_pem(), written);
        }
    }

    #[test]
    fn a_key_that_is_made_is_read_again_and_derives_the_same() {
        for algorithm in Algorithm::ALL {
            let made = PrivateKey::make(algorithm).unwrap();
            let read = PrivateKey::from_pem(&made.to_pem()).unwrap();
            assert_eq!(made.public().algorithm(), algorithm);
            assert_eq!(made.public().id(), read.public().id());
            assert_eq!(made.to_pem(), read.to_pem());
            assert_eq!(made.derive(b"x"), read.derive(b"x"));
            assert_ne!(made.derive(b"x"), made.derive(b"y"));
        }
    }

    #[test]
    fn a_public_half_beside_an_ed25519_key_must_be_its_own() {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let text = |der: &[u8]| pem::encode("PRIVATE KEY", der);
        let key = PrivateKey::from_pem(&text(made.as_ref())).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap();
        let public = PublicKey::new(Algorithm::EdDSA, pair.public_key().as_ref()).unwrap();
        assert_eq!(key.public().id(), public.id());
        let mut der = made.as_ref().to_vec();
        *der.last_mut().unwrap() ^= 1;
        assert!(PrivateKey::from_pem(&text(&der)).is_err());
    }

    #[test]
    fn an_rsa_key_derives_from_its_pkcs1_form() {
        let s = samples();
        let der = &pem::blocks(&s.rsa_pkcs1).unwrap()[0].der;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, der), b"x");
        let key = PrivateKey::from_pem(&s.rsa).unwrap();
        assert_eq!(key.derive(b"x"), tag.as_ref());
    }

    #[test]
    fn what_is_no_key_to_sign_with_is_refused_without_showing_it() {
        let s = samples();
        let halves = pem::blocks(&s.ec_sec1).unwrap().remove(1).der;
        // SEC 1, C.4: the private half begins after seven bytes, and the point is at the end.
        let changed = |at: usize| {
            let mut halves = halves.clone();
            halves[at] ^= 1;
            pem::encode("EC PRIVATE KEY", &halves)
        };
        for (text, error) in [
            ("", WRONG),
            ("another", WRONG),
            (&s.ed_public, WRONG),
            (&s.p384, WRONG),
            (&changed(7), "do not fit together"),
            (&changed(halves.len() - 1), "not on the curve P-256"),
            (&[&*s.ed, &*s.ec].concat(), WRONG),
            (
                &s.ec
                    .replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE")
                    .replace("END PRIVATE", "END RSA PRIVATE"),
                WRONG,
            ),
            (&s.ec_alone, "without its public half"),
            (&s.short, "has 1024 bits, but should have 2048 to 4096"),
        ] {
            let said = PrivateKey::from_pem(text).err().unwrap();
            assert!(said.contains(error), "{said}");
        }
    }
}
