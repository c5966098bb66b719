//! Decides when to trust the wall clock. Code that deletes data for good must not rely on a clock that has jumped. Pure except
//! for [`boot`]; any thread.

use rustix::time::{clock_gettime, ClockId};

/// Seconds by which the distance between the two clocks may change between two looks. NTP changes it by less.
const TOLERANCE: u64 = 2;
/// Seconds without a jump, after a start or a jump, before the wall clock is trusted.
const HOLD: u64 = 600;

/// Seconds since the machine was booted, suspended time included. Nobody can set this clock.
pub fn boot() -> u64 {
    clock_gettime(ClockId::Boottime).tv_sec.unsigned_abs()
}

/// Compares the wall clock with the time since boot.
#[derive(Debug, Default)]
pub struct Steady {
    /// Wall clock minus time since boot, from the last time the wall clock was trusted.
    trusted: Option<i64>,
    /// This distance since the last start or jump, and the time since boot at that moment.
    tried: Option<(i64, u64)>,
}

impl Steady {
    /// The latest time that has passed for certain, in seconds since 1970-01-01 UTC. While the wall clock is trusted: its time.
    /// After a jump: the earlier of the wall clock and the time without the jump. Before the clock is trusted for the first
    /// time, which takes ten minutes: 0.
    pub fn time(&mut self, wall: u64, boot: u64) -> u64 {
        let distance = wall.cast_signed().wrapping_sub(boot.cast_signed());
        if self.trusted.is_some_and(|old| is_near(old, distance)) {
            (self.trusted, self.tried) = (Some(distance), None);
            return wall;
        }
        let since = match self.tried {
            Some((old, since)) if is_near(old, distance) => since,
            _ => boot,
        };
        if boot.saturating_sub(since) >= HOLD {
            (self.trusted, self.tried) = (Some(distance), None);
            return wall;
        }
        self.tried = Some((distance, since));
        let expected = self
            .trusted
            .map_or(0, |old| old.wrapping_add_unsigned(boot));
        wall.min(u64::try_from(expected).unwrap_or(0))
    }
}

fn is_near(one: i64, other: i64) -> bool {
    one.abs_diff(other) <= TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_800_000_000;

    /// A `Steady` that trusts a clock which showed `NOON` when the machine had been up for `HOLD`.
    fn trusting() -> Steady {
        let mut steady = Steady::default();
        assert_eq!(steady.time(NOON - HOLD, 0), 0);
        assert_eq!(steady.time(NOON - 1, HOLD - 1), 0);
        assert_eq!(steady.time(NOON, HOLD), NOON);
        steady
    }

    #[test]
    fn a_clock_that_runs_is_trusted_though_it_is_slewed() {
        let mut steady = trusting();
        for second in 1..100 {
            let wall = NOON + 2 * second;
            assert_eq!(steady.time(wall, HOLD + second), wall);
        }
    }

    #[test]
    fn a_jump_forward_and_back_passes_unnoticed() {
        let mut steady = trusting();
        for second in 1..5 {
            assert_eq!(
                steady.time(NOON + 7200 + second, HOLD + second),
                NOON + second
            );
        }
        assert_eq!(steady.time(NOON + 5, HOLD + 5), NOON + 5);
        // The wait for the next jump starts anew: the jump before does not count.
        assert_eq!(steady.time(NOON + 7200 + HOLD, 2 * HOLD), NOON + HOLD);
    }

    #[test]
    fn a_new_course_is_trusted_after_ten_minutes() {
        for jump in [-7200i64, 7200] {
            let mut steady = trusting();
            let wall = |second: u64| (NOON + second).checked_add_signed(jump).unwrap();
            for second in 1..=HOLD {
                let told = steady.time(wall(second), HOLD + second);
                assert_eq!(told, wall(second).min(NOON + second), "{jump} {second}");
            }
            assert_eq!(steady.time(wall(HOLD + 1), 2 * HOLD + 1), wall(HOLD + 1));
        }
    }

    #[test]
    fn a_clock_that_jumps_again_and_again_is_not_trusted() {
        let mut steady = trusting();
        for second in 1..2 * HOLD {
            let wall = NOON + second + 3600 * (1 + second % 2);
            assert_eq!(steady.time(wall, HOLD + second), NOON + second);
        }
    }
}
