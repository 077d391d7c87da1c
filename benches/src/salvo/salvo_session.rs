//! The application with salvo-session, as its documentation has it, but for one setting: it creates
//! no session for who has none. By default it does, for every visitor.

use std::hint::black_box;

use salvo_core::prelude::*;
use salvo_session::{MemoryStore, Session, SessionDepotExt, SessionHandler};

use crate::salvo::floor::{Fine, alone};
use crate::workload::Profile;

const PROFILE: &str = "profile";

fn session(depot: &mut Depot) -> &mut Session {
    depot.session_mut().expect("the hoop puts it there")
}

#[handler]
async fn read(depot: &mut Depot) -> Fine {
    black_box(session(depot).get::<Profile>(PROFILE).unwrap_or_default().counter);
    Fine
}

#[handler]
async fn write(depot: &mut Depot) -> Fine {
    let session = session(depot);
    let mut profile = session.get::<Profile>(PROFILE).unwrap_or_default();
    profile.counter += 1;
    session.insert(PROFILE, profile).unwrap();
    Fine
}

#[handler]
async fn visit(depot: &mut Depot) -> Fine {
    session(depot).insert(PROFILE, Profile::visitor()).unwrap();
    Fine
}

#[handler]
async fn create(depot: &mut Depot) -> Fine {
    session(depot).insert(PROFILE, Profile::user()).unwrap();
    Fine
}

#[handler]
async fn login(depot: &mut Depot) -> Fine {
    let session = session(depot);
    let mut profile = session.get::<Profile>(PROFILE).unwrap_or_default();
    profile.log_in();
    session.regenerate();
    session.insert(PROFILE, profile).unwrap();
    Fine
}

pub(super) fn salvo_session() -> Router {
    let secret = [7; 64];
    let sessions = SessionHandler::builder(MemoryStore::new(), &secret).save_unchanged(false);
    Router::new()
        .hoop(sessions.build().unwrap())
        .push(Router::with_path("alone").get(alone))
        .push(Router::with_path("read").get(read))
        .push(Router::with_path("write").get(write))
        .push(Router::with_path("visit").get(visit))
        .push(Router::with_path("create").get(create))
        .push(Router::with_path("login").get(login))
}
