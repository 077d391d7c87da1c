//! One request and its response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::data::SessionData;
use crate::effects::Effects;
use crate::error::{Error, Rejection};
use crate::layer::Shared;
use crate::session::{Inner, Job, PendingSession, Session};
use crate::store::Backend;
use crate::turns::Turn;

/// One request and its response, as far as the session goes.
///
/// Dropped without [`finish`](Self::finish), as in a panic or when the client
/// hangs up, it stores nothing but what a handler has committed by itself.
#[must_use = "what the request changes is stored by `finish`"]
pub struct Exchange<T, S> {
    pub(crate) inner: Arc<Inner<T>>,
    pub(crate) shared: Arc<Shared<T, S>>,
    pub(crate) rejection: Option<Rejection>,
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
    /// Returns why the request is not to be handled at all, if it is not.
    ///
    /// The adapter then answers with the rejection's status and sentence, and calls no
    /// handler. So it is if another site has caused the request, see
    /// [`OriginCheck`](crate::csrf::OriginCheck).
    #[must_use]
    pub const fn rejection(&self) -> Option<&Rejection> {
        self.rejection.as_ref()
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
        self.pending().load().await
    }

    /// Stores what was changed and returns what the response needs.
    ///
    /// Call it before the headers leave, also for an error response.
    pub async fn finish(self) -> Outcome {
        match self.finish_now() {
            Ok(outcome) => outcome,
            Err(exchange) => exchange.finish_later().await,
        }
    }

    /// Finishes at once, or returns the future that does.
    ///
    /// For adapters whose own future has no room for one without a name. Most
    /// requests leave the session alone or only read it, and cost no box.
    ///
    /// # Errors
    ///
    /// The future, if the store must be asked.
    pub fn finish_or_box(self) -> Result<Outcome, Pin<Box<dyn Future<Output = Outcome> + Send>>> {
        self.finish_now().map_err(|exchange| Box::pin(exchange.finish_later()) as _)
    }

    fn finish_now(self) -> Result<Outcome, Self> {
        let Some(turn) = self.inner.turn.try_lock() else { return Err(self) };
        let mut machine = self.inner.machine();
        if !machine.is_settled(|| self.shared.clock.now(), &self.shared.policy) {
            drop((machine, turn));
            return Err(self);
        }
        Ok(Outcome { effects: machine.take_effects(), error: None })
    }

    async fn finish_later(self) -> Outcome {
        let _turn = self.inner.turn.lock().await;
        let error = self.shared.run(&self.inner, Job::Finish, &mut Turn::None).await.err();
        Outcome { effects: self.inner.machine().take_effects(), error }
    }
}

impl<T, S> fmt::Debug for Exchange<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange(..)")
    }
}
