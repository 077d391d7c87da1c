//! [`SessionLayer`] as a rocket fairing, and [`Session`] as a request guard.
//!
//! ```
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # struct Visits { count: u64 }
//! # impl typed_session::SessionData for Visits {}
//! use typed_session::{Session, SessionLayer, store::MemoryStore};
//!
//! #[rocket::post("/visit")]
//! fn visit(session: Session<Visits>) -> String {
//!     session.update(|visits| visits.count += 1);
//!     format!("visit {}", session.read(|visits| visits.count))
//! }
//!
//! let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
//! let app = rocket::build().attach(sessions).mount("/", rocket::routes![visit]);
//! ```
//!
//! The session is stored, and the headers are added, when the response is there, also that of a
//! catcher; fairings attached later see them. What is lost then, or by a panic, is for no catcher:
//! the response is replaced, with what earlier fairings added. rocket's `Shield` is one of them:
//! attach it again, after the layer. A guard that fails, and an [`Error`](crate::Error) that a
//! handler returns, go to the catchers. Without one, a sentence takes the place of rocket's page,
//! and of what a handler that took it as a `Result` answers by its status.
//!
//! [`Authenticated<T>`](crate::Authenticated) and every other [`Guard`] is a request guard. One that
//! refuses goes to the catchers, too, also with the 303 to a login page; what a catcher makes of it
//! gets the headers if it leaves the status, but for those that it has set itself. A request that
//! another site has caused goes to the catchers, too; rocket's log calls it a `TRACE`, by which it
//! gets past all routes. rocket hides a `Cookie` that is not UTF-8.

use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::request::{FromRequest, Outcome};
use rocket::{Build, Data, Ignite, Request, Response, Rocket, Sentinel};

use self::answer::{Gate, answered, remember, say};
use self::head::Head;
use crate::adapter::given::OwnedHeader;
use crate::store::Backend;
use crate::{
    Exchange, Guard, Mode, PendingSession, Rejection, Requirement, Session, SessionData,
    SessionLayer,
};

mod answer;
mod head;

/// Of two for the same data and kind of store, the one attached last counts.
#[rocket::async_trait]
impl<T: SessionData, S: Backend> Fairing for SessionLayer<T, S> {
    fn info(&self) -> Info {
        let kind = Kind::Ignite | Kind::Request | Kind::Response | Kind::Singleton;
        Info { name: "Sessions", kind }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> rocket::fairing::Result {
        let known = rocket.state::<Attached<T>>().is_some();
        let rocket = if known { rocket } else { rocket.manage(Attached::<T>(PhantomData)) };
        Ok(Gate::mounted(rocket))
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let exchange = self.receive(&Head::of(request));
        match exchange.rejection() {
            // And no session, so that no handler is of use whom a later fairing routes it to.
            Some(rejection) => Gate::take(request, rejection),
            None => *slot(request) = Some(exchange.pending()),
        }
        *slot(request) = Some(exchange);
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(exchange) = slot::<Exchange<T, S>>(request).take() else { return };
        let outcome = exchange.finish().await;
        if let Some(error) = outcome.error {
            *response = Response::new();
            say(response, error.status(), error.public_message());
        } else if let Some(answer) = Gate::passed(request) {
            answer.replace(response);
        } else if let Some(answer) = answered(request, response.status()) {
            answer.put_on(request, response);
        }
        outcome.effects.give(|OwnedHeader { name, value, mode, is_secret }| {
            // rocket has no mark for what is secret.
            let _ = is_secret;
            match mode {
                Mode::Append => response.adjoin_raw_header(name, value),
                Mode::Replace => drop(response.set_raw_header(name, value)),
            }
        });
    }
}

/// Loads the session, once a request. As an `Option`, `None` is no new visitor: the store failed.
#[rocket::async_trait]
impl<'r, T: SessionData> FromRequest<'r> for Session<T> {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        let pending = PendingSession::found(slot(request).as_ref());
        let loaded = async { Ok(pending?.into_session().await?) };
        loaded.await.map_or_else(|error| Outcome::Error(remember(request, error)), Outcome::Success)
    }
}

/// Loads the session and keeps out whom the requirement does not meet: the handler is not run.
#[rocket::async_trait]
impl<'r, T: SessionData, R: Requirement<T>> FromRequest<'r> for Guard<T, R> {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        let pending = PendingSession::found(slot(request).as_ref());
        let guarded = async { pending?.guarded().await };
        let refuse = |rejection| Outcome::Error(remember(request, rejection));
        guarded.await.map_or_else(refuse, Outcome::Success)
    }
}

/// The session that nobody has asked for, for a handler that decides later whether it loads it.
#[rocket::async_trait]
impl<'r, T: SessionData> FromRequest<'r> for PendingSession<T> {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        let pending = PendingSession::found(slot(request).as_ref());
        pending.map_or_else(|error| Outcome::Error(remember(request, error)), Outcome::Success)
    }
}

/// An application that has a route for it but not the layer does not launch.
impl<T: SessionData> Sentinel for Session<T> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        rocket.state::<Attached<T>>().is_none()
    }
}

/// As of the session.
impl<T: SessionData, R> Sentinel for Guard<T, R> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        Session::<T>::abort(rocket)
    }
}

struct Attached<T>(PhantomData<fn() -> T>);

/// A place in the request's local cache, another one for each type.
fn slot<'r, V: Send + 'static>(request: &'r Request<'_>) -> MutexGuard<'r, Option<V>> {
    request.local_cache(|| Mutex::new(None)).lock().unwrap_or_else(PoisonError::into_inner)
}
