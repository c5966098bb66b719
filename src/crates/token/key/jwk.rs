//! Public keys as JSON Web Keys (RFC 7517), and their thumbprints. Pure.

use super::Algorithm;
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use ring::digest::{digest, SHA256};
use serde::Serialize;

/// A public key that verifies tokens. Members that this kind of key does not have are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Jwk {
    pub kty: &'static str,
    #[serde(rename = "use")]
    pub usage: &'static str,
    pub alg: &'static str,
    /// The thumbprint of the key (RFC 7638).
    pub kid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
}

impl Jwk {
    /// From the modulus and the exponent, without leading zeros (RFC 7518 §6.3.1).
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Self {
        let (n, e) = (text(n), text(e));
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        Self {
            n: Some(n),
            e: Some(e),
            ..Self::of(Algorithm::Rs256, "RSA", None, &members)
        }
    }

    /// From the coordinates, 32 bytes each (RFC 7518 §6.2.1).
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Self {
        let (x, y) = (text(x), text(y));
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Self {
            x: Some(x),
            y: Some(y),
            ..Self::of(Algorithm::Es256, "EC", Some("P-256"), &members)
        }
    }

    /// From the 32 bytes of the key (RFC 8037 §2).
    pub(super) fn ed25519(x: &[u8]) -> Self {
        let x = text(x);
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self {
            x: Some(x),
            ..Self::of(Algorithm::EdDSA, "OKP", Some("Ed25519"), &members)
        }
    }

    /// `members`: the members required by RFC 7638 §3.2, in its order, without white space.
    fn of(alg: Algorithm, kty: &'static str, crv: Option<&'static str>, members: &str) -> Self {
        Self {
            kty,
            usage: "sig",
            alg: alg.name(),
            kid: text(digest(&SHA256, members.as_bytes()).as_ref()),
            crv,
            ..Self::default()
        }
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn a_key_is_named_as_the_standards_do() {
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let rsa = Jwk::rsa(&bytes(n), &bytes("AQAB"));
        assert_eq!(rsa.kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 §A.2 and §A.3.
        let ed = Jwk::ed25519(&bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
        assert_eq!(ed.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // The key of RFC 7517 §A.1. Another implementation made its thumbprint.
        let ec = Jwk::p256(
            &bytes("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"),
            &bytes("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
        );
        assert_eq!(ec.kid, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    }

    #[test]
    fn members_that_a_key_does_not_have_are_absent() {
        let json = |key: &Jwk| serde_json::to_value(key).unwrap();
        let rsa = Jwk::rsa(&[5, 6], &[1, 0, 1]);
        assert_eq!(
            json(&rsa),
            serde_json::json!({
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": rsa.kid, "n": "BQY", "e": "AQAB"
            })
        );
        let ec = Jwk::p256(&[1], &[2]);
        assert_eq!(
            json(&ec),
            serde_json::json!({
                "kty": "EC", "use": "sig", "alg": "ES256", "kid": ec.kid, "crv": "P-256", "x": "AQ", "y": "Ag"
            })
        );
        let ed = Jwk::ed25519(&[3]);
        assert_eq!(
            json(&ed),
            serde_json::json!({
                "kty": "OKP", "use": "sig", "alg": "EdDSA", "kid": ed.kid, "crv": "Ed25519", "x": "Aw"
            })
        );
    }
}
