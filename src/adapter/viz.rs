//! [`SessionLayer`] as a viz [`Transform`], and [`Session`] as an extractor.
//!
//! ```
//! # use viz_core as viz;
//! use typed_session::{Session, SessionData, SessionLayer, store::MemoryStore};
//! use viz::{HandlerExt, IntoHandler, Result};
//!
//! #[derive(Default, serde::Serialize, serde::Deserialize)]
//! struct Visits { count: u64 }
//! impl SessionData for Visits {}
//!
//! async fn visit(session: Session<Visits>) -> Result<String> {
//!     session.update(|visits| visits.count += 1);
//!     Ok(format!("visit {}", session.read(|visits| visits.count)))
//! }
//!
//! let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
//! let visit = visit.into_handler().with(sessions); // or `Router::with`, for all its routes
//! # drop(visit);
//! ```
//!
//! `Router::with` is around the routes that the router has by then, so call it last, and
//! `catch_error` *inside* of it. viz calls no middleware for an unknown route.
//!
//! What a handler did to its session is kept when it returns an `Err`, too. Lest another handler of
//! errors drops the headers, the layer turns the `Err` into its response, and what is outside of the
//! layer does not see the `Err`. One of a request that did not ask for its session passes as it is.
//!
//! [`Authenticated<T>`](crate::Authenticated) and every other [`Guard`] is an argument, too;
//! `catch_error(async |rejection: Rejection| ..)` answers for the handler that was not run.

use async_trait::async_trait;
use viz_core::{FromRequest, Handler, IntoResponse, Request, Response, Result, Transform};

use crate::adapter::http::{Head, add_effects, add_headers, status};
use crate::data::SessionData;
use crate::error::{Error, Rejection};
use crate::guard::{Guard, Requirement};
use crate::layer::SessionLayer;
use crate::session::{PendingSession, Session};
use crate::store::Backend;

impl<T: SessionData, S: Backend, H> Transform<H> for SessionLayer<T, S> {
    type Output = SessionHandler<T, S, H>;

    fn transform(&self, inner: H) -> Self::Output {
        SessionHandler { layer: self.clone(), inner }
    }
}

/// A viz handler with sessions around it; [`SessionLayer`] makes it.
#[derive(Debug)]
pub struct SessionHandler<T, S, H> {
    layer: SessionLayer<T, S>,
    inner: H,
}

// Not derived, because it would ask for a `T` and an `S` that can be cloned.
impl<T, S, H: Clone> Clone for SessionHandler<T, S, H> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), inner: self.inner.clone() }
    }
}

#[async_trait]
impl<T, S, H, O> Handler<Request> for SessionHandler<T, S, H>
where
    T: SessionData,
    S: Backend,
    H: Handler<Request, Output = Result<O>>,
    O: IntoResponse + Send,
{
    type Output = Result<Response>;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let exchange = self.layer.receive(&Head { method, uri, headers, peer: None });
        if let Some(rejection) = exchange.rejection() {
            return Ok(answer(rejection));
        }
        request.extensions_mut().insert(exchange.pending());
        let result = self.inner.call(request).await;
        let outcome = exchange.finish().await;
        let mut response = match (outcome.error, result) {
            (Some(error), _) => error.into_response(),
            (None, Ok(output)) => output.into_response(),
            (None, Err(error)) if outcome.effects.is_empty() => return Err(error),
            (None, Err(error)) => error.into_response(),
        };
        add_effects(outcome.effects, response.headers_mut());
        Ok(response)
    }
}

/// Loads the session, once a request; a request whose handler has no such
/// argument costs no store call.
///
/// Of an `Option<Session<T>>` viz makes a `None` when the store fails, too. Take a
/// [`PendingSession`], or a `Result<Session<T>, Rejection>`, where that matters.
impl<T: SessionData> FromRequest for Session<T> {
    type Error = Rejection;

    async fn extract(request: &mut Request) -> Result<Self, Rejection> {
        Ok(PendingSession::found(request.extensions().get())?.into_session().await?)
    }
}

/// Loads the session and keeps out whom the requirement does not meet: the handler is not run.
impl<T: SessionData, R: Requirement<T>> FromRequest for Guard<T, R> {
    type Error = Rejection;

    async fn extract(request: &mut Request) -> Result<Self, Rejection> {
        PendingSession::found(request.extensions().get())?.guarded().await
    }
}

/// The session that nobody has asked for, for a handler that decides later
/// whether it loads it.
impl<T: SessionData> FromRequest for PendingSession<T> {
    type Error = Rejection;

    async fn extract(request: &mut Request) -> Result<Self, Rejection> {
        Self::found(request.extensions().get())
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        answer(&self)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Rejection::from(self).into_response()
    }
}

impl From<Rejection> for viz_core::Error {
    fn from(rejection: Rejection) -> Self {
        let response = answer(&rejection);
        (rejection, response).into()
    }
}

/// For handlers that use `?` on [`Session::transact`] and [`Session::commit`].
impl From<Error> for viz_core::Error {
    fn from(error: Error) -> Self {
        let response = sentence(error.status(), error.public_message());
        (error, response).into()
    }
}

fn answer(rejection: &Rejection) -> Response {
    let mut response = sentence(rejection.status(), rejection.public_message());
    add_headers(rejection.headers(), response.headers_mut());
    response
}

fn sentence(code: u16, text: &'static str) -> Response {
    (status(code), text).into_response()
}
