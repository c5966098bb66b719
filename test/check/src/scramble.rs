//! How clients of iproto prove who they are, those of `make bench` too.

use sha1::{Digest, Sha1};

/// The proof of a password that chap-sha1 sends.
pub fn scramble(password: &[u8], salt: &[u8]) -> Vec<u8> {
    let once = Sha1::digest(password);
    let mask = Sha1::new()
        .chain_update(salt)
        .chain_update(Sha1::digest(once))
        .finalize();
    once.iter()
        .zip(mask)
        .map(|(one, other)| one ^ other)
        .collect()
}
