//! The running instance: all native state, in one place. Made once in the life of the loaded library.
//!
//! Every thread reads it. What changes in it is in atomics, locks and cells that only the tx thread reaches.

use crate::auth::key::Key;
use crate::auth::password::Hasher;
use crate::auth::service;
use crate::auth::token::{now, Tokens};
use crate::bridge::crypto::{Crypto, CryptoPool};
use crate::bridge::dispatch::{self, Waits};
use crate::bridge::Bridge;
use crate::command::{Command, Registration};
use crate::config::Config;
use crate::error::Error;
use crate::http::Server;
use crate::storage::Storage;
use crate::tx::{fiber, log, Tx};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Everything that runs.
pub struct Instance {
    pub config: Config,
    pub tokens: Tokens,
    pub hasher: Hasher,
    pub bridge: Bridge,
    pub crypto: CryptoPool,
    pub storage: Storage,
    /// What [`service`] mixes into logins that it does not know.
    pub login_salt: [u8; 32],
    http: Mutex<Option<Server>>,
    /// Procedures of clients that run.
    calls: AtomicUsize,
    /// When revocations were last heard of, in seconds since 1970-01-01 UTC; 0 for never.
    followed_at: AtomicU64,
}

/// A call of a procedure that runs.
pub struct Call<'a>(&'a AtomicUsize);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

static RUNNING: OnceLock<Instance> = OnceLock::new();

/// What a start has to tell its operator.
#[derive(Debug, serde::Serialize)]
pub struct Started {
    /// The address HTTP listens on.
    pub http: Option<String>,
    /// The password made for the new user `admin`, where none was given.
    pub admin_password: Option<String>,
}

impl Instance {
    /// The running instance, if any. Any thread.
    pub fn get() -> Option<&'static Self> {
        RUNNING.get()
    }

    /// Starts the one instance of this library: keys, pools, fibers, the user `admin`, HTTP. The error says
    /// what is wrong. Yields.
    pub fn start(tx: &Tx, config: Config) -> Result<Started, String> {
        if Self::get().is_some() {
            return Err(
                "authkv is started already, or was stopped: reload the library to start it again"
                    .into(),
            );
        }
        let (private, public) = (&config.private_key_file, &config.public_key_file);
        let key = match config.services.auth {
            true => Key::load_or_make(private, public)?,
            false => Key::load_public(public)?,
        };
        let mut login_salt = [0; 32];
        SystemRandom::new()
            .fill(&mut login_salt)
            .map_err(|_| "there is no randomness")?;
        let io = |what: &str, e: std::io::Error| format!("cannot start {what}: {e}");
        let instance = Self {
            tokens: Tokens::new(&key, &config),
            hasher: Hasher::new(config.argon2)?,
            bridge: Bridge::new(config.queue).map_err(|e| io("the bridge", e))?,
            crypto: CryptoPool {
                crypto: Crypto::start(config.crypto_threads, config.crypto_queue)
                    .map_err(|e| io("the crypto pool", e))?,
                waits: Waits::new(tx),
            },
            storage: Storage::open(tx, config.services, config.memtx_max_tuple_size)?,
            login_salt,
            http: Mutex::new(None),
            calls: AtomicUsize::new(0),
            followed_at: AtomicU64::new(0),
            config,
        };
        let instance = RUNNING.get_or_init(|| instance);
        let text = |e: Error| e.to_string();
        dispatch::start(tx, instance).map_err(text)?;
        fiber::start(tx, "authkv-expiry", move |tx| forget_expired(tx, instance)).map_err(text)?;
        let admin_password = instance.make_admin(tx)?;
        let http = match instance.config.http_listen {
            Some(address) => Some(instance.start_http(address)?),
            None => None,
        };
        Ok(Started {
            http,
            admin_password,
        })
    }

    fn start_http(&'static self, address: std::net::SocketAddr) -> Result<String, String> {
        let server =
            Server::start(self, address).map_err(|e| format!("cannot listen on {address}: {e}"))?;
        let address = server.address().to_string();
        *self
            .http
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(server);
        Ok(address)
    }

    /// Takes no new requests, finishes what runs, within the limit of the configuration, and ends all threads
    /// and fibers. Returns whether all was finished. Yields.
    pub fn stop(&self, tx: &Tx) -> bool {
        let limit = self.config.shutdown_timeout;
        let server = self
            .http
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        let connections = server.is_none_or(|server| {
            server.stop();
            // The workers take the same limit, and then some time to end.
            fiber::wait_until(tx, limit + Duration::from_millis(500), || {
                server.has_ended()
            })
        });
        self.bridge.close();
        let answered = fiber::wait_until(tx, limit, || {
            self.bridge.in_flight() == 0 && self.calls.load(Ordering::Relaxed) == 0
        });
        self.crypto.crypto.stop(answered);
        // Tarantool 2.6 exits without looking whether its network thread has written what it was given.
        fiber::sleep(tx, Duration::from_millis(50));
        connections && answered
    }

    /// Counts a call of a procedure, until the result is dropped. Errors: `ShuttingDown`.
    pub fn begin_call(&self) -> Result<Call<'_>, Error> {
        if self.bridge.is_closed() {
            return Err(Error::ShuttingDown);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Call(&self.calls))
    }

    /// Makes the user `admin` where there is none. Returns the password, where it was made up.
    fn make_admin(&'static self, tx: &Tx) -> Result<Option<String>, String> {
        let Some(users) = &self.storage.users else {
            return Ok(None);
        };
        let known = users.hash(tx, "admin").map_err(|e| e.to_string())?;
        if known.is_some() || self.config.read_only {
            return Ok(None);
        }
        let made_up = match &self.config.admin_password {
            Some(_) => None,
            None => Some(random_password()?),
        };
        let password = match (&self.config.admin_password, &made_up) {
            (Some(given), _) => given.secret().clone(),
            (None, made_up) => SecretString::from(made_up.clone().unwrap_or_default()),
        };
        let registration = Registration {
            login: "admin".to_owned(),
            password: SecretString::from(password.expose_secret()),
            name: "Admin".to_owned(),
            surname: "Admin".to_owned(),
        };
        let caller = crate::command::Caller::Owner;
        crate::command::execute(tx, self, caller, Command::Register(registration))
            .map_err(|e| format!("cannot make the user admin: {e}"))?;
        Ok(made_up)
    }

    /// Notes that revocations were heard of just now.
    pub fn followed(&self) {
        self.followed_at.store(now(), Ordering::Relaxed);
    }

    /// Errors: `RevocationsUnknown` where this instance follows another and has not heard of it for too long.
    pub fn check_following(&self) -> Result<(), Error> {
        let (Some(_), Some(lag)) = (&self.config.follow, self.config.follow_max_lag) else {
            return Ok(());
        };
        match now().saturating_sub(self.followed_at.load(Ordering::Relaxed)) > lag.as_secs() {
            true => Err(Error::RevocationsUnknown),
            false => Ok(()),
        }
    }
}

/// Twenty random letters and digits, and one character of each class the rules ask for.
fn random_password() -> Result<String, String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = [0; 20];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| "there is no randomness")?;
    let text: String = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 64)]))
        .collect();
    Ok(format!("{text}-aA1"))
}

/// The body of the fiber that drops revocations which nobody needs any more.
fn forget_expired(tx: &Tx, instance: &'static Instance) {
    const PAUSE: Duration = Duration::from_secs(1);
    while !instance.bridge.is_closed() && !fiber::is_cancelled(tx) {
        match service::forget_expired(tx, instance, &instance.tokens) {
            Ok(true) => fiber::pass(tx),
            Ok(false) | Err(Error::ReadOnly) => fiber::sleep(tx, PAUSE),
            Err(error) => {
                log::warn(&format!(
                    "expired revocations were not dropped: {}",
                    error.row().name
                ));
                fiber::sleep(tx, 10 * PAUSE);
            }
        }
    }
}
