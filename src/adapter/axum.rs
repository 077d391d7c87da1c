//! [`Session`] as an axum extractor, on top of the tower layer.
//!
//! ```
//! use axum::{Router, routing::post};
//! use typed_session::{Session, SessionData, SessionLayer, store::MemoryStore};
//!
//! #[derive(Default, serde::Serialize, serde::Deserialize)]
//! struct Visits { count: u64 }
//! impl SessionData for Visits {}
//!
//! async fn visit(session: Session<Visits>) -> String {
//!     session.update(|visits| visits.count += 1);
//!     format!("visit {}", session.read(|visits| visits.count))
//! }
//!
//! let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
//! let app: Router = Router::new().route("/visit", post(visit)).layer(sessions);
//! # drop(app);
//! ```
//!
//! [`Authenticated<T>`](crate::Authenticated) and every other [`Guard`] is an argument, too. A
//! `Result<Authenticated<T>, Rejection>` leaves the answer to the handler.

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::data::SessionData;
use crate::error::{Error, Rejection};
use crate::guard::{Guard, Requirement};
use crate::session::{PendingSession, Session};

/// Loads the session, once a request; a request whose handler has no such
/// argument costs no store call.
impl<T: SessionData, State: Sync> FromRequestParts<State> for Session<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Rejection> {
        Ok(PendingSession::found(parts.extensions.get())?.into_session().await?)
    }
}

/// `None` where the route has no layer for sessions of this type. A store that
/// fails is still an error: an outage is not a visitor without a session.
impl<T: SessionData, State: Sync> OptionalFromRequestParts<State> for Session<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Option<Self>, Error> {
        match parts.extensions.get::<PendingSession<T>>() {
            Some(pending) => pending.clone().into_session().await.map(Some),
            None => Ok(None),
        }
    }
}

/// The session that nobody has asked for, for a handler that decides later
/// whether it loads it.
impl<T: SessionData, State: Sync> FromRequestParts<State> for PendingSession<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Rejection> {
        Self::found(parts.extensions.get())
    }
}

/// Loads the session and keeps out whom the requirement does not meet: the handler is not run.
impl<T: SessionData, R: Requirement<T>, State: Sync> FromRequestParts<State> for Guard<T, R> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Rejection> {
        PendingSession::found(parts.extensions.get())?.guarded().await
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        Response::from(&self)
    }
}

/// For handlers that use `?` on [`Session::transact`] and [`Session::commit`].
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.into()
    }
}
