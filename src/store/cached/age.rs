//! How old something remembered is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::time::{Clock, SteadyClock, SystemClock, Timestamp};

/// What tells the time for a cache.
pub(super) enum Time {
    /// The system's two clocks. The one stands still while the machine sleeps,
    /// or is a snapshot on a disk; the other can be set back.
    System(SteadyClock),
    /// A clock of the user's.
    Given(Arc<dyn Clock>),
}

/// A point in time by two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    wall: Timestamp,
    steady: Timestamp,
}

impl Time {
    pub(super) fn system() -> Self {
        Self::System(SteadyClock::start())
    }

    pub(super) fn now(&self) -> Moment {
        match self {
            Self::System(steady) => Moment { wall: SystemClock.now(), steady: steady.now() },
            Self::Given(clock) => {
                let now = clock.now();
                Moment { wall: now, steady: now }
            }
        }
    }
}

impl Moment {
    /// Tells whether less than `age` has passed since then, by both clocks.
    ///
    /// What is of the future was made before a clock was set back: nobody knows
    /// how old it is.
    pub(super) fn is_within(self, age: Duration, now: Self) -> bool {
        let by = |then: Timestamp, now: Timestamp| then <= now && now.since(then) < age;
        by(self.wall, now.wall) && by(self.steady, now.steady)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System(_) => "System",
            Self::Given(_) => "Given",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall: i64, steady: i64) -> Moment {
        Moment { wall: Timestamp::from_millis(wall), steady: Timestamp::from_millis(steady) }
    }

    #[test]
    fn what_is_too_old_by_one_of_two_clocks_is_too_old() {
        let (then, age) = (moment(5_000, 100), Duration::from_millis(10));
        for (now, fresh) in [
            (moment(5_000, 100), true),
            (moment(5_009, 109), true),
            // The machine slept, and one clock with it.
            (moment(5_010, 101), false),
            // The other was set back in the meantime.
            (moment(5_001, 110), false),
            (moment(4_999, 101), false),
            (moment(5_001, 99), false),
        ] {
            assert_eq!(then.is_within(age, now), fresh, "{now:?}");
        }
        assert!(!then.is_within(Duration::ZERO, then));
    }

    #[test]
    fn the_system_tells_both_times() {
        let time = Time::system();
        let then = time.now();
        assert!(then.is_within(Duration::from_secs(3600), time.now()));
        assert_ne!(then.wall, then.steady);
    }
}
