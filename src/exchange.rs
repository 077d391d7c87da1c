//! One request and its response.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::data::SessionData;
use crate::effects::Effects;
use crate::error::{Error, Rejection};
use crate::session::{Inner, PendingSession, Session};
use crate::store::Backend;

/// One request and its response, as far as the session goes.
///
/// Dropped without [`finish`](Self::finish), as in a panic or when the client
/// hangs up, it stores nothing but what a handler has committed by itself.
#[must_use = "what the request changes is stored by `finish`"]
pub struct Exchange<T, S> {
    inner: Arc<Inner<T>>,
    /// In a box, because it is rare and large to move.
    rejection: Option<Box<Rejection>>,
    store: PhantomData<fn() -> S>,
}

/// What a response must carry, and whether it may be sent as it is.
#[derive(Debug)]
#[must_use = "without its effects the client never learns of its session"]
pub struct Outcome {
    /// The headers that the session asks for, also on an error response.
    pub effects: Effects,
    /// Why something that the request did was not kept. The handler's response
    /// must not be sent then, but one of this error's
    /// [`status`](Error::status).
    pub error: Option<Error>,
}

impl<T: SessionData, S: Backend> Exchange<T, S> {
    pub(crate) const fn new(inner: Arc<Inner<T>>, rejection: Option<Box<Rejection>>) -> Self {
        Self { inner, rejection, store: PhantomData }
    }

    /// Returns why the request is not to be handled at all, if it is not.
    ///
    /// The adapter then answers with the rejection's status and sentence, and calls no
    /// handler. So it is if another site has caused the request, see
    /// [`OriginCheck`](crate::csrf::OriginCheck). Its ids have not been read, so whoever asks for its
    /// session all the same gets one that is new, and nobody's.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.rejection.as_deref()
    }

    /// Returns the session for handlers to load if they want it.
    #[must_use]
    pub fn pending(&self) -> PendingSession<T> {
        PendingSession(Arc::clone(&self.inner))
    }

    /// Loads the session.
    ///
    /// # Errors
    ///
    /// See [`PendingSession::load`].
    pub async fn session(&self) -> Result<Session<T>, Error> {
        self.pending().into_session().await
    }

    /// Stores what was changed and returns what the response needs.
    ///
    /// Call it before the headers leave, also for an error response.
    pub async fn finish(self) -> Outcome {
        match self.finish_or_box() {
            Ok(outcome) => outcome,
            Err(finish) => finish.await,
        }
    }

    /// Finishes at once, or returns the future that does.
    ///
    /// For adapters whose own future has no room for one without a name. Most
    /// requests leave the session alone or only read it, and cost no box; nor does any
    /// whose store [answers at once](crate::store::Store::ANSWERS_AT_ONCE).
    ///
    /// # Errors
    ///
    /// The future, if the store must be asked.
    pub fn finish_or_box(
        mut self,
    ) -> Result<Outcome, Pin<Box<dyn Future<Output = Outcome> + Send>>> {
        self.finish_at_once().ok_or_else(|| Arc::clone(self.inner.driver()).finish(self.inner))
    }

    fn finish_at_once(&mut self) -> Option<Outcome> {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            let (machine, visit, driver) = inner.alone();
            return driver.finish_at_once(machine, visit);
        }
        // Somebody has kept a handle, and may be using it.
        let _turn = self.inner.turn.try_lock()?;
        self.inner.driver().finish_at_once(&mut self.inner.machine(), &self.inner.visit)
    }
}

impl<T, S> fmt::Debug for Exchange<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange(..)")
    }
}
