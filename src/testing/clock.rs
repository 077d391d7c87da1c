//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::time::{Clock, Timestamp};

/// A clock that stands still until it is moved.
///
/// Clones are handles of the same clock: give one to the layer and keep one.
///
/// ```
/// use std::time::Duration;
/// use typed_session::testing::ManualClock;
/// use typed_session::{Clock, Timestamp};
///
/// let clock = ManualClock::at(Timestamp::from_millis(1_000));
/// let of_the_layer = clock.clone();
/// clock.advance(Duration::from_secs(3));
/// assert_eq!(of_the_layer.now(), Timestamp::from_millis(4_000));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Makes a clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.as_millis())))
    }

    /// Moves the clock forward, at most to [`Timestamp::MAX`].
    pub fn advance(&self, duration: Duration) {
        self.0.update(Ordering::SeqCst, Ordering::SeqCst, |millis| {
            Timestamp::from_millis(millis).plus(duration).as_millis()
        });
    }

    /// Sets the clock, also backwards, as an operator or a time server does.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_for_all_its_handles_and_never_wraps() {
        let clock = ManualClock::at(Timestamp::from_millis(7));
        let other = clock.clone();
        clock.advance(Duration::from_millis(5));
        assert_eq!(other.now(), Timestamp::from_millis(12));
        other.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
        other.set(Timestamp::from_millis(-1));
        assert_eq!(clock.now(), Timestamp::from_millis(-1));
    }
}
