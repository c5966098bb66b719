//! What the parts of a request cost, each alone: `cargo bench` at the root, or `make micro`. A name, or a part of one,
//! measures what has it: `cargo bench -- codec`.

mod bridge;
mod codec;
mod head;
mod token;

use criterion::{criterion_group, criterion_main, Criterion};
use std::time::Duration;

/// Some seconds each, so that all take a minute. Less than a twentieth is no change.
fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .noise_threshold(0.05)
}

criterion_group! {
    name = parts;
    config = criterion();
    targets = codec::read_body, codec::write_body, codec::answer, token::verify, head::parse, bridge::call
}
criterion_main!(parts);
