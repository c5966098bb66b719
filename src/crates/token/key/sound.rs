//! Checks that public keys are sound. An unsound key may verify signatures that nobody made, or anybody may be able to compute
//! its private half. Pure.
//!
//! Errors are phrases that follow the name of the key or its file.

use curve25519_dalek::edwards::CompressedEdwardsY;
use ring::agreement::{
    agree_ephemeral, Algorithm, EphemeralPrivateKey, UnparsedPublicKey, ECDH_P256, ECDH_P384,
};
use ring::rand::SystemRandom;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};
use std::ops::RangeInclusive;

/// Bits of an RSA key. RFC 7518 §3.3 requires the minimum; above the maximum, the libraries used here cannot sign.
const BITS: RangeInclusive<usize> = 2048..=4096;
/// No prime below this divides a modulus. NIST SP 800-89 §5.3.3 asks for 752.
const FACTORS: u64 = 1 << 16;

/// Checks modulus and exponent, big-endian and without leading zeros.
pub fn rsa(n: &[u8], e: &[u8]) -> Result<(), String> {
    let unused = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = 8 * n.len() - unused;
    if !BITS.contains(&bits) {
        let (least, most) = (BITS.start(), BITS.end());
        return Err(format!(
            "has {bits} bits, but should have {least} to {most}"
        ));
    }
    let exponent = e.iter().fold(0u64, |value, byte| {
        value.saturating_mul(256) | u64::from(*byte)
    });
    if exponent % 2 == 0 || !(3..1 << 33).contains(&exponent) {
        return Err("has an exponent that is not an odd number from 3 to 2^33".into());
    }
    match small_factor(n) {
        Some(2) => Err("has a modulus that is even".into()),
        Some(factor) => Err(format!("has a modulus that {factor} divides")),
        None => Ok(()),
    }
}

/// Like [`rsa_composite`], for modulus and exponent as bytes. Slow.
pub fn rsa_parts(n: &[u8], e: &[u8]) -> Result<(), String> {
    let [n, e] = [n, e].map(BigUint::from_bytes_be);
    let key = RsaPublicKey::new(n, e).map_err(|_| "is no RSA key")?;
    rsa_composite(&key)
}

/// Checks, as far as possible, that the modulus is a product of different primes. Slow.
pub fn rsa_composite(key: &RsaPublicKey) -> Result<(), String> {
    let (n, two) = (key.n(), BigUint::from(2u8));
    let less = n - BigUint::from(1u8);
    // Fermat's test finds primes. It does not find cubes and other higher powers of a prime.
    if two.modpow(&less, n) == BigUint::from(1u8) {
        return Err("has a modulus that is a prime".into());
    }
    match is_square(n) {
        true => Err("has a modulus that is a square".into()),
        false => Ok(()),
    }
}

/// The least prime below [`FACTORS`] that divides a big-endian number.
fn small_factor(n: &[u8]) -> Option<u64> {
    // Limbs of four bytes keep each step within 64 bits.
    let limbs: Vec<u64> = n
        .rchunks(4)
        .rev()
        .map(|limb| {
            limb.iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte))
        })
        .collect();
    let divides = |factor: &u64| {
        limbs
            .iter()
            .fold(0, |rest, limb| (rest << 32 | limb) % factor)
            == 0
    };
    // Divisors that are not prime need no check: a smaller prime divides them.
    std::iter::once(2)
        .chain((3..FACTORS).step_by(2))
        .find(divides)
}

/// Whether `n` is a square, by Newton's method for the root.
fn is_square(n: &BigUint) -> bool {
    let mut root = BigUint::from(1u8) << (n.bits() / 2 + 1);
    loop {
        let next = (&root + n / &root) >> 1;
        if next >= root {
            return &(&root * &root) == n;
        }
        root = next;
    }
}

/// Checks an uncompressed point of P-256 (SEC 1 §3.2.2.1): its coordinates are below the prime, and it is on the curve. The
/// curve has no points of small order.
pub fn p256(point: &[u8]) -> Result<(), String> {
    on_curve(&ECDH_P256, point)
        .ok_or_else(|| "is an EC key whose point is not on the curve P-256".into())
}

/// The same for P-384.
pub fn p384(point: &[u8]) -> Result<(), String> {
    on_curve(&ECDH_P384, point)
        .ok_or_else(|| "is an EC key whose point is not on the curve P-384".into())
}

fn on_curve(curve: &'static Algorithm, point: &[u8]) -> Option<()> {
    let own = EphemeralPrivateKey::generate(curve, &SystemRandom::new()).ok()?;
    // The key agreement checks the point first (SP 800-56A §5.6.2.3.4).
    agree_ephemeral(own, &UnparsedPublicKey::new(curve, point), |_| ()).ok()
}

/// Checks a point: in its one encoding (RFC 8032 §5.1.3), on the curve, and of the large order that keys have.
pub fn ed25519(bytes: &[u8]) -> Result<(), String> {
    let compressed = CompressedEdwardsY::from_slice(bytes)
        .map_err(|_| "is an Ed25519 key that has not 32 bytes")?;
    let point = compressed
        .decompress()
        .ok_or("is an Ed25519 key whose point is not on the curve")?;
    if point.compress() != compressed {
        return Err("is an Ed25519 key whose encoding is not canonical".into());
    }
    match (point.is_small_order(), point.is_torsion_free()) {
        (true, _) => Err("is an Ed25519 key whose point has a small order".into()),
        (false, false) => {
            Err("is an Ed25519 key whose point is outside of the group of the base point".into())
        }
        (false, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_factor_is_found_wherever_it_is() {
        let odd = |low: u32| [vec![0x80; 200], low.to_be_bytes().to_vec()].concat();
        for (n, factor) in [
            (vec![2], 2),
            (vec![1, 0], 2),
            (vec![0xff], 3),
            (vec![1, 1], 257),
        ] {
            assert_eq!(small_factor(&n), Some(factor));
        }
        assert_eq!(small_factor(&odd(2)), Some(2));
        // 2^31 - 1 is a prime.
        assert_eq!(small_factor(&0x7fff_ffffu32.to_be_bytes()), None);
        assert_eq!(
            small_factor(&(65_521u64 * 0x7fff_ffff).to_be_bytes()),
            Some(65_521)
        );
    }

    #[test]
    fn squares_are_told_from_what_is_beside_them() {
        let root = (BigUint::from(1u8) << 1030) + BigUint::from(12_345u32);
        let square = &root * &root;
        assert!(is_square(&square));
        assert!(!is_square(&(&square + BigUint::from(1u8))));
        assert!(!is_square(&(&square - BigUint::from(1u8))));
    }

    #[test]
    fn points_of_ed25519_that_are_no_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let p: [u8; 32] = {
            let mut p = [0xff; 32];
            (p[0], p[31]) = (0xed, 0x7f);
            p
        };
        let (mut minus_one, mut again) = (p, p);
        minus_one[0] = 0xec;
        again[0] = 0xee;
        let mut signed = identity;
        signed[31] = 0x80;
        let mut two = [0; 32];
        two[0] = 2;
        for (bytes, what) in [
            (identity, "small order"),
            ([0; 32], "small order"),
            (minus_one, "small order"),
            (p, "canonical"),
            (again, "canonical"),
            (signed, "canonical"),
            (two, "not on the curve"),
        ] {
            let said = ed25519(&bytes).unwrap_err();
            assert!(said.contains(what), "{bytes:?}: {said}");
        }
        // The key of RFC 8032 §7.1, and that key plus a point of order two, which negates x and y.
        use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
        assert_eq!(ed25519(&ED25519_BASEPOINT_POINT.compress().0), Ok(()));
        for torsion in &EIGHT_TORSION[1..] {
            let mixed = (ED25519_BASEPOINT_POINT + torsion).compress();
            assert!(ed25519(&mixed.0).unwrap_err().contains("outside"));
            let said = ed25519(&torsion.compress().0).unwrap_err();
            assert!(said.contains("small order"), "{said}");
        }
    }
}
