//! The running instance: puts its parts together, starts and stops them. A loaded library has at most one, and while it is
//! restarted the one that leaves.
//!
//! Every thread reads the parts. What changes in them is in atomics, in locks, and in cells that only the tx thread
//! reaches.

use crate::allocator;
use crate::audit::Audit;
use crate::auth::first_admin::{self, Made};
use crate::auth::{self, rotation, Auth, Files};
use crate::bridge::{dispatch, Bridge};
use crate::core::forward::Forward;
use crate::core::limits::Limits;
use crate::core::{restored, Core};
use crate::disk::{self, Disk};
use crate::handoff::{Handoff, Takeover};
use crate::health::{self, Health};
use crate::kv::Kv;
use crate::offload::{ThreadHooks, Waits};
use crate::storage::Storage;
use crate::tx::lent::User;
use crate::tx::life::Life;
use crate::tx::returned::Returned;
use crate::tx::session_kind::SessionKind;
use crate::tx::{
    fiber, learn_mode, learn_refusal, limit_commits, log, lua, note_split, Tx, TxCell,
};
use crate::upkeep;
use authkv_base::clock;
use authkv_base::error::Error;
use authkv_base::steady::Record;
use authkv_base::threads::{self, give_way};
use authkv_base::ticks;
use authkv_codec::types::Types;
use authkv_config::Config;
use authkv_mailbox::doorbell::Doorbell;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

mod metrics;
mod serving;
mod slot;

use serving::Http;
pub use serving::HttpStarted;

pub struct Instance {
    pub life: Arc<Life>,
    /// The extension types that this Tarantool knows.
    pub types: Types,
    /// The form in which this Tarantool sends the results of procedures.
    pub returned: TxCell<Returned>,
    /// Who calls procedures.
    pub session_kind: TxCell<SessionKind>,
    pub core: Core,
    health: Arc<Health>,
    disk: Disk,
    bridge: Bridge,
    http: Mutex<Http>,
    /// The successor rings it when it takes over.
    successor: Doorbell,
    /// Seconds since 1970.
    started_at: u64,
    /// The version of Tarantool.
    tarantool: String,
}

/// What a start reports to the operator.
#[derive(Debug, serde::Serialize)]
pub struct Started {
    #[serde(flatten)]
    pub http: HttpStarted,
    /// The generated password of the new user `admin`, unless the settings gave one.
    pub admin_password: Option<String>,
}

/// A thread without a hash for this long frees the memory of its hashes.
const IDLE: Duration = Duration::from_secs(3);

/// Frees the memory that password hashes have used.
fn forget_memory() {
    auth::forget_memory();
    allocator::give_back();
}

/// Reads the key files and makes a missing one, reads the record of the clock, and finds out how fast the processor ticks, on
/// another thread, so that tx is free meanwhile. The error names the file and what is wrong with it. Yields.
fn load_files(tx: &Tx, config: &Config) -> Result<(Files, Option<Record>), String> {
    let begun = Instant::now();
    let makes = config.services.auth && !config.private_key_file.exists();
    if makes {
        let algorithm = config.live().token_algorithm.name();
        log::info(&format!(
            "making a key for {algorithm}, which may take some seconds"
        ));
    }
    let long = begun + Duration::from_secs(86_400);
    let wait = |is_over: &dyn Fn() -> bool| {
        fiber::wait_until(tx, long, is_over);
    };
    let load = || {
        ticks::calibrate();
        (Files::load(config), Record::read(&config.data_dir))
    };
    let (files, record) = threads::apart("authkv-keys", load, wait)
        .map_err(|e| format!("cannot read the keys: {e}"))?;
    let files = files?;
    if makes {
        let seconds = begun.elapsed().as_secs_f64();
        log::info(&format!("the key was made in {seconds:.1} s"));
    }
    Ok((files, record))
}

impl Instance {
    /// The running instance, or one that was stopped. A caller that yields with it must keep one of its users.
    pub fn get() -> Option<&'static Self> {
        slot::current()
    }

    /// Starts an instance: keys, pools, fibers, the user `admin`, HTTP. With `handoff` it takes over from the one that runs,
    /// in this image or in an older one, which serves until the new one does. With `is_restored`, all tokens that were given
    /// before end first. The error says what is wrong; then nothing of the new instance is left, and a start can be tried
    /// again. Yields.
    pub fn start(
        tx: &Tx,
        config: Config,
        handoff: Option<Handoff>,
        is_restored: bool,
    ) -> Result<Started, String> {
        const STOPPED: &str = "authkv was stopped during the restart";
        if let Some(current) = Self::get() {
            if current.life.is_stopping() {
                slot::free(tx, current);
                if handoff.is_some() {
                    return Err(STOPPED.into());
                }
            } else if handoff.is_none() {
                return Err("authkv is started already".into());
            } else {
                slot::wait_for_predecessor(tx, config.live().shutdown_timeout);
            }
        }
        let (files, record) = load_files(tx, &config)?;
        let predecessor = Self::get();
        let takeover = handoff
            .map(|told| told.updated(predecessor.map(Self::handoff)).take())
            .transpose()
            .map_err(|e| format!("cannot take over from the instance that runs: {e}"))?;
        let heard_ago = takeover.as_ref().and_then(|left| left.heard_ago);
        let started = slot::add(Self::new(tx, Arc::new(config), files, heard_ago)?);
        let user = started.life.add_user();
        let mut launched = started.launch(tx, takeover.as_ref(), record, is_restored);
        if predecessor.is_some_and(|one| one.life.is_stopping()) {
            launched = launched.and(Err(STOPPED.into()));
        }
        if launched.is_ok() {
            slot::make_current(started);
            if let Some(before) = predecessor {
                started.core.auth.take_over(tx, &before.core.auth);
            }
            if let Some(takeover) = takeover {
                takeover.accept();
            }
        } else {
            started.end(tx, true);
            drop(user);
            slot::free(tx, started);
        }
        launched
    }

    /// Builds the parts, without starting them. The error says what is wrong.
    fn new(
        tx: &Tx,
        config: Arc<Config>,
        files: Files,
        heard_ago: Option<Duration>,
    ) -> Result<Self, String> {
        let doorbell = || Doorbell::new().map_err(|e| format!("cannot make an eventfd: {e}"));
        let life = Life::new(tx);
        let bell = Arc::new(doorbell()?);
        let waits = Arc::new(Waits::new(tx, bell.clone(), life.clone()));
        let bridge = Bridge::new(tx, config.clone(), bell, waits.clone(), life.clone());
        let notifications = bridge.notifications.clone();
        let tell = move |revision| {
            if notifications.receiver_count() > 0 {
                notifications.send_replace(revision);
            }
        };
        let (major, minor) = lua::version(tx);
        learn_mode(tx);
        limit_commits(tx, config.live().commit_timeout);
        note_split(tx, false);
        learn_refusal(tx);
        let storage = Arc::new(Storage::open(tx, &config, Box::new(tell))?);
        let hooks = ThreadHooks {
            begin: give_way,
            idle: forget_memory,
            idle_after: IDLE,
        };
        let auth = Auth::new(
            tx,
            (config.clone(), storage.clone()),
            (&waits, life.clone()),
            files,
            heard_ago,
            hooks,
        )?;
        Ok(Self {
            types: Types::of_version(major, minor),
            returned: TxCell::new(tx, Returned::new(tx)),
            health: Health::new(),
            disk: Disk::new(tx),
            session_kind: TxCell::new(tx, SessionKind::new(tx)),
            core: Core {
                auth,
                kv: Kv::new(storage, life.clone()),
                audit: Audit::new(tx, config.clone()),
                limits: Limits::new(&config),
                forward: Forward::new(&config),
                config,
                sources: OnceLock::new(),
            },
            bridge,
            http: Mutex::default(),
            successor: doorbell()?,
            started_at: clock::now(),
            tarantool: lua::version_text(tx),
            life,
        })
    }

    /// Starts the threads, fibers and servers.
    fn launch(
        &'static self,
        tx: &Tx,
        takeover: Option<&Takeover>,
        record: Option<Record>,
        is_restored: bool,
    ) -> Result<Started, String> {
        let core = &self.core;
        let _ = core.sources.set(Box::new(|| self.metrics()));
        let text = |e: Error| e.to_string();
        // A new follower will fetch what others have revoked long ago.
        let follows = core.config.follow.is_some();
        let is_new = !follows && core.auth.is_new(tx).map_err(text)?;
        let clock = upkeep::Clock::begin(record, is_new);
        core.forward.look(tx);
        dispatch::start(tx, &self.bridge, core).map_err(text)?;
        rotation::open(tx, &core.auth, takeover.is_none())?;
        if is_restored {
            // Before anybody can send a token.
            restored(tx, core, None).map_err(|e| {
                let way = match e {
                    Error::ClockBehind { .. } => {
                        ". To call it, remove authkv-backup.json and start with AUTHKV_HTTP_LISTEN=off and AUTHKV_IPROTO_LISTEN=off"
                    }
                    _ => "",
                };
                format!("this data was restored (see documentation/backup.md): {e}{way}")
            })?;
        }
        let admin = first_admin::make(tx, &core.auth)?;
        let (admin_password, lacks_admin) = match admin {
            Made::Silently => (None, false),
            Made::Password(password) => (Some(password), false),
            Made::NotYet => {
                log::warn("the user admin cannot be written now: it is made later, if the settings give its password, or by the next start");
                (None, true)
            }
        };
        match self.begin_serving(tx, takeover, clock, lacks_admin) {
            Ok(http) => Ok(Started {
                http,
                admin_password,
            }),
            // Nobody could find it out later.
            Err(what) => Err(match admin_password {
                Some(password) => format!("{what}. {}", first_admin::shown(&password)),
                None => what,
            }),
        }
    }

    /// Starts the fibers of the upkeep, and HTTP. The error says what is wrong.
    fn begin_serving(
        &'static self,
        tx: &Tx,
        takeover: Option<&Takeover>,
        clock: upkeep::Clock,
        lacks_admin: bool,
    ) -> Result<HttpStarted, String> {
        let (core, life) = (&self.core, &self.life);
        let text = |e: Error| e.to_string();
        let upkeep = move |tx: &Tx| upkeep::run(tx, core, life, clock, lacks_admin);
        life.start_fiber(tx, "authkv-upkeep", upkeep)
            .map_err(text)?;
        let sweep = move |tx: &Tx| upkeep::sweep(tx, core, life);
        life.start_fiber(tx, "authkv-sweep", sweep).map_err(text)?;
        let contact = move |tx: &Tx| upkeep::keep_contact(tx, core, life);
        life.start_fiber(tx, "authkv-contact", contact)
            .map_err(text)?;
        let watch = move |tx: &Tx| disk::watch(tx, life);
        life.start_fiber(tx, "authkv-disk", watch).map_err(text)?;
        let probe = move |tx: &Tx| disk::probe(tx, core, life, &self.disk);
        life.start_fiber(tx, "authkv-probe", probe).map_err(text)?;
        let look = move |tx: &Tx| health::watch(tx, self.watched(), life, &self.health);
        life.start_fiber(tx, "authkv-health", look).map_err(text)?;
        let http = self.start_http(self.core.config.http.clone(), takeover)?;
        let user = life.add_user();
        fiber::start(tx, "authkv-handoff", move |tx| {
            self.await_successor(tx, user)
        })
        .map_err(text)?;
        Ok(http)
    }

    /// Goes on with the live settings of `config`. The error says what is wrong; nothing has changed then. Yields.
    pub fn reload(&'static self, tx: &Tx, config: &Config) -> Result<(), String> {
        let (auth, live) = (&self.core.auth, config.live().clone());
        let long = Instant::now() + Duration::from_secs(86_400);
        let wait = |is_over: &dyn Fn() -> bool| {
            fiber::wait_until(tx, long, is_over);
        };
        let hasher = || auth.other_hasher(&live);
        let hasher = threads::apart("authkv-reload", hasher, wait)
            .map_err(|e| format!("cannot start a thread: {e}"))??;
        self.core.config.take_live(config);
        self.core.limits.go_on_with(&live);
        limit_commits(tx, live.commit_timeout);
        auth.go_on_with(&live, hasher);
        // Keys that have to verify longer now. The upkeep tries what fails again.
        let _ = rotation::refresh(tx, auth);
        Ok(())
    }

    /// The health of the instance. Does not yield.
    pub fn report(&self, tx: &Tx) -> health::Report {
        health::report(tx, self.watched(), &self.health)
    }

    /// Makes the instance not ready, because it is going to stop. Does not yield.
    pub fn announce_stop(&self) {
        self.health.stop();
    }

    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    fn watched(&self) -> (&Core, &Bridge, &Disk) {
        (&self.core, &self.bridge, &self.disk)
    }

    /// The body of the fiber that waits for the successor, and then ends this instance.
    fn await_successor(&'static self, tx: &Tx, user: User) {
        while !self.life.is_stopping() && !fiber::is_cancelled(tx) {
            fiber::wait_readable(tx, self.successor.fd(), Duration::from_secs(1));
            if !self.life.is_stopping() && self.successor.take_ring() {
                self.end(tx, false);
                drop(user);
                return slot::free(tx, self);
            }
        }
    }

    /// Accepts no new requests, finishes running ones within the limit of the configuration, and ends all threads and
    /// fibers. Returns whether all requests were finished. Yields.
    pub fn stop(&self, tx: &Tx) -> bool {
        self.announce_stop();
        let finished = self.end(tx, true);
        // The predecessor also has requests to finish.
        slot::wait_for_predecessor(tx, self.core.config.live().shutdown_timeout);
        finished
    }

    fn end(&self, tx: &Tx, at_once: bool) -> bool {
        self.life.stop();
        // One for all that is waited for.
        let deadline = self.deadline();
        if !at_once {
            // The successor answers from now on.
            self.leave_admin();
        }
        let connections = self.end_http(tx, deadline, at_once);
        // Until here it says that the instance is stopping.
        self.end_admin(tx, deadline, at_once);
        self.bridge.close();
        self.life.end(tx);
        self.successor.force();
        let answered = fiber::wait_until(tx, deadline, || {
            self.bridge.in_flight() == 0 && self.life.calls() == 0
        });
        // The fiber that takes jobs looks whether any call is left.
        self.bridge.close();
        self.core.auth.stop(answered);
        // Tarantool 2.6 exits without waiting until its network thread has sent the last answers.
        fiber::sleep(tx, Duration::from_millis(50));
        connections && answered
    }
}
