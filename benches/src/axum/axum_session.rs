//! The application with axum_session in memory alone (`SessionNullPool`), in two of its modes.
//!
//! In its default mode every visitor has a session and every response its cookie. In
//! `SessionMode::Manual` there is a session when a handler creates one, as with the others here;
//! then every response that has one sets two cookies.
//!
//! `Secure` is switched on. An idle limit of one hour in memory and of six for the session, both
//! by default. Ids are UUIDs; neither they nor the data are hashed, signed or encrypted unless
//! keys are given.
//!
//! It starts a task for its sweeps when it is built, on the runtime that is entered then. That
//! task has nothing to do within the first hour and takes none of the time that is measured:
//! requests wait for nothing, and so they are polled as everybody's are, without a runtime.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::routing::get;
use axum_session::{
    Session, SessionConfig, SessionLayer, SessionMode, SessionNullPool, SessionStore,
};
use tokio::runtime::{Builder, Runtime};

use super::{Pause, Served, ready_to_serve, show};
use crate::app::{Answer, App, END, LIGHT, PAUSED, PAUSED_THEME, SHOW};
use crate::workload::Profile;

const PROFILE: &str = "profile";

type Extractor = Session<SessionNullPool>;

fn profile(session: &Extractor) -> Profile {
    session.get(PROFILE).unwrap_or_default()
}

/// How a handler writes; a type, lest axum copies something for each request.
trait Mode: Send + Sync + 'static {
    const MODE: SessionMode;

    fn set(session: &Extractor, profile: Profile);
}

/// The default, in which there always is a session.
pub struct Persistent;

impl Mode for Persistent {
    const MODE: SessionMode = SessionMode::Persistent;

    fn set(session: &Extractor, profile: Profile) {
        session.set(PROFILE, profile);
    }
}

pub struct Manual;

impl Mode for Manual {
    const MODE: SessionMode = SessionMode::Manual;

    fn set(session: &Extractor, profile: Profile) {
        if !session.data_exists() {
            session.create_data();
        }
        session.set(PROFILE, profile);
    }
}

#[expect(private_bounds, reason = "its implementors are here")]
pub fn axum_session<M: Mode>() -> Box<dyn App> {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let entered = runtime.enter();
    let config = SessionConfig::default().with_mode(M::MODE).with_secure(true);
    let store = pin!(SessionStore::<SessionNullPool>::new(None, config));
    let Poll::Ready(store) = store.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("no database is waited for")
    };
    let router = Router::new()
        .route("/alone", get(async || {}))
        .route(
            "/read",
            get(async |session: Extractor| {
                black_box(profile(&session).counter);
            }),
        )
        .route(
            "/write",
            get(async |session: Extractor| {
                let mut profile = profile(&session);
                profile.counter += 1;
                M::set(&session, profile);
            }),
        )
        .route("/visit", get(async |session: Extractor| M::set(&session, Profile::visitor())))
        .route("/create", get(async |session: Extractor| M::set(&session, Profile::user())))
        .route(
            "/login",
            get(async |session: Extractor| {
                session.renew();
                let mut profile = profile(&session);
                profile.log_in();
                M::set(&session, profile);
            }),
        )
        .route(END, get(async |session: Extractor| session.destroy()))
        .route(SHOW, get(async |session: Extractor| show(&profile(&session))))
        .route(
            PAUSED,
            get(async |session: Extractor| {
                let mut profile = profile(&session);
                Pause::default().await;
                profile.counter += 1;
                M::set(&session, profile);
            }),
        )
        .route(
            PAUSED_THEME,
            get(async |session: Extractor| {
                let mut profile = profile(&session);
                Pause::default().await;
                profile.theme = LIGHT.into();
                M::set(&session, profile);
            }),
        )
        .layer(SessionLayer::new(store.unwrap()));
    let served = ready_to_serve(router);
    drop(entered);
    Box::new(WithRuntime { served, _runtime: runtime })
}

/// With the runtime that its task lives on.
struct WithRuntime {
    served: Served,
    _runtime: Runtime,
}

impl App for WithRuntime {
    fn visit(&mut self, path: &str, cookie: Option<&str>) -> Answer {
        self.served.visit(path, cookie)
    }

    fn prepare(&mut self, requests: &[(&str, Option<&str>)]) {
        self.served.prepare(requests);
    }

    fn serve(&mut self) {
        self.served.serve();
    }

    fn overlap(&mut self, first: &str, second: &str, cookie: &str) -> Option<[Answer; 2]> {
        self.served.overlap(first, second, cookie)
    }
}
