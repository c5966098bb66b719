//! The limit on the bytes of bodies and answers in memory, over all connections. Any thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Smaller reservations are not counted: the limit on requests bounds them.
const SMALL: usize = 16 * 1024;

/// The limit, and the bytes reserved so far.
#[derive(Debug)]
pub struct Memory {
    held: AtomicUsize,
    max: AtomicUsize,
}

/// A reservation of bytes. Dropping it gives them back.
#[derive(Debug, Default)]
pub struct Reservation(Option<(Arc<Memory>, usize)>);

impl Memory {
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            max: AtomicUsize::new(max),
        })
    }

    /// The bytes reserved now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes the limit. Existing reservations stay.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Reserves `bytes`. Returns `None` if that would exceed the limit.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let mut held = Reservation::default();
        held.grow_to(self, bytes).then_some(held)
    }
}

impl Reservation {
    /// Grows this reservation to `bytes` in all. Returns whether there was room; if not, nothing changes.
    pub fn grow_to(&mut self, memory: &Arc<Memory>, bytes: usize) -> bool {
        let before = self.0.as_ref().map_or(0, |(_, held)| *held);
        if bytes <= before.max(SMALL) {
            return true;
        }
        let more = bytes - before;
        let add = |held: usize| held.checked_add(more).filter(|held| *held <= memory.max());
        let added = memory
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if added.is_err() {
            return false;
        }
        match &mut self.0 {
            Some((_, held)) => *held = bytes,
            None => self.0 = Some((memory.clone(), bytes)),
        }
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((memory, bytes)) = &self.0 {
            memory.held.fetch_sub(*bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_held_than_the_limit_and_all_is_given_back() {
        let memory = Memory::new(100_000);
        let mut first = memory.hold(60_000).unwrap();
        assert!(memory.hold(60_000).is_none());
        assert!(memory.hold(SMALL).is_some());
        assert!(first.grow_to(&memory, 90_000));
        assert!(!first.grow_to(&memory, 100_001));
        assert!(memory.hold(20_000).is_none());
        drop(first);
        assert!(memory.hold(100_000).is_some());
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }
}
