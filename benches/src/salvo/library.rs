//! The application with this library.

use std::hint::black_box;

use salvo_core::prelude::*;
use typed_session::store::MemoryStore;
use typed_session::{Session, SessionLayer};

use crate::salvo::floor::{Fine, alone};
use crate::workload::Profile;

#[handler]
async fn read(session: Session<Profile>) -> Fine {
    black_box(session.read(|profile| profile.counter));
    Fine
}

#[handler]
async fn write(session: Session<Profile>) -> Fine {
    session.update(|profile| profile.counter += 1);
    Fine
}

#[handler]
async fn visit(session: Session<Profile>) -> Fine {
    drop(session.replace(Profile::visitor()));
    Fine
}

#[handler]
async fn create(session: Session<Profile>) -> Fine {
    drop(session.replace(Profile::user()));
    Fine
}

#[handler]
async fn login(session: Session<Profile>) -> Fine {
    session.update(Profile::log_in);
    Fine
}

pub(super) fn library() -> Router {
    Router::new()
        .hoop(SessionLayer::<Profile, _>::new(MemoryStore::new()))
        .push(Router::with_path("alone").get(alone))
        .push(Router::with_path("read").get(read))
        .push(Router::with_path("write").get(write))
        .push(Router::with_path("visit").get(visit))
        .push(Router::with_path("create").get(create))
        .push(Router::with_path("login").get(login))
}
