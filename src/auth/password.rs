//! Password hashes. Slow on purpose: runs on the crypto pool only.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::PasswordVerifier;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use authkv_base::error::Error;
use authkv_config::Argon2Cost;
use authkv_domain::is_bcrypt;
use authkv_token::random;
use secrecy::{ExposeSecret, SecretString};
use std::cell::RefCell;

/// A hash in the form of the old system (`$2b$12$…`), of a password nobody knows.
const DUMMY_BCRYPT: &str = "$2b$12$C6UzMDM.H6dfI/f/IKcEe.7XKAKQwMMcVEhHDUyVL4QhA2KoHVHu2";

/// How many bytes of a password bcrypt uses.
const BCRYPT_MAX: usize = 72;

/// Bytes of a salt and of a tag (RFC 9106 §4).
const SALT: usize = 16;
const TAG: usize = 32;

thread_local! {
    /// The memory of Argon2id, kept for the next hash of the thread. Getting megabytes from the kernel for each hash, in
    /// thousands of pages, would make other threads wait for the lock of the address space.
    static MEMORY: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// Frees the memory that this thread has kept.
pub fn forget_memory() {
    MEMORY.take();
}

/// The result of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub matches: bool,
    /// The stored hash should be replaced.
    pub outdated: bool,
}

/// A stored hash to compare with.
pub enum Stored {
    Hash(String),
    /// There is no such user: compare with a hash that matches nothing, at the same cost.
    Unknown {
        /// With the cost of a user of the old system.
        bcrypt: bool,
    },
}

/// Hashes and compares passwords.
pub struct Hasher {
    argon2: Argon2<'static>,
    dummy: String,
}

impl Hasher {
    /// The error says what is wrong with the cost.
    pub fn new(cost: Argon2Cost) -> Result<Self, String> {
        let params = Params::new(cost.memory, cost.iterations, cost.parallelism, None)
            .map_err(|e| format!("the settings of Argon2id: {e}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hasher = Self {
            argon2,
            dummy: String::new(),
        };
        let secret = random::<TAG>().map_err(|_| "there is no randomness".to_owned())?;
        hasher.dummy = hasher
            .hash_bytes(&secret)
            .ok_or("Argon2id: there is not enough memory")?;
        // Later hashes are made by other threads.
        forget_memory();
        Ok(hasher)
    }

    /// A new hash in the PHC string format, with a random salt.
    pub fn hash(&self, password: &SecretString) -> Result<String, Error> {
        let password = password.expose_secret().as_bytes();
        self.hash_bytes(password).ok_or(Error::Internal)
    }

    fn hash_bytes(&self, password: &[u8]) -> Option<String> {
        let salt = random::<SALT>().ok()?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(self.argon2.params()).ok()?,
            salt: Some(Salt::new(&salt).ok()?),
            hash: Some(self.tag(password, &salt)?),
        };
        Some(hash.to_string())
    }

    /// The tag of a password, at the present cost.
    fn tag(&self, password: &[u8], salt: &[u8]) -> Option<Output> {
        let mut tag = [0; TAG];
        MEMORY.with_borrow_mut(|memory| {
            memory.resize(self.argon2.params().block_count(), Block::default());
            let hashed = self
                .argon2
                .hash_password_into_with_memory(password, salt, &mut tag, memory);
            hashed.ok()
        })?;
        Output::new(&tag).ok()
    }

    /// Compares a password with a stored hash. A hash of unknown form matches nothing.
    pub fn verify(&self, password: &SecretString, stored: &Stored) -> Verdict {
        let password = password.expose_secret().as_bytes();
        let (matches, outdated) = match stored {
            Stored::Unknown { bcrypt: true } => {
                let _ = bcrypt::verify(password, DUMMY_BCRYPT);
                (false, false)
            }
            Stored::Unknown { bcrypt: false } => {
                let _ = self.verify_argon2(password, &self.dummy);
                (false, false)
            }
            // bcrypt ignores the end of a longer password, so such a match must not replace the hash.
            Stored::Hash(hash) if is_bcrypt(hash) => (
                bcrypt::verify(password, hash).unwrap_or(false),
                password.len() <= BCRYPT_MAX,
            ),
            Stored::Hash(hash) => self.verify_argon2(password, hash).unwrap_or_else(|| {
                // An unreadable hash should take as long as a readable one.
                let _ = self.verify_argon2(password, &self.dummy);
                (false, false)
            }),
        };
        Verdict { matches, outdated }
    }

    /// Whether the password matches, and whether the hash has another cost than the present one.
    fn verify_argon2(&self, password: &[u8], hash: &str) -> Option<(bool, bool)> {
        let hash = PasswordHash::new(hash).ok()?;
        match self.is_present(&hash) {
            true => {
                let tag = self.tag(password, hash.salt.as_ref()?)?;
                // This comparison takes constant time.
                Some((hash.hash.as_ref()? == &tag, false))
            }
            false => Some((self.argon2.verify_password(password, &hash).is_ok(), true)),
        }
    }

    /// Whether a hash has the form and the cost of a new one.
    fn is_present(&self, hash: &PasswordHash) -> bool {
        let present = self.argon2.params();
        let same_cost = Params::try_from(hash).is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost())
                == (present.m_cost(), present.t_cost(), present.p_cost())
        });
        same_cost
            && hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version == Some(Version::V0x13.into())
            && hash.hash.as_ref().is_some_and(|tag| tag.len() == TAG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(memory: u32) -> Hasher {
        Hasher::new(Argon2Cost {
            memory,
            iterations: 1,
            parallelism: 1,
        })
        .unwrap()
    }

    fn verdict(hasher: &Hasher, password: &str, stored: Stored) -> (bool, bool) {
        let Verdict { matches, outdated } = hasher.verify(&password.into(), &stored);
        (matches, outdated)
    }

    #[test]
    fn a_hash_matches_its_password_only() {
        let hasher = hasher(64);
        let hash = hasher.hash(&"Secret-1".into()).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert_ne!(hash, hasher.hash(&"Secret-1".into()).unwrap());
        assert_eq!(
            verdict(&hasher, "Secret-1", Stored::Hash(hash.clone())),
            (true, false)
        );
        assert_eq!(
            verdict(&hasher, "Secret-2", Stored::Hash(hash)),
            (false, false)
        );
    }

    #[test]
    fn a_hash_of_another_cost_or_of_bcrypt_is_outdated() {
        let hash = hasher(64).hash(&"Secret-1".into()).unwrap();
        assert_eq!(
            verdict(&hasher(128), "Secret-1", Stored::Hash(hash)),
            (true, true)
        );
        let hash = bcrypt::hash("Secret-1", 4).unwrap();
        assert_eq!(
            verdict(&hasher(64), "Secret-1", Stored::Hash(hash.clone())),
            (true, true)
        );
        assert_eq!(
            verdict(&hasher(64), "Secret-2", Stored::Hash(hash)),
            (false, true)
        );
    }

    #[test]
    fn a_password_that_bcrypt_does_not_compare_whole_replaces_nothing() {
        let (old, wrong) = (["x"; 80].concat(), ["x"; 72].concat() + "y");
        let hash = bcrypt::hash(&old, 4).unwrap();
        let hasher = hasher(64);
        for password in [old, wrong] {
            let stored = Stored::Hash(hash.clone());
            assert_eq!(verdict(&hasher, &password, stored), (true, false));
        }
    }

    #[test]
    fn an_unknown_user_or_a_broken_hash_matches_nothing() {
        let hasher = hasher(64);
        for stored in [
            Stored::Unknown { bcrypt: false },
            Stored::Unknown { bcrypt: true },
            Stored::Hash(String::new()),
            Stored::Hash("$2b$".to_owned()),
            Stored::Hash("$argon2id$v=19$m=64,t=1,p=1$".to_owned()),
        ] {
            assert!(!verdict(&hasher, "", stored).0);
        }
    }

    #[test]
    fn the_dummy_of_bcrypt_costs_what_a_real_hash_costs() {
        assert_eq!(
            bcrypt::verify("x", DUMMY_BCRYPT).ok(),
            Some(false),
            "it must parse, or it costs nothing"
        );
    }
}
