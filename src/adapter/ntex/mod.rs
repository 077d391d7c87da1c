//! [`SessionLayer`] as an ntex [`Middleware`], [`Session`] as an extractor.
//!
//! ```no_run
//! use ntex::web::{self, App, HttpServer};
//! # use typed_session::{Session, SessionData, SessionLayer, store::MemoryStore};
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # struct Visits { count: u64 }
//! # impl SessionData for Visits {}
//! async fn visit(session: Session<Visits>) -> String {
//!     session.update(|visits| { visits.count += 1; format!("visit {}", visits.count) })
//! }
//!
//! // Outside of the closure, which makes an application for each worker.
//! let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
//! HttpServer::new(async move |_| {
//!     App::new().middleware(sessions.clone()).route("/", web::post().to(visit))
//! });
//! ```
//!
//! What is added after the layer is inside of it, and may use the session too. A handler's `Err` is
//! a response by then; one of a middleware inside gets the headers when it becomes one. A WebSocket
//! is ended inside the handler, and its 101 has not our headers: commit by hand, in a session that
//! has its cookie. `Option<Session<T>>` is `None` in an outage, too: take a [`PendingSession`].
//! [`Authenticated<T>`](crate::Authenticated) and every other [`Guard`] is an argument, too.

use ntex::http::Payload;
use ntex::web::{FromRequest, HttpRequest, HttpResponse, State};
use ntex::web::{WebError, WebRequest, WebResponse, WebResponseError};
use ntex::{Ctx, Middleware, Service, forward_bind, forward_ready, forward_shutdown};

use self::http::{Head, add, answer, sentence};
pub use crate::adapter::middleware::SessionMiddleware;
use crate::data::SessionData;
use crate::effects::Effects;
use crate::error::{Error, Rejection};
use crate::guard::{Guard, Requirement};
use crate::layer::SessionLayer;
use crate::session::{PendingSession, Session};
use crate::store::Backend;

mod http;

impl<T: SessionData, S: Backend, I, St> Middleware<I, St> for SessionLayer<T, S> {
    type Service = SessionMiddleware<T, S, I>;

    fn create(&self, _: &St, inner: I) -> Self::Service {
        SessionMiddleware { layer: self.clone(), inner }
    }
}

impl<T: SessionData, S: Backend, I, St, In> Service<St, WebRequest<In>>
    for SessionMiddleware<T, S, I>
where
    I: Service<St, WebRequest<In>, Res = WebResponse>,
    I::Error: WebResponseError<St, St::Error>,
    St: State,
{
    type Res = WebResponse;
    type Error = WebError<St, St::Error>;

    forward_bind!(St, inner);
    forward_ready!(St, inner, WebError::from_err);
    forward_shutdown!(St, inner);

    async fn call(
        &self,
        request: WebRequest<In>,
        ctx: Ctx<'_, Self, St>,
    ) -> Result<WebResponse, Self::Error> {
        let exchange = self.layer.receive(&Head(&request));
        if let Some(rejection) = exchange.rejection() {
            let response = answer(rejection);
            return Ok(request.into_response(response));
        }
        let outer = request.extensions_mut().insert(exchange.pending());
        let response = ctx.call(&self.inner, request).await;
        let outcome = exchange.finish().await;
        let source = match (response, outcome.error) {
            (Ok(mut response), error) => {
                if let Some(error) = error {
                    response = response.error_response(ctx.st(), &error);
                }
                add(outcome.effects.headers(), response.headers_mut());
                // For middleware between this layer and another one around it.
                outer.map(|outer| response.request().extensions_mut().insert(outer));
                return Ok(response);
            }
            (Err(error), None) => WebError::from_err(error),
            (Err(_), Some(error)) => WebError::from_err(error),
        };
        Err(WebError::from_err(Failure { source, effects: outcome.effects }))
    }
}

/// An error that cannot be made a response here, its request being gone, and what that must carry.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
struct Failure<E> {
    source: E,
    effects: Effects,
}

impl<St, Err, E: WebResponseError<St, Err>> WebResponseError<St, Err> for Failure<E> {
    fn error_response(&self, state: &St) -> HttpResponse {
        let mut response = self.source.error_response(state);
        add(self.effects.headers(), response.headers_mut());
        response
    }
}

/// Loads the session, once a request; a request whose handler has no such argument costs no call.
impl<T: SessionData, St> FromRequest<St> for Session<T> {
    type Error = Rejection;

    async fn from_request(_: &St, req: &HttpRequest, _: &mut Payload) -> Result<Self, Rejection> {
        let pending = PendingSession::found(req.extensions().get())?;
        Ok(pending.into_session().await?)
    }
}

/// Loads the session and keeps out whom the requirement does not meet: the handler is not run.
impl<T: SessionData, R: Requirement<T>, St> FromRequest<St> for Guard<T, R> {
    type Error = Rejection;

    async fn from_request(_: &St, req: &HttpRequest, _: &mut Payload) -> Result<Self, Rejection> {
        let pending = PendingSession::found(req.extensions().get())?;
        pending.guarded().await
    }
}

/// The session that nobody has asked for, for a handler that decides later whether it loads it.
impl<T: SessionData, St> FromRequest<St> for PendingSession<T> {
    type Error = Rejection;

    async fn from_request(_: &St, req: &HttpRequest, _: &mut Payload) -> Result<Self, Rejection> {
        Self::found(req.extensions().get())
    }
}

impl<St, Err> WebResponseError<St, Err> for Rejection {
    fn error_response(&self, _: &St) -> HttpResponse {
        answer(self)
    }
}

/// For handlers that use `?` on [`Session::transact`] and [`Session::commit`].
impl<St, Err> WebResponseError<St, Err> for Error {
    fn error_response(&self, _: &St) -> HttpResponse {
        sentence(self.status(), self.public_message())
    }
}
