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
//! attach it again, after the layer. A guard that fails, and an [`Error`] that a handler returns, go
//! to the catchers. Without one, a sentence takes the place of rocket's page, and of what a handler
//! that took it as a `Result` answers by its status. rocket hides a `Cookie` that is not UTF-8.
//! [`Authenticated<T>`](crate::Authenticated) and every other [`Guard`] is a request guard. One that
//! refuses goes to the catchers, too, also with the 303 to a login page; what a catcher makes of it
//! gets the headers if it leaves the status, but for those that it has set itself.
//! A refused request goes to the catchers, too; rocket's
//! log calls it a `TRACE`, by which it gets past all routes. rocket hides a `Cookie` that is not UTF-8.

use std::io::Cursor;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{ContentType, Method, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::response::Responder;
use rocket::route::{self, Handler, Route};
use rocket::{Build, Data, Ignite, Request, Response, Rocket, Sentinel};

use crate::store::Backend;
use crate::{
    Error, Exchange, Guard, Header, Mode, PendingSession, Rejection, RequestHead, Requirement,
    Session, SessionData, SessionLayer,
};

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
        let known = rocket.state::<Gate>().is_some();
        // One way for all paths; no other request takes it, for browsers send no `TRACE`.
        let gate = Route::ranked(isize::MIN, Method::Trace, "/<_..>", Gate);
        Ok(if known { rocket } else { rocket.manage(Gate).mount("/", [gate]) })
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        // Those of `rocket::local` are in the jar alone.
        let jar = match request.headers().contains("cookie") {
            true => Vec::new(),
            false => request.cookies().iter().map(ToString::to_string).collect(),
        };
        // Of HTTP/2, whose requests have no such field.
        let host = match request.headers().contains("host") {
            true => None,
            false => request.host().map(ToString::to_string),
        };
        let exchange = self.receive(&Head { request, jar, host });
        if let Some(rejection) = exchange.rejection() {
            *slot(request) = Some(Refused(Answer::of(rejection)));
            request.set_method(Method::Trace);
        }
        *slot(request) = Some(exchange.pending());
        *slot(request) = Some(exchange);
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(exchange) = slot::<Exchange<T, S>>(request).take() else { return };
        let outcome = exchange.finish().await;
        if let Some(error) = outcome.error {
            *response = Response::new();
            say(response, error.status(), error.public_message());
        } else if let Some(answer) = answered(request, response.status()) {
            if !is_caught(request, answer.status) {
                say(response, answer.status, answer.text);
            }
            for (name, value) in answer.headers {
                if !response.headers().contains(&name) {
                    response.set_raw_header(name, value);
                }
            }
        }
        for header in outcome.effects.headers() {
            let (name, value) = (header.name.to_owned(), header.value.to_owned());
            match header.mode {
                Mode::Append => response.adjoin_raw_header(name, value),
                Mode::Replace => drop(response.set_raw_header(name, value)),
            }
        }
    }
}

/// Loads the session, once a request. As an `Option`, `None` is no new visitor: the store failed.
#[rocket::async_trait]
impl<'r, T: SessionData> FromRequest<'r> for Session<T> {
    type Error = Rejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        let pending = PendingSession::found(slot(request).as_ref());
        let loaded = async { Ok(pending?.load().await?) };
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

struct Head<'a, 'r> {
    request: &'a Request<'r>,
    jar: Vec<String>,
    host: Option<String>,
}

impl RequestHead for Head<'_, '_> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let jar = if name == "cookie" { &*self.jar } else { &[] };
        let fields = self.request.headers().get(name);
        fields.map(str::as_bytes).chain(jar.iter().map(String::as_bytes))
    }

    fn authority(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn peer(&self) -> Option<IpAddr> {
        self.request.remote().map(|peer| peer.ip())
    }
}

struct Attached<T>(PhantomData<fn() -> T>);

/// The route of refused requests, for a fairing cannot answer.
#[derive(Clone)]
struct Gate;

/// The answer to a refused request.
struct Refused(Answer);

#[rocket::async_trait]
impl Handler for Gate {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> route::Outcome<'r> {
        let Some(Refused(answer)) = slot(request).take() else {
            return route::Outcome::Forward((data, Status::NotFound));
        };
        let status = Status::new(answer.status);
        *slot(request) = Some(answer);
        route::Outcome::Error(status)
    }
}

impl<'r> Responder<'r, 'static> for Rejection {
    fn respond_to(self, request: &'r Request<'_>) -> rocket::response::Result<'static> {
        Err(remember(request, self).0)
    }
}

/// For handlers that use `?` on [`Session::transact`] and [`Session::commit`].
impl<'r> Responder<'r, 'static> for Error {
    fn respond_to(self, request: &'r Request<'_>) -> rocket::response::Result<'static> {
        Rejection::from(self).respond_to(request)
    }
}

/// A rejection, for the response that is made of it.
struct Answer {
    status: u16,
    text: &'static str,
    headers: Vec<(String, String)>,
}

impl Answer {
    fn of(rejection: &Rejection) -> Self {
        let owned = |header: Header<'_>| (header.name.to_owned(), header.value.to_owned());
        Self {
            status: rejection.status(),
            text: rejection.public_message(),
            headers: rejection.headers().map(owned).collect(),
        }
    }
}

fn remember(request: &Request<'_>, rejection: Rejection) -> (Status, Rejection) {
    *slot(request) = Some(Answer::of(&rejection));
    (Status::new(rejection.status()), rejection)
}

/// The rejection that the response is made of, as far as rocket tells.
fn answered(request: &Request<'_>, answer: Status) -> Option<Answer> {
    slot(request).take().filter(|remembered: &Answer| remembered.status == answer.code)
}

/// Tells whether the page is a catcher's of the application, and not rocket's.
fn is_caught(request: &Request<'_>, status: u16) -> bool {
    request.rocket().catchers().any(|catcher| {
        catcher.code.is_none_or(|code| code == status)
            && catcher.base.path().segments().prefix_of(request.uri().path().segments())
    })
}

fn say(response: &mut Response<'_>, status: u16, text: &'static str) {
    response.set_status(Status::new(status));
    response.set_header(ContentType::Plain);
    response.set_sized_body(text.len(), Cursor::new(text));
}

/// A place in the request's local cache, another one for each type.
fn slot<'r, V: Send + 'static>(request: &'r Request<'_>) -> MutexGuard<'r, Option<V>> {
    request.local_cache(|| Mutex::new(None)).lock().unwrap_or_else(PoisonError::into_inner)
}
