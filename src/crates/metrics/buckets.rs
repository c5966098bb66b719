//! Histograms with fixed buckets, in the cells of a [`PerThread`](crate::PerThread): a cell for each bucket, one for what is above the last
//! bound, and one for the sum.

use crate::{Bucket, Own, Value};
use std::time::Duration;

/// The upper bounds of a histogram.
pub struct Buckets {
    /// In the unit that is counted, ascending.
    bounds: &'static [u64],
    /// How many of these units make one of the unit that is told.
    per_unit: f64,
    /// By the number of bits of a value: the first bound that it may be below.
    first: [u8; 65],
}

/// Nanoseconds in a microsecond, a millisecond and a second.
const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const S: u64 = 1_000 * MS;

impl Buckets {
    /// Times of requests, from 100 µs to 10 s.
    pub const REQUEST: Self = Self::seconds(&[
        100 * US,
        250 * US,
        500 * US,
        MS,
        2 * MS + 500 * US,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
        2 * S + 500 * MS,
        5 * S,
        10 * S,
    ]);

    /// Times on the tx thread, from 5 µs to 1 s.
    pub const TX: Self = Self::seconds(&[
        5 * US,
        10 * US,
        25 * US,
        50 * US,
        100 * US,
        250 * US,
        500 * US,
        MS,
        2 * MS + 500 * US,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        S,
    ]);

    /// Keys of a batch.
    pub const KEYS: Self = Self::new(
        &[
            1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000,
        ],
        1.0,
    );

    /// Transactions that end together.
    pub const TRANSACTIONS: Self = Self::new(&[1, 2, 4, 8, 16, 32, 64], 1.0);

    const fn seconds(bounds: &'static [u64]) -> Self {
        Self::new(bounds, S as f64)
    }

    const fn new(bounds: &'static [u64], per_unit: f64) -> Self {
        let mut first = [0; 65];
        let (mut bits, mut bound) = (1, 0);
        while bits < first.len() {
            let least = 1 << (bits - 1);
            while bound < bounds.len() && bounds[bound] < least {
                bound += 1;
            }
            first[bits] = bound as u8;
            bits += 1;
        }
        Self {
            bounds,
            per_unit,
            first,
        }
    }

    /// How many cells a histogram takes.
    pub const fn cells(&self) -> usize {
        self.bounds.len() + 2
    }

    /// Counts a value in the histogram whose first cell is `first`.
    #[inline]
    pub fn observe(&self, own: &Own, first: usize, value: u64) {
        own.add(first + self.bucket(value), 1);
        own.add(first + self.bounds.len() + 1, value);
    }

    /// The number of the bucket that holds a value. At most three bounds have the same number of bits, so this costs less than
    /// a search.
    #[inline]
    fn bucket(&self, value: u64) -> usize {
        let bits = u64::BITS - value.leading_zeros();
        let mut bucket = usize::from(self.first[bits as usize]);
        while self.bounds.get(bucket).is_some_and(|bound| *bound < value) {
            bucket += 1;
        }
        bucket
    }

    /// Counts a time.
    #[inline]
    pub fn observe_time(&self, own: &Own, first: usize, time: Duration) {
        // Cheaper than `as_nanos`, which has 128 bits.
        let seconds = time.as_secs().saturating_mul(S);
        self.observe(
            own,
            first,
            seconds.saturating_add(time.subsec_nanos().into()),
        );
    }

    /// The histogram in these cells. `None` if they are of another number.
    pub fn read(&self, cells: &[u64]) -> Option<Value> {
        let (counts, [above, sum]) = cells.split_last_chunk()?;
        let mut count = 0;
        let bucket = |(bound, more): (&u64, &u64)| {
            count += more;
            Bucket {
                le: *bound as f64 / self.per_unit,
                count,
            }
        };
        let buckets = self.bounds.iter().zip(counts).map(bucket).collect();
        Some(Value::Histogram {
            buckets,
            count: count + above,
            sum: *sum as f64 / self.per_unit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::per_thread! { static COUNTS: 40; }

    #[test]
    fn a_value_is_in_the_first_bucket_that_holds_it() {
        let buckets = Buckets::TRANSACTIONS;
        for value in [1, 2, 3, 4, 64, 65, 1000] {
            COUNTS.with(|own| buckets.observe(own, 5, value));
        }
        let sums = COUNTS.sums();
        let Some(Value::Histogram {
            buckets,
            count,
            sum,
        }) = buckets.read(&sums[5..5 + buckets.cells()])
        else {
            panic!("no histogram");
        };
        let read: Vec<_> = buckets.iter().map(|one| (one.le, one.count)).collect();
        assert_eq!(
            read,
            [
                (1.0, 1),
                (2.0, 2),
                (4.0, 4),
                (8.0, 4),
                (16.0, 4),
                (32.0, 4),
                (64.0, 5)
            ]
        );
        assert_eq!((count, sum), (7, 1139.0));
    }

    #[test]
    fn every_value_has_the_bucket_that_a_search_finds() {
        for buckets in [
            Buckets::REQUEST,
            Buckets::TX,
            Buckets::KEYS,
            Buckets::TRANSACTIONS,
        ] {
            let edges = buckets.bounds.iter().copied();
            let powers = (0..64).map(|bits| 1 << bits);
            let values = edges.chain(powers).flat_map(|one| [one - 1, one, one + 1]);
            for value in values.chain([u64::MAX]) {
                let expected = buckets.bounds.partition_point(|bound| *bound < value);
                assert_eq!(buckets.bucket(value), expected, "{value}");
            }
        }
    }

    #[test]
    fn times_are_told_in_seconds() {
        COUNTS.with(|own| Buckets::REQUEST.observe_time(own, 20, Duration::from_micros(2500)));
        let sums = COUNTS.sums();
        let Some(Value::Histogram {
            buckets,
            count,
            sum,
        }) = Buckets::REQUEST.read(&sums[20..20 + Buckets::REQUEST.cells()])
        else {
            panic!("no histogram");
        };
        let first = buckets.iter().find(|one| one.count == 1).unwrap();
        assert_eq!((first.le, count, sum), (0.0025, 1, 0.0025));
    }
}
