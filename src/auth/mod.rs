//! Users, tokens, sessions, roles and keys.
//!
//! `password` is pure and slow, `key_files` blocks: both run on pools, or at the start. The rest runs on the tx thread.

mod access;
pub mod allowed;
pub mod api_keys;
pub mod arrival;
mod denylist;
mod derived;
pub mod first_admin;
pub mod follow;
mod key_files;
pub mod key_user;
pub mod keyring;
pub mod login;
mod metrics;
pub mod one_time;
pub mod outside;
mod password;
pub mod principal;
pub mod refresh;
mod refresh_token;
pub mod restored;
pub mod roles;
pub mod rotation;
pub mod session;
mod subject;
mod throttle;
pub mod users;

pub use keyring::Files;
pub use password::{forget_memory, Hasher};

use crate::offload::{Pool, ThreadHooks, Waits};
use crate::storage::Storage;
use crate::tx::life::Life;
use crate::tx::{is_read_only, Tx};
use arc_swap::ArcSwap;
use authkv_base::clock;
use authkv_base::error::Error;
use authkv_base::steady::passed;
use authkv_config::{Config, LiveConfig};
use authkv_domain::Password;
use authkv_jwks::Refresher;
use authkv_token::Tokens;
use denylist::Denylist;
use follow::Following;
use key_user::Uses;
use keyring::Keyring;
use ring::hmac;
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
    hasher: ArcSwap<Hasher>,
    denylist: Option<Denylist>,
    /// Of what derived keys are made, beside what is in the data.
    outside: Option<hmac::Key>,
    following: Following,
    /// When API keys were used.
    uses: Uses,
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
            hasher: ArcSwap::from_pointee(Hasher::new(config.live().argon2)?),
            denylist: config
                .password_denylist
                .as_deref()
                .map(Denylist::open)
                .transpose()?,
            outside: derived::outside(&config, files.main.as_ref()),
            uses: Uses::new(tx),
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

    /// The first space of this instance that is not any more what it was at the start. Does not yield.
    pub fn lost_space(&self, tx: &Tx) -> Option<&'static str> {
        self.storage.lost(tx)
    }

    /// How far this instance follows another one, or the leader of its replica set.
    pub fn following(&self) -> &Following {
        &self.following
    }

    /// Errors: `RevocationsUnknown` if this instance follows another, or a leader, and has not heard from it for too long.
    pub fn check_following(&self) -> Result<(), Error> {
        self.following.check(self)
    }

    /// Writes something to the log of writes. Errors: `NotDurable`, `DataGone`. Yields.
    pub fn try_disk(&self, tx: &Tx) -> Result<(), Error> {
        self.storage.attempts.try_disk(tx)
    }

    /// The pools of threads, by their names.
    pub fn pools(&self) -> [(&'static str, &Pool); 3] {
        [
            ("crypto", &self.hashes),
            ("verify", &self.verifier),
            ("keys", &self.key_maker),
        ]
    }

    /// Hashes as these settings say. `None` if that is what it does already. The error says what is wrong. Slow: not on the
    /// tx thread.
    pub fn other_hasher(&self, live: &LiveConfig) -> Result<Option<Arc<Hasher>>, String> {
        let is_same = self.config.live().argon2 == live.argon2;
        let new = || Hasher::new(live.argon2).map(Arc::new);
        (!is_same).then(new).transpose()
    }

    /// Goes on with these live settings, which the configuration has by now.
    pub fn go_on_with(&self, live: &LiveConfig, hasher: Option<Arc<Hasher>>) {
        self.tokens.set_times(live.token_ttl, live.token_leeway);
        if let Some(hasher) = hasher {
            self.hasher.store(hasher);
        }
    }

    /// The hash of a new password. Errors: `BadPassword` for one that has leaked. Crypto threads only.
    fn hash_new(&self, password: &Password) -> Result<String, Error> {
        if let Some(list) = self.denylist.as_ref().filter(|_| password.is_for_v1()) {
            if list.has(password.secret())? {
                return Err(Error::BadPassword("it is in a list of leaked ones".into()));
            }
        }
        self.hasher.load().hash(password.secret())
    }

    /// Whether there is nothing yet that could expire. Does not yield.
    pub fn is_new(&self, tx: &Tx) -> Result<bool, Error> {
        self.storage.is_new(tx)
    }

    /// Records ahead when the tokens of the next `ahead` expire, so that a login seldom waits for this write, and a replica
    /// can issue tokens too. A read-only instance records nothing. Errors: `NotDurable`. Yields if there is something to write.
    pub fn cover(&self, tx: &Tx, ahead: Duration) -> Result<(), Error> {
        // Tarantool logs each refused write.
        if !self.config.services.auth || is_read_only(tx) {
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
    /// `NotDurable`. Yields.
    pub fn forget(&self, tx: &Tx, slice: usize) -> Result<bool, Error> {
        let storage = &self.storage;
        let time = passed() / 1000;
        // First, because a read-only instance can write it too.
        let attempts = storage.attempts.forget(tx, time, slice)?;
        if is_read_only(tx) {
            return Ok(attempts);
        }
        let sessions = storage.sessions.forget(tx, time, slice)?;
        let uses = storage.api_keys.forget(tx, time, slice)?;
        let before = Tokens::forgotten_before(time);
        let mirrored = storage.mirror.forget(tx, before, slice)?;
        Ok(attempts || sessions || uses || mirrored)
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
