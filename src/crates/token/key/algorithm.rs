//! The algorithms of keys and signatures. Pure.

use rsa::pkcs8::der::asn1::AnyRef;
use rsa::pkcs8::spki::AlgorithmIdentifierRef;
use rsa::pkcs8::ObjectIdentifier;
use serde::Serialize;
use utoipa::ToSchema;

/// RFC 8017 §A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 5480 §2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 5480 §2.1.1.1.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// RFC 8410 §3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

// The one algorithm for which a key may be used. No doc comment, because that would be in the OpenAPI document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    #[serde(rename = "ES256")]
    Es256,
    /// EdDSA on Ed25519 (RFC 8037 §3.1).
    EdDSA,
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDSA];

    /// The name in the header of a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Finds an algorithm by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The algorithm of a key in PKCS #8 or SPKI.
    pub(super) fn of(identifier: &AlgorithmIdentifierRef) -> Option<Self> {
        match identifier.oid {
            RSA => Some(Self::Rs256),
            EC if identifier.parameters_oid() == Ok(P256) => Some(Self::Es256),
            ED25519 => Some(Self::EdDSA),
            _ => None,
        }
    }

    /// The algorithm identifier for a key in PKCS #8 or SPKI.
    pub(super) fn identifier(self) -> AlgorithmIdentifierRef<'static> {
        let (oid, parameters) = match self {
            Self::Rs256 => (RSA, Some(AnyRef::NULL)),
            Self::Es256 => (EC, Some(AnyRef::from(&P256))),
            Self::EdDSA => (ED25519, None),
        };
        AlgorithmIdentifierRef { oid, parameters }
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Es256 => Self::ES256,
            Algorithm::EdDSA => Self::EdDSA,
        }
    }
}

impl TryFrom<jsonwebtoken::Algorithm> for Algorithm {
    type Error = ();

    fn try_from(algorithm: jsonwebtoken::Algorithm) -> Result<Self, ()> {
        let same = |known: &Self| jsonwebtoken::Algorithm::from(*known) == algorithm;
        Self::ALL.into_iter().find(same).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_known_by_its_name_and_by_its_identifier() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(Algorithm::of(&algorithm.identifier()), Some(algorithm));
            assert_eq!(
                format!("{:?}", jsonwebtoken::Algorithm::from(algorithm)),
                algorithm.name()
            );
        }
        for other in ["", "none", "rs256", "RS384", "HS256", "ES384"] {
            assert_eq!(Algorithm::from_name(other), None, "{other}");
        }
        use jsonwebtoken::Algorithm as Any;
        for other in [Any::HS256, Any::RS384, Any::PS256, Any::ES384] {
            assert_eq!(Algorithm::try_from(other), Err(()));
        }
    }
}
