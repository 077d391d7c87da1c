//! [`SessionLayer`] as a poem [`Middleware`], and [`Session`] as an extractor.
//!
//! ```
//! use poem::{EndpointExt, Route, handler, post};
//! use typed_session::{Session, SessionData, SessionLayer, store::MemoryStore};
//!
//! #[derive(Default, serde::Serialize, serde::Deserialize)]
//! struct Visits { count: u64 }
//! impl SessionData for Visits {}
//!
//! #[handler]
//! fn visit(session: Session<Visits>) -> String {
//!     session.update(|visits| visits.count += 1);
//!     format!("visit {}", session.read(|visits| visits.count))
//! }
//!
//! let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
//! let app = Route::new().at("/visit", post(visit)).with(sessions);
//! # drop(app);
//! ```
//!
//! Put the layer around the routes, and `catch_error` *inside* of it: `.catch_error(..)` before
//! `.with(sessions)`.
//!
//! What a handler did to its session is kept when it returns an `Err`, too. An `Err` carries no
//! headers, so the layer turns it into its response, and what is outside of the layer does not see
//! the `Err`. One of a request that did not ask for its session, as of an unknown route, passes as
//! it is.
//!
//! [`Authenticated<T>`](crate::Authenticated) and every other [`Guard`] is an argument, too;
//! `catch_error(|rejection: Rejection| ..)` answers for the handler that was not run.

use std::net::SocketAddr;

use http::StatusCode;
use poem::error::ResponseError;
use poem::{
    Endpoint, FromRequest, IntoResponse, Middleware, Request, RequestBody, Response, Result,
};

use crate::adapter::http::{Head, add_effects, add_headers, status};
use crate::data::SessionData;
use crate::error::{Error, Rejection};
use crate::guard::{Guard, Requirement};
use crate::layer::SessionLayer;
use crate::session::{PendingSession, Session};
use crate::store::Backend;

impl<T: SessionData, S: Backend, E: Endpoint> Middleware<E> for SessionLayer<T, S> {
    type Output = SessionEndpoint<T, S, E>;

    fn transform(&self, inner: E) -> Self::Output {
        SessionEndpoint { layer: self.clone(), inner }
    }
}

/// A poem endpoint with sessions around it; [`SessionLayer`] makes it.
#[derive(Debug)]
pub struct SessionEndpoint<T, S, E> {
    layer: SessionLayer<T, S>,
    inner: E,
}

impl<T: SessionData, S: Backend, E: Endpoint> Endpoint for SessionEndpoint<T, S, E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let peer = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
        let exchange = self.layer.receive(&Head { method, uri, headers, peer });
        if let Some(rejection) = exchange.rejection() {
            return Ok(rejection.as_response());
        }
        request.extensions_mut().insert(exchange.pending());
        let result = self.inner.call(request).await;
        let outcome = exchange.finish().await;
        let mut response = match (&outcome.error, result) {
            (Some(error), _) => sentence(error.status(), error.public_message()),
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
/// Of an `Option<Session<T>>` poem makes a `None` when the store fails, too. Take a
/// [`PendingSession`], or a `poem::Result<Session<T>>`, where that matters.
impl<'a, T: SessionData> FromRequest<'a> for Session<T> {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let pending = PendingSession::found(request.extensions().get())?;
        Ok(pending.into_session().await?)
    }
}

/// Loads the session and keeps out whom the requirement does not meet: the handler is not run.
impl<'a, T: SessionData, R: Requirement<T>> FromRequest<'a> for Guard<T, R> {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let pending = PendingSession::found(request.extensions().get())?;
        Ok(pending.guarded().await?)
    }
}

/// The session that nobody has asked for, for a handler that decides later
/// whether it loads it.
impl<'a, T: SessionData> FromRequest<'a> for PendingSession<T> {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(Self::found(request.extensions().get())?)
    }
}

impl ResponseError for Rejection {
    fn status(&self) -> StatusCode {
        status(self.status())
    }

    fn as_response(&self) -> Response {
        let mut response = sentence(self.status(), self.public_message());
        add_headers(self.headers(), response.headers_mut());
        response
    }
}

/// For handlers that use `?` on [`Session::transact`] and [`Session::commit`].
impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        status(self.status())
    }

    fn as_response(&self) -> Response {
        sentence(self.status(), self.public_message())
    }
}

fn sentence(code: u16, text: &'static str) -> Response {
    text.with_status(status(code)).into_response()
}
