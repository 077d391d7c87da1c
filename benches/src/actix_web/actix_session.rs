//! The application with actix-session, as its documentation has it.
//!
//! It comes with stores for Redis and for cookies alone. The one in memory is by hand, on its trait:
//! no more than a map and a deadline.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use actix_session::storage::{
    CookieSessionStore, LoadError, SaveError, SessionKey, SessionStore, UpdateError,
};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Key, time};
use actix_web::test::init_service;
use actix_web::web::{ServiceConfig, get};
use actix_web::{App, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;

use crate::actix_web::floor::fine;
use crate::actix_web::served;
use crate::app;
use crate::workload::Profile;

pub(super) fn in_memory() -> Box<dyn app::App> {
    let sessions = SessionMiddleware::new(Memory::default(), Key::generate());
    served(init_service(App::new().configure(routes).wrap(sessions)))
}

pub(super) fn in_cookie() -> Box<dyn app::App> {
    let sessions = SessionMiddleware::new(CookieSessionStore::default(), Key::generate());
    served(init_service(App::new().configure(routes).wrap(sessions)))
}

const PROFILE: &str = "profile";

fn routes(app: &mut ServiceConfig) {
    app.route("/alone", get().to(async || fine()))
        .route(
            "/read",
            get().to(async |session: Session| {
                let profile = session.get::<Profile>(PROFILE)?.unwrap_or_default();
                black_box(profile.counter);
                done()
            }),
        )
        .route(
            "/write",
            get().to(async |session: Session| {
                let mut profile = session.get::<Profile>(PROFILE)?.unwrap_or_default();
                profile.counter += 1;
                session.insert(PROFILE, profile)?;
                done()
            }),
        )
        .route(
            "/visit",
            get().to(async |session: Session| {
                session.insert(PROFILE, Profile::visitor())?;
                done()
            }),
        )
        .route(
            "/create",
            get().to(async |session: Session| {
                session.insert(PROFILE, Profile::user())?;
                done()
            }),
        )
        .route(
            "/login",
            get().to(async |session: Session| {
                let mut profile = session.get::<Profile>(PROFILE)?.unwrap_or_default();
                profile.log_in();
                session.renew();
                session.insert(PROFILE, profile)?;
                done()
            }),
        );
}

fn done() -> actix_web::Result<HttpResponse> {
    Ok(fine())
}

type State = HashMap<String, String>;

/// Of one thread, which is the cheapest.
#[derive(Default)]
struct Memory(RefCell<HashMap<String, (State, Instant)>>);

impl Memory {
    fn put(&self, key: String, state: State, ttl: &time::Duration) {
        self.0.borrow_mut().insert(key, (state, until(ttl)));
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock")]
fn now() -> Instant {
    Instant::now()
}

fn until(ttl: &time::Duration) -> Instant {
    now() + Duration::try_from(*ttl).unwrap_or_default()
}

impl SessionStore for Memory {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let sessions = self.0.borrow();
        let live = sessions.get(key.as_ref()).filter(|(_, until)| now() < *until);
        Ok(live.map(|(state, _)| state.clone()))
    }

    async fn save(&self, state: State, ttl: &time::Duration) -> Result<SessionKey, SaveError> {
        let mut id = [0; 32];
        SysRng.try_fill_bytes(&mut id).map_err(|error| SaveError::Other(error.into()))?;
        let id = URL_SAFE_NO_PAD.encode(id);
        self.put(id.clone(), state, ttl);
        SessionKey::try_from(id).map_err(|error| SaveError::Other(error.into()))
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        ttl: &time::Duration,
    ) -> Result<SessionKey, UpdateError> {
        self.put(key.as_ref().to_owned(), state, ttl);
        Ok(key)
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &time::Duration) -> anyhow::Result<()> {
        if let Some((_, deadline)) = self.0.borrow_mut().get_mut(key.as_ref()) {
            *deadline = until(ttl);
        }
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.0.borrow_mut().remove(key.as_ref());
        Ok(())
    }
}
