//! Memory that pairs cannot have, so that users, tokens, roles and keys can be changed, and pairs deleted, in a full store.
//! Runs on the tx thread.
//!
//! Tarantool gives memory out in slabs, and a slab to tuples of about one size. What is free for tuples of one size may be
//! none for others, so a limit of bytes would keep nothing. The reserve holds whole slabs instead, by tuples of its own in
//! a temporary space, which is neither in the log of writes nor in snapshots. Pairs are written while all of it is there.
//! A change that finds no memory frees slabs and is tried again; the reserve is filled again once there is memory.
//!
//! Indexes have memory of their own kind, which they give back only when they are dropped. So what is left for them is
//! looked at, and pairs stop before it is used up.

use crate::tx::{log, lua, transaction, transaction_if, Failure, Range, Space, Tx, TxCell};
use authkv_base::error::Error;
use authkv_config::Config;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Bytes of a slab, for tuples between 10.5 and 20 KiB: Tarantool takes a hundred times the size, rounded up to a power
/// of two. What is freed is enough for new tuples of all smaller sizes.
const SLAB: usize = 1 << 21;
/// Bytes of a tuple of the reserve, below the lowest `memtx_max_tuple_size`, and of the header of a slab.
const TUPLE: usize = 12 << 10;
const HEADER: usize = 128;
/// How many slabs have to be held in any case: one stays with its size when it is freed, the other helps.
const SOME: usize = 2;
/// Larger tuples are in no slab.
const LARGE: u64 = 4 << 20;
/// Tuples that one attempt to fill the reserve may make: those that fill gaps in slabs of others are deleted again.
const TUPLES: usize = (64 << 20) / TUPLE;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// What the indexes of all spaces have to have left, and what a pair is reckoned to take of it until it is looked again:
/// far more than it takes, but for what a snapshot copies.
const INDEXES: i64 = 2 << 20;
const PAIR: i64 = 64 << 10;

/// How much of the reserve a change may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All but the last slab: for what users do that adds something.
    Ordinary,
    /// All of it: for what administrators do, and for what ends or deletes something.
    Last,
}

pub struct Reserve {
    /// None where nothing is reserved.
    space: Option<Space>,
    /// How many slabs.
    wanted: usize,
    /// Whether tuples may be so large that they are in no slab.
    has_large: bool,
    state: TxCell<State>,
}

struct State {
    /// The tuples of each slab that is held.
    slabs: RefCell<Vec<Vec<u64>>>,
    /// Whether nothing has to be held, because there is plenty.
    idle: Cell<bool>,
    /// What pairs may take until it is looked again.
    budget: Cell<i64>,
    /// Whether the last look found enough.
    enough: Cell<bool>,
    /// Whether the last look found much that is free, if only for tuples of some sizes.
    gaps: Cell<bool>,
    /// When it was last attempted to fill the reserve, or a part of it was freed.
    tried_at: Cell<Option<Instant>>,
    /// What the log says.
    told_whole: Cell<bool>,
    next_id: Cell<u64>,
}

/// Tuples that lie in the same slab, and the least distance between two of them.
struct Group {
    ids: Vec<u64>,
    last: usize,
    pitch: usize,
}

impl Reserve {
    /// Forgets what an older image of the library has reserved. Where the space is missing nothing is reserved.
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
                    told_whole: Cell::new(true),
                    // Another image may still count on from where it began.
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

    /// Whether pairs may be written, or anything else that need not be: where all of the reserve is held, or enough of it and
    /// memory is not full but divided in a way that no slab can be had. Tarantool keeps a slab for each size that it has had,
    /// so that may stay so until it is started again. Cheap, and does not yield.
    #[inline]
    pub fn is_whole(&self, tx: &Tx) -> bool {
        let state = self.state.get(tx);
        let held = || state.slabs.borrow().len();
        state.enough.get()
            && (state.idle.get() || held() == self.wanted || state.gaps.get() && held() >= SOME)
    }

    /// To be asked before such a change. Errors: `StorageFull`. Outside a transaction; does not yield.
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

    /// Counts a pair that is written, in its transaction. Errors: `StorageFull`. Does not yield.
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

    /// Runs `body` in a transaction that may use the reserve. It may run more than once. Errors: those of `body`. Yields while
    /// it commits.
    pub fn transaction<T>(
        &self,
        tx: &Tx,
        depth: Depth,
        mut body: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.relieving(tx, depth, || transaction(tx, &mut body))
    }

    /// The same, but rolled back also if `body` says so with its result.
    pub fn transaction_if<T>(
        &self,
        tx: &Tx,
        depth: Depth,
        mut body: impl FnMut() -> Result<(T, bool), Error>,
    ) -> Result<T, Error> {
        self.relieving(tx, depth, || transaction_if(tx, &mut body))
    }

    /// Runs what may find no memory again for as long as some can be freed. Errors: those of `body`.
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

    /// Fills the reserve, where memory is not plenty any more and it was not tried just now. To be called now and then.
    /// Outside a transaction; does not yield.
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
        self.tell(tx);
    }

    /// Looks how much memory is left. Returns whether it is enough for the indexes. Does not yield.
    fn look(&self, tx: &Tx) -> bool {
        let state = self.state.get(tx);
        let Some(memory) = lua::memory(tx).filter(|_| self.wanted > 0) else {
            state.budget.set(i64::MAX);
            return true;
        };
        let left = memory.left_for_indexes(self.has_large) - INDEXES;
        // Often enough to see that the reserve has to be filled.
        state.budget.set(left.min(memory.quota / 8));
        state.enough.set(left > 0);
        state.gaps.set(memory.has_gaps());
        if memory.arena_size >= memory.quota / 4 {
            state.idle.set(false);
        }
        left > 0
    }

    /// Holds the slabs that are missing, or as many as there is memory for.
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

    /// Frees some slabs. Returns whether it did. Outside a transaction; does not yield.
    fn relieve(&self, tx: &Tx, depth: Depth) -> bool {
        let state = self.state.get(tx);
        // Whatever the last look has found.
        state.idle.set(false);
        // Not filled again at once, with what it was freed for.
        state.tried_at.set(Some(Instant::now()));
        let kept = match depth {
            Depth::Ordinary => 1,
            Depth::Last => 0,
        };
        let held = state.slabs.borrow().len();
        // Tarantool keeps the first slab that is freed for tuples of its size.
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
        self.tell(tx);
        freed > 0
    }

    /// Says in the log where pairs are refused from now on, or are not any more.
    fn tell(&self, tx: &Tx) {
        let is_whole = self.is_whole(tx);
        if self.state.get(tx).told_whole.replace(is_whole) == is_whole {
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
                // An error is one of a key that is malformed, which these are not.
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

    /// Whether no other tuple has a place in the slab.
    fn is_whole(&self) -> bool {
        self.ids.len() > 1 && self.ids.len() >= (SLAB - HEADER) / self.pitch
    }
}
