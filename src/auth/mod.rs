//! Users, tokens, sessions, roles and keys.
//!
//! `password` is pure, `key_files` blocks: both are the work of pools, or of the start. The rest runs on the tx thread.

mod access;
pub mod first_admin;
pub mod follow;
mod key_files;
pub mod keyring;
pub mod login;
mod password;
pub mod principal;
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
use authkv_base::clock::now;
use authkv_base::error::Error;
use authkv_config::Config;
use authkv_token::Tokens;
use follow::Following;
use keyring::Keyring;
use password::Hasher;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// New tokens that may wait to be verified for iproto and the console.
const VERIFY_QUEUE: usize = 1024;
/// Keys that may wait to be made.
const KEY_QUEUE: usize = 16;

/// Who may do what, and how they prove it.
pub struct Auth {
    config: Arc<Config>,
    storage: Arc<Storage>,
    life: Arc<Life>,
    pub tokens: Tokens,
    keyring: Keyring,
    hasher: Hasher,
    /// What is mixed into logins that are not known, to tell what they cost.
    login_salt: [u8; 32],
    following: Following,
    /// Hashes passwords and signs tokens.
    pub hashes: Pool,
    /// Verifies tokens for fibers, and signs those of sessions that are refreshed: neither should wait behind hashes.
    pub verifier: Pool,
    /// Makes keys while the instance runs, at the usual priority: of RSA they take seconds, and many more after hashes.
    key_maker: Pool,
}

impl Auth {
    /// `heard_ago` is when the instance that ran before has last heard of revocations, if there was one and it follows another.
    /// `hooks` are those of the threads that hash. The error says what is wrong.
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
            tokens: Tokens::new(config.tokens()),
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
            config,
            storage,
            life,
        })
    }

    /// Writes down ahead when the tokens expire that are issued in the next `ahead`, so that a login seldom waits for it, and
    /// a replica can issue some too. Errors: `ReadOnly`. Yields if there is something to write.
    pub fn cover(&self, tx: &Tx, ahead: Duration) -> Result<(), Error> {
        if !self.config.services.auth {
            return Ok(());
        }
        let exp = now() + self.tokens.ttl().as_secs() + ahead.as_secs();
        self.storage.issued.cover(tx, exp)
    }

    /// Forgets one slice of each space: what had expired at `time`, if nobody who sets the clock could want it back. Returns
    /// whether there may be more. Errors: `ReadOnly`. Yields.
    pub fn forget(&self, tx: &Tx, time: u64, slice: usize) -> Result<bool, Error> {
        let storage = &self.storage;
        // First, because it can be written on a read-only instance too.
        let attempts = storage.attempts.forget(tx, now(), slice)?;
        let sessions = storage.sessions.forget(tx, time, slice)?;
        let before = Tokens::forgotten_before(time);
        let mirrored = storage.mirror.forget(tx, before, slice)?;
        Ok(attempts || sessions || mirrored)
    }

    /// Ends the threads, once they have done what waits if `join` says so.
    pub fn stop(&self, join: bool) {
        self.hashes.stop(join);
        self.verifier.stop(join);
        self.key_maker.stop(join);
    }
}
