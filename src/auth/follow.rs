//! How a key-value instance follows an authorization instance: revocations, users, roles, keys; and how long ago a member of a
//! replica set has heard from its leader. Runs on the tx thread, except for the check.

use super::{rotation, Auth};
use crate::storage::{Depth, Entry, Heard};
use crate::tx::source::{self, Source, Vclock};
use crate::tx::{await_durability, fiber, Tx};
use authkv_base::error::Error;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// The generation of the data; 0 from older versions.
    #[serde(default)]
    generation: u64,
    /// The UUID of the replica set; empty from older versions.
    #[serde(default)]
    cluster: String,
    /// Every row that the entries come from is at most here. Empty from older versions.
    #[serde(default)]
    vclock: Vclock,
    /// Seconds since the instance certainly knew all changes: more than 0 on a replica.
    #[serde(default)]
    age: f64,
}

impl Changes {
    /// Whether these changes come from another replica set than the earlier ones.
    fn are_of_others(&self, heard: &Heard) -> bool {
        let known = !self.cluster.is_empty() && !heard.cluster.is_empty();
        known && self.cluster != heard.cluster
    }

    /// Whether the instance lacks rows that were heard. It may have given their numbers to other changes.
    fn lack(&self, heard: &Heard) -> bool {
        !self.vclock.is_empty() && !heard.vclock.is_within(&self.vclock)
    }

    fn heard(&self) -> Heard {
        Heard {
            cluster: self.cluster.clone(),
            vclock: self.vclock.clone(),
        }
    }
}

/// How many tuples of each space are forgotten in one transaction.
const SLICE: usize = 500;

/// How far an instance has followed another.
pub struct Following {
    started_at: Instant,
    /// When all changes were last known, in milliseconds since `started_at`; `NEVER` before that.
    followed_at: AtomicU64,
    /// All changes of the instance followed are known up to this number.
    heard: AtomicU64,
    /// The other instance was asked for all changes from the first on.
    asked_all: AtomicBool,
    /// The other instance knows less than was heard from it, so it was restored, or has other data.
    refused: AtomicBool,
    /// This instance is a read-only member of a replica set: it knows what its leader has revoked while it hears from it.
    has_leader: AtomicBool,
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
            asked_all: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            has_leader: AtomicBool::new(false),
        }
    }

    /// Begins anew, as after a start: nothing is known of the instance followed but its generation.
    fn forget(&self, generation: u64) {
        self.followed_at.store(NEVER, Ordering::Relaxed);
        self.heard.store(generation, Ordering::Relaxed);
        self.refused.store(false, Ordering::Relaxed);
    }

    /// Notes that all changes up to this number were known so many seconds ago.
    fn note(&self, number: u64, age: f64) {
        self.heard.store(number, Ordering::Relaxed);
        self.note_contact(age);
    }

    /// Notes that all changes were known so many seconds ago.
    fn note_contact(&self, age: f64) {
        let then = self.uptime().saturating_sub((age * 1000.0) as u64);
        // Another instance may have known it later.
        let before = self.followed_at.load(Ordering::Relaxed);
        let then = if before == NEVER {
            then
        } else {
            then.max(before)
        };
        self.followed_at.store(then, Ordering::Relaxed);
    }

    /// Notes what a member of a replica set hears from its leader. Evaluates Lua. Does not yield. Errors: `Internal`.
    pub fn look_at_leader(&self, tx: &Tx) -> Result<(), Error> {
        let contact = source::contact(tx)?;
        if let Some(silence) = contact.silence {
            self.note_contact(silence);
        } else if !contact.depends {
            // It revokes tokens itself.
            self.note_contact(0.0);
        }
        self.has_leader.store(contact.depends, Ordering::Relaxed);
        Ok(())
    }

    /// Whether this instance is a read-only member of a replica set. Any thread.
    pub fn has_leader(&self) -> bool {
        self.has_leader.load(Ordering::Relaxed)
    }

    /// The number up to which all changes of the instance followed are known.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Milliseconds since the start, by a clock that is never set back.
    fn uptime(&self) -> u64 {
        self.started_at.elapsed().as_millis() as u64
    }

    /// How long ago all changes were last known; at first the time since the start. Any thread.
    pub fn lag(&self) -> Duration {
        let followed_at = match self.followed_at.load(Ordering::Relaxed) {
            NEVER => 0,
            followed_at => followed_at,
        };
        Duration::from_millis(self.uptime().saturating_sub(followed_at))
    }

    /// Errors: `RevocationsUnknown` if this instance follows another, or a leader, and has not heard from it for too long.
    pub fn check(&self, auth: &Auth) -> Result<(), Error> {
        let follows = auth.config.follow.is_some() || self.has_leader();
        let Some(lag) = auth.config.live().follow_max_lag.filter(|_| follows) else {
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

/// The changes with numbers above `after`, for followers. Yields until they are durable. Errors: `Behind` on a replica that
/// cannot tell whether it has all changes.
pub fn changes(tx: &Tx, auth: &Auth, after: u64) -> Result<Changes, Error> {
    let mirror = &auth.storage.mirror;
    let Source { cluster, age, .. } = source::settled(tx)?;
    let last = mirror.last(tx)?;
    let entries = mirror.after(tx, after, PAGE)?;
    let generation = auth.storage.generation.read(tx)?;
    // A follower would keep a change that is rolled back here.
    await_durability(tx)?;
    Ok(Changes {
        entries,
        last,
        generation,
        cluster,
        // Now, because it has to cover changes that were not durable when they were read.
        vclock: source::place(tx)?.vclock,
        age,
    })
}

/// Applies the answer of [`changes`] from the instance followed. Returns the number to ask after next. Errors: `OtherData`;
/// `Rewound` if that instance knows less than was heard from it. Yields.
pub fn apply(tx: &Tx, auth: &'static Auth, changes: &Changes) -> Result<u64, Error> {
    let storage = &auth.storage;
    let following = &auth.following;
    let entries = &changes.entries;
    let heard = storage.followed.read(tx)?;
    if changes.are_of_others(&heard) {
        following.refused.store(true, Ordering::Relaxed);
        return Err(Error::OtherData);
    }
    let is_older = match changes.generation.cmp(&storage.generation.read(tx)?) {
        Less => true,
        Equal => changes.last < storage.mirror.last(tx)? || changes.lack(&heard),
        Greater => false,
    };
    following.refused.store(is_older, Ordering::Relaxed);
    if is_older {
        return Err(Error::Rewound);
    }
    begin(tx, auth, changes.generation)?;
    let begins = !storage.generation.is_followed(tx)?;
    if begins && !following.asked_all.swap(true, Ordering::Relaxed) {
        return Ok(0);
    }
    following.asked_all.store(false, Ordering::Relaxed);
    if begins {
        forget(tx, auth)?;
    }
    let is_new = !changes.cluster.is_empty() && heard.cluster.is_empty();
    if !entries.is_empty() || is_new {
        let note = || storage.followed.keep(tx, &changes.heard());
        let reserve = &storage.reserve;
        storage.mirror.apply(tx, reserve, entries, note)?;
    }
    rotation::refresh(tx, auth)?;
    let caught_up = entries.last().map_or(changes.last, |entry| entry.number);
    if caught_up == changes.last {
        auth.following.note(changes.last, changes.age);
    }
    Ok(caught_up)
}

/// Begins this generation, if it is new: tokens of older ones end at once.
fn begin(tx: &Tx, auth: &Auth, generation: u64) -> Result<(), Error> {
    let storage = &auth.storage;
    if generation == storage.generation.known(tx) {
        return Ok(());
    }
    // After a restore the rows have other numbers.
    let heard = Heard {
        vclock: Vclock::default(),
        ..storage.followed.read(tx)?
    };
    let begun = storage.reserve.transaction(tx, Depth::Last, || {
        storage.followed.keep(tx, &heard)?;
        storage.generation.begin(tx, generation)
    });
    storage.generation.read(tx)?;
    begun?;
    auth.following.forget(generation);
    Ok(())
}

/// Forgets what was heard in older generations: the instance followed may know nothing of it. Yields.
fn forget(tx: &Tx, auth: &Auth) -> Result<(), Error> {
    let storage = &auth.storage;
    while storage.mirror.clear(tx, SLICE)? {
        fiber::pass(tx);
    }
    let reserve = &storage.reserve;
    reserve.transaction(tx, Depth::Last, || storage.generation.follow(tx))
}

/// Forgets what was heard, if the instance followed knows less than that or has other data, to follow it anew. It is asked for everything already,
/// because it was connected to anew when it had been restored. Yields.
pub fn restored(tx: &Tx, auth: &Auth) -> Result<(), Error> {
    if !auth.following.refused.load(Ordering::Relaxed) {
        return Ok(());
    }
    begin(tx, auth, 0)?;
    let storage = &auth.storage;
    let forgotten = || storage.followed.forget(tx);
    storage.reserve.transaction(tx, Depth::Last, forgotten)?;
    forget(tx, auth)?;
    auth.following.forget(0);
    Ok(())
}
