//! The application with this library.

use std::hint::black_box;

use axum::Router;
use axum::routing::get;
use typed_session::store::{MemoryStore, Store};
use typed_session::{Session, SessionData, SessionLayer, Subject};

use super::{Pause, show};
use crate::app::{END, LIGHT, PAUSED, PAUSED_COUNTER, PAUSED_THEME, SHOW};
use crate::workload::Profile;

impl SessionData for Profile {
    fn subject(&self) -> Option<Subject> {
        (self.user_id != 0).then(|| Subject::from(self.user_id))
    }
}

pub fn library() -> Router {
    library_with(SessionLayer::new(MemoryStore::new()))
}

/// The application with another layer, for what depends on its store or its clock.
pub fn library_with<S: Store>(layer: SessionLayer<Profile, S>) -> Router {
    Router::new()
        .route("/alone", get(async || {}))
        .route(
            "/read",
            get(async |session: Session<Profile>| {
                black_box(session.read(|profile| profile.counter));
            }),
        )
        .route(
            "/write",
            get(async |session: Session<Profile>| session.update(|profile| profile.counter += 1)),
        )
        .route(
            "/visit",
            get(async |session: Session<Profile>| drop(session.replace(Profile::visitor()))),
        )
        .route(
            "/create",
            get(async |session: Session<Profile>| drop(session.replace(Profile::user()))),
        )
        .route("/login", get(async |session: Session<Profile>| session.update(Profile::log_in)))
        .route(END, get(async |session: Session<Profile>| session.end()))
        .route(SHOW, get(async |session: Session<Profile>| session.read(show)))
        .route(
            PAUSED,
            get(async |session: Session<Profile>| {
                let counter = session.read(|profile| profile.counter);
                Pause::default().await;
                session.update(|profile| profile.counter = counter + 1)
            }),
        )
        .route(
            PAUSED_THEME,
            get(async |session: Session<Profile>| {
                black_box(session.read(|profile| profile.theme.clone()));
                Pause::default().await;
                session.update(|profile| profile.theme = LIGHT.into())
            }),
        )
        .route(
            PAUSED_COUNTER,
            get(async |session: Session<Profile>| {
                black_box(session.read(|profile| profile.counter));
                Pause::default().await;
                session.transact(|profile| profile.counter += 1).await
            }),
        )
        .layer(layer)
}
