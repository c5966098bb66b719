//! What is counted of the queue for tx. Any thread.

use super::Bridge;
use authkv_command::Lane;
use authkv_metrics::{list, per_thread, Buckets, Family};
use std::time::Duration;

/// The lanes in the order of [`Lane`], of which `Crypto` is the last.
const LANES: [&str; Lane::Crypto as usize + 1] = ["inline", "commit", "scan", "purge", "crypto"];
const WAIT: Buckets = Buckets::TX;
const REFUSED: usize = LANES.len() * WAIT.cells();
/// The results of waits for fresh data.
const RESULTS: [&str; 2] = ["ready", "failed"];
const FRESH: usize = REFUSED + 1;
const FRESH_WAIT: Buckets = Buckets::REQUEST;

per_thread! {
    /// The waits in each lane, refused requests, and the waits for fresh data by their results.
    static COUNTS: FRESH + RESULTS.len() * FRESH_WAIT.cells();
}

/// Counts the wait of a request until it begins.
#[inline]
pub fn waited(lane: Lane, time: Duration) {
    COUNTS.with(|own| WAIT.observe_time(own, lane as usize * WAIT.cells(), time));
}

/// Counts a request for which the queue had no room.
pub fn refused() {
    COUNTS.add(REFUSED, 1);
}

/// Counts a wait for fresh data.
pub fn fresh_after(is_ready: bool, time: Duration) {
    let result = usize::from(!is_ready);
    COUNTS.with(|own| FRESH_WAIT.observe_time(own, FRESH + result * FRESH_WAIT.cells(), time));
}

impl Bridge {
    /// What is counted of the queue.
    pub fn metrics(&self) -> Vec<Family> {
        let sums = COUNTS.sums();
        let fresh = RESULTS.iter().zip(sums[FRESH..].chunks(FRESH_WAIT.cells()));
        let fresh = fresh.filter_map(|(result, cells)| Some((*result, FRESH_WAIT.read(cells)?)));
        let waits = LANES.iter().zip(sums.chunks(WAIT.cells()));
        let waits = waits.filter_map(|(lane, cells)| Some((*lane, WAIT.read(cells)?)));
        vec![
            list::QUEUE_JOBS.single(self.in_flight()),
            list::QUEUE_JOBS_MAX.single(self.jobs.capacity()),
            list::QUEUE_REFUSED.single(sums[REFUSED]),
            list::QUEUE_WAIT.labelled(waits),
            list::FRESH_WAIT.labelled(fresh),
        ]
    }
}
