//! Points in time, and the clock that is asked for them.
//!
//! Time is a value here: the core is handed `now` and never asks for it. The
//! places that read the system's clocks are [`SystemClock`] and [`SteadyClock`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z.
///
/// One integer, in every store and in every comparison, so no time zone, no
/// text format and no rounding can make a cookie and a row disagree. All
/// arithmetic saturates: a far-away deadline stays far away and never wraps.
///
/// ```
/// use std::time::Duration;
/// use typed_session::Timestamp;
///
/// let noon = Timestamp::from_millis(1_700_000_000_000);
/// assert_eq!(noon.plus(Duration::from_secs(1)).since(noon), Duration::from_secs(1));
/// assert_eq!(noon.to_string(), "2023-11-14T22:13:20Z");
/// assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest representable point in time.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes a timestamp of milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the point in time that is `duration` later.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the point in time that is `duration` earlier.
    #[must_use]
    pub const fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns how much later this is than `earlier`; zero if it is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(if millis > 0 { millis.unsigned_abs() } else { 0 })
    }
}

/// A duration as records keep it: whole milliseconds, never negative.
///
/// Every load reads some, and to make a [`Duration`] of a number takes divisions.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Millis(i64);

impl Millis {
    pub(crate) const fn from_u64(millis: u64) -> Option<Self> {
        if millis > i64::MAX as u64 { None } else { Some(Self(millis as i64)) }
    }

    pub(crate) const fn as_u64(self) -> u64 {
        self.0.unsigned_abs()
    }

    pub(crate) const fn duration(self) -> Duration {
        Duration::from_millis(self.as_u64())
    }
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(millis(duration))
    }
}

impl Timestamp {
    /// Returns the point in time that is so much later.
    pub(crate) const fn after(self, by: Millis) -> Self {
        Self(self.0.saturating_add(by.0))
    }

    /// Returns the point in time that is so much earlier.
    pub(crate) const fn before(self, by: Millis) -> Self {
        Self(self.0.saturating_sub(by.0))
    }

    /// Returns by how many milliseconds this is later than `earlier`; negative if it is earlier.
    pub(crate) const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds of a duration, at most `i64::MAX`.
pub(crate) const fn millis(duration: Duration) -> i64 {
    let millis = duration.as_millis();
    if millis > i64::MAX as u128 { i64::MAX } else { millis as i64 }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(millis(before.duration()).saturating_neg()),
        }
    }
}

/// RFC 3339 in UTC, as `2023-11-14T22:13:20Z`; milliseconds alone for a time
/// that the calendar cannot hold.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A source of the current time.
///
/// Replace it where there is no system clock, or in tests, where time is moved
/// and not waited for.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that nobody sets: it tells how long it has been running.
///
/// Its times begin with 0 when it is made. They are good for comparing with each
/// other and with nothing else, so it is no clock for a layer. Whether it goes on
/// while the machine sleeps is up to the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock(Instant);

impl SteadyClock {
    /// Starts a clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads this clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(millis(self.0.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(i64::MIN).minus(Duration::MAX).as_millis(), i64::MIN);
        assert_eq!(Timestamp::from_millis(i64::MIN).since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(5).plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(
            Timestamp::MAX.since(Timestamp::from_millis(i64::MIN)),
            Duration::from_millis(i64::MAX as u64)
        );
    }

    #[test]
    fn a_time_before_the_epoch_keeps_its_sign() {
        let before = UNIX_EPOCH - Duration::from_secs(2);
        assert_eq!(Timestamp::from(before).as_millis(), -2000);
        assert_eq!(Timestamp::from(UNIX_EPOCH + Duration::from_millis(7)).as_millis(), 7);
    }

    #[test]
    fn a_time_that_no_calendar_holds_still_prints() {
        assert_eq!(Timestamp::MAX.to_string(), "9223372036854775807 ms");
        assert_eq!(format!("{:?}", Timestamp::from_millis(1)), "1970-01-01T00:00:00.001Z");
    }
}
