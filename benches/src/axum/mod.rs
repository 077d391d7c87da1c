//! Contestants on axum: a router is called, without a socket and without a runtime.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::response::Response;
use tower_service::Service;

use crate::app::{Answer, App, Contestant, Cookies, Kind, shown};
use crate::workload::Profile;

#[cfg(feature = "peers")]
mod axum_session;
pub(crate) mod by_hand;
mod floor;
mod library;
#[cfg(feature = "peers")]
mod tower_sessions;
#[cfg(feature = "peers")]
mod typed_session_0_9;

#[cfg(feature = "peers")]
mod peers;

pub use by_hand::by_hand;
pub use floor::floor;
pub use library::{library, library_with};
#[cfg(feature = "peers")]
pub use peers::PEERS;

/// Those that need no other crates; the first is what is subtracted from the others.
pub const CONTESTANTS: [Contestant; 4] = [FLOOR, EMPTY_LAYER, BY_HAND, LIBRARY];

/// Without sessions.
pub const FLOOR: Contestant = Contestant {
    name: "floor",
    framework: "axum",
    kind: Kind::Floor,
    floor: None,
    cookies: Cookies::Never,
    make: || served(floor::floor()),
};

/// Without sessions, in a layer that does nothing.
pub const EMPTY_LAYER: Contestant = Contestant {
    name: "empty layer",
    kind: Kind::EmptyLayer,
    make: || served(floor::empty_layer()),
    ..ON_AXUM
};

pub const BY_HAND: Contestant = Contestant {
    name: "by hand",
    kind: Kind::ByHand,
    cookies: Cookies::WhenNew,
    make: || served(by_hand::by_hand()),
    ..ON_AXUM
};

pub const LIBRARY: Contestant = Contestant {
    name: "library",
    kind: Kind::Library,
    cookies: Cookies::WhenNew,
    make: || served(library::library()),
    ..ON_AXUM
};

const ON_AXUM: Contestant = Contestant { floor: Some(&FLOOR), ..FLOOR };

/// A router under measurement.
pub struct Served {
    router: Router,
    ready: Vec<Request>,
}

/// As `axum::serve` does: handlers and layers are put together once, not for each request.
fn ready_to_serve(router: Router) -> Served {
    Served { router: router.with_state(()), ready: Vec::new() }
}

pub fn served(router: Router) -> Box<dyn App> {
    Box::new(ready_to_serve(router))
}

impl App for Served {
    fn visit(&mut self, path: &str, cookie: Option<&str>) -> Answer {
        call(&mut self.router, request(path, cookie)).into()
    }

    fn prepare(&mut self, requests: &[(&str, Option<&str>)]) {
        self.ready = requests.iter().map(|(path, cookie)| request(path, *cookie)).collect();
    }

    fn serve(&mut self) {
        for request in self.ready.drain(..) {
            drop(black_box(call(&mut self.router, request)));
        }
    }

    fn overlap(&mut self, first: &str, second: &str, cookie: &str) -> Option<[Answer; 2]> {
        let mut first = pin!(self.router.call(request(first, Some(cookie))));
        let mut context = Context::from_waker(Waker::noop());
        if first.as_mut().poll(&mut context).is_ready() {
            return None;
        }
        let second = self.router.call(request(second, Some(cookie)));
        let second = finish(pin!(second));
        Some([finish(first), second])
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let lines = response.headers().get_all(SET_COOKIE).into_iter();
        Self::of(response.status().as_u16(), lines.map(|line| line.to_str().unwrap()))
    }
}

/// Calls the application, which never waits.
fn call(app: &mut Router, request: Request) -> Response {
    let mut future = pin!(app.call(request));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(error)) => match error {},
        Poll::Pending => panic!("nothing in this application waits"),
    }
}

/// Polls until there is an answer, which is at once or after a [`Pause`].
fn finish<E>(mut answer: Pin<&mut impl Future<Output = Result<Response, E>>>) -> Answer {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        if let Poll::Ready(Ok(response)) = answer.as_mut().poll(&mut context) {
            return response.into();
        }
    }
    panic!("nothing else in this application waits")
}

fn request(path: &str, cookie: Option<&str>) -> Request {
    let mut request = Request::builder().uri(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::empty()).unwrap()
}

/// Waits for its second poll.
#[derive(Default)]
struct Pause {
    over: bool,
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.over, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn show(profile: &Profile) -> StatusCode {
    StatusCode::from_u16(shown(profile)).unwrap()
}
