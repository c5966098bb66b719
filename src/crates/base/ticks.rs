//! The clock that times requests. It is read four times for each request, so a reading must cost little. It reads the processor's
//! time stamp counter (TSC) if that runs at the same speed on all cores. If not, it reads the monotonic clock of the system. Only
//! moments of the same process can be compared. Any thread.

use std::sync::LazyLock;
use std::time::Duration;

static CLOCK: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);

/// Finds out how long a tick is, which takes up to 200 ms. Otherwise the first reading of the clock does so.
pub fn calibrate() {
    LazyLock::force(&CLOCK);
}

/// A moment, like that of the standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(quanta::Instant);

impl Instant {
    /// The present moment.
    #[inline]
    pub fn now() -> Self {
        Self(CLOCK.now())
    }

    /// The time since this moment.
    #[inline]
    pub fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// The time since another moment. Zero if that is later.
    #[inline]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_that_of_the_steady_clock() {
        use std::time::Instant as System;
        calibrate();
        let (before, begun, after) = (System::now(), Instant::now(), System::now());
        std::thread::sleep(Duration::from_millis(200));
        let (least, time, most) = (after.elapsed(), begun.elapsed(), before.elapsed());
        let error = least / 50;
        let is_right = time >= least - error && time <= most + error;
        assert!(is_right, "{time:?} is not between {least:?} and {most:?}");
    }

    #[test]
    fn an_earlier_moment_is_no_time_after_a_later_one() {
        let first = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(first.since(Instant::now()), Duration::ZERO);
    }
}
