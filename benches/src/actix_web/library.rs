//! The application with this library.

use std::hint::black_box;

use actix_web::App;
use actix_web::test::init_service;
use actix_web::web::{ServiceConfig, get};
use typed_session::store::MemoryStore;
use typed_session::{Session, SessionLayer};

use crate::actix_web::floor::fine;
use crate::actix_web::served;
use crate::app;
use crate::workload::Profile;

pub(super) fn library() -> Box<dyn app::App> {
    let sessions = SessionLayer::<Profile, _>::new(MemoryStore::new());
    served(init_service(App::new().configure(routes).wrap(sessions)))
}

fn routes(app: &mut ServiceConfig) {
    app.route("/alone", get().to(async || fine()))
        .route(
            "/read",
            get().to(async |session: Session<Profile>| {
                black_box(session.read(|profile| profile.counter));
                fine()
            }),
        )
        .route(
            "/write",
            get().to(async |session: Session<Profile>| {
                session.update(|profile| profile.counter += 1);
                fine()
            }),
        )
        .route(
            "/visit",
            get().to(async |session: Session<Profile>| {
                drop(session.replace(Profile::visitor()));
                fine()
            }),
        )
        .route(
            "/create",
            get().to(async |session: Session<Profile>| {
                drop(session.replace(Profile::user()));
                fine()
            }),
        )
        .route(
            "/login",
            get().to(async |session: Session<Profile>| {
                session.update(Profile::log_in);
                fine()
            }),
        );
}
