//! What happens to sessions, for those who watch.

use std::sync::Arc;
use std::time::Duration;

pub use self::guesses::Guesses;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;

use crate::csrf::CrossOrigin;
use crate::error::Error;
use crate::id::SessionKey;
use crate::verdict::{EndReason, Verdict};

mod guesses;
#[cfg(feature = "tracing")]
mod tracing;

/// Something that happened to a session.
///
/// # Security
///
/// Of a session's id only its [`SessionKey`] is ever in an event (OWASP ASVS
/// 5.0, 16.2.5), and of its data nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A session was created.
    Created {
        /// Its key.
        key: SessionKey,
    },
    /// A request's session was found and is alive.
    Resumed {
        /// Its key.
        key: SessionKey,
    },
    /// A session goes by a new id from now on.
    Rotated {
        /// Its key, which stays.
        key: SessionKey,
        /// Why.
        cause: RotationCause,
    },
    /// A session was ended.
    Ended {
        /// Its key.
        key: SessionKey,
        /// Why.
        reason: EndReason,
    },
    /// A session is used by another client than the one that logged in; at most once a request.
    ///
    /// Only where [`client_info`](crate::SessionLayer::client_info) is kept.
    ClientChanged {
        /// Its key.
        key: SessionKey,
    },
    /// A request's id was good for nothing.
    Rejected {
        /// The key that the id names; none if it names none.
        key: Option<SessionKey>,
        /// Why; never [`Verdict::New`] or [`Verdict::Resumed`].
        verdict: Verdict,
    },
    /// Two requests changed the session at the same time, and their changes
    /// were merged.
    Conflict {
        /// Its key.
        key: SessionKey,
        /// How many values both had changed; the later one was kept.
        overwritten: usize,
    },
    /// A request was refused, because another site has caused it. Nothing was loaded.
    CrossOrigin {
        /// By what that was seen.
        why: CrossOrigin,
    },
    /// A request's [token](crate::csrf::Token) was none of its session's: a forged request, or a form
    /// that is out of date.
    ForgedToken {
        /// The session's key, if there is one.
        key: Option<SessionKey>,
    },
    /// A visitor's first change was dropped, because the layer
    /// [requires consent](crate::SessionLayer::require_consent) and there is none.
    Withheld,
    /// Many ids were good for nothing; only [`Guesses`] says so.
    Guessing {
        /// How many since the last such event; or in this interval alone, if there was none in the
        /// one before.
        count: u64,
        /// The interval in which they are counted.
        interval: Duration,
    },
    /// Something a request did was not kept, or could not be loaded.
    Failed {
        /// The session's key, if there is one yet.
        key: Option<SessionKey>,
        /// Why.
        error: &'a Error,
    },
}

/// Why a session got a new id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RotationCause {
    /// It belongs to another subject now: a login, a logout, a switch.
    Subject,
    /// The application asked for it.
    Asked,
    /// Its time had come; the client has been offered the new id.
    Offered,
    /// Its time had come, and the client has shown the new id.
    Adopted,
}

/// Watches what happens to sessions.
///
/// It is called in the middle of a request: it must be quick and must not block.
///
/// It is called while the request's session is at work, and so it must not use that session itself:
/// that would be a deadlock.
///
/// ```
/// use typed_session::{Event, Observer};
///
/// struct Useless(std::sync::atomic::AtomicU64);
///
/// impl Observer for Useless {
///     fn event(&self, event: &Event<'_>) {
///         if let Event::Rejected { .. } = event {
///             self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Takes note of an event.
    fn event(&self, event: &Event<'_>);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn event(&self, event: &Event<'_>) {
        (**self).event(event);
    }
}

/// Both watch, the first first.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
        self.1.event(event);
    }
}

/// Watches nothing: the default.
impl Observer for () {
    fn event(&self, _: &Event<'_>) {}
}

/// Says, where anybody listens, that a handler wants sessions that no layer gives.
pub(crate) fn missing_layer(data: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::missing_layer(data);
    #[cfg(not(feature = "tracing"))]
    let _ = data;
}
