//! Users, tokens, sessions, roles and keys.
//!
//! `password` is pure and slow, `key_files` blocks: both run on pools, or at the start. The rest runs on the tx thread.

mod access;
pub mod arrival;
pub mod first_admin;
pub mod follow;
mod key_files;
pub mod keyring;
pub mod login;
pub mod outside;
mod password;
pub mod principal;
pub mod restored;
pub mod roles;
pub mod rotation;
pub mod session;
mod subject;
mod throttle;
pub mod users;

pub use keyring::Files;
pub use password::forget_memory;

use crate::offload::{Pool, ThreadHooks, Waits};
use crate::storage::Storage;
use crate::tx::life::Life;
use crate::tx::Tx;
use authkv_base::clock;
use authkv_base::error::Error;
use authkv_base::steady::passed;
use authkv_config::Config;
use authkv_jwks::Refresher;
use authkv_token::Tokens;
use follow::Following;
use keyring::Keyring;
use password::Hasher;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How many tokens from iproto and the console may wait to be verified.
const VERIFY_QUEUE: usize = 1024;
/// How many keys may wait to be made.
const KEY_QUEUE: usize = 16;

/// Who may do what, and how they prove it.
pub struct Auth {
    config: Arc<Config>,
    storage: Arc<Storage>,
    life: Arc<Life>,
    pub tokens: Tokens,
    keyring: Keyring,
    hasher: Hasher,
    /// Mixed into unknown logins, to decide how long they take.
    login_salt: [u8; 32],
    following: Following,
    /// Hashes passwords and signs tokens.
    pub hashes: Pool,
    /// Verifies tokens for fibers, and signs those of refreshed sessions: neither should wait behind hashes.
    pub verifier: Pool,
    /// Fetches the keys of other issuers.
    refresher: Refresher,
    /// Makes keys while the instance runs, at normal priority: an RSA key takes seconds, and far longer after hashes.
    key_maker: Pool,
}

impl Auth {
    /// `heard_ago` is how long ago the instance that ran before last knew all revocations, if there was one and it follows
    /// another. `hooks` are for the threads that hash. The error says what is wrong.
    pub fn new(
        tx: &Tx,
        (config, storage): (Arc<Config>, Arc<Storage>),
        (waits, life): (&Arc<Waits>, Arc<Life>),
        files: Files,
        heard_ago: Option<Duration>,
        hooks: ThreadHooks,
    ) -> Result<Self, String> {
        let pool = |name, what, size, hooks| {
            Pool::start(waits.clone(), name, what, size, hooks)
                .map_err(|e: io::Error| format!("cannot start threads: {e}"))
        };
        let heard = storage.mirror.last(tx).map_err(|e| e.to_string())?;
        let (threads, queue) = (config.crypto_threads, config.crypto_queue);
        Ok(Self {
            tokens: Tokens::new(config.tokens()).trusting(files.issuers.issuers.clone()),
            keyring: Keyring::new(tx, &config, &files),
            hasher: Hasher::new(config.argon2)?,
            login_salt: files
                .main
                .map_or([0; 32], |key| key.derive(b"logins that are not known")),
            following: Following::new(heard_ago, heard),
            hashes: pool(
                "crypto",
                "hashes and signatures that wait",
                (threads, queue),
                hooks,
            )?,
            verifier: pool(
                "verify",
                "verifications that wait",
                (1, VERIFY_QUEUE),
                ThreadHooks::NONE,
            )?,
            key_maker: pool("keys", "keys that wait", (1, KEY_QUEUE), ThreadHooks::NONE)?,
            refresher: Refresher::start(files.issuers)
                .map_err(|e| format!("cannot start threads: {e}"))?,
            config,
            storage,
            life,
        })
    }

    /// Whether there is nothing yet that could expire. Does not yield.
    pub fn is_new(&self, tx: &Tx) -> Result<bool, Error> {
        self.storage.is_new(tx)
    }

    /// Records ahead when the tokens of the next `ahead` expire, so that a login seldom waits for this write, and a replica
    /// can issue tokens too. Errors: `ReadOnly`, `NotDurable`. Yields if there is something to write.
    pub fn cover(&self, tx: &Tx, ahead: Duration) -> Result<(), Error> {
        if !self.config.services.auth {
            return Ok(());
        }
        let exp = clock::now() + self.tokens.ttl().as_secs() + ahead.as_secs();
        self.storage.issued.cover(tx, exp)
    }

    /// Takes the counts of failed logins that the instance before could not write. Does not yield.
    pub fn take_over(&self, tx: &Tx, before: &Self) {
        self.storage
            .attempts
            .take_over(tx, &before.storage.attempts);
    }

    /// Writes one slice of the counts of failed logins that could not be written before. Yields.
    pub fn write_attempts(&self, tx: &Tx, slice: usize) -> Result<(), Error> {
        let storage = &self.storage;
        match storage.reserve.admit(tx) {
            Ok(()) => storage.attempts.write_kept(tx, slice),
            // They wait in memory of another kind.
            Err(_) => Ok(()),
        }
    }

    /// Removes one slice of each space: rows whose time has passed for certain. Returns whether there may be more. Errors:
    /// `ReadOnly`, `NotDurable`. Yields.
    pub fn forget(&self, tx: &Tx, slice: usize) -> Result<bool, Error> {
        let storage = &self.storage;
        let time = passed() / 1000;
        // First, because a read-only instance can write it too.
        let attempts = storage.attempts.forget(tx, time, slice)?;
        let sessions = storage.sessions.forget(tx, time, slice)?;
        let before = Tokens::forgotten_before(time);
        let mirrored = storage.mirror.forget(tx, before, slice)?;
        Ok(attempts || sessions || mirrored)
    }

    /// The files of keys: the name of each in a back-up, and its path. `keys` is a directory.
    pub fn key_files(&self) -> BTreeMap<&'static str, String> {
        let (config, directory) = (&self.config, self.keyring.directory());
        let mut files = vec![("jwt_public.pem", &*config.public_key_file)];
        if config.services.auth {
            files.push(("jwt_private.pem", &*config.private_key_file));
            files.push(("keys", directory));
        }
        let text = |(name, file): (_, &Path)| (name, file.to_string_lossy().into_owned());
        files.into_iter().map(text).collect()
    }

    /// Ends the threads. With `join`, they finish the waiting work first.
    pub fn stop(&self, join: bool) {
        self.hashes.stop(join);
        self.verifier.stop(join);
        self.key_maker.stop(join);
        self.refresher.stop();
    }
}
