//! Tests of access tokens.

use super::*;
use crate::key::{Algorithm, PrivateKey};
use crate::ring::RingKey;

fn settings() -> Settings {
    Settings {
        issuer: "authkv".to_owned(),
        audience: "authkv".to_owned(),
        ttl: Duration::from_secs(1800),
        leeway: Duration::from_secs(30),
        cache: 100,
    }
}

fn tokens(settings: Settings) -> Tokens {
    let key = PrivateKey::make(Algorithm::Es256).unwrap();
    let tokens = Tokens::new(settings);
    let key = RingKey::permanent(key.public().clone(), Some(key.encoding_key()));
    tokens.set_ring(Ring::new(vec![key]));
    tokens
}

fn issue(tokens: &Tokens) -> String {
    let bearer = Bearer {
        login: "alice",
        epoch: 0,
        session: None,
    };
    tokens.issue(&bearer).unwrap().recorded().text
}

#[test]
fn a_token_is_valid_where_its_key_is_known_and_nowhere_else() {
    let (ours, others) = (tokens(settings()), tokens(settings()));
    let token = issue(&ours);
    assert!(matches!(ours.known(&token), Known::New));
    let claims = ours.verify(&token).unwrap();
    assert_eq!(
        (&*claims.sub, &*claims.username, &*claims.email),
        ("alice", "alice", "alice")
    );
    assert_eq!(claims.exp, claims.iat + 1800);
    assert!(matches!(ours.known(&token), Known::Valid(_)));
    assert!(others.verify(&token).is_none());
    let half = token.len() / 2;
    for broken in [
        "",
        "a.b.c",
        &token[1..],
        &token[..half],
        &token.replace('.', ","),
        &"x".repeat(9000),
    ] {
        assert!(ours.verify(broken).is_none());
    }
}

#[test]
fn what_another_has_verified_is_not_known() {
    let key = PrivateKey::make(Algorithm::Es256).unwrap();
    let [ours, others] = ["ours", "others"].map(|issuer| {
        let tokens = tokens(Settings {
            issuer: issuer.to_owned(),
            ..settings()
        });
        let key = RingKey::permanent(key.public().clone(), Some(key.encoding_key()));
        tokens.set_ring(Ring::new(vec![key]));
        tokens
    });
    let token = issue(&ours);
    assert!(ours.verify(&token).is_some());
    assert!(matches!(ours.known(&token), Known::Valid(_)));
    assert!(matches!(others.known(&token), Known::New));
    assert!(others.verify(&token).is_none());
}

#[test]
fn a_remembered_token_expires_too() {
    let tokens = tokens(Settings {
        ttl: Duration::from_secs(1),
        leeway: Duration::ZERO,
        ..settings()
    });
    let token = issue(&tokens);
    let claims = tokens.verify(&token).unwrap();
    while now() <= claims.exp {
        std::thread::yield_now();
    }
    assert!(matches!(tokens.known(&token), Known::Invalid));
    assert!(tokens.verify(&token).is_none());
}

#[test]
fn a_remembered_token_is_not_valid_before_it_begins() {
    let tokens = tokens(settings());
    let token = issue(&tokens);
    let claims = tokens.verify(&token).unwrap();
    for (nbf, valid) in [(claims.nbf + 25, true), (claims.nbf + 600, false)] {
        let claims = Claims {
            nbf,
            ..Claims::clone(&claims)
        };
        let verified = Verified {
            by: tokens.number,
            claims: Arc::new(claims),
            key: Signer::Own(tokens.signing_key().unwrap()),
        };
        tokens
            .verified
            .insert(digest_of(&token), Arc::new(verified));
        RECENT.set(Recent::EMPTY);
        assert_eq!(matches!(tokens.known(&token), Known::Valid(_)), valid);
        assert_eq!(tokens.verify(&token).is_some(), valid);
    }
}

#[test]
fn authorization_is_two_words() {
    for (text, token) in [
        ("Bearer abc", Some("abc")),
        ("bEaReR abc", Some("abc")),
        (" Bearer\t abc\n", Some("abc")),
        ("Bearer \u{a0}", Some("\u{a0}")),
        ("Bearerabc", None),
        ("Bearer abc\td", None),
        ("ééé abc", None),
        ("Bearer", None),
        ("abc", None),
        ("Basic abc", None),
        ("Bearer a b", None),
        ("", None),
    ] {
        assert_eq!(bearer(text), token, "{text}");
    }
}
