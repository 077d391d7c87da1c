//! The application with this library.

use std::hint::black_box;

use axum::Router;
use axum::routing::get;
use typed_session::store::MemoryStore;
use typed_session::{Session, SessionData, SessionLayer, Subject};

use crate::workload::Profile;

impl SessionData for Profile {
    fn subject(&self) -> Option<Subject> {
        (self.user_id != 0).then(|| Subject::from(self.user_id))
    }
}

pub fn library() -> Router {
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
        .layer(SessionLayer::<Profile, _>::new(MemoryStore::new()))
}
