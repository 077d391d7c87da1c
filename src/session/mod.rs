//! The handle that a handler holds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::inner::{BoxFuture, Driven, Driver, Inner, Job, Visit, World};
use crate::data::SessionData;
use crate::effects::Effects;
use crate::error::{Error, Rejection};
use crate::event;
use crate::id::SessionKey;
use crate::lifecycle::{Proof, Rotate, Standing};
use crate::lifetime::Lifetime;
use crate::time::Timestamp;
use crate::turns::Turn;
use crate::verdict::{EndReason, Verdict};

mod inner;

/// A request's session: the typed data, and what can be done with it.
///
/// It is loaded, so reading needs no `await`. What is changed is stored once,
/// before the response's headers leave, or earlier by [`commit`](Self::commit).
/// Clones are the same session. It can be kept, sent and held across `await`
/// without harm; after the response it still reads, and a change must be
/// committed by hand then.
///
/// If a panic drops it, what was changed and not committed yet is not stored,
/// also if somebody catches the panic and answers for the handler.
///
/// ```
/// # use typed_session::{Session, SessionData};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Shop { user: Option<u64>, basket: Vec<String> }
/// # impl SessionData for Shop {}
/// fn buy(session: &Session<Shop>, item: String) -> usize {
///     session.update(|shop| shop.basket.push(item));
///     session.read(|shop| shop.basket.len())
/// }
/// ```
pub struct Session<T>(pub(crate) Arc<Inner<T>>);

/// A request's session that nobody has asked for yet.
///
/// An adapter puts it where handlers find it, and its extractor loads it. Until
/// then it has cost no store call.
pub struct PendingSession<T>(pub(crate) Arc<Inner<T>>);

impl<T: SessionData> PendingSession<T> {
    /// What an adapter's extractor does with what it has found among the request's extensions: if
    /// that is nothing, the rejection, and the mistake is reported.
    ///
    /// # Errors
    ///
    /// [`Rejection::MissingLayer`] for `None`.
    pub fn found(pending: Option<&Self>) -> Result<Self, Rejection> {
        pending.cloned().ok_or_else(|| {
            event::missing_layer(std::any::type_name::<T>());
            Rejection::MissingLayer
        })
    }

    /// Loads the session, once a request.
    ///
    /// # Errors
    ///
    /// If the store fails. A session that is expired, ended or unknown is no
    /// error: its data is the default, and its [`verdict`](Session::verdict) says
    /// why.
    pub async fn load(&self) -> Result<Session<T>, Error> {
        self.clone().into_session().await
    }

    /// The same, for an extractor.
    pub(crate) async fn into_session(self) -> Result<Session<T>, Error> {
        match self.load_at_once() {
            Ok(loaded) => loaded,
            Err(Self(inner)) => {
                let turn = inner.turn.lock().await;
                inner.driver().drive(&inner, Job::Load, &mut Turn::None).await?;
                drop(turn);
                Ok(Session(inner))
            }
        }
    }

    /// Loads the session if the store answers at once, or need not be asked; or gives itself back.
    pub(crate) fn load_at_once(self) -> Result<Result<Session<T>, Error>, Self> {
        let inner = &*self.0;
        let loaded = inner.driver().load_at_once(&mut inner.machine(), &inner.visit);
        match loaded {
            Some(loaded) => Ok(loaded.map(|_| Session(self.0))),
            None => Err(self),
        }
    }
}

impl<T: SessionData> Session<T> {
    /// Reads the data.
    ///
    /// # Panics
    ///
    /// If the session is used inside the closure, which would be a deadlock
    /// otherwise. This holds for [`update`](Self::update) too.
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        self.0.closure(|machine| match machine.data() {
            Some(data) => f(data),
            None => f(&T::default()),
        })
    }

    /// Changes the data in memory; it is stored at the commit, if it differs
    /// then from what was loaded.
    ///
    /// Two requests that change the same session at the same time are merged,
    /// see [`SessionData::merge`]. For a counter, or anything that must see the
    /// newest value, use [`transact`](Self::transact).
    ///
    /// If the closure panics, nothing of this request is stored, and neither is it if the handler
    /// panics later, before a commit: the answer is a 500 ([`Error::Torn`]).
    ///
    /// # Panics
    ///
    /// If the session is used inside the closure.
    pub fn update<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.0.closure(|machine| match machine.data_mut() {
            Some(data) => {
                let result = f(data);
                machine.changed();
                result
            }
            None => f(&mut T::default()),
        })
    }

    /// Replaces the data as a whole, and returns what was there.
    pub fn replace(&self, data: T) -> T {
        self.update(|old| std::mem::replace(old, data))
    }

    /// Changes the newest data, and stores it at once.
    ///
    /// The closure sees the data as it is in the store, this request's own
    /// changes included, which are committed first. If another request was
    /// quicker, the closure is run again on what that one stored; if it changes nothing,
    /// the store is asked whether what it saw is still so. It must have no
    /// side effects. When this returns `Ok`, the change is in the store, once.
    ///
    /// Of many requests that do so at the same time in one process each costs two writes: one that
    /// is refused, after which they take turns, and one that is not. Between processes there are no
    /// turns: one gets through, and one of each other process tries again.
    ///
    /// ```
    /// # use typed_session::{Error, Session, SessionData};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Account { coupons: u32 }
    /// # impl SessionData for Account {}
    /// async fn use_coupon(session: &Session<Account>) -> Result<bool, Error> {
    ///     session.transact(|account| match account.coupons.checked_sub(1) {
    ///         Some(left) => {
    ///             account.coupons = left;
    ///             true
    ///         }
    ///         None => false,
    ///     }).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// That the change was not stored: the store failed, the session was ended
    /// or superseded meanwhile, there is [no consent](Error::NoConsent) to store
    /// one, or other requests were quicker hundreds of times in a row.
    pub async fn transact<R>(&self, mut f: impl FnMut(&mut T) -> R) -> Result<R, Error> {
        // Held throughout, lest two clones of this session both start from one copy.
        let _turn = self.0.turn.lock().await;
        let (mut first, mut among_requests) = (true, Turn::None);
        loop {
            let copy = self.0.machine().copy()?;
            let Some(mut data) = copy else {
                self.0.driver().drive(&self.0, Job::Commit, &mut among_requests).await?;
                continue;
            };
            // On a copy and without the lock, so that a panic tears nothing apart.
            let result = f(&mut data);
            self.0.machine().stage(data);
            let attempt = Job::Attempt { first };
            match self.0.driver().drive(&self.0, attempt, &mut among_requests).await? {
                Driven::Done => return Ok(result),
                Driven::Again => first = false,
            }
        }
    }

    /// Gives the session a new id at the commit; the old one is dead from then
    /// on, and the data and both deadlines stay.
    ///
    /// It happens by itself when the subject changes. Call it where the user gets
    /// more rights, say. A session that is not stored yet has no id to change.
    pub fn rotate(&self) {
        self.0.machine().rotate(Rotate::IdAlone);
    }

    /// Notes that the user has proved again who they are: like a login, and by
    /// the same user.
    ///
    /// At the commit the session gets a new id (OWASP ASVS 5.0, 7.2.4), is
    /// authenticated as of then, and its absolute limit is counted from then. It
    /// is not noticed by itself, because the subject stays the same. Without a
    /// subject it is no more than [`rotate`](Self::rotate).
    pub fn reauthenticate(&self) {
        self.0.machine().rotate(Rotate::Authenticated);
    }

    /// Ends the session: a logout.
    ///
    /// From here on the data is the default. At the commit the record becomes a
    /// tombstone and the client is told to forget its id; no request in flight can bring the
    /// session back. What is written after the end is a new session's, under a
    /// new id.
    ///
    /// Under an id that is [`Superseded`](Verdict::Superseded) the session cannot be
    /// ended, and the commit says so: a 409, and no logout that was none.
    pub fn end(&self) {
        self.0.machine().end(EndReason::Logout);
    }

    /// Creates the session at the commit, though its data may be the default.
    ///
    /// A session is created by the first change of its data; where something is bound to
    /// the session before there is any, this makes sure that it is there.
    pub fn establish(&self) {
        self.0.machine().establish();
    }

    /// Notes that the user allows to be remembered, and creates the session at the commit.
    ///
    /// It is for layers that [require consent](crate::SessionLayer::require_consent), and is kept
    /// by the session itself: one that exists means that consent was given, and to withdraw it is
    /// to [`end`](Self::end) the session. What this request has changed before is stored as well.
    /// After an `end` in the same request it has to be given anew.
    ///
    /// ```
    /// # use typed_session::{Session, SessionData};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop { basket: Vec<String> }
    /// # impl SessionData for Shop {}
    /// async fn cookie_banner(session: Session<Shop>, answer: String) {
    ///     match answer.as_str() {
    ///         "yes" => session.give_consent(),
    ///         _ => session.end(), // nothing, if there is no session
    ///     }
    /// }
    /// ```
    pub fn give_consent(&self) {
        self.0.machine().give_consent();
    }

    /// Tells whether what is written may be stored: there is a session, consent was given in this
    /// request, or the layer requires none.
    #[must_use]
    pub fn has_consent(&self) -> bool {
        !self.0.driver().world().policy.requires_consent || self.0.machine().has_consent()
    }

    /// Sets how long this session lives, and whether its cookie outlives the
    /// browser: "stay signed in". It is kept in the session's record.
    ///
    /// The absolute limit is counted from the login, as ever. When the subject
    /// leaves the session, it goes back to the layer's lifetime.
    pub fn set_lifetime(&self, lifetime: Lifetime) {
        self.0.machine().set_lifetime(lifetime);
    }

    /// Stores what was changed, now.
    ///
    /// It is called for every response by itself. Call it where the outcome must
    /// be known earlier, or after the response's headers have left: in a stream,
    /// a socket, a spawned task. Headers that have left take no new id with
    /// them, so it would not reach the client then.
    ///
    /// # Errors
    ///
    /// That a change was not stored, and why; also that there is
    /// [no consent](Error::NoConsent) to store any. What was stored before stays.
    pub async fn commit(&self) -> Result<(), Error> {
        let _turn = self.0.turn.lock().await;
        self.0.driver().drive(&self.0, Job::Commit, &mut Turn::None).await.map(drop)
    }

    /// Asks the store whether this session lives now, and returns the verdict.
    ///
    /// For what outlives its request: a socket, a long stream, a spawned task. It judges this
    /// handle's id anew, by one `load`; a new id that this handle's own commit made counts. It
    /// neither touches the session nor changes what the handle sees. To be told instead of asking,
    /// see [`Watch`](crate::Watch).
    ///
    /// [`Resumed`](Verdict::Resumed) is the one verdict of a session that goes on. Every other says
    /// why it does not:
    ///
    /// - [`Ended`](Verdict::Ended), `IdleExpired`, `AbsoluteExpired`. Where the engine removes what
    ///   has expired by itself, or a sweep has come by, it is `Unknown`.
    /// - [`Superseded`](Verdict::Superseded): the session goes on, under an id that this handle does
    ///   not have. In the same browser somebody has logged in, logged out, switched users or
    ///   confirmed the password. What the handle stands for is the time before; nothing that
    ///   it changes would be stored. By timed rotation it comes to that as well, with the second
    ///   new id. Close the socket and let the page open another: its cookie decides.
    /// - `Undecodable`: another program, newer perhaps, has written what this one cannot read.
    /// - What [`verdict`](Self::verdict) says, without asking the store, if the request had no
    ///   session and made none.
    ///
    /// A session that this handle has ended lives until the commit.
    ///
    /// # Errors
    ///
    /// If the store fails, which says nothing of the session. It is an
    /// [event](crate::Event::Failed) too.
    ///
    /// # Security
    ///
    /// OWASP ASVS 5.0, 4.4.3 and 4.4.4: where a WebSocket relies on the session of its handshake, it
    /// has to end with it.
    pub async fn check(&self) -> Result<Verdict, Error> {
        Ok(self.standing().await?.verdict)
    }

    /// The key by which the store is asked at a [`check`](Self::check), if it is.
    pub(crate) fn key_to_check(&self) -> Option<SessionKey> {
        self.0.machine().key_to_check().ok()
    }

    pub(crate) async fn standing(&self) -> Result<Standing, Error> {
        let _turn = self.0.turn.lock().await;
        self.0.driver().check(&self.0).await
    }

    /// Returns the time, by the layer's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.driver().world().clock.now()
    }

    /// Returns what became of the id that the request carried.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.0.machine().verdict()
    }

    /// Returns the session's name, if it is stored: for logs, and for pages where
    /// users see their sessions.
    #[must_use]
    pub fn key(&self) -> Option<SessionKey> {
        self.0.machine().key()
    }

    /// Returns the session's times, if it is stored.
    #[must_use]
    pub fn times(&self) -> Option<Times> {
        let machine = self.0.machine();
        let (live, expires_at) = machine.live()?;
        Some(Times {
            created_at: live.created_at,
            authenticated_at: live.authenticated_at,
            expires_at,
            absolute_deadline: live.absolute_deadline,
            idle: live.idle.duration(),
        })
    }

    /// Returns when the user proved who they are: by a login, or by
    /// [`reauthenticate`](Self::reauthenticate). If that was in this very request, it is the
    /// present, also before it is stored.
    ///
    /// `None` without a subject.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        match self.0.machine().proof()? {
            Proof::Now => Some(self.now()),
            Proof::At(at) => Some(at),
        }
    }

    /// Returns the session's lifetime, if it is stored.
    #[must_use]
    pub fn lifetime(&self) -> Option<Lifetime> {
        self.0.machine().live().map(|(live, _)| live.lifetime())
    }

    /// Returns what would be done to the response if it left now.
    ///
    /// Meant for pages that explain themselves and for tests; commit first to see
    /// all of it.
    pub fn effects(&self) -> Effects {
        self.0.machine().effects().clone()
    }
}

/// The times of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Times {
    /// When it was created.
    pub created_at: Timestamp,
    /// When its subject logged in, if it has one.
    pub authenticated_at: Option<Timestamp>,
    /// When it ends if it is not used again.
    pub expires_at: Timestamp,
    /// When it ends however much it is used.
    pub absolute_deadline: Timestamp,
    /// The idle limit.
    pub idle: Duration,
}

/// Frameworks and middleware that catch panics answer for the handler, and then the request's changes
/// would be stored as if it had come to its end.
impl<T> Drop for Session<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.panics();
        }
    }
}

impl<T> Clone for Session<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Clone for PendingSession<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Shows nothing of the data.
impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}

impl<T> fmt::Debug for PendingSession<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingSession(..)")
    }
}
