//! Contestants on tower alone: a service on `http` 1, with no framework around it.

use std::convert::Infallible;
use std::hint::black_box;
use std::task::{Context, Poll};

use axum::http::header::{CONTENT_LENGTH, COOKIE, SET_COOKIE};
use axum::http::{HeaderValue, Request, Response};
use tower_layer::Layer;
use tower_service::Service;
use typed_session::store::MemoryStore;
use typed_session::{PendingSession, Rejection, Session, SessionLayer};

use crate::app::{Answer, App, Contestant, Cookies, Kind};
use crate::at_once::at_once;
use crate::axum::by_hand::{self, ByHand};
use crate::workload::Profile;

/// Without sessions; what is subtracted from the others.
pub const FLOOR: Contestant = Contestant {
    name: "floor",
    framework: "tower",
    kind: Kind::Floor,
    floor: None,
    cookies: Cookies::Never,
    make: || served(Handler(floor)),
};

/// The same that is written by hand for axum.
pub const BY_HAND: Contestant = Contestant {
    name: "by hand",
    kind: Kind::ByHand,
    cookies: Cookies::WhenNew,
    make: || served(ByHand::default().layer(Handler(by_hand))),
    ..HERE
};

pub const LIBRARY: Contestant = Contestant {
    name: "library",
    kind: Kind::Library,
    cookies: Cookies::WhenNew,
    make: || {
        served(SessionLayer::<Profile, _>::new(MemoryStore::new()).layer(Handler(with_session)))
    },
    ..HERE
};

const HERE: Contestant = Contestant { floor: Some(&FLOOR), ..FLOOR };

/// As strings are made of it, it is the least that our layer asks for.
type Body = &'static str;

async fn floor(request: Request<()>) -> Result<Response<Body>, Infallible> {
    match request.uri().path() {
        "/visit" => drop(black_box(Profile::visitor())),
        "/create" => drop(black_box(Profile::user())),
        "/login" => {
            let mut profile = Profile::default();
            profile.log_in();
            drop(black_box(profile));
        }
        _ => {}
    }
    Ok(fine())
}

/// What all handlers answer: with a header, as axum's do by themselves, so that nobody is charged
/// for the first.
fn fine() -> Response<Body> {
    let mut response = Response::new("");
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

async fn with_session(request: Request<()>) -> Result<Response<Body>, Infallible> {
    Ok(match handle(&request).await {
        Ok(()) => fine(),
        Err(rejection) => Response::from(rejection),
    })
}

async fn handle(request: &Request<()>) -> Result<(), Rejection> {
    if request.uri().path() == "/alone" {
        return Ok(());
    }
    let session: Session<Profile> =
        PendingSession::found(request.extensions().get())?.load().await?;
    match request.uri().path() {
        "/read" => drop(black_box(session.read(|profile| profile.counter))),
        "/write" => session.update(|profile| profile.counter += 1),
        "/visit" => drop(session.replace(Profile::visitor())),
        "/create" => drop(session.replace(Profile::user())),
        "/login" => session.update(Profile::log_in),
        _ => {}
    }
    Ok(())
}

async fn by_hand(request: Request<()>) -> Result<Response<Body>, Infallible> {
    let session = request.extensions().get::<by_hand::Session>().expect("it is in its layer");
    match request.uri().path() {
        "/read" => drop(black_box(session.read(|profile| profile.counter))),
        "/write" => session.update(|profile| profile.counter += 1),
        "/visit" => session.update(|profile| *profile = Profile::visitor()),
        "/create" => session.update(|profile| *profile = Profile::user()),
        "/login" => session.update(Profile::log_in),
        _ => {}
    }
    Ok(fine())
}

/// An asynchronous function as a service.
struct Handler<F>(F);

impl<F: Fn(Request<()>) -> R, R: Future<Output = Result<Response<Body>, Infallible>>>
    Service<Request<()>> for Handler<F>
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> R {
        self.0(request)
    }
}

/// A service under measurement.
struct Served<S> {
    service: S,
    ready: Vec<Request<()>>,
}

fn served<S>(service: S) -> Box<dyn App>
where
    S: Service<Request<()>, Response = Response<Body>, Error = Infallible> + 'static,
{
    Box::new(Served { service, ready: Vec::new() })
}

impl<S> App for Served<S>
where
    S: Service<Request<()>, Response = Response<Body>, Error = Infallible>,
{
    fn visit(&mut self, path: &str, cookie: Option<&str>) -> Answer {
        let Ok(response) = at_once(self.service.call(request(path, cookie)));
        let lines = response.headers().get_all(SET_COOKIE).into_iter();
        Answer::of(response.status().as_u16(), lines.map(|line| line.to_str().unwrap()))
    }

    fn prepare(&mut self, requests: &[(&str, Option<&str>)]) {
        self.ready = requests.iter().map(|(path, cookie)| request(path, *cookie)).collect();
    }

    fn serve(&mut self) {
        for request in self.ready.drain(..) {
            drop(black_box(at_once(self.service.call(request))));
        }
    }
}

fn request(path: &str, cookie: Option<&str>) -> Request<()> {
    let mut request = Request::builder().uri(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.body(()).unwrap()
}
