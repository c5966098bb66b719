//! The algorithms of signatures of other issuers. Pure.

use ring::signature::{self, RsaParameters, VerificationAlgorithm};

/// An algorithm that a key of another issuer may be used for. There are more than for authkv's own keys, because their issuers
/// choose them. There is no `none` and no secret that both sides share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 7518 §3.3.
    Rs256,
    Rs384,
    Rs512,
    /// RFC 7518 §3.5.
    Ps256,
    Ps384,
    Ps512,
    /// RFC 7518 §3.4.
    Es256,
    Es384,
    /// RFC 8037 §3.1, on Ed25519.
    EdDSA,
}

/// How `ring` verifies a signature.
pub enum Verifier {
    Rsa(&'static RsaParameters),
    Curve(&'static dyn VerificationAlgorithm),
}

impl Algorithm {
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDSA,
    ];

    /// The name in the header of a token and in a key.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Finds an algorithm by its name. Names have one case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    pub fn verifier(self) -> Verifier {
        match self {
            Self::Rs256 => Verifier::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Verifier::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Verifier::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Verifier::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Verifier::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Verifier::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Self::Es256 => Verifier::Curve(&signature::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Verifier::Curve(&signature::ECDSA_P384_SHA384_FIXED),
            Self::EdDSA => Verifier::Curve(&signature::ED25519),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_known_by_its_exact_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        for other in ["", "none", "HS256", "rs256", "RS1", "ES512", "ES256K"] {
            assert_eq!(Algorithm::from_name(other), None, "{other}");
        }
    }
}
