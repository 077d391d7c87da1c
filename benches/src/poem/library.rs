//! The application with this library.

use std::hint::black_box;

use poem::{Endpoint, EndpointExt, Response, Route, get, handler};
use typed_session::store::MemoryStore;
use typed_session::{Session, SessionLayer};

use crate::workload::Profile;

#[handler]
fn alone() {}

#[handler]
fn read(session: Session<Profile>) {
    black_box(session.read(|profile| profile.counter));
}

#[handler]
fn write(session: Session<Profile>) {
    session.update(|profile| profile.counter += 1);
}

#[handler]
fn visit(session: Session<Profile>) {
    drop(session.replace(Profile::visitor()));
}

#[handler]
fn create(session: Session<Profile>) {
    drop(session.replace(Profile::user()));
}

#[handler]
fn login(session: Session<Profile>) {
    session.update(Profile::log_in);
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
