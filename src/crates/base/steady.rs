//! The steady clock: the wall clock as long as it runs evenly. After a jump it goes on as if there had been no jump, until the
//! wall clock has held its new course for ten minutes.
//!
//! What only authkv judges ends by this clock: pairs, sessions, delays after failed logins, and the times of keys. Tokens end by
//! the wall clock, because other services judge them too. Data is deleted for good only by [`passed`]. Any thread.

mod record;

pub use record::Record;

use crate::clock;
use rustix::time::{clock_gettime, ClockId};
use std::sync::atomic::{AtomicI64, Ordering};

/// Milliseconds by which the distance between the two clocks may change between two looks. NTP changes it by less.
const TOLERANCE: u64 = 2000;
/// Milliseconds without a jump, after a start or a jump, before the wall clock is trusted.
const HOLD: u64 = 600_000;
const UNKNOWN: i64 = i64::MIN;

/// The course that is trusted, for all threads of this process.
static COURSE: AtomicI64 = AtomicI64::new(UNKNOWN);

/// Milliseconds since the machine was booted, suspended time included. Nobody can set this clock.
fn boot() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.unsigned_abs() * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

/// Both clocks at one moment, the wall clock first. A thread may be held up between two looks: then it looks again.
fn both() -> (u64, u64) {
    const CLOSE: u64 = 100;
    let mut before = boot();
    for _ in 0..5 {
        let (wall, after) = (clock::milliseconds(), boot());
        if after.saturating_sub(before) <= CLOSE {
            return (wall, after);
        }
        before = after;
    }
    (clock::milliseconds(), boot())
}

/// A course is the wall clock minus the time since boot, in milliseconds. It changes only if the wall clock jumps.
fn course_of(wall: u64, boot: u64) -> i64 {
    wall.cast_signed().wrapping_sub(boot.cast_signed())
}

/// The steady clock in milliseconds since 1970-01-01 UTC. Before a course is trusted: the wall clock.
pub fn milliseconds() -> u64 {
    match COURSE.load(Ordering::Relaxed) {
        UNKNOWN => clock::milliseconds(),
        course => reading(course, clock::milliseconds(), boot()),
    }
}

/// The steady clock in seconds since 1970-01-01 UTC.
pub fn now() -> u64 {
    milliseconds() / 1000
}

/// Until when to keep what ends a token that expires at `exp` by the wall clock, in seconds since 1970-01-01 UTC. If the wall
/// clock is behind the steady clock, that is later: otherwise the record would be forgotten once the clock is set right, and the
/// token would be valid again if the clock goes back once more.
pub fn kept_until(exp: u64) -> u64 {
    exp.saturating_add(now().saturating_sub(clock::now()))
}

/// The latest time that has passed for certain, in milliseconds since 1970-01-01 UTC: the earlier one of the steady and the wall
/// clock. Before a course is trusted: 0.
pub fn passed() -> u64 {
    match COURSE.load(Ordering::Relaxed) {
        UNKNOWN => 0,
        course => {
            let wall = clock::milliseconds();
            reading(course, wall, boot()).min(wall)
        }
    }
}

fn reading(course: i64, wall: u64, boot: u64) -> u64 {
    match is_near(course, course_of(wall, boot)) {
        true => wall,
        false => boot.checked_add_signed(course).unwrap_or(0),
    }
}

/// Decides which course of the wall clock is trusted.
#[derive(Debug)]
pub struct Steady {
    /// The course that was trusted last.
    trusted: Option<i64>,
    /// The course since the last start or jump, and the time since boot at that moment.
    tried: Option<(i64, u64)>,
}

impl Steady {
    /// Trusts the course of this record, if the machine has not been booted since. With `is_new` there is no data that could
    /// be lost: the wall clock is trusted at once.
    pub fn begin(record: Option<&Record>, is_new: bool) -> Self {
        let (wall, boot) = both();
        let known = match record {
            Some(record) => record.course_of_this_boot(),
            None => is_new.then(|| course_of(wall, boot)),
        };
        let mut steady = Self::new(known);
        publish(steady.compare(wall, boot));
        steady
    }

    fn new(known: Option<i64>) -> Self {
        Self {
            trusted: known,
            tried: None,
        }
    }

    /// Whether a course is trusted.
    pub fn is_trusted(&self) -> bool {
        self.trusted.is_some()
    }

    /// Looks at the clocks. Call it about each second. `turn_back` runs before the steady clock takes an earlier course. Returns
    /// the course that is trusted, if any, for a [`Record`].
    pub fn look(&mut self, turn_back: impl FnOnce()) -> Option<i64> {
        let before = self.trusted;
        let (wall, boot) = both();
        let course = self.compare(wall, boot);
        if turns_back(before, course) {
            turn_back();
        }
        publish(course);
        course
    }

    fn compare(&mut self, wall: u64, boot: u64) -> Option<i64> {
        let course = course_of(wall, boot);
        if self.trusted.is_some_and(|old| is_near(old, course)) {
            (self.trusted, self.tried) = (Some(course), None);
            return self.trusted;
        }
        let since = match self.tried {
            Some((old, since)) if is_near(old, course) => since,
            _ => boot,
        };
        match boot.saturating_sub(since) >= HOLD {
            true => (self.trusted, self.tried) = (Some(course), None),
            false => self.tried = Some((course, since)),
        }
        self.trusted
    }
}

fn publish(course: Option<i64>) {
    COURSE.store(course.unwrap_or(UNKNOWN), Ordering::Relaxed);
}

fn turns_back(before: Option<i64>, after: Option<i64>) -> bool {
    let pair = before.zip(after);
    pair.is_some_and(|(before, after)| after < before && !is_near(before, after))
}

fn is_near(one: i64, other: i64) -> bool {
    one.abs_diff(other) <= TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_800_000_000_000;
    const SECOND: u64 = 1000;
    const HOUR: i64 = 3_600_000;

    /// A `Steady` with its clocks. The machine was booted at `NOON`.
    struct Clocks {
        steady: Steady,
        boot: u64,
        ahead: i64,
    }

    impl Clocks {
        fn new(known: Option<i64>) -> Self {
            Self {
                steady: Steady::new(known),
                boot: 0,
                ahead: 0,
            }
        }

        fn trusting() -> Self {
            Self::new(Some(NOON.cast_signed()))
        }

        /// Passes this many milliseconds, looks, and returns the steady clock and the time that has passed for certain, as
        /// milliseconds since `NOON`.
        fn after(&mut self, time: u64) -> (u64, u64) {
            self.boot += time;
            let wall = (NOON + self.boot).checked_add_signed(self.ahead).unwrap();
            let Some(course) = self.steady.compare(wall, self.boot) else {
                return (wall - NOON, 0);
            };
            let steady = reading(course, wall, self.boot);
            (steady - NOON, steady.min(wall).saturating_sub(NOON))
        }
    }

    #[test]
    fn a_clock_that_runs_is_trusted_though_it_is_slewed() {
        let mut clocks = Clocks::trusting();
        for second in 1..100 {
            clocks.ahead += 1000;
            let told = clocks.after(SECOND);
            assert_eq!(told, (2 * second * SECOND, 2 * second * SECOND));
        }
    }

    #[test]
    fn nothing_has_passed_before_a_course_is_known() {
        let mut clocks = Clocks::new(None);
        for second in 1..=HOLD / SECOND {
            assert_eq!(clocks.after(SECOND), (second * SECOND, 0));
        }
        let time = HOLD + SECOND;
        assert_eq!(clocks.after(SECOND), (time, time));
    }

    #[test]
    fn a_jump_and_back_passes_unnoticed() {
        for jump in [-HOUR, HOUR, 48 * HOUR] {
            let mut clocks = Clocks::trusting();
            clocks.after(10 * HOUR.unsigned_abs());
            let begun = clocks.boot;
            clocks.ahead = jump;
            for second in 1..5 {
                let (steady, passed) = clocks.after(SECOND);
                assert_eq!(steady, begun + second * SECOND);
                assert!(passed <= steady);
            }
            clocks.ahead = 0;
            let time = begun + 5 * SECOND;
            assert_eq!(clocks.after(SECOND), (time, time));
            // The wait for the next jump starts anew: the jump before does not count.
            clocks.ahead = jump;
            assert_eq!(clocks.after(HOLD).0, time + HOLD);
        }
    }

    #[test]
    fn a_new_course_is_trusted_after_ten_minutes() {
        for jump in [-HOUR, HOUR] {
            let mut clocks = Clocks::trusting();
            clocks.after(2 * HOUR.unsigned_abs());
            clocks.ahead = jump;
            for _ in 0..=HOLD / SECOND - 1 {
                assert_eq!(clocks.after(SECOND).0, clocks.boot);
            }
            let before = clocks.steady.trusted;
            let (steady, passed) = clocks.after(SECOND);
            assert_eq!(steady, clocks.boot.checked_add_signed(jump).unwrap());
            assert_eq!(passed, steady);
            assert_eq!(turns_back(before, clocks.steady.trusted), jump < 0);
            assert!(!turns_back(None, before) && !turns_back(before, before));
        }
    }

    #[test]
    fn a_clock_that_jumps_again_and_again_is_not_trusted() {
        let mut clocks = Clocks::trusting();
        for second in 1..2 * HOLD / SECOND {
            clocks.ahead = HOUR * (1 + (second % 2).cast_signed());
            let time = second * SECOND;
            assert_eq!(clocks.after(SECOND), (time, time));
        }
    }
}
