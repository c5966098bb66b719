//! Signatures of tokens by `ring` for `jsonwebtoken`, through its `CryptoProvider`. Any thread but tx.
//!
//! Each key has one algorithm, and verification uses the algorithm of the key, not of the token (RFC 8725 §3.1). A key of
//! another kind than the algorithm is refused here too.

use super::key::Algorithm;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{AlgorithmFamily, DecodingKey, EncodingKey};
use ring::error::{KeyRejected, Unspecified};
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    EcdsaKeyPair, Ed25519KeyPair, UnparsedPublicKey, VerificationAlgorithm,
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256,
};
use signature::{Signer, Verifier};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(RingSigner::new(algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(RingVerifier::new(algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes `jsonwebtoken` use `ring` in this library. Later calls change nothing.
pub fn install() {
    // An error means that it was installed before.
    let _ = RING.install_default();
}

/// The algorithm, if authkv supports it and the key is of its kind.
fn offered(
    algorithm: &jsonwebtoken::Algorithm,
    key: AlgorithmFamily,
) -> Result<Algorithm, ErrorKind> {
    Algorithm::try_from(*algorithm)
        .ok()
        .filter(|_| algorithm.family() == key)
        .ok_or(ErrorKind::InvalidAlgorithm)
}

/// Signs with a private key in PKCS #8 DER.
enum RingSigner {
    Rs256(rsa::KeyPair),
    Es256(EcdsaKeyPair),
    EdDSA(Ed25519KeyPair),
}

impl RingSigner {
    fn new(algorithm: &jsonwebtoken::Algorithm, key: &EncodingKey) -> Result<Self, Error> {
        let der = key.as_bytes();
        let signer = match offered(algorithm, key.family())? {
            Algorithm::Rs256 => rsa::KeyPair::from_pkcs8(der).map(Self::Rs256),
            Algorithm::Es256 => {
                let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
                EcdsaKeyPair::from_pkcs8(kind, der, &random).map(Self::Es256)
            }
            // "Maybe unchecked", because the key comes without its public half.
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::EdDSA),
        };
        signer.map_err(|_: KeyRejected| ErrorKind::InvalidKeyFormat.into())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
            Self::Es256(key) => Ok(key.sign(&random, message)?.as_ref().to_vec()),
            Self::EdDSA(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        self.sign(message).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256(_) => Algorithm::Rs256,
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDSA(_) => Algorithm::EdDSA,
        }
        .into()
    }
}

/// Verifies with a public key in the form of `ring`.
struct RingVerifier {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

impl RingVerifier {
    fn new(algorithm: &jsonwebtoken::Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        let algorithm = offered(algorithm, key.family())?;
        let kind: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::EdDSA => &ED25519,
        };
        Ok(Self {
            algorithm,
            key: UnparsedPublicKey::new(kind, key.try_get_as_bytes()?.to_vec()),
        })
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.key
            .verify(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm.into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::samples::samples;
    use super::super::key::{PrivateKey, PublicKey};
    use super::*;
    use jsonwebtoken::{Header, Validation};
    use serde_json::{json, Value};

    fn keys() -> [PrivateKey; 3] {
        let s = samples();
        install();
        [&s.rsa, &s.ec, &s.ed].map(|text| PrivateKey::from_pem(text).unwrap())
    }

    fn signed(key: &PrivateKey) -> String {
        let header = Header::new(key.public().algorithm().into());
        let claims = json!({"exp": 1u64 << 40, "sub": "alice"});
        jsonwebtoken::encode(&header, &claims, &key.encoding_key()).unwrap()
    }

    fn holds(token: &str, key: &PublicKey, algorithm: Algorithm) -> bool {
        let validation = Validation::new(algorithm.into());
        jsonwebtoken::decode::<Value>(token, &key.decoding_key(), &validation).is_ok()
    }

    #[test]
    fn a_token_holds_with_its_key_and_algorithm_only() {
        let keys = keys();
        for (i, signing) in keys.iter().enumerate() {
            let token = signed(signing);
            for (j, verifying) in keys.iter().map(PrivateKey::public).enumerate() {
                for algorithm in Algorithm::ALL {
                    let same = i == j && algorithm == verifying.algorithm();
                    assert_eq!(holds(&token, verifying, algorithm), same);
                }
            }
            let public = signing.public();
            let algorithm = public.algorithm();
            let other = PrivateKey::make(Algorithm::EdDSA).unwrap();
            assert!(!holds(&token, other.public(), algorithm));
            let half = token.rfind('.').unwrap() + 3;
            let (start, end) = token.split_at(half);
            let changed = if end.starts_with('A') { 'B' } else { 'A' };
            let forged = format!("{start}{changed}{}", &end[1..]);
            assert!(!holds(&forged, public, algorithm));
            assert!(!holds(&token[..token.len() - 4], public, algorithm));
        }
    }

    #[test]
    fn no_other_algorithm_is_offered() {
        use jsonwebtoken::Algorithm as Any;
        for key in keys() {
            for other in [Any::HS256, Any::RS384, Any::PS256, Any::ES384] {
                let (signing, verifying) = (key.encoding_key(), key.public().decoding_key());
                assert!(RingSigner::new(&other, &signing).is_err());
                assert!(RingVerifier::new(&other, &verifying).is_err());
            }
        }
    }
}
