//! RS256 by `ring` for `jsonwebtoken`, through its `CryptoProvider`. Any thread but tx.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{UnparsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
use signature::{Signer, Verifier};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        require_rs256(algorithm)?;
        let key = KeyPair::from_der(key.as_bytes())
            .map_err(|rejected| ErrorKind::InvalidRsaKey(rejected.to_string()))?;
        Ok(Box::new(RingSigner(key)))
    },
    verifier_factory: |algorithm, key| {
        require_rs256(algorithm)?;
        Ok(Box::new(RingVerifier(key.try_get_as_bytes()?.to_vec())))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes `jsonwebtoken` use `ring` in this library. Later calls change nothing.
pub fn install() {
    // An error means that it has been installed before.
    let _ = RING.install_default();
}

fn require_rs256(algorithm: &Algorithm) -> Result<(), Error> {
    match algorithm {
        Algorithm::RS256 => Ok(()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// Takes an RSA private key in PKCS #1 DER.
struct RingSigner(KeyPair);

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| signature::Error::new())?;
        Ok(signature)
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// Takes an RSA public key in PKCS #1 DER.
struct RingVerifier(Vec<u8>);

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0)
            .verify(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// The key as `jsonwebtoken` holds it for signing, from PKCS #1 DER.
pub fn signing_key(der: &[u8]) -> EncodingKey {
    EncodingKey::from_rsa_der(der)
}

/// The key as `jsonwebtoken` holds it for verifying, from PKCS #1 DER.
pub fn verifying_key(der: &[u8]) -> DecodingKey {
    DecodingKey::from_rsa_der(der)
}
