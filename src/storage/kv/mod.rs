//! The pairs: the space `key_value_store`, their expiry times, and the sequence of their revisions.

mod effect;
mod event;
mod feed;
mod purge;
mod quotas;
mod read;
mod recount;
mod replicated;
mod restored;
mod revisions;
mod scan;
mod stored;
mod sweep;
mod write;

pub use effect::{Applied, Effect};
pub use read::ReadForm;
pub use stored::Stored;

use super::Reserve;
use crate::tx::fiber::{self, Cond};
use crate::tx::{
    is_read_only, is_split, log, note_split, note_undurable, sees_undurable, source, tuple_bytes,
    Space, Tx, TxCell,
};
use authkv_base::error::{AccessKind, Error};
use authkv_config::Config;
use authkv_domain::{Access, ChangePage};

use feed::Feed;
use quotas::Quotas;
use revisions::Revisions;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;
use tarantool::tuple::Tuple;

/// The pairs.
pub struct KeyValues {
    space: Space,
    /// The expiry time and the key of every pair that expires.
    expiry: Space,
    max_tuple_size: usize,
    config: Arc<Config>,
    reserve: Arc<Reserve>,
    /// `None` without quotas.
    quotas: Option<Quotas>,
    changes: TxCell<Changes>,
    /// Called with the last durable revision after every commit.
    tell: Tell,
    /// Revisions that an instance of the replica set has given although another one had.
    repeated: TxCell<Cell<u64>>,
}

/// Tells other threads up to which revision changes are known.
pub type Tell = Box<dyn Fn(u64) + Send + Sync>;

/// Past changes and committing changes.
struct Changes {
    revisions: Revisions,
    feed: RefCell<Feed>,
    /// Broadcast after every commit.
    notifications: Cond,
    /// The changes that replication brings are told here, while this instance is read-only.
    follows: Cell<bool>,
    /// The number of calls that wait for changes.
    waiting: Cell<usize>,
    /// Whether this instance could write when revisions were last looked at, and how many rows of others it had when it noticed
    /// revisions of others.
    could_write: Cell<bool>,
    rows_of_others: Cell<u64>,
    /// Whether somebody counts all pairs, and the signal at the end of a count.
    is_counting: Cell<bool>,
    counted: Cond,
}

impl Changes {
    /// Stops all writes if the revisions that others gave came by replication, and not from another image of the library.
    /// Evaluates Lua.
    fn look_for_writers(&self, tx: &Tx) -> Result<(), Error> {
        let rows = source::rows_of_others(tx)?;
        if rows > self.rows_of_others.replace(rows) && !is_split(tx) {
            log::error("another instance of the replica set gives revisions too: nothing is written here until this instance is read-only or authkv is started again. See documentation/consistency.md");
            note_split(tx, true);
        }
        Ok(())
    }

    /// Whether what others change is told here.
    fn is_following(&self, tx: &Tx) -> bool {
        self.follows.get() && is_read_only(tx)
    }
}

/// The right to count all pairs, until it is dropped.
pub struct Counting<'a>(&'a Changes);

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.0.is_counting.set(false);
        self.0.counted.signal();
    }
}

/// A call that waits for changes.
pub struct Waiting<'a>(&'a Cell<usize>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl KeyValues {
    pub fn new(
        tx: &Tx,
        [space, expiry, sequence]: [Space; 3],
        config: &Arc<Config>,
        reserve: Arc<Reserve>,
        tell: Tell,
    ) -> Result<Self, Error> {
        let revisions = Revisions::new(sequence);
        let last = revisions.learn(tx, false)?.unwrap_or_default();
        let changes = Changes {
            revisions,
            feed: RefCell::new(Feed::new(config.watch_buffer, last)),
            notifications: Cond::new(),
            follows: Cell::new(false),
            could_write: Cell::new(false),
            rows_of_others: Cell::new(0),
            waiting: Cell::new(0),
            is_counting: Cell::new(false),
            counted: Cond::new(),
        };
        Ok(Self {
            space,
            expiry,
            max_tuple_size: config.memtx_max_tuple_size as usize,
            config: config.clone(),
            changes: TxCell::new(tx, changes),
            quotas: Quotas::new(tx, &config.kv_quotas),
            reserve,
            tell,
            repeated: TxCell::new(tx, Cell::new(0)),
        })
    }

    /// The number of pairs that expire. Does not yield.
    pub fn expiring(&self, tx: &Tx) -> usize {
        self.expiry.index(0).len(tx)
    }

    /// The most bytes of the values that one read may return.
    fn reply_max(&self) -> usize {
        self.config.live().reply_max
    }

    /// Tuples must have fewer bytes than this.
    pub fn max_tuple_size(&self) -> usize {
        self.max_tuple_size
    }

    /// The changes after a revision, with keys that begin with `prefix` and that the caller may read. Errors: `TooOld`,
    /// `BadOption`. Does not yield.
    pub fn changes(
        &self,
        tx: &Tx,
        access: &Access,
        prefix: &str,
        after: Option<u64>,
    ) -> Result<ChangePage, Error> {
        self.catch_up(tx)?;
        let all = access.allows_all(AccessKind::Read);
        let wanted = |key: &[u8]| {
            key.starts_with(prefix.as_bytes()) && (all || access.allows(AccessKind::Read, key))
        };
        let changes = self.changes.get(tx);
        let feed = changes.feed.borrow();
        match after {
            // Another instance has told it, and it is on its way.
            Some(after) if after > feed.known() && changes.is_following(tx) => Ok(ChangePage {
                next: after,
                ..ChangePage::default()
            }),
            _ => feed.after(after, wanted),
        }
    }

    /// How many revisions were given although another instance had given them.
    pub fn repeated(&self, tx: &Tx) -> u64 {
        self.repeated.get(tx).get()
    }

    /// The last revision up to which clients can ask for changes.
    pub fn known(&self, tx: &Tx) -> Result<u64, Error> {
        self.catch_up(tx)?;
        Ok(self.changes.get(tx).feed.borrow().known())
    }

    /// Waits for the right to count all pairs, which lasts until the result is dropped. Yields while another call counts.
    pub fn begin_count<'a>(&'a self, tx: &'a Tx) -> Counting<'a> {
        let changes = self.changes.get(tx);
        while changes.is_counting.get() && !fiber::is_cancelled(tx) {
            changes.counted.wait();
        }
        changes.is_counting.set(true);
        Counting(changes)
    }

    /// Counts a call that waits for changes, until the result is dropped. Over iproto each such call takes one of the few
    /// requests that Tarantool handles at a time. Errors: `Overloaded`.
    pub fn begin_wait<'a>(&'a self, tx: &'a Tx) -> Result<Waiting<'a>, Error> {
        const MAX: usize = 256;
        let waiting = &self.changes.get(tx).waiting;
        match waiting.get() {
            MAX.. => Err(Error::Overloaded {
                what: "calls that wait for changes at a time",
                limit: MAX,
            }),
            count => {
                waiting.set(count + 1);
                Ok(Waiting(waiting))
            }
        }
    }

    /// Waits for the next change, at most for `time`. Yields.
    pub fn wait(&self, tx: &Tx, time: Duration) {
        self.changes.get(tx).notifications.wait_timeout(time);
    }

    /// Notices changes that were made elsewhere: by another image of the library during a handover, or by a leader.
    fn catch_up(&self, tx: &Tx) -> Result<(), Error> {
        let changes = self.changes.get(tx);
        if changes.is_following(tx) {
            return Ok(());
        }
        let is_open = changes.feed.borrow().is_open();
        let can_write = !is_read_only(tx);
        let could_write = changes.could_write.replace(can_write);
        if can_write && !could_write {
            changes.rows_of_others.set(source::rows_of_others(tx)?);
        }
        if let Some(last) = changes.revisions.learn(tx, is_open)? {
            if can_write && could_write {
                changes.look_for_writers(tx)?;
            }
            changes.feed.borrow_mut().begin_after(last);
            if let Some(quotas) = &self.quotas {
                quotas.mark_stale(tx);
            }
            self.tell(tx);
        }
        Ok(())
    }

    /// Wakes everyone who waits for changes.
    fn tell(&self, tx: &Tx) {
        let changes = self.changes.get(tx);
        changes.notifications.broadcast();
        (self.tell)(changes.feed.borrow().known());
    }

    /// The tuple of a key, a one-element array. Does not yield.
    fn one(&self, tx: &Tx, key: &[u8]) -> Result<Option<Tuple>, Error> {
        Ok(self.space.index(0).get(tx, key)?)
    }

    /// Begins to read pairs. See [`Looks`].
    fn looks<'a>(&'a self, tx: &'a Tx) -> Looks<'a> {
        let feed = &self.changes.get(tx).feed;
        let open = sees_undurable(tx).then(|| (feed.borrow().known(), feed));
        Looks {
            tx,
            open,
            seen: Cell::new(0),
        }
    }
}

/// Reads pairs, some of which may not be durable yet. Valid until the next yield.
struct Looks<'a> {
    tx: &'a Tx,
    /// While a commit is open: the last revision before all open commits, and the feed with their changes.
    open: Option<(u64, &'a RefCell<Feed>)>,
    /// The last revision of an open commit whose changes were seen; 0 without any.
    seen: Cell<u64>,
}

impl Looks<'_> {
    /// Reads the tuple found under a key, a one-element array. Notes if the pair or its absence is not durable yet.
    #[inline]
    fn at<'t>(&self, key: &[u8], found: &'t Option<Tuple>) -> Result<Option<Stored<'t>>, Error> {
        let Some(tuple) = found else {
            self.missed(|feed| feed.is_removing(key));
            return Ok(None);
        };
        let stored = Stored::read(tuple_bytes(tuple))?;
        self.saw(&stored);
        Ok(Some(stored))
    }

    /// Notes if a pair is not durable yet.
    #[inline]
    fn saw(&self, stored: &Stored<'_>) {
        if self.open.is_some_and(|(known, _)| stored.revision > known) {
            note_undurable(self.tx, None);
            self.seen.set(self.seen.get().max(stored.revision));
        }
    }

    /// Notes if a missing pair is being removed by an open commit.
    fn missed(&self, removed: impl FnOnce(&Feed) -> bool) {
        if let Some(feed) = self.open.map(|(_, feed)| feed.borrow()) {
            if removed(&feed) {
                note_undurable(self.tx, None);
                let last = feed.last_open().unwrap_or_default();
                self.seen.set(self.seen.get().max(last));
            }
        }
    }
}
