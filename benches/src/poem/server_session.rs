//! The application with poem's own sessions, as its documentation has it.

use std::hint::black_box;

use poem::session::{CookieConfig, MemoryStorage, ServerSession, Session};
use poem::{Endpoint, EndpointExt, Request, Response, Result, Route, get, handler};
use tokio::runtime::Runtime;

use crate::poem::floor::{alone, fine};
use crate::workload::Profile;

const PROFILE: &str = "profile";

#[handler]
fn read(session: &Session) -> Response {
    black_box(session.get::<Profile>(PROFILE).unwrap_or_default().counter);
    fine()
}

#[handler]
fn write(session: &Session) -> Response {
    let mut profile = session.get::<Profile>(PROFILE).unwrap_or_default();
    profile.counter += 1;
    session.set(PROFILE, profile);
    fine()
}

#[handler]
fn visit(session: &Session) -> Response {
    session.set(PROFILE, Profile::visitor());
    fine()
}

#[handler]
fn create(session: &Session) -> Response {
    session.set(PROFILE, Profile::user());
    fine()
}

#[handler]
fn login(session: &Session) -> Response {
    let mut profile = session.get::<Profile>(PROFILE).unwrap_or_default();
    profile.log_in();
    session.renew();
    session.set(PROFILE, profile);
    fine()
}

pub(super) fn server_session() -> impl Endpoint<Output = Response> {
    // The store spawns a task that removes what is expired. Here it gets no turn: nothing expires.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let storage = {
        let _entered = runtime.enter();
        MemoryStorage::new()
    };
    let app = Route::new()
        .at("/alone", get(alone))
        .at("/read", get(read))
        .at("/write", get(write))
        .at("/visit", get(visit))
        .at("/create", get(create))
        .at("/login", get(login))
        .with(ServerSession::new(CookieConfig::default(), storage));
    Kept { app, _runtime: runtime }
}

/// An endpoint and the runtime that its store is bound to.
struct Kept<E> {
    app: E,
    _runtime: Runtime,
}

impl<E: Endpoint<Output = Response>> Endpoint for Kept<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        self.app.call(request).await
    }
}
