//! Any text as a file of issuers, as a key set and as a token of an issuer that is trusted: nothing panics, what is accepted keeps the
//! rules, and of all tokens exactly one holds.

#![no_main]

use authkv_token::issuers::{Algorithm, Issuers};
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use libfuzzer_sys::fuzz_target;
use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, KeyPair, ECDSA_P256_SHA256_FIXED_SIGNING};
use std::sync::LazyLock;

const NOW: u64 = 1_000_000;
/// What follows is claims that the issuer has signed.
const SIGNED: u8 = 0xff;
/// What follows are changes to the valid token.
const CHANGED: u8 = 0xfe;

struct World {
    issuers: Issuers,
    key: EcdsaKeyPair,
    valid: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key is made");
    let key = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).expect("it is a key");
    let file = r#"{"issuers": [{"issuer": "i", "keys": {"file": "x"}, "audience": ["a"], "algorithms": ["ES256"],
        "login_prefix": "i:", "roles_claim": "scope", "roles": {"x": "y"}, "create": true}]}"#;
    let issuers = Issuers::parse(file, "authkv").expect("the file is valid");
    let point = key.public_key().as_ref()[1..].to_vec();
    let [x, y] = [&point[..32], &point[32..]].map(|half| URL_SAFE_NO_PAD.encode(half));
    let set = format!(
        r#"{{"keys": [{{"kty": "EC", "crv": "P-256", "kid": "k", "x": "{x}", "y": "{y}"}}]}}"#
    );
    for issuer in issuers.iter() {
        issuer.set_keys(&set).expect("the key set is valid");
    }
    let claims = format!(
        r#"{{"iss":"i","aud":"a","sub":"s","jti":"j","iat":{NOW},"exp":{}}}"#,
        NOW + 60
    );
    let mut world = World {
        issuers,
        key,
        valid: String::new(),
    };
    world.valid = world.signed(claims.as_bytes());
    assert!(world.accepts(&world.valid), "the token does not hold");
    world
});

impl World {
    fn signed(&self, claims: &[u8]) -> String {
        let [header, claims] = [&br#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#[..], claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part));
        let message = format!("{header}.{claims}");
        let signature = self
            .key
            .sign(&SystemRandom::new(), message.as_bytes())
            .expect("it is signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whether a token is accepted. If it is, its claims keep the rules.
    fn accepts(&self, token: &str) -> bool {
        let Some(Ok(accepted)) = self.issuers.verify(token, NOW, 30) else {
            return false;
        };
        let claims = accepted.claims;
        assert_eq!((&*claims.iss, &*claims.aud), ("i", "a"));
        let login = claims
            .sub
            .strip_prefix("i:")
            .expect("the login has the prefix");
        assert!(!login.is_empty() && login.len() <= 128 && !login.contains(['/', ':', '{']));
        assert!(claims.iat <= claims.exp && claims.exp - claims.iat <= 86_400);
        assert!(claims.exp + 30 >= NOW && claims.iat <= NOW + 30 && claims.nbf <= NOW + 30);
        assert_eq!(claims.revocation_id().len(), 43);
        assert!(claims
            .outside
            .is_some_and(|outside| outside.roles.iter().all(|role| role == "y")));
        true
    }
}

fuzz_target!(|data: &[u8]| {
    let world = &*WORLD;
    match data {
        [SIGNED, claims @ ..] => {
            world.accepts(&world.signed(claims));
        }
        [CHANGED, changes @ ..] => {
            let mut token = world.valid.as_bytes().to_vec();
            for change in changes.chunks_exact(3) {
                let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % token.len();
                token[at] = change[2];
            }
            let token = String::from_utf8_lossy(&token);
            assert_eq!(world.accepts(&token), token == world.valid, "{token}");
        }
        data => {
            let Ok(text) = std::str::from_utf8(data) else {
                return;
            };
            assert!(!world.accepts(text));
            if let Ok(issuers) = Issuers::parse(text, "authkv") {
                for issuer in issuers.iter() {
                    assert!(!issuer.policy.issuer.is_empty() && issuer.policy.issuer != "authkv");
                    assert!(issuer
                        .policy
                        .algorithms()
                        .iter()
                        .all(|one| Algorithm::ALL.contains(one)));
                }
            }
            let apart = Issuers::parse(
                r#"{"issuers": [{"issuer": "i", "keys": {"file": "x"}, "audience": ["a"], "login_prefix": "i:"}]}"#,
                "authkv",
            );
            for issuer in apart.expect("the file is valid").iter() {
                if let Ok(set) = issuer.set_keys(text) {
                    assert!(set.len() + set.left_out.len() <= 64);
                }
            }
        }
    }
});
