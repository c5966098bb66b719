//! Verification of a token as authkv issues them: RS256 with a key of 2048 bits.

use authkv_config::Config;
use authkv_token::key::{Algorithm, PrivateKey};
use authkv_token::ring::{Ring, RingKey};
use authkv_token::{Bearer, Known, Tokens};
use criterion::{BatchSize, Criterion};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::LazyLock;

/// Made anew by each run.
static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::make(Algorithm::Rs256).unwrap());
/// That remembers as many tokens as by default.
static CONFIG: LazyLock<Config> = LazyLock::new(|| Config::new(BTreeMap::new()).unwrap());
/// That remembers few, because such a cache is made in no time.
static SMALL: LazyLock<Config> = LazyLock::new(|| {
    let settings = [("TOKEN_CACHE".to_owned(), "1".to_owned())];
    Config::new(settings.into()).unwrap()
});

fn tokens(config: &Config) -> Tokens {
    let tokens = Tokens::new(config.tokens());
    let key = RingKey::permanent(KEY.public().clone(), Some(KEY.encoding_key()));
    tokens.set_ring(Ring::new(vec![key]));
    tokens
}

/// A token of a session.
pub fn issue() -> String {
    let bearer = Bearer {
        login: "alice",
        epoch: 0,
        session: Some("Vb2Vd8Vl1bVq8b0l5VfFvQ"),
    };
    tokens(&CONFIG).issue(&bearer).unwrap().recorded().text
}

pub fn verify(criterion: &mut Criterion) {
    let token = issue();
    let mut group = criterion.benchmark_group("token/RS256, 2048 bits");
    let cached = tokens(&CONFIG);
    assert!(cached.verify(&token).is_some());
    assert!(matches!(cached.known(&token), Known::Valid(_)));
    group.bench_function("cached", |bencher| {
        bencher.iter(|| cached.verify(black_box(&token)))
    });
    let many: Vec<String> = (0..1000).map(|_| issue()).collect();
    assert!(many.iter().all(|token| cached.verify(token).is_some()));
    let mut turn = many.iter().cycle();
    group.bench_function("cached, one of 1000 in turn", |bencher| {
        bencher.iter(|| cached.verify(black_box(turn.next().unwrap())))
    });
    assert!(tokens(&SMALL).verify(&token).is_some());
    group.bench_function("not cached", |bencher| {
        bencher.iter_batched_ref(
            || tokens(&SMALL),
            |tokens| tokens.verify(black_box(&token)),
            BatchSize::SmallInput,
        )
    });
}
