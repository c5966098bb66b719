//! Limits of rates: a token bucket for each key, in a table of a fixed size without locks. Any thread.
//!
//! A bucket is one number, the moment at which it is full again (the "theoretical arrival time" of the generic cell rate
//! algorithm, ITU-T I.371). Taking a token moves that moment by the time in which one token comes back. Time is that of
//! [`Instant`], so jumps of the clock change nothing.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const SECOND: u64 = 1_000_000_000;
/// How many buckets a table has.
const BUCKETS: usize = 1 << 16;
/// A key has its bucket in one of so many places, which lie together.
const PLACES: usize = 8;

/// A rate: a bucket of `quota` tokens that fills within `window` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub quota: u64,
    pub window: u64,
}

impl Rate {
    /// The allowed texts in words.
    pub const ALLOWED: &str =
        "requests/seconds like 600/60, with 1 to 1000000000 requests and 1 to 86400 seconds";

    /// Reads `600/60`. `None` for other texts.
    pub fn parse(text: &str) -> Option<Self> {
        let (quota, window) = text.split_once('/')?;
        let number = |text: &str, max| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| is_plain)?;
            (1..=max).contains(&number).then_some(number)
        };
        Some(Self {
            quota: number(quota, SECOND)?,
            window: number(window, 86_400)?,
        })
    }

    /// Nanoseconds in which one token comes back; at least 1.
    fn interval(self) -> u64 {
        self.window * SECOND / self.quota
    }
}

/// The state of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Whole tokens.
    pub tokens: u64,
    /// Seconds until there is one more, rounded up; 0 if the bucket is full.
    pub more_in: u64,
}

/// Buckets of one rate, by key.
///
/// The table has 65,536 buckets and never grows. A full bucket is as good as none, so its place is free. If a key is new and
/// all eight of its places are taken, the fullest of these buckets is forgotten: its key begins anew. So a flood of keys cannot
/// grow memory, and it forgets those who have asked least first.
pub struct Buckets {
    pub rate: Rate,
    places: Box<[Place]>,
    /// With random keys, so that nobody can choose keys for the same places.
    hasher: RandomState,
    begun: Instant,
}

#[derive(Default)]
struct Place {
    /// The hash of the key. 64 bits, because a key meets seven others only.
    key: AtomicU64,
    /// When the bucket is full again, in nanoseconds since `begun`; 0 at first.
    full_at: AtomicU64,
}

impl Buckets {
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            places: (0..BUCKETS).map(|_| Place::default()).collect(),
            hasher: RandomState::new(),
            begun: Instant::now(),
        }
    }

    /// Takes a token from the bucket of `key`. Errors: the seconds until there is a token, rounded up.
    pub fn take(&self, key: &(impl Hash + ?Sized)) -> Result<(), u64> {
        self.take_at(self.hasher.hash_one(key), self.now())
    }

    /// The state of the bucket of `key`.
    pub fn left(&self, key: &(impl Hash + ?Sized)) -> Left {
        self.left_at(self.hasher.hash_one(key), self.now())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX / 2)
    }

    fn take_at(&self, key: u64, now: u64) -> Result<(), u64> {
        let interval = self.rate.interval();
        let most = interval * self.rate.quota;
        loop {
            let (place, before, begins) = match self.find(key) {
                (place, Some(full_at)) => (place, full_at, full_at.max(now)),
                (_, None) => match self.claim(key) {
                    Some((place, full_at)) => (place, full_at, now),
                    None => continue,
                },
            };
            let after = begins + interval;
            if after - now > most {
                return Err((after - now - most).div_ceil(SECOND));
            }
            // Another thread may have used the place meanwhile.
            let swapped =
                place
                    .full_at
                    .compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed);
            if swapped.is_ok() {
                return Ok(());
            }
        }
    }

    /// Makes the fullest bucket that of a key without one, before a token is taken from it, so that threads that meet the same
    /// new key share its bucket. `None` if another thread was faster. At worst a key pays for another one's request once.
    fn claim(&self, key: u64) -> Option<(&Place, u64)> {
        let (place, full_at, before) = self.fullest(key);
        let claimed = place
            .key
            .compare_exchange(before, key, Ordering::Relaxed, Ordering::Relaxed);
        claimed.ok().map(|_| (place, full_at))
    }

    fn left_at(&self, key: u64, now: u64) -> Left {
        let interval = self.rate.interval();
        let full_at = self.find(key).1.unwrap_or(0);
        let missing = full_at.saturating_sub(now);
        let taken = missing.div_ceil(interval);
        let until_next = missing - taken.saturating_sub(1) * interval;
        Left {
            tokens: self.rate.quota.saturating_sub(taken),
            more_in: if missing == 0 {
                0
            } else {
                until_next.div_ceil(SECOND)
            },
        }
    }

    /// The places of a key.
    fn places(&self, key: u64) -> &[Place] {
        let first = key as usize % (BUCKETS / PLACES) * PLACES;
        &self.places[first..first + PLACES]
    }

    /// The place of a key, and when its bucket is full again; `None` if it has no bucket.
    fn find(&self, key: u64) -> (&Place, Option<u64>) {
        let places = self.places(key);
        for place in places {
            let full_at = place.full_at.load(Ordering::Relaxed);
            if full_at > 0 && place.key.load(Ordering::Relaxed) == key {
                return (place, Some(full_at));
            }
        }
        (&places[0], None)
    }

    /// Of the places of a key the one whose bucket is full first, with that moment and its present key.
    fn fullest(&self, key: u64) -> (&Place, u64, u64) {
        let places = self.places(key);
        let mut found = (&places[0], u64::MAX, 0);
        for place in places {
            let full_at = place.full_at.load(Ordering::Relaxed);
            if full_at < found.1 {
                found = (place, full_at, place.key.load(Ordering::Relaxed));
            }
        }
        found
    }
}

#[cfg(test)]
#[path = "rate/tests.rs"]
mod tests;
