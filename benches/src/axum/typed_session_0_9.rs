//! The application with typed-session 0.9, the library of this name before, and its own store
//! in memory.
//!
//! It has no adapter for any framework: "should be wrapped into middleware for your web
//! framework". This one is the shortest that its documentation suggests, written in the same
//! way as the others' so that nothing is lost to the wrapping: load by the cookie, let the handler
//! have the session, store it, do what is returned with the cookie.
//!
//! An idle limit of one hour, renewed each minute that the session is in use, as ours is (by
//! itself it has none). Its every write makes a new id. The store keeps the profile as it is in
//! memory, so there is nothing to encode; it is meant for debugging, says its documentation.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use chrono::TimeDelta;
use tower_layer::Layer;
use tower_service::Service;
use typed_session_0_9::{
    MemoryStore, NoLogger, Session, SessionCookieCommand, SessionRenewalStrategy, SessionStore,
};

use super::{Pause, show};
use crate::app::{END, LIGHT, PAUSED, PAUSED_THEME, SHOW};
use crate::workload::Profile;

const NAME: &str = "__Host-session";

type Connection = MemoryStore<Profile, NoLogger>;

/// What a handler holds.
type Shared = Arc<Mutex<Session<Profile>>>;

#[derive(Clone)]
struct SessionLayer {
    store: SessionStore<Profile, Connection>,
    connection: Connection,
}

#[derive(Clone)]
struct SessionService<I> {
    layer: SessionLayer,
    inner: I,
}

impl<I> Layer<I> for SessionLayer {
    type Service = SessionService<I>;

    fn layer(&self, inner: I) -> SessionService<I> {
        SessionService { layer: self.clone(), inner }
    }
}

impl<I> Service<Request> for SessionService<I>
where
    I: Service<Request, Response = Response> + Clone + Send + 'static,
    I::Future: Send + 'static,
{
    type Response = Response;
    type Error = I::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, I::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let SessionLayer { store, mut connection } = self.layer.clone();
        Box::pin(async move {
            let session = match cookie(request.headers()) {
                Some(value) => store.load_session(value, &mut connection).await.ok().flatten(),
                None => None,
            };
            let session: Shared = Arc::new(Mutex::new(session.unwrap_or_default()));
            request.extensions_mut().insert(Arc::clone(&session));
            let mut response = inner.call(request).await?;
            let session = std::mem::take(&mut *session.lock().unwrap());
            match store.store_session(session, &mut connection).await {
                Ok(SessionCookieCommand::DoNothing) => {}
                Ok(SessionCookieCommand::Set { cookie_value, .. }) => {
                    set(&mut response, &cookie_value, "");
                }
                Ok(SessionCookieCommand::Delete) => set(&mut response, "", "; Max-Age=0"),
                Err(_) => response = StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
            Ok(response)
        })
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
}

fn set(response: &mut Response, value: &str, age: &str) {
    let cookie = format!("{NAME}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}");
    response.headers_mut().append(SET_COOKIE, HeaderValue::try_from(cookie).unwrap());
}

pub fn typed_session_0_9() -> Router {
    type Extractor = Extension<Shared>;
    let store = SessionStore::new(SessionRenewalStrategy::AutomaticRenewal {
        time_to_live: TimeDelta::hours(1),
        maximum_remaining_time_to_live_for_renewal: TimeDelta::minutes(59),
    });
    Router::new()
        .route("/alone", get(async || {}))
        .route(
            "/read",
            get(async |Extension(session): Extractor| {
                black_box(session.lock().unwrap().data().counter);
            }),
        )
        .route(
            "/write",
            get(async |Extension(session): Extractor| {
                session.lock().unwrap().data_mut().counter += 1;
            }),
        )
        .route(
            "/visit",
            get(async |Extension(session): Extractor| {
                *session.lock().unwrap().data_mut() = Profile::visitor();
            }),
        )
        .route(
            "/create",
            get(async |Extension(session): Extractor| {
                *session.lock().unwrap().data_mut() = Profile::user();
            }),
        )
        .route(
            "/login",
            get(async |Extension(session): Extractor| {
                let mut session = session.lock().unwrap();
                session.regenerate();
                session.data_mut().log_in();
            }),
        )
        .route(END, get(async |Extension(session): Extractor| session.lock().unwrap().delete()))
        .route(
            SHOW,
            get(async |Extension(session): Extractor| show(session.lock().unwrap().data())),
        )
        .route(
            PAUSED,
            get(async |Extension(session): Extractor| {
                let counter = session.lock().unwrap().data().counter;
                Pause::default().await;
                session.lock().unwrap().data_mut().counter = counter + 1;
            }),
        )
        .route(
            PAUSED_THEME,
            get(async |Extension(session): Extractor| {
                black_box(session.lock().unwrap().data().theme.clone());
                Pause::default().await;
                session.lock().unwrap().data_mut().theme = LIGHT.into();
            }),
        )
        .layer(SessionLayer { store, connection: MemoryStore::new() })
}
