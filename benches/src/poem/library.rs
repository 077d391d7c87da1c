//! The application with this library.

use std::hint::black_box;

use poem::{Endpoint, EndpointExt, Response, Route, get, handler};
use typed_session::store::MemoryStore;
use typed_session::{Session, SessionLayer};

use crate::poem::floor::{alone, fine};
use crate::workload::Profile;

#[handler]
fn read(session: Session<Profile>) -> Response {
    black_box(session.read(|profile| profile.counter));
    fine()
}

#[handler]
fn write(session: Session<Profile>) -> Response {
    session.update(|profile| profile.counter += 1);
    fine()
}

#[handler]
fn visit(session: Session<Profile>) -> Response {
    drop(session.replace(Profile::visitor()));
    fine()
}

#[handler]
fn create(session: Session<Profile>) -> Response {
    drop(session.replace(Profile::user()));
    fine()
}

#[handler]
fn login(session: Session<Profile>) -> Response {
    session.update(Profile::log_in);
    fine()
}

pub(super) fn library() -> impl Endpoint<Output = Response> {
    Route::new()
        .at("/alone", get(alone))
        .at("/read", get(read))
        .at("/write", get(write))
        .at("/visit", get(visit))
        .at("/create", get(create))
        .at("/login", get(login))
        .with(SessionLayer::<Profile, _>::new(MemoryStore::new()))
}
