//! Any text as an `Authorization` value and as a token: of all of it, exactly one token holds.

#![no_main]

use authkv_config::Config;
use authkv_token::key::PublicKey;
use authkv_token::ring::{Ring, RingKey};
use authkv_token::{bearer, Tokens};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Holds until 2100. The private half of its key is gone.
const VALID: &str = include_str!("../token/valid.jwt");
const PUBLIC_KEY: &str = include_str!("../token/public.pem");
/// Not a byte of UTF-8: what follows are changes to the valid token.
const CHANGES: u8 = 0xff;

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let config = Config::new(BTreeMap::new()).expect("the defaults are valid");
    let keys = PublicKey::all_from_pem(PUBLIC_KEY).expect("it is a key");
    let tokens = Tokens::new(config.tokens());
    let keys = keys.into_iter().map(|key| RingKey::permanent(key, None));
    tokens.set_ring(Ring::new(keys.collect()));
    assert!(tokens.verify(VALID).is_some(), "the token does not hold");
    tokens
});

fuzz_target!(|data: &[u8]| {
    if let [CHANGES, changes @ ..] = data {
        let mut token = VALID.as_bytes().to_vec();
        for change in changes.chunks_exact(3) {
            let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % token.len();
            token[at] = change[2];
        }
        verify(&String::from_utf8_lossy(&token));
    } else if let Ok(text) = std::str::from_utf8(data) {
        verify(text);
        if let Some(token) = bearer(text) {
            let text = text.trim_ascii();
            assert!(text[..6].eq_ignore_ascii_case("bearer") && text.ends_with(token));
            assert!(!token.contains(|char: char| char.is_ascii_whitespace()));
            verify(token);
        }
    }
});

fn verify(token: &str) {
    assert_eq!(TOKENS.verify(token).is_some(), token == VALID, "{token}");
}
