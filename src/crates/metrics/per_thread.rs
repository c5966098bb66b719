//! Counters that each thread keeps for itself, so that counting costs neither a lock nor a cache line that others write.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::LocalKey;

/// Cells that no other thread writes. Twice as long as a cache line, because processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Line([AtomicU64; Line::CELLS]);

impl Line {
    const CELLS: usize = 16;
}

/// A number of counters, with cells for each thread that has counted. Declare it with [`per_thread`](crate::per_thread).
pub struct PerThread {
    length: usize,
    own: &'static LocalKey<Own>,
    threads: Mutex<Threads>,
}

struct Threads {
    running: Vec<Arc<[Line]>>,
    /// The sums of threads that have ended.
    ended: Vec<u64>,
}

/// The cells of the current thread. Its counts stay when it ends.
pub struct Own {
    of: &'static PerThread,
    cells: Arc<[Line]>,
}

impl PerThread {
    pub const fn new(length: usize, own: &'static LocalKey<Own>) -> Self {
        Self {
            length,
            own,
            threads: Mutex::new(Threads {
                running: Vec::new(),
                ended: Vec::new(),
            }),
        }
    }

    /// Adds to a counter. A number beyond the last counter is ignored.
    #[inline]
    pub fn add(&self, counter: usize, more: u64) {
        self.with(|own| own.add(counter, more));
    }

    /// Passes the cells of this thread to `count`, for several counts.
    #[inline]
    pub fn with(&self, count: impl FnOnce(&Own)) {
        // Fails only while the thread ends.
        let _ = self.own.try_with(count);
    }

    /// The sums over all threads, by counter.
    pub fn sums(&self) -> Vec<u64> {
        let threads = self.threads();
        let mut sums = threads.ended.clone();
        sums.resize(self.length, 0);
        for cells in &threads.running {
            add_to(&mut sums, cells);
        }
        sums
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add_to(sums: &mut [u64], cells: &[Line]) {
    let cells = cells.iter().flat_map(|line| &line.0);
    for (sum, cell) in sums.iter_mut().zip(cells) {
        *sum = sum.wrapping_add(cell.load(Relaxed));
    }
}

impl Own {
    /// Cells for the current thread. [`per_thread`](crate::per_thread) calls it once for each thread that counts.
    pub fn new(of: &'static PerThread) -> Self {
        let lines = of.length.div_ceil(Line::CELLS);
        let cells: Arc<[Line]> = (0..lines).map(|_| Line::default()).collect();
        of.threads().running.push(cells.clone());
        Self { of, cells }
    }

    /// See [`PerThread::add`].
    #[inline]
    pub fn add(&self, counter: usize, more: u64) {
        if let Some(line) = self.cells.get(counter / Line::CELLS) {
            let cell = &line.0[counter % Line::CELLS];
            // Nobody else writes it, so this needs no locked instruction.
            cell.store(cell.load(Relaxed).wrapping_add(more), Relaxed);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut threads = self.of.threads();
        threads.ended.resize(self.of.length, 0);
        add_to(&mut threads.ended, &self.cells);
        threads
            .running
            .retain(|cells| !Arc::ptr_eq(cells, &self.cells));
    }
}

/// Declares a static [`PerThread`]: `per_thread! { /// What it counts. static NAME: LENGTH; }`.
#[macro_export]
macro_rules! per_thread {
    ($(#[$about:meta])* $visible:vis static $name:ident: $length:expr;) => {
        $(#[$about])*
        $visible static $name: $crate::PerThread = {
            ::std::thread_local! {
                static OWN: $crate::Own = $crate::Own::new(&$name);
            }
            $crate::PerThread::new($length, &OWN)
        };
    };
}

#[cfg(test)]
mod tests {
    crate::per_thread! { static COUNTS: 40; }

    #[test]
    fn the_counts_of_all_threads_are_added_up_and_stay_when_threads_end() {
        let count = || {
            for _ in 0..1000 {
                COUNTS.add(0, 1);
                COUNTS.add(39, 2);
            }
            // There is no such counter.
            COUNTS.add(4000, 1);
        };
        count();
        let start = |_| authkv_base::threads::spawn("count".to_owned(), count).unwrap();
        let threads: Vec<_> = (0..3).map(start).collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let sums = COUNTS.sums();
        assert_eq!((sums[0], sums[39], sums.len()), (4000, 8000, 40));
        assert_eq!(COUNTS.threads().running.len(), 1);
    }
}
