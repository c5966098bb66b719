//! Memory that pairs cannot use, so that users, tokens, roles and keys can be changed, and pairs deleted, in a full store. Runs
//! on the tx thread.
//!
//! Tarantool divides memory into slabs, and each slab is for tuples of about one size. Memory that is free for one size may be
//! useless for others, so a limit of bytes would reserve nothing. Instead the reserve occupies whole slabs with its own tuples,
//! in a temporary space that is neither in the log of writes nor in snapshots. Pairs are written only while the whole reserve
//! is there. A change that finds no memory frees some of these slabs and is tried again. The reserve is filled again once there
//! is memory.
//!
//! Indexes have separate memory, and give it back only when they are dropped. So their remaining memory is checked, and pairs
//! are refused before it is used up.

use crate::tx::{log, lua, transaction, transaction_if, Failure, Range, Space, Tx, TxCell};
use authkv_base::error::Error;
use authkv_config::Config;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The bytes of a slab for tuples of 10.5 to 20 KiB: Tarantool takes a hundred times the size, rounded up to a power of two. A
/// freed slab suffices for new tuples of all smaller sizes.
const SLAB: usize = 1 << 21;
/// The bytes of a tuple of the reserve, below the lowest `memtx_max_tuple_size`, and of the header of a slab.
const TUPLE: usize = 12 << 10;
const HEADER: usize = 128;
/// The fewest slabs to occupy in any case: when they are freed, one remains bound to its tuple size and the other one helps.
const FEWEST: usize = 2;
/// Larger tuples are not in slabs.
const LARGE: u64 = 4 << 20;
/// The most tuples of one attempt to fill the reserve. Tuples that only fill gaps in other slabs are deleted again.
const TUPLES: usize = (64 << 20) / TUPLE;
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// The memory that must remain for the indexes of all spaces, and the estimated use of a pair until the next check. The
/// estimate is far more than a pair uses, except for the copies during a snapshot.
const INDEXES: i64 = 2 << 20;
const PAIR: i64 = 64 << 10;

/// How much of the reserve a change may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All but the last slab: for changes by users that add something.
    Ordinary,
    /// The whole reserve: for changes by administrators, and for changes that end or delete something.
    Last,
}

pub struct Reserve {
    /// `None` if nothing is reserved.
    space: Option<Space>,
    /// The number of slabs to occupy.
    wanted: usize,
    /// Whether tuples may be too large for slabs.
    has_large: bool,
    state: TxCell<State>,
}

struct State {
    /// The ids of the tuples in each occupied slab.
    slabs: RefCell<Vec<Vec<u64>>>,
    /// Whether the reserve may be empty, because there is plenty of memory.
    idle: Cell<bool>,
    /// The bytes that pairs may use until the next check.
    budget: Cell<i64>,
    /// Whether the last check found enough memory for indexes.
    enough: Cell<bool>,
    /// Whether the last check found much free memory, even if only for tuples of some sizes.
    gaps: Cell<bool>,
    /// The last attempt to fill the reserve, or the last time that a part of it was freed.
    tried_at: Cell<Option<Instant>>,
    /// The state that was last written to the log.
    logged_whole: Cell<bool>,
    next_id: Cell<u64>,
}

/// The tuples in one slab, and the least distance between two of them.
struct Group {
    ids: Vec<u64>,
    last: usize,
    pitch: usize,
}

impl Reserve {
    /// Deletes the reserve of an older image of the library. If the space is missing, nothing is reserved.
    pub fn open(tx: &Tx, config: &Config) -> Result<Self, Error> {
        let wanted = (config.memtx_reserve as usize).div_ceil(SLAB);
        let space = Space::find(tx, "authkv_reserve").filter(|_| wanted > 0);
        let reserve = Self {
            space,
            wanted: space.map_or(0, |_| wanted),
            has_large: config.memtx_max_tuple_size > LARGE,
            state: TxCell::new(
                tx,
                State {
                    slabs: RefCell::default(),
                    idle: Cell::new(true),
                    budget: Cell::new(0),
                    enough: Cell::new(true),
                    gaps: Cell::new(true),
                    tried_at: Cell::new(None),
                    logged_whole: Cell::new(true),
                    // Starts at the time, because another image may still use ids that follow its own start.
                    next_id: Cell::new(authkv_base::clock::milliseconds() << 20),
                },
            ),
        };
        reserve.clear(tx)?;
        reserve.keep(tx);
        Ok(reserve)
    }

    fn clear(&self, tx: &Tx) -> Result<(), Error> {
        let Some(space) = self.space else {
            return Ok(());
        };
        let mut ids = Vec::new();
        let read = |tuple: &[u8]| rmp_serde::from_slice::<(u64, &str)>(tuple).map(|row| row.0);
        space.index(0).scan(tx, Range::All, |tuple| {
            ids.extend(read(tuple).ok());
            true
        })?;
        self.free(tx, &ids);
        Ok(())
    }

    /// Whether pairs and other data that can wait may be written. That needs the whole reserve, or a part of it if memory is
    /// not full but so divided that no slab is free. Tarantool keeps a slab for each size it has seen, so this state may last
    /// until a restart. Cheap. Does not yield.
    #[inline]
    pub fn is_whole(&self, tx: &Tx) -> bool {
        let state = self.state.get(tx);
        let held = || state.slabs.borrow().len();
        state.enough.get()
            && (state.idle.get() || held() == self.wanted || state.gaps.get() && held() >= FEWEST)
    }

    /// Call this before such a write. Errors: `StorageFull`. Only outside a transaction. Does not yield.
    pub fn admit(&self, tx: &Tx) -> Result<(), Error> {
        if self.is_whole(tx) {
            return Ok(());
        }
        self.keep(tx);
        match self.is_whole(tx) {
            true => Ok(()),
            false => Err(Error::StorageFull),
        }
    }

    /// Counts the memory of a pair in its transaction. Errors: `StorageFull`. Does not yield.
    #[inline]
    pub fn take(&self, tx: &Tx, bytes: usize) -> Result<(), Error> {
        let state = self.state.get(tx);
        let left = state.budget.get() - PAIR - bytes as i64;
        state.budget.set(left);
        match left > 0 || self.look(tx) {
            true => Ok(()),
            false => Err(Error::StorageFull),
        }
    }

    /// Runs `body` in a transaction that may use the reserve. `body` may run more than once. Errors: those of `body`. Yields
    /// while it commits.
    pub fn transaction<T>(
        &self,
        tx: &Tx,
        depth: Depth,
        mut body: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.relieving(tx, depth, || transaction(tx, &mut body))
    }

    /// Like [`Self::transaction`], and also rolls back if `body` returns `false`.
    pub fn transaction_if<T>(
        &self,
        tx: &Tx,
        depth: Depth,
        mut body: impl FnMut() -> Result<(T, bool), Error>,
    ) -> Result<T, Error> {
        self.relieving(tx, depth, || transaction_if(tx, &mut body))
    }

    /// Runs `body`, and runs it again if it finds no memory, as long as some of the reserve can be freed. Errors: those of
    /// `body`.
    pub fn relieving<T>(
        &self,
        tx: &Tx,
        depth: Depth,
        mut body: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            match body() {
                Err(Error::StorageFull) if self.relieve(tx, depth) => {}
                other => return other,
            }
        }
    }

    /// Fills the reserve if memory is no longer plenty and the last attempt was not just now. Call it now and then. Only
    /// outside a transaction. Does not yield.
    pub fn keep(&self, tx: &Tx) {
        let state = self.state.get(tx);
        if state.tried_at.get().is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        self.look(tx);
        if !state.idle.get() && state.slabs.borrow().len() < self.wanted {
            state.tried_at.set(Some(Instant::now()));
            self.fill(tx);
        }
        self.log_change(tx);
    }

    /// Checks how much memory remains. Returns whether it is enough for the indexes. Does not yield.
    fn look(&self, tx: &Tx) -> bool {
        let state = self.state.get(tx);
        let Some(memory) = lua::memory(tx).filter(|_| self.wanted > 0) else {
            state.budget.set(i64::MAX);
            return true;
        };
        let left = memory.left_for_indexes(self.has_large) - INDEXES;
        // Checks often enough to notice that the reserve has to be filled.
        state.budget.set(left.min(memory.quota / 8));
        state.enough.set(left > 0);
        state.gaps.set(memory.has_gaps());
        if memory.arena_size >= memory.quota / 4 {
            state.idle.set(false);
        }
        left > 0
    }

    /// Occupies the missing slabs, or as many as memory allows.
    fn fill(&self, tx: &Tx) {
        let Some(space) = self.space else { return };
        let state = self.state.get(tx);
        let missing = self.wanted - state.slabs.borrow().len();
        let filler = "r".repeat(TUPLE - 32);
        let mut groups: HashMap<usize, Group> = HashMap::new();
        let (mut whole, mut made) = (0, 0);
        while whole < missing && made < TUPLES {
            let id = state.next_id.get();
            let Ok(tuple) = rmp_serde::to_vec(&(id, &*filler)) else {
                break;
            };
            let address = match space.insert_at(tx, &tuple) {
                Ok(address) => address,
                Err(Failure::Memory) => break,
                Err(other) => {
                    let _ = Error::from(other);
                    break;
                }
            };
            state.next_id.set(id + 1);
            made += 1;
            let group = groups.entry(address / SLAB).or_insert_with(|| Group {
                ids: Vec::new(),
                last: address,
                pitch: usize::MAX,
            });
            let was_whole = group.is_whole();
            group.add(id, address);
            whole += usize::from(!was_whole && group.is_whole());
        }
        for group in groups.into_values() {
            match group.is_whole() {
                true => state.slabs.borrow_mut().push(group.ids),
                false => self.free(tx, &group.ids),
            }
        }
    }

    /// Frees some slabs. Returns whether it did. Only outside a transaction. Does not yield.
    fn relieve(&self, tx: &Tx, depth: Depth) -> bool {
        let state = self.state.get(tx);
        // Regardless of the last check.
        state.idle.set(false);
        // Keeps the reserve from taking the freed memory back at once.
        state.tried_at.set(Some(Instant::now()));
        let kept = match depth {
            Depth::Ordinary => 1,
            Depth::Last => 0,
        };
        let held = state.slabs.borrow().len();
        // Tarantool keeps the first freed slab for tuples of its size.
        let freed = match held == self.wanted {
            true => 2,
            false => 1,
        };
        let freed = freed.min(held.saturating_sub(kept));
        for _ in 0..freed {
            let Some(ids) = state.slabs.borrow_mut().pop() else {
                break;
            };
            self.free(tx, &ids);
        }
        self.log_change(tx);
        freed > 0
    }

    /// Logs when pairs begin to be refused, and when they are accepted again.
    fn log_change(&self, tx: &Tx) {
        let is_whole = self.is_whole(tx);
        if self.state.get(tx).logged_whole.replace(is_whole) == is_whole {
            return;
        }
        match is_whole {
            true => log::info("there is memory again: pairs are taken"),
            false => log::warn(
                "memory is full up to the reserve: pairs and registrations are refused until some is freed",
            ),
        }
    }

    fn free(&self, tx: &Tx, ids: &[u64]) {
        for id in ids {
            if let Some(space) = self.space {
                // Only a malformed key causes an error, and these keys are right.
                let _ = space.delete(tx, &super::array(&(id,)));
            }
        }
    }
}

impl Group {
    fn add(&mut self, id: u64, address: usize) {
        if !self.ids.is_empty() {
            self.pitch = self.pitch.min(address.abs_diff(self.last));
        }
        self.last = address;
        self.ids.push(id);
    }

    /// Whether the slab has no room for another tuple.
    fn is_whole(&self) -> bool {
        self.ids.len() > 1 && self.ids.len() >= (SLAB - HEADER) / self.pitch
    }
}
