//! The servers under test. Each is started when a work first needs it, and runs until the end.

pub mod authkv;
pub mod etcd;
pub mod hyper;
pub mod lua;
pub mod redis;
pub mod webdis;

use crate::options::{measured, Options};
use crate::Result;
use authkv::Authkv;
use etcd::Etcd;
use hyper::Hyper;
use lua::Lua;
use redis::Redis;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::cell::{OnceCell, RefCell};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use webdis::Webdis;

/// All servers, and the directory of their data.
pub struct Lab {
    pub options: Options,
    data: TempDir,
    authkv: OnceCell<Authkv>,
    against: OnceCell<Option<Authkv>>,
    lua: OnceCell<Lua>,
    redis: OnceCell<Redis>,
    webdis: OnceCell<Webdis>,
    etcd: OnceCell<Etcd>,
    floors: RefCell<Vec<Hyper>>,
    notes: RefCell<Vec<String>>,
}

impl Lab {
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self {
            options,
            data: TempDir::with_prefix("authkv-bench-")?,
            authkv: OnceCell::new(),
            against: OnceCell::new(),
            lua: OnceCell::new(),
            redis: OnceCell::new(),
            webdis: OnceCell::new(),
            etcd: OnceCell::new(),
            floors: RefCell::default(),
            notes: RefCell::default(),
        })
    }

    /// Where the data of all servers is.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Ctrl-C and SIGTERM end this program, and the kernel the servers with it; only their data would stay.
    pub fn remove_data_on_signals(&self) -> Result<()> {
        let data = self.data().to_owned();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                // A server that still runs may be making files.
                for _ in 0..10 {
                    if std::fs::remove_dir_all(&data).is_ok() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                std::process::exit(130);
            }
        });
        Ok(())
    }

    /// Of the checkout that is measured.
    pub fn authkv(&self) -> Result<&Authkv> {
        once(&self.authkv, || Authkv::start(self.data(), &measured()))
    }

    /// Of the other checkout, where one was named.
    pub fn against(&self) -> Result<Option<&Authkv>> {
        let start = || match &self.options.against {
            Some(checkout) => Authkv::start(self.data(), checkout).map(Some),
            None => Ok(None),
        };
        Ok(once(&self.against, start)?.as_ref())
    }

    /// Tarantool with the same logic in Lua.
    pub fn lua(&self) -> Result<&Lua> {
        once(&self.lua, || Lua::start(self.data()))
    }

    /// The port of the Lua handler on the `http` rock, and its process.
    pub fn rock(&self) -> Result<(u16, u32)> {
        let lua = self.lua()?;
        Ok((lua.http.ok_or(lua::NO_ROCK)?, lua.process.pid()))
    }

    /// With a log of writes.
    pub fn redis(&self) -> Result<&Redis> {
        once(&self.redis, || Redis::start(self.data(), true))
    }

    /// Before [`Lab::redis`].
    pub fn webdis(&self) -> Result<&Webdis> {
        let redis = self.redis()?;
        once(&self.webdis, || Webdis::start(self.data(), redis))
    }

    pub fn etcd(&self) -> Result<&Etcd> {
        once(&self.etcd, || Etcd::start(self.data()))
    }

    /// Adds a peer to a work, where peers are asked for. One that is missing, does not start or answers wrongly is left
    /// out, and the report says why.
    pub fn peer(&self, name: &str, add: impl FnOnce() -> Result<()>) {
        if self.options.peers {
            if let Err(error) = add() {
                self.note(format!("Left out: {name}: {error}"));
            }
        }
    }

    /// A new floor with bodies of `bytes` bytes: its port and its process.
    pub fn floor(&self, bytes: usize) -> Result<(u16, u32)> {
        let floor = Hyper::start(self.data(), bytes)?;
        let made = (floor.port, floor.process.pid());
        self.floors.borrow_mut().push(floor);
        Ok(made)
    }

    /// Keeps what the report has to say, once.
    pub fn note(&self, note: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            eprintln!("{note}");
            notes.push(note);
        }
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }
}

/// What the cell has, or what `make` makes for it.
fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    match cell.get() {
        Some(made) => Ok(made),
        None => {
            let made = make()?;
            Ok(cell.get_or_init(|| made))
        }
    }
}
