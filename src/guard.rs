//! Guards: sessions that meet a requirement, as arguments of handlers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use crate::data::SessionData;
use crate::error::Rejection;
use crate::lifecycle::Proof;
use crate::refusal::{Refusal, Refused};
use crate::session::{PendingSession, Session};
use crate::subject::Subject;
use crate::verdict::Verdict;

/// A session that somebody is logged in to, and that meets the requirement `R`.
///
/// As an argument of a handler it keeps out all others: the handler runs only if the requirement
/// is met, and the client gets the [`Rejection`] otherwise. It is the session as well:
///
/// ```
/// use typed_session::{Authenticated, AuthenticatedWithin};
/// # use typed_session::{SessionData, Subject};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Shop { user: Option<u64>, orders: Vec<String> }
/// # impl SessionData for Shop {
/// #     fn subject(&self) -> Option<Subject> { self.user.map(Subject::from) }
/// # }
///
/// async fn orders(session: Authenticated<Shop>) -> String {
///     session.read(|shop| shop.orders.join(", "))
/// }
///
/// /// Only for who has shown the password in the last five minutes.
/// async fn delete_account(session: AuthenticatedWithin<Shop, 300>) {
///     session.end();
/// }
/// ```
///
/// Where a framework has no arguments of this kind, [`PendingSession::guarded`],
/// [`check`](Self::check) and `try_from` do the same.
///
/// # Security
///
/// A guard looks at the session as this request has loaded it (OWASP ASVS 5.0, 7.2.1). What it
/// promised was true then: the handler may log the user out, and a logout elsewhere is noticed
/// by the commit of what this request writes, or else by the next request. It asks nothing of the
/// store but the load, and a store that fails is a 503 and never a login.
pub struct Guard<T, R> {
    session: Session<T>,
    subject: Subject,
    requirement: PhantomData<fn() -> R>,
}

/// A session that somebody is logged in to.
pub type Authenticated<T> = Guard<T, LoggedIn>;

/// A session whose user has proved who they are less than so many seconds ago
/// (OWASP ASVS 5.0, 7.5.1).
pub type AuthenticatedWithin<T, const SECONDS: u64> = Guard<T, Within<SECONDS>>;

/// What a [`Guard`] asks of a session, beyond that somebody is logged in.
///
/// It is a type and no value, so that it can be named in a handler's arguments. A pair of
/// requirements is one: both must be met, and the first that is not says why.
///
/// ```
/// use typed_session::{Guard, Refusal, Requirement, Session, Within};
/// # use typed_session::{SessionData, Subject};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Shop { user: Option<u64>, admin: bool }
/// # impl SessionData for Shop {
/// #     fn subject(&self) -> Option<Subject> { self.user.map(Subject::from) }
/// # }
///
/// struct IsAdmin;
///
/// impl Requirement<Shop> for IsAdmin {
///     fn check(session: &Session<Shop>) -> Result<(), Refusal> {
///         if session.read(|shop| shop.admin) { Ok(()) } else { Err(Refusal::Forbidden) }
///     }
/// }
///
/// async fn prices(admin: Guard<Shop, (IsAdmin, Within<300>)>) {}
/// ```
pub trait Requirement<T>: 'static {
    /// Looks at a session that somebody is logged in to.
    ///
    /// # Errors
    ///
    /// What it lacks.
    fn check(session: &Session<T>) -> Result<(), Refusal>;
}

/// Nothing but that somebody is logged in.
#[derive(Clone, Copy, Debug)]
pub struct LoggedIn;

/// That the user has proved who they are less than so many seconds ago.
///
/// See [`Session::authenticated_within`].
#[derive(Clone, Copy, Debug)]
pub struct Within<const SECONDS: u64>;

impl<T> Requirement<T> for LoggedIn {
    fn check(_: &Session<T>) -> Result<(), Refusal> {
        Ok(())
    }
}

impl<T: SessionData, const SECONDS: u64> Requirement<T> for Within<SECONDS> {
    fn check(session: &Session<T>) -> Result<(), Refusal> {
        let within = Duration::from_secs(SECONDS);
        if session.authenticated_within(within) {
            Ok(())
        } else {
            Err(Refusal::Stale { within: Some(within) })
        }
    }
}

impl<T, A: Requirement<T>, B: Requirement<T>> Requirement<T> for (A, B) {
    fn check(session: &Session<T>) -> Result<(), Refusal> {
        A::check(session)?;
        B::check(session)
    }
}

impl<T: SessionData, R: Requirement<T>> Guard<T, R> {
    /// Checks a session.
    ///
    /// # Errors
    ///
    /// [`Rejection::Refused`].
    pub fn check(session: Session<T>) -> Result<Self, Rejection> {
        let Some(subject) = session.read(T::subject) else {
            return Err(session.refuse(Refusal::NotLoggedIn));
        };
        match R::check(&session) {
            Ok(()) => Ok(Self { session, subject, requirement: PhantomData }),
            Err(why) => Err(session.refuse(why)),
        }
    }
}

impl<T, R> Guard<T, R> {
    /// Returns who was logged in when the session was checked.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        self.subject
    }

    /// Returns the session alone.
    #[must_use]
    pub fn into_session(self) -> Session<T> {
        self.session
    }
}

impl<T: SessionData, R: Requirement<T>> TryFrom<Session<T>> for Guard<T, R> {
    type Error = Rejection;

    fn try_from(session: Session<T>) -> Result<Self, Rejection> {
        Self::check(session)
    }
}

impl<T: SessionData> PendingSession<T> {
    /// Loads the session and checks it: all that an adapter's extractor does for a [`Guard`].
    ///
    /// # Errors
    ///
    /// If the store fails, or the session is refused.
    pub async fn guarded<R: Requirement<T>>(&self) -> Result<Guard<T, R>, Rejection> {
        Guard::check(self.load().await?)
    }
}

impl<T: SessionData> Session<T> {
    /// Tells whether the user has proved who they are less than this time ago.
    ///
    /// It goes by the layer's clock and [`authenticated_at`](Self::authenticated_at). A login or a
    /// [`reauthenticate`](Self::reauthenticate) in this very request counts, though it is not stored
    /// yet. It is false without a subject, for a zero duration, if the proof is more than a minute
    /// in the future, which no two servers' clocks should differ by, and as long as a changed client
    /// [demands](Self::authentication_demanded) a new one.
    ///
    /// # Security
    ///
    /// Ask for it before sensitive changes (OWASP ASVS 5.0, 7.5.1), and, with a federated login,
    /// for the largest age that you allow (7.6.1). [`AuthenticatedWithin`] asks it of a whole handler.
    #[must_use]
    pub fn authenticated_within(&self, duration: Duration) -> bool {
        let proof = self.0.machine().proof();
        match proof {
            None => false,
            Some(Proof::Now) => !duration.is_zero(),
            Some(Proof::At(_)) if self.authentication_demanded() => false,
            Some(Proof::At(at)) => {
                let now = self.now();
                now.since(at) < duration && at.since(now) <= SKEW
            }
        }
    }

    /// Makes the rejection that a guard would, for a check inside a handler.
    ///
    /// ```
    /// use std::time::Duration;
    /// use typed_session::{Refusal, Rejection, Session};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop { user: Option<u64> }
    /// # impl typed_session::SessionData for Shop {}
    ///
    /// fn transfer(session: &Session<Shop>, amount: u64) -> Result<(), Rejection> {
    ///     let within = Duration::from_secs(300);
    ///     if amount > 1000 && !session.authenticated_within(within) {
    ///         return Err(session.refuse(Refusal::Stale { within: Some(within) }));
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn refuse(&self, why: Refusal) -> Rejection {
        let policy = self.0.policy();
        let may_be_sent = self.0.visit.navigates && policy.transport.is_cookie();
        let location = policy.pages.of(why).filter(|_| may_be_sent).cloned();
        let challenge = match location {
            None if policy.transport.is_bearer() => challenge(why, self.verdict()),
            _ => None,
        };
        Rejection::Refused(Refused { why, location, challenge })
    }
}

/// By how much the clocks of servers may differ.
const SKEW: Duration = Duration::from_secs(60);

/// RFC 6750, section 3, and RFC 9470, section 3.
fn challenge(why: Refusal, verdict: Verdict) -> Option<String> {
    const BEARER: &str = "Bearer realm=\"session\"";
    match why {
        Refusal::NotLoggedIn => match verdict {
            // Without a token there is no word about one; with a visitor's there is nothing wrong.
            Verdict::New | Verdict::Resumed => Some(BEARER.to_owned()),
            _ => Some(format!("{BEARER}, error=\"invalid_token\"")),
        },
        Refusal::Stale { within } => {
            let error = format!("{BEARER}, error=\"insufficient_user_authentication\"");
            Some(match within {
                Some(within) => format!("{error}, max_age=\"{}\"", within.as_secs()),
                None => error,
            })
        }
        Refusal::Forbidden => None,
    }
}

impl<T, R> Deref for Guard<T, R> {
    type Target = Session<T>;

    fn deref(&self) -> &Session<T> {
        &self.session
    }
}

// Not derived, because it would ask for a `T` and an `R` that can be cloned.
impl<T, R> Clone for Guard<T, R> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), subject: self.subject, requirement: PhantomData }
    }
}

/// Shows nothing of the data, and not whose it is.
impl<T, R> fmt::Debug for Guard<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard(..)")
    }
}
