//! The running instance: all native state, in one place. Made once in the life of the loaded library.
//!
//! Every thread reads it. What changes in it is in atomics, locks and cells that only the tx thread reaches.

use crate::auth::key::Key;
use crate::auth::password::Hasher;
use crate::auth::service;
use crate::auth::token::Tokens;
use crate::bridge::crypto::Crypto;
use crate::bridge::dispatch::{self, Waits};
use crate::bridge::Bridge;
use crate::command::{execute, Caller, Command, Registration};
use crate::config::Config;
use crate::error::Error;
use crate::http::Server;
use crate::storage::Storage;
use crate::tx::{fiber, log, Tx};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Everything that runs.
pub struct Instance {
    pub config: Config,
    pub tokens: Tokens,
    pub hasher: Hasher,
    pub bridge: Bridge,
    /// Hashes passwords and signs tokens.
    pub crypto: Crypto,
    /// Verifies tokens for fibers, which should not wait behind hashes.
    pub verifier: Crypto,
    /// Fibers that wait for one of the two.
    pub waits: Waits,
    pub storage: Storage,
    /// What [`service`] mixes into logins that it does not know.
    pub login_salt: [u8; 32],
    http: Mutex<Option<Server>>,
    /// Procedures of clients that run.
    calls: AtomicUsize,
    /// Set first of all when the instance stops.
    stopping: AtomicBool,
    started_at: Instant,
    /// When revocations were last heard of, in milliseconds since `started_at`; `NEVER` before that.
    followed_at: AtomicU64,
}

/// A call of a procedure that runs.
pub struct Call<'a>(&'a AtomicUsize);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const NEVER: u64 = u64::MAX;
/// New tokens that may wait to be verified for iproto and the console.
const VERIFY_QUEUE: usize = 1024;

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
        let key = match config.services.auth {
            true => {
                if !config.private_key_file.exists() {
                    log::info("making an RSA key, which may take some seconds");
                }
                Key::load_or_make(&config)?
            }
            false => Key::load_public(&config.public_key_file).map_err(|e| {
                format!("{e}: the authorization instance writes it when it starts first")
            })?,
        };
        let tokens = Tokens::new(&key, &config);
        if config.services.auth {
            tokens
                .check_signing()
                .map_err(|e| format!("{}: {e}", config.private_key_file.display()))?;
        }
        let threads = |e: io::Error| format!("cannot start threads: {e}");
        let (crypto_threads, crypto_queue) = (config.crypto_threads, config.crypto_queue);
        let instance = Self {
            tokens,
            hasher: Hasher::new(config.argon2)?,
            bridge: Bridge::new(config.queue)
                .map_err(|e| format!("cannot make an eventfd: {e}"))?,
            crypto: Crypto::start("crypto", crypto_threads, crypto_queue).map_err(threads)?,
            verifier: Crypto::start("verify", 1, VERIFY_QUEUE).map_err(threads)?,
            waits: Waits::new(tx),
            storage: Storage::open(tx, &config)?,
            login_salt: key.derive(b"logins that are not known"),
            http: Mutex::new(None),
            calls: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            started_at: Instant::now(),
            followed_at: AtomicU64::new(NEVER),
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
        self.stopping.store(true, Ordering::Relaxed);
        // The workers take the limit themselves; the rest is for them to end.
        let deadline = Instant::now() + self.config.shutdown_timeout + Duration::from_millis(500);
        let server = self
            .http
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        let connections = server.is_none_or(|server| {
            server.stop();
            fiber::wait_until(tx, deadline, || server.has_ended())
        });
        self.bridge.close();
        let answered = fiber::wait_until(tx, deadline, || {
            self.bridge.in_flight() == 0 && self.calls.load(Ordering::Relaxed) == 0
        });
        self.crypto.stop(answered);
        self.verifier.stop(answered);
        // Tarantool 2.6 exits without looking whether its network thread has written what it was given.
        fiber::sleep(tx, Duration::from_millis(50));
        connections && answered
    }

    /// Counts a call of a procedure, until the result is dropped. Errors: `ShuttingDown`.
    pub fn begin_call(&self) -> Result<Call<'_>, Error> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Error::ShuttingDown);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Call(&self.calls))
    }

    /// Makes the user `admin` where there is none and this instance may write. Returns the password, where it
    /// was made up.
    fn make_admin(&'static self, tx: &Tx) -> Result<Option<String>, String> {
        let Some(users) = &self.storage.users else {
            return Ok(None);
        };
        if users
            .hash(tx, "admin")
            .map_err(|e| e.to_string())?
            .is_some()
        {
            return Ok(None);
        }
        let (password, made_up) = match &self.config.admin_password {
            Some(given) => (given.secret().clone(), None),
            None => {
                let made_up = random_password()?;
                (SecretString::from(made_up.as_str()), Some(made_up))
            }
        };
        let registration = Registration {
            login: "admin".to_owned(),
            password,
            name: "Admin".to_owned(),
            surname: "Admin".to_owned(),
        };
        match execute(tx, self, Caller::Owner, Command::Register(registration)) {
            Ok(_) => Ok(made_up),
            Err(Error::ReadOnly) => Ok(None),
            Err(e) => Err(format!("cannot make the user admin: {e}")),
        }
    }

    /// Notes that revocations were heard of just now.
    pub fn followed(&self) {
        self.followed_at.store(self.uptime(), Ordering::Relaxed);
    }

    /// Milliseconds since the start, by a clock that is not set back.
    fn uptime(&self) -> u64 {
        self.started_at.elapsed().as_millis() as u64
    }

    /// Errors: `RevocationsUnknown` where this instance follows another and has not heard of it for too long.
    pub fn check_following(&self) -> Result<(), Error> {
        let (Some(_), Some(lag)) = (&self.config.follow, self.config.follow_max_lag) else {
            return Ok(());
        };
        let followed_at = self.followed_at.load(Ordering::Relaxed);
        let late = followed_at == NEVER
            || u128::from(self.uptime().saturating_sub(followed_at)) > lag.as_millis();
        match late {
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
        match service::forget_expired(tx, instance) {
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
