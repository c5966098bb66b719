//! The id of a request: the client's, or a generated one. Any thread.

use ring::rand::{SecureRandom, SystemRandom};
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest id, in bytes, that is accepted from a client.
const MAX: usize = 128;

/// Generates ids.
pub struct Ids(AtomicU64);

impl Ids {
    /// Starts at a random number.
    pub fn new() -> Self {
        let mut start = [0; 8];
        // Without randomness ids start at zero. They are no secret.
        let _ = SystemRandom::new().fill(&mut start);
        Self(AtomicU64::new(u64::from_ne_bytes(start)))
    }

    /// Sixteen hexadecimal digits, different each time.
    pub fn next(&self) -> String {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        // SplitMix64 (Steele, Lea, Flood 2014). It is a permutation, so no id is repeated.
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let digit = |place: u32| b"0123456789abcdef"[(mixed >> (4 * place)) as usize & 15];
        (0..16)
            .rev()
            .map(|place| char::from(digit(place)))
            .collect()
    }
}

/// Whether a client's id is accepted. It goes into the answer and into the log.
pub fn is_valid(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=:-".contains(&byte);
    (1..=MAX).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_those_of_clients_are_looked_at() {
        let ids = Ids::new();
        let made: std::collections::HashSet<String> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| is_valid(id)));
        for id in ["", "a b", "a\n", "é", &"x".repeat(129)] {
            assert!(!is_valid(id), "{id:?}");
        }
    }
}
