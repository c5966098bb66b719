//! The form of API keys, which programs send in place of access tokens. Pure; any thread.
//!
//! A key is `authkv_`, 43 random characters of base62, which have 256 bits, and a checksum of 6: the CRC-32 of these 43 in
//! base62. This is the form of GitHub's tokens (<https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>):
//! scanners find the prefix, and the checksum tells keys from texts that only look like keys. A key is stored as its SHA-256 only.
//! That is enough for a secret that nobody can guess.

use crate::random;
use crate::recent::Recent;
use authkv_base::error::Error;
use base64::engine::{general_purpose::URL_SAFE_NO_PAD, Engine};
use crc::{Crc, CRC_32_ISO_HDLC};
use ring::digest::{digest, SHA256};
use secrecy::SecretString;
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::{Arc, OnceLock};

/// What every key begins with.
pub const PREFIX: &str = "authkv_";
/// Characters of the random part, and of the checksum.
const RANDOM: usize = 43;
const CHECKSUM: usize = 6;
/// Bytes of the digest that are the id of a key.
const ID: usize = 16;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

thread_local! {
    /// The digests of texts that had the form of a key. They are apart from tokens, so that texts which are no keys of anybody do not
    /// replace verified tokens.
    static RECENT: RefCell<Recent<Arc<Digests>>> = const { RefCell::new(Recent::EMPTY) };
}

/// A key that a client has sent. Only tx knows whether it exists.
#[derive(Debug)]
pub struct ApiKey {
    digests: Arc<Digests>,
    /// The login of its user, once tx has found the key. For logs.
    login: OnceLock<Arc<str>>,
}

#[derive(Debug)]
struct Digests {
    /// The first half of the digest.
    id: String,
    digest: String,
}

/// A new key.
pub struct NewApiKey {
    pub text: SecretString,
    pub id: String,
    pub digest: String,
}

impl ApiKey {
    /// What a client has sent, if it has the form of a key. Costs a SHA-256, unless this thread has read it lately.
    pub fn read(token: &str) -> Option<Self> {
        let (random, checksum) = token.strip_prefix(PREFIX)?.split_at_checked(RANDOM)?;
        let recent = RECENT.with_borrow(|recent| recent.get(token).cloned());
        let digests = recent.or_else(|| {
            let is_right = random.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && checksum.as_bytes() == checksum_of(random);
            is_right.then(|| {
                let (id, digest) = digests(token);
                let digests = Arc::new(Digests { id, digest });
                RECENT.with_borrow_mut(|recent| recent.put(token, digests.clone()));
                digests
            })
        });
        digests.map(|digests| Self {
            digests,
            login: OnceLock::new(),
        })
    }

    /// The id of the key. No secret.
    pub fn id(&self) -> &str {
        &self.digests.id
    }

    /// Whether it is the key with this digest. The time it takes does not depend on where they differ.
    pub fn is(&self, digest: &str) -> bool {
        let own = &self.digests.digest;
        let pairs = own.bytes().zip(digest.bytes());
        let differ = pairs.fold(0, |differ, (one, other)| black_box(differ | (one ^ other)));
        differ == 0 && own.len() == digest.len()
    }

    /// Notes the user of the key.
    pub fn found(&self, login: &Arc<str>) {
        self.login.get_or_init(|| login.clone());
    }

    /// The user of the key, if the key was found.
    pub fn login(&self) -> Option<&str> {
        self.login.get().map(|login| &**login)
    }
}

impl NewApiKey {
    /// Draws a key.
    pub fn draw() -> Result<Self, Error> {
        // Bytes from 248 on would make some characters more likely.
        const FAIR: u8 = 248;
        let mut random_part = String::with_capacity(RANDOM);
        while random_part.len() < RANDOM {
            let bytes = random::<64>()?;
            let fair = bytes.into_iter().filter(|byte| *byte < FAIR);
            let digits = fair.map(|byte| char::from(BASE62[usize::from(byte) % 62]));
            random_part.extend(digits.take(RANDOM - random_part.len()));
        }
        let mut text = [PREFIX, &random_part].concat();
        text.extend(checksum_of(&random_part).map(char::from));
        let (id, digest) = digests(&text);
        Ok(Self {
            text: text.into(),
            id,
            digest,
        })
    }
}

fn checksum_of(random: &str) -> [u8; CHECKSUM] {
    let mut rest = CRC.checksum(random.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// The id and the digest.
fn digests(text: &str) -> (String, String) {
    let digest = digest(&SHA256, text.as_bytes());
    let id = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..ID]);
    (id, URL_SAFE_NO_PAD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_key_is_read_as_it_was_drawn_and_nothing_else_is() {
        let key = NewApiKey::draw().unwrap();
        let text = key.text.expose_secret();
        assert_eq!(text.len(), PREFIX.len() + RANDOM + CHECKSUM);
        let read = ApiKey::read(text).unwrap();
        assert_eq!(read.id(), key.id);
        assert!(read.is(&key.digest));
        // Again, from what this thread has read lately.
        assert!(ApiKey::read(text).unwrap().is(&key.digest));
        let other = NewApiKey::draw().unwrap();
        for digest in [
            "",
            &other.digest,
            &key.digest[1..],
            &format!("{}A", key.digest),
        ] {
            assert!(!read.is(digest), "{digest}");
        }
        let mut flipped = text.to_owned().into_bytes();
        flipped[20] = if flipped[20] == b'a' { b'b' } else { b'a' };
        let flipped = String::from_utf8(flipped).unwrap();
        for wrong in [
            "",
            PREFIX,
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}0"),
            &text.replace(PREFIX, "AUTHKV_"),
            &flipped,
            &format!("{PREFIX}{}", "é".repeat(30)),
        ] {
            assert!(ApiKey::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_zip_in_base62() {
        // CRC-32 of "123456789" is 0xCBF43926.
        let digits = checksum_of("123456789");
        let value = digits.iter().fold(0u64, |value, digit| {
            let place = BASE62.iter().position(|one| one == digit).unwrap();
            value * 62 + place as u64
        });
        assert_eq!(value, 0xcbf4_3926);
    }

    #[test]
    fn every_character_is_drawn() {
        let mut drawn = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let key = NewApiKey::draw().unwrap();
            drawn.extend(
                key.text
                    .expose_secret()
                    .bytes()
                    .skip(PREFIX.len())
                    .take(RANDOM),
            );
        }
        assert_eq!(drawn.len(), 62);
    }
}
