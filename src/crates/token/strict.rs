//! Checks of the form of a token that `jsonwebtoken` does not make. Pure; any thread.

use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::HashSet;
use std::fmt;

/// The required members of a token's header. Any other member refuses the token, because a verifier would have to understand it
/// (`crit`, RFC 7515 §4.1.11) or fetch something (`jku`, `x5u`, `jwk`, RFC 8725 §3.10).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// `jsonwebtoken` compares it with the algorithm of the key.
    #[serde(rename = "alg")]
    _alg: String,
    typ: String,
    kid: String,
}

/// An object without repeated names (RFC 7519 §4).
struct Unique;

/// The key id of a token of type `typ`, or `None` if the token does not have the form that authkv issues: the parts are
/// canonical base64url (RFC 7515 §2) of UTF-8 objects without repeated members. Does not verify the signature.
pub fn kid(token: &str, typ: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (header, payload) = (part(parts.next()?)?, part(parts.next()?)?);
    let header: Header = serde_json::from_str(&header).ok()?;
    serde_json::from_str::<Unique>(&payload).ok()?;
    (header.typ == typ).then_some(header.kid)
}

/// The decoder refuses padding, white space and stray bits at the end.
fn part(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut names = HashSet::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    if !names.insert(name) {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                }
                Ok(Unique)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_that_is_issued_is_taken() {
        let good = r#"{"alg":"RS256","typ":"at+jwt","kid":"k"}"#;
        for (header, payload, found) in [
            (good, r#"{"sub":"a","x":1}"#, Some("k")),
            (good, r#"{"sub":"a","sub":"a"}"#, None),
            (good, r#"{"x":1,"\u0078":2}"#, None),
            (good, "[]", None),
            (r#"{"alg":"RS256","typ":"JWT","kid":"k"}"#, "{}", None),
            (r#"{"alg":"RS256","typ":"at+jwt"}"#, "{}", None),
            (
                r#"{"alg":"RS256","typ":"at+jwt","kid":"k","kid":"k"}"#,
                "{}",
                None,
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","kid":"k","crit":[]}"#,
                "{}",
                None,
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","kid":"k","jku":""}"#,
                "{}",
                None,
            ),
        ] {
            let [one, two] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
            let seen = kid(&format!("{one}.{two}.c2ln"), "at+jwt");
            assert_eq!(seen.as_deref(), found, "{header} {payload}");
        }
        let one = URL_SAFE_NO_PAD.encode(good);
        assert_eq!(kid(&format!("{one}.gICA.c2ln"), "at+jwt"), None);
        assert_eq!(kid(&format!("{one}=.e30.c2ln"), "at+jwt"), None);
    }
}
