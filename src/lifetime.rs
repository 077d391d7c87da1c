//! How long a session lives.

use std::time::Duration;

/// How long a session lives, and whether its cookie outlives the browser.
///
/// Two limits, and a session ends at whichever comes first: *idle*, counted
/// from its last use, and *absolute*, counted from the login (or, without one,
/// from its creation). Neither use nor rotation of the id moves the absolute
/// limit.
///
/// The default is one hour idle and 24 hours absolute, with a cookie that goes
/// when the browser does: NIST SP 800-63B-4 recommends at AAL2 a new login after
/// 24 hours at the latest, and after one hour without use.
///
/// ```
/// use std::time::Duration;
/// use typed_session::{CookieLifetime, Lifetime};
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// let stay_signed_in = Lifetime::new(14 * DAY, 90 * DAY).persistent();
/// assert_eq!(stay_signed_in.cookie(), CookieLifetime::Persistent);
/// assert_eq!(Lifetime::default().idle(), Duration::from_secs(60 * 60));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime {
    idle: Duration,
    absolute: Duration,
    cookie: CookieLifetime,
}

/// When a browser forgets the cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CookieLifetime {
    /// When it is closed: the cookie has no `Max-Age`.
    BrowserSession,
    /// When the session's idle limit is reached: the cookie has a `Max-Age`,
    /// renewed as the session is used. Browsers allow at most 400 days.
    Persistent,
}

impl Lifetime {
    /// Makes a lifetime of its idle and its absolute limit.
    ///
    /// Limits are of at least a second, and an idle limit longer than the
    /// absolute one is the absolute one.
    ///
    /// # Security
    ///
    /// OWASP ASVS 5.0, 7.1.1, asks to write down and justify both (7.3.1, 7.3.2).
    #[must_use]
    pub const fn new(idle: Duration, absolute: Duration) -> Self {
        const LEAST: Duration = Duration::from_secs(1);
        let absolute = if absolute.as_millis() < LEAST.as_millis() { LEAST } else { absolute };
        let idle = if idle.as_millis() < LEAST.as_millis() { LEAST } else { idle };
        let idle = if idle.as_millis() > absolute.as_millis() { absolute } else { idle };
        Self { idle, absolute, cookie: CookieLifetime::BrowserSession }
    }

    /// The longest limits of NIST SP 800-63B-4 at AAL1: 30 days absolute (section 2.1.3).
    ///
    /// An idle limit is not required there, so the absolute one is all there is. OWASP ASVS 5.0,
    /// 7.3.1, wants one from level 2 on: `Lifetime::new(idle, Lifetime::nist_aal1().absolute())`.
    #[must_use]
    pub const fn nist_aal1() -> Self {
        Self::new(Duration::from_secs(30 * 24 * 60 * 60), Duration::from_secs(30 * 24 * 60 * 60))
    }

    /// The longest limits of NIST SP 800-63B-4 at AAL2: 1 hour idle, 24 hours absolute (section
    /// 2.2.3). It is the default.
    #[must_use]
    pub const fn nist_aal2() -> Self {
        Self::new(Duration::from_secs(60 * 60), Duration::from_secs(24 * 60 * 60))
    }

    /// The longest limits of NIST SP 800-63B-4 at AAL3: 15 minutes idle, 12 hours absolute (section
    /// 2.3.3).
    ///
    /// The guideline puts an assurance level together of much more than limits; what is said here is
    /// on limits alone. Its words are "shall" for the 12 hours, and "should" for all the others.
    #[must_use]
    pub const fn nist_aal3() -> Self {
        Self::new(Duration::from_secs(15 * 60), Duration::from_secs(12 * 60 * 60))
    }

    /// Makes the cookie outlive the browser.
    ///
    /// Without a cookie, by another [`Transport`](crate::Transport), it changes
    /// nothing: a client of its own keeps the id as it likes.
    #[must_use]
    pub const fn persistent(mut self) -> Self {
        self.cookie = CookieLifetime::Persistent;
        self
    }

    /// Returns the idle limit.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// Returns the absolute limit.
    #[must_use]
    pub const fn absolute(&self) -> Duration {
        self.absolute
    }

    /// Returns when a browser forgets the cookie.
    #[must_use]
    pub const fn cookie(&self) -> CookieLifetime {
        self.cookie
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self::nist_aal2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lifetime_is_without_sense() {
        let zero = Lifetime::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(
            (zero.idle(), zero.absolute()),
            (Duration::from_secs(1), Duration::from_secs(1))
        );
        let crossed = Lifetime::new(Duration::from_secs(9), Duration::from_secs(5));
        assert_eq!(crossed.idle(), Duration::from_secs(5));
        assert_eq!(Lifetime::new(Duration::MAX, Duration::MAX).idle(), Duration::MAX);
    }
}
