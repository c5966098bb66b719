//! How a key-value instance follows an authorization instance: revocations, users, roles, keys. Runs on the tx thread,
//! except for the check.

use super::{rotation, Auth};
use crate::storage::Entry;
use crate::tx::{await_durability, Tx};
use authkv_base::error::Error;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many changes an answer has at most.
const PAGE: usize = 1000;
const NEVER: u64 = u64::MAX;

/// Changes, as an instance gives them to its followers.
#[derive(Serialize, Deserialize)]
pub struct Changes {
    entries: Vec<Entry>,
    /// The highest number of all changes.
    last: u64,
}

/// How far an instance has followed another.
pub struct Following {
    started_at: Instant,
    /// When all changes were last known, in milliseconds since `started_at`; `NEVER` before that.
    followed_at: AtomicU64,
    /// All changes of the instance followed are known up to this number.
    heard: AtomicU64,
}

impl Following {
    /// `heard_ago` is how long ago an older image of the library last knew all changes; `heard` is the number of the last
    /// change.
    pub fn new(heard_ago: Option<Duration>, heard: u64) -> Self {
        let now = Instant::now();
        Self {
            started_at: heard_ago
                .and_then(|ago| now.checked_sub(ago))
                .unwrap_or(now),
            followed_at: AtomicU64::new(heard_ago.map_or(NEVER, |_| 0)),
            heard: AtomicU64::new(heard),
        }
    }

    /// Notes that all changes up to this number are known now.
    fn note(&self, number: u64) {
        self.heard.store(number, Ordering::Relaxed);
        self.followed_at.store(self.uptime(), Ordering::Relaxed);
    }

    /// The number up to which all changes of the instance followed are known.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Milliseconds since the start, by a clock that is never set back.
    fn uptime(&self) -> u64 {
        self.started_at.elapsed().as_millis() as u64
    }

    /// Errors: `RevocationsUnknown` if this instance follows another and has not heard from it for too long.
    pub fn check(&self, auth: &Auth) -> Result<(), Error> {
        let (Some(_), Some(lag)) = (&auth.config.follow, auth.config.follow_max_lag) else {
            return Ok(());
        };
        // An instance that is stopping gets no changes any more. Its successor writes them to the same spaces.
        if auth.life.is_stopping() {
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

/// The changes with numbers above `after`, for followers. Yields until they are durable.
pub fn changes(tx: &Tx, auth: &Auth, after: u64) -> Result<Changes, Error> {
    let mirror = &auth.storage.mirror;
    let last = mirror.last(tx)?;
    let entries = mirror.after(tx, after, PAGE)?;
    // A follower would keep a change that is rolled back here.
    await_durability(tx)?;
    Ok(Changes { entries, last })
}

/// Applies the answer of [`changes`] from the instance followed. Returns the number to ask after next. Yields.
pub fn apply(tx: &Tx, auth: &'static Auth, changes: &Changes) -> Result<u64, Error> {
    let storage = &auth.storage;
    let entries = &changes.entries;
    storage.mirror.apply(tx, &storage.reserve, entries)?;
    rotation::refresh(tx, auth)?;
    let caught_up = entries.last().map_or(changes.last, |entry| entry.number);
    if caught_up == changes.last {
        auth.following.note(changes.last);
    }
    Ok(caught_up)
}
