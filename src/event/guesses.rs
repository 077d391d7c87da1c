//! Counting the ids that are good for nothing.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Event, Observer};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::verdict::Verdict;

/// Counts ids that are guessed, and says when they are many.
///
/// It is an [`Observer`] around another one, which hears every event as before, and
/// [`Event::Guessing`] at most once in an interval: as soon as so many ids in it as the threshold
/// says were unknown, forged, malformed or vouched for by no key. Guessing is hopeless, the ids being
/// what they are; the event says that somebody tries, that a store has lost its sessions, or that a
/// key was taken out of its ring too early.
///
/// Some unknown ids are usual: cookies of sessions that ended long ago. So look what is usual with
/// you, and set the threshold to a multiple of it.
///
/// ```
/// use std::time::Duration;
/// use typed_session::{Event, Guesses, Observer};
/// # use typed_session::{SessionData, SessionLayer, store::MemoryStore};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Visits { count: u64 }
/// # impl SessionData for Visits {}
///
/// struct Alarm;
///
/// impl Observer for Alarm {
///     fn event(&self, event: &Event<'_>) {
///         if let Event::Guessing { count, interval } = event {
///             eprintln!("{count} ids that are none, within {interval:?}");
///         }
///     }
/// }
///
/// let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new())
///     .observer(Guesses::new(Duration::from_secs(60), 1000, Alarm));
/// ```
///
/// # Security
///
/// OWASP Session Management Cheat Sheet, "Session Management Monitoring": detecting brute force. It
/// keeps two numbers and two times, whatever the attacker sends, and nothing by address: that is
/// for the proxy in front, where a flood is refused, too.
pub struct Guesses<O> {
    interval: Duration,
    threshold: u64,
    observer: O,
    clock: Arc<dyn Clock>,
    /// For a few instructions at a time.
    count: Mutex<Count>,
}

#[derive(Default)]
struct Count {
    began: Option<Timestamp>,
    /// Since the interval began.
    here: u64,
    /// Since the last event, in the interval before.
    carried: u64,
}

impl<O: Observer> Guesses<O> {
    /// Counts in intervals of this length, a second at least, the first of which begins with the first such id, and
    /// tells the observer as soon as it is `threshold`. A threshold of zero is one.
    #[must_use]
    pub fn new(interval: Duration, threshold: u64, observer: O) -> Self {
        Self {
            interval: interval.max(Duration::from_secs(1)),
            threshold: threshold.max(1),
            observer,
            clock: Arc::new(SystemClock),
            count: Mutex::default(),
        }
    }

    /// Sets the clock by which intervals are told: the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Counts one, and returns how many there are to tell of, if it is time.
    fn count(&self) -> Option<u64> {
        let now = self.clock.now();
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back begins anew as well, or nothing would be told until it is
        // where it was.
        let is_over =
            count.began.is_none_or(|began| now < began || now >= began.plus(self.interval));
        if is_over {
            let follows = count.began.is_some_and(|began| {
                now >= began && now < began.plus(self.interval).plus(self.interval)
            });
            // Those that came after an event belong to the same attack.
            let rest = count.here.checked_sub(self.threshold).filter(|_| follows);
            *count = Count { began: Some(now), here: 0, carried: rest.unwrap_or(0) };
        }
        count.here = count.here.saturating_add(1);
        (count.here == self.threshold).then(|| count.carried.saturating_add(count.here))
    }
}

impl<O: Observer> Observer for Guesses<O> {
    fn event(&self, event: &Event<'_>) {
        self.observer.event(event);
        if let Event::Rejected {
            verdict: Verdict::Unknown | Verdict::Forged | Verdict::Malformed | Verdict::Unverified,
            ..
        } = event
            && let Some(count) = self.count()
        {
            self.observer.event(&Event::Guessing { count, interval: self.interval });
        }
    }
}

impl<O> fmt::Debug for Guesses<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guesses")
            .field("interval", &self.interval)
            .field("threshold", &self.threshold)
            .finish_non_exhaustive()
    }
}
