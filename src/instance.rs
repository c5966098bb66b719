//! The running instance: all native state, in one place. There is one at a time in a loaded library.
//!
//! Every thread reads it. What changes in it is in atomics, locks and cells that only the tx thread reaches.

use crate::allocator;
use crate::audit::Audit;
use crate::auth::first_admin;
use crate::auth::keyring::{self, Files, Keyring};
use crate::auth::password::{self, Hasher};
use crate::bridge::crypto::{Crypto, Habits};
use crate::bridge::dispatch::{self, Waits};
use crate::bridge::Bridge;
use crate::handover::{Inheritance, Legacy};
use crate::http::site::Site;
use crate::http::{Listener, Server};
use crate::storage::Storage;
use crate::tx::fiber::Cond;
use crate::tx::lent::{Lent, User, Users};
use crate::tx::returned::Returned;
use crate::tx::{fiber, learn_mode, log, lua, Tx, TxCell};
use crate::upkeep;
use authkv_base::error::Error;
use authkv_base::threads::{self, give_way};
use authkv_codec::types::Types;
use authkv_config::{Config, HttpConfig};
use authkv_mailbox::doorbell::Doorbell;
use authkv_token::Tokens;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Everything that runs.
pub struct Instance {
    /// Fibers, procedures, threads and their work.
    pub users: Users,
    pub config: Config,
    /// The extension types that this Tarantool has.
    pub types: Types,
    /// What this Tarantool makes of the results of procedures.
    pub returned: TxCell<Returned>,
    pub tokens: Tokens,
    pub keyring: Keyring,
    pub hasher: Hasher,
    pub bridge: Bridge,
    /// Hashes passwords and signs tokens.
    pub crypto: Crypto,
    /// Verifies tokens for fibers, and signs those of sessions that are refreshed: neither should wait behind hashes.
    pub verifier: Crypto,
    /// Makes keys while the instance runs, at the usual priority: of RSA they take seconds, and many more after hashes.
    pub key_maker: Crypto,
    /// Fibers that wait for one of the two.
    pub waits: Waits,
    pub storage: Storage,
    pub audit: Audit,
    /// What is mixed into logins that are not known, to tell what they cost.
    pub login_salt: [u8; 32],
    http: Mutex<Http>,
    /// Rung by the instance that takes over.
    heir: Doorbell,
    /// Procedures of clients that run.
    calls: AtomicUsize,
    /// Set first of all when the instance stops.
    stopping: AtomicBool,
    /// Wakes fibers that pause, for the end.
    ending: TxCell<Cond>,
    started_at: Instant,
    /// When revocations were last heard of, in milliseconds since `started_at`; `NEVER` before that.
    followed_at: AtomicU64,
    /// All changes of the instance followed are known here up to this number.
    heard: AtomicU64,
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
/// Keys that may wait to be made.
const KEY_QUEUE: usize = 16;

/// Time, beyond that of what they finish, for those who use an instance that has ended.
const LEAVING: Duration = Duration::from_secs(2);

static RUNNING: Mutex<Option<Lent<Instance>>> = Mutex::new(None);

/// What a start has to tell its operator.
#[derive(Debug, serde::Serialize)]
pub struct Started {
    #[serde(flatten)]
    pub http: HttpStarted,
    /// The password made for the new user `admin`, where none was given.
    pub admin_password: Option<String>,
}

/// What the start of the HTTP front has to tell.
#[derive(Debug, serde::Serialize)]
pub struct HttpStarted {
    /// The addresses it listens on, as they stand in the settings.
    pub http: Vec<String>,
    pub legacy: Legacy,
}

/// The HTTP front, and those that were replaced and finish what they have.
#[derive(Default)]
struct Http {
    server: Option<Server>,
    leaving: Vec<Server>,
    /// For requests that another server takes, where there is no server of ours.
    site: Option<Arc<Site>>,
}

/// Without a hash for so long, a thread gives their memory back.
const IDLE: Duration = Duration::from_secs(3);

/// Gives back what hashes of passwords have used.
fn forget_memory() {
    password::forget_memory();
    allocator::give_back();
}

fn running() -> MutexGuard<'static, Option<Lent<Instance>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the files of keys, and makes one that is missing, on a thread of its own: tx goes on. The error names the file and
/// what is wrong with it. Yields.
fn load_files(tx: &Tx, config: &Config) -> Result<Files, String> {
    let begun = Instant::now();
    let makes = config.services.auth && !config.private_key_file.exists();
    if makes {
        let algorithm = config.token_algorithm.name();
        log::info(&format!(
            "making a key for {algorithm}, which may take some seconds"
        ));
    }
    let long = begun + Duration::from_secs(86_400);
    let wait = |is_over: &dyn Fn() -> bool| {
        fiber::wait_until(tx, long, is_over);
    };
    let files = threads::apart("authkv-keys", || Files::load(config), wait)
        .map_err(|e| format!("cannot read the keys: {e}"))??;
    if makes {
        let seconds = begun.elapsed().as_secs_f64();
        log::info(&format!("the key was made in {seconds:.1} s"));
    }
    Ok(files)
}

impl Instance {
    /// The running instance, if any, or one that was stopped. Who yields with it, keeps one of its users.
    pub fn get() -> Option<&'static Self> {
        running().as_ref().map(Lent::get)
    }

    /// Starts the one instance of this library: keys, pools, fibers, the user `admin`, HTTP. The error says
    /// what is wrong; then nothing is left of it, and it can be tried again. Yields.
    pub fn start(tx: &Tx, config: Config, legacy: Option<Legacy>) -> Result<Started, String> {
        match Self::get() {
            Some(instance) if !instance.is_stopping() => {
                return Err("authkv is started already".into())
            }
            Some(stopped) => stopped.leave(tx),
            None => {}
        }
        let files = load_files(tx, &config)?;
        let inheritance = legacy
            .map(Legacy::take)
            .transpose()
            .map_err(|e| format!("cannot take over from the instance that runs: {e}"))?;
        let threads = |e: io::Error| format!("cannot start threads: {e}");
        let (crypto_threads, crypto_queue) = (config.crypto_threads, config.crypto_queue);
        let now = Instant::now();
        let bridge = Bridge::new(&config).map_err(|e| format!("cannot make an eventfd: {e}"))?;
        let news = bridge.news.clone();
        let tell = move |revision| {
            if news.receiver_count() > 0 {
                news.send_replace(revision);
            }
        };
        let heard_ago = inheritance.as_ref().and_then(|left| left.heard_ago);
        let (major, minor) = lua::version(tx);
        learn_mode(tx);
        let storage = Storage::open(tx, &config, Box::new(tell))?;
        let heard = storage.mirror.last(tx).map_err(|e| e.to_string())?;
        let instance = Self {
            users: Users::default(),
            types: Types::of_version(major, minor),
            returned: TxCell::new(tx, Returned::new(tx)),
            tokens: Tokens::new(config.tokens()),
            keyring: Keyring::new(tx, &config, &files),
            hasher: Hasher::new(config.argon2)?,
            bridge,
            crypto: Crypto::start(
                "crypto",
                crypto_threads,
                crypto_queue,
                Habits {
                    begin: give_way,
                    idle: forget_memory,
                    idle_after: IDLE,
                },
            )
            .map_err(threads)?,
            verifier: Crypto::start("verify", 1, VERIFY_QUEUE, Habits::NONE).map_err(threads)?,
            key_maker: Crypto::start("keys", 1, KEY_QUEUE, Habits::NONE).map_err(threads)?,
            waits: Waits::new(tx),
            storage,
            audit: Audit::new(tx),
            login_salt: files
                .main
                .map_or([0; 32], |key| key.derive(b"logins that are not known")),
            http: Mutex::default(),
            heir: Doorbell::new().map_err(|e| format!("cannot make an eventfd: {e}"))?,
            calls: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            ending: TxCell::new(tx, Cond::new()),
            // Reckoned from when the older instance last heard of revocations.
            started_at: heard_ago
                .and_then(|ago| now.checked_sub(ago))
                .unwrap_or(now),
            followed_at: AtomicU64::new(heard_ago.map_or(NEVER, |_| 0)),
            heard: AtomicU64::new(heard),
            config,
        };
        let instance = Lent::new(instance);
        let started = instance.get();
        let user = started.users.add();
        *running() = Some(instance);
        let launched = started.launch(tx, inheritance);
        if launched.is_err() {
            started.end(tx, true);
        }
        drop(user);
        if launched.is_err() {
            started.leave(tx);
        }
        launched
    }

    /// Lets go of this instance, which has ended, once nobody uses it. Yields.
    fn leave(&'static self, tx: &Tx) {
        let lent = {
            let mut running = running();
            running.take_if(|lent| std::ptr::eq(lent.get(), self))
        };
        let Some(lent) = lent else { return };
        let is_unused = || {
            // It may have been made for a request after the end.
            self.http().site = None;
            self.users.is_empty()
        };
        let left = fiber::wait_until(tx, Instant::now() + LEAVING, is_unused);
        if !(left && lent.free(tx, |instance| &instance.users)) {
            log::warn(
                "something still uses what was stopped: its memory stays until the process ends",
            );
        }
    }

    /// Starts a fiber of this instance. See [`fiber::start`].
    pub fn start_fiber(
        &'static self,
        tx: &Tx,
        name: &str,
        body: impl FnOnce(&Tx) + 'static,
    ) -> Result<(), Error> {
        let user = self.users.add();
        fiber::start(tx, name, move |tx| {
            body(tx);
            drop(user);
        })
    }

    /// Waits, but not beyond the end of the instance. Yields.
    pub fn pause(&self, tx: &Tx, time: Duration) {
        if !self.bridge.is_closed() {
            self.ending.get(tx).wait_timeout(time);
        }
    }

    /// Starts what runs.
    fn launch(&'static self, tx: &Tx, inheritance: Option<Inheritance>) -> Result<Started, String> {
        let instance = self;
        let text = |e: Error| e.to_string();
        dispatch::start(tx, instance).map_err(text)?;
        keyring::open(tx, instance)?;
        let start = |name, body: fn(&Tx, &'static Self)| {
            let started = instance.start_fiber(tx, name, move |tx| body(tx, instance));
            started.map_err(text)
        };
        start("authkv-upkeep", upkeep::run)?;
        start("authkv-sweep", upkeep::sweep)?;
        let admin_password = first_admin::make(tx, instance)?;
        let listeners = inheritance.as_ref().map(|left| &*left.listeners);
        let config = instance.config.http.clone();
        let http = instance.start_http(config, listeners.unwrap_or_default())?;
        let user = instance.users.add();
        fiber::start(tx, "authkv-heir", move |tx| instance.await_heir(tx, user)).map_err(text)?;
        if let Some(inheritance) = inheritance {
            inheritance.accept();
        }
        Ok(Started {
            http,
            admin_password,
        })
    }

    /// Starts the HTTP front, or replaces it: the sockets that stay are handed on, and connections end after their
    /// next answer. The error says what is wrong, and then nothing has changed. Does not yield.
    pub fn start_http(
        &'static self,
        config: Arc<HttpConfig>,
        taken_over: &[Listener],
    ) -> Result<HttpStarted, String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Error::ShuttingDown.to_string());
        }
        let mut http = self.http();
        let old = http.server.as_ref();
        let server = match config.listen.is_empty() {
            true => None,
            false => {
                let taken_over = old.map_or(taken_over, Server::listeners);
                Some(Server::start(self, config.clone(), taken_over)?)
            }
        };
        self.bridge.memory.set_max(config.memory_max);
        let listeners = server.as_ref().map_or(&[][..], Server::listeners);
        let started = HttpStarted {
            http: listeners.iter().map(|one| one.listen.to_string()).collect(),
            legacy: Legacy::new(listeners, &self.heir),
        };
        if let Some(mut old) = std::mem::replace(&mut http.server, server) {
            let kept = http.server.as_ref().map_or(&[][..], Server::listeners);
            old.close_listeners(kept);
            old.leave();
            http.leaving.push(old);
        }
        http.leaving.retain(|server| !server.has_ended());
        http.site = Some(Site::new(self, config, usize::MAX));
        Ok(started)
    }

    /// Stops the HTTP front and finishes its requests, within the limit of the configuration. `at_once`: connections
    /// that wait for a request do not get to send one more. Returns whether all was finished. Yields.
    pub fn stop_http(&self, tx: &Tx, at_once: bool) -> bool {
        // The workers take the limit themselves; the rest is for them to end.
        let deadline = Instant::now() + self.config.shutdown_timeout + Duration::from_millis(500);
        let servers = {
            let mut http = self.http();
            let mut servers = std::mem::take(&mut http.leaving);
            if let Some(mut server) = http.server.take() {
                // One that takes over goes on using the files of unix sockets.
                if at_once {
                    server.close_listeners(&[]);
                }
                servers.push(server);
            }
            servers
        };
        for server in &servers {
            match at_once {
                true => server.stop(),
                false => server.leave(),
            }
        }
        fiber::wait_until(tx, deadline, || servers.iter().all(Server::has_ended))
    }

    /// What requests share that another server takes.
    pub fn site(&'static self) -> Arc<Site> {
        let mut http = self.http();
        let site = http.server.as_ref().map(|server| server.site.clone());
        site.unwrap_or_else(|| {
            let new = || Site::new(self, self.config.http.clone(), usize::MAX);
            http.site.get_or_insert_with(new).clone()
        })
    }

    fn http(&self) -> MutexGuard<'_, Http> {
        self.http.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body of the fiber that waits for the instance that takes over, and then ends this one.
    fn await_heir(&'static self, tx: &Tx, user: User) {
        while !self.is_stopping() && !fiber::is_cancelled(tx) {
            fiber::wait_readable(tx, self.heir.fd(), Duration::from_secs(1));
            if !self.is_stopping() && self.heir.take_ring() {
                self.end(tx, false);
                drop(user);
                return self.leave(tx);
            }
        }
    }

    /// Takes no new requests, finishes what runs, within the limit of the configuration, and ends all threads
    /// and fibers. Returns whether all was finished. Yields.
    pub fn stop(&self, tx: &Tx) -> bool {
        self.end(tx, true)
    }

    fn end(&self, tx: &Tx, at_once: bool) -> bool {
        self.stopping.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + self.config.shutdown_timeout + Duration::from_millis(500);
        let connections = self.stop_http(tx, at_once);
        self.bridge.close();
        self.ending.get(tx).broadcast();
        self.heir.force();
        let answered = fiber::wait_until(tx, deadline, || {
            self.bridge.in_flight() == 0 && self.calls.load(Ordering::Relaxed) == 0
        });
        self.crypto.stop(answered);
        self.verifier.stop(answered);
        self.key_maker.stop(answered);
        // Tarantool 2.6 exits without looking whether its network thread has written what it was given.
        fiber::sleep(tx, Duration::from_millis(50));
        connections && answered
    }

    /// Whether no new requests are taken any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Counts a call of a procedure, until the result is dropped. Errors: `ShuttingDown`.
    pub fn begin_call(&self) -> Result<Call<'_>, Error> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Error::ShuttingDown);
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Call(&self.calls))
    }

    /// Notes that just now all changes up to this number were heard of.
    pub fn followed(&self, number: u64) {
        self.heard.store(number, Ordering::Relaxed);
        self.followed_at.store(self.uptime(), Ordering::Relaxed);
    }

    /// The number up to which all changes of the instance followed are known here.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
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
        // One that finishes what it has is not told any more; the spaces are, by the instance that took over.
        if self.stopping.load(Ordering::Relaxed) {
            return Ok(());
        }
        let followed_at = self.followed_at.load(Ordering::Relaxed);
        let late = followed_at == NEVER
            || u128::from(self.uptime().saturating_sub(followed_at)) > lag.as_millis();
        match late {
            true => Err(Error::RevocationsUnknown),
            false => Ok(()),
        }
    }
}
