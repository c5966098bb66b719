use super::*;
use crate::key::{Jwk, PrivateKey};
use jsonwebtoken::Header;
use serde_json::json;

const NOW: u64 = 1_000_000;

/// An issuer with one key.
struct Signer {
    name: &'static str,
    key: PrivateKey,
}

impl Signer {
    fn new(name: &'static str) -> Self {
        crate::jwt::install();
        let key = PrivateKey::make(crate::key::Algorithm::EdDSA).unwrap();
        Self { name, key }
    }

    fn jwk(&self) -> Jwk {
        Jwk {
            kid: "key".into(),
            ..self.key.public().jwk()
        }
    }

    fn key_set(&self) -> String {
        json!({"keys": [self.jwk()]}).to_string()
    }

    fn token(&self, claims: Value) -> String {
        let mut all =
            json!({"iss": self.name, "aud": "authkv", "sub": "ann", "iat": NOW, "exp": NOW + 60});
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        let header = Header {
            kid: Some("key".into()),
            typ: Some("at+jwt".into()),
            ..Header::new(jsonwebtoken::Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, &all, &self.key.encoding_key()).unwrap()
    }
}

fn issuers(signers: &[&Signer]) -> Issuers {
    let entry = |signer: &&Signer| {
        json!({
            "issuer": signer.name, "keys": {"file": "x"}, "audience": ["authkv"], "algorithms": ["EdDSA"],
            "login_prefix": format!("{}:", signer.name), "roles_claim": "scope", "roles": {"a": ["x", "y"], "b": "x"},
        })
    };
    let file = json!({"issuers": signers.iter().map(entry).collect::<Vec<_>>()});
    let issuers = Issuers::parse(&file.to_string(), "authkv").unwrap();
    for (issuer, signer) in issuers.iter().zip(signers) {
        issuer.set_keys(&signer.key_set()).unwrap();
    }
    issuers
}

fn login(issuers: &Issuers, token: &str) -> Option<String> {
    let verified = issuers.verify(token, NOW, 30)?;
    verified.ok().map(|accepted| accepted.claims.sub)
}

#[test]
fn a_token_is_one_of_the_issuer_that_it_names() {
    let (one, other) = (Signer::new("one"), Signer::new("other"));
    let issuers = issuers(&[&one, &other]);
    assert_eq!(
        login(&issuers, &one.token(json!({}))).as_deref(),
        Some("one:ann")
    );
    assert_eq!(
        login(&issuers, &other.token(json!({}))).as_deref(),
        Some("other:ann")
    );
    assert_eq!(login(&issuers, &one.token(json!({"iss": "other"}))), None);
    // Not for these to say.
    assert!(issuers
        .verify(&one.token(json!({"iss": "authkv"})), NOW, 30)
        .is_none());
    for odd in ["", ".", "..", "a.b.c", "e30.e30."] {
        assert!(issuers.verify(odd, NOW, 30).is_none(), "{odd}");
    }
}

#[test]
fn times_count_with_the_leeway() {
    let one = Signer::new("one");
    let issuers = issuers(&[&one]);
    for (claims, holds) in [
        (json!({"exp": NOW - 30, "iat": NOW - 60}), true),
        (json!({"exp": NOW - 31, "iat": NOW - 60}), false),
        (json!({"iat": NOW + 30}), true),
        (json!({"iat": NOW + 31}), false),
        (json!({"nbf": NOW + 31}), false),
        (json!({"exp": NOW as f64 + 0.5}), true),
        (json!({"exp": -1}), false),
        (json!({"exp": 1e300}), false),
        (json!({"exp": NOW + 86_400}), true),
        (json!({"exp": NOW + 86_401}), false),
        (json!({"iat": null}), false),
    ] {
        assert_eq!(
            login(&issuers, &one.token(claims.clone())).is_some(),
            holds,
            "{claims}"
        );
    }
}

#[test]
fn a_key_that_is_gone_is_gone_for_what_it_has_verified() {
    let one = Signer::new("one");
    let issuers = issuers(&[&one]);
    let issuer = issuers.iter().next().unwrap();
    let key = issuers
        .verify(&one.token(json!({})), NOW, 30)
        .unwrap()
        .ok()
        .unwrap()
        .key;
    issuer.set_keys(&one.key_set()).unwrap();
    assert!(!key.is_gone());
    assert!(issuer.set_keys("{").is_err());
    assert!(!key.is_gone());
    issuer.set_keys(r#"{"keys":[]}"#).unwrap();
    assert!(key.is_gone());
    assert_eq!(login(&issuers, &one.token(json!({}))), None);
    issuer.set_keys(&one.key_set()).unwrap();
    assert!(key.is_gone());
    assert!(login(&issuers, &one.token(json!({}))).is_some());
}

#[test]
fn a_key_that_is_not_known_is_asked_for_once() {
    use std::sync::atomic::AtomicUsize;
    let one = Signer::new("one");
    let issuers = issuers(&[&one]);
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    issuers.on_unknown_key(Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let issuer = issuers.iter().next().unwrap();
    issuer.set_keys(r#"{"keys":[]}"#).unwrap();
    for _ in 0..3 {
        assert_eq!(login(&issuers, &one.token(json!({}))), None);
    }
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    assert!(issuer.is_wanted() && issuer.take_wanted() && !issuer.is_wanted());
    assert_eq!(
        issuer.take_refused(),
        Some((3, "its key (kid) is not known"))
    );
    assert_eq!(issuer.take_refused(), None);
}

#[test]
fn roles_are_those_of_the_map() {
    let one = Signer::new("one");
    let issuers = issuers(&[&one]);
    let roles = |scope: Value| {
        let token = one.token(json!({"scope": scope}));
        let accepted = issuers.verify(&token, NOW, 30).unwrap().ok().unwrap();
        accepted.claims.outside.as_ref().unwrap().roles.clone()
    };
    assert_eq!(roles(json!("b a c")), ["x", "y"]);
    assert_eq!(roles(json!(["b", 1, null])), ["x"]);
    assert!(roles(json!({"a": true})).is_empty());
    assert!(roles(json!("admin x")).is_empty());
}

#[test]
fn ids_of_revocation_differ_by_issuer_and_kind() {
    let (one, other) = (Signer::new("one"), Signer::new("other"));
    let issuers = issuers(&[&one, &other]);
    let id = |token: &str| {
        let accepted = issuers.verify(token, NOW, 30).unwrap().ok().unwrap();
        accepted.claims.revocation_id().to_owned()
    };
    let ids = [
        id(&one.token(json!({"jti": "a"}))),
        id(&other.token(json!({"jti": "a"}))),
        id(&one.token(json!({"jti": "b"}))),
        id(&one.token(json!({}))),
        id(&one.token(json!({"x": 1}))),
    ];
    let different: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len());
    assert_eq!(id(&one.token(json!({"jti": "a", "x": 2}))), ids[0]);
    // A session has 22 characters, and so has the id of a token of authkv.
    assert!(ids.iter().all(|id| id.len() == 43));
}

#[test]
fn an_unsound_key_is_left_out_and_said() {
    let one = Signer::new("one");
    let issuers = issuers(&[&one]);
    let issuer = issuers.iter().next().unwrap();
    let with = |more: Value| {
        let mut key = serde_json::to_value(one.jwk()).unwrap();
        key.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"keys": [key]}).to_string()
    };
    for (more, said) in [
        (json!({"use": "enc"}), "(use)"),
        (json!({"key_ops": ["sign"]}), "(key_ops)"),
        (json!({"alg": "RS256"}), "no algorithm"),
        (
            json!({"x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
            "small order",
        ),
        (json!({"kty": "oct", "k": "AA"}), "shared"),
        (json!({"d": "AA"}), "private"),
    ] {
        let set = issuer.set_keys(&with(more)).unwrap();
        assert_eq!(set.len(), 0);
        assert!(set.left_out[0].contains(said), "{:?}", set.left_out);
    }
    assert_eq!(
        issuer
            .set_keys(&with(json!({"key_ops": ["verify"]})))
            .unwrap()
            .len(),
        1
    );
}
