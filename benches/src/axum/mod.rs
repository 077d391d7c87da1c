//! Contestants on axum: a router is called, without a socket and without a runtime.

use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::response::Response;
use std::hint::black_box;
use tower_service::Service;

use crate::app::{Answer, App, Contestant};

mod by_hand;
mod floor;
mod library;

pub use by_hand::by_hand;
pub use floor::floor;
pub use library::{library, library_with};

/// Without sessions; what is subtracted from the others.
pub const FLOOR: Contestant = Contestant { name: "floor", make: || served(floor::floor()) };

/// Without sessions, in a layer that does nothing.
pub const EMPTY_LAYER: Contestant =
    Contestant { name: "empty layer", make: || served(floor::empty_layer()) };

pub const BY_HAND: Contestant = Contestant { name: "by hand", make: || served(by_hand::by_hand()) };

pub const LIBRARY: Contestant = Contestant { name: "library", make: || served(library::library()) };

/// A router under measurement.
pub struct Served {
    router: Router,
    ready: Vec<Request>,
}

pub fn served(router: Router) -> Box<dyn App> {
    Box::new(Served { router, ready: Vec::new() })
}

impl App for Served {
    fn visit(&mut self, path: &str, cookie: Option<&str>) -> Answer {
        let response = call(&mut self.router, request(path, cookie));
        let cookie = response.headers().get(SET_COOKIE).map(|line| {
            let line = line.to_str().unwrap();
            line.split(';').next().unwrap().to_owned()
        });
        Answer { status: response.status().as_u16(), cookie }
    }

    fn prepare(&mut self, requests: &[(&str, Option<&str>)]) {
        self.ready = requests.iter().map(|(path, cookie)| request(path, *cookie)).collect();
    }

    fn serve(&mut self) {
        for request in self.ready.drain(..) {
            drop(black_box(call(&mut self.router, request)));
        }
    }
}

/// Calls the application, which never waits.
fn call(app: &mut Router, request: Request) -> Response {
    let mut future = std::pin::pin!(app.call(request));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(error)) => match error {},
        Poll::Pending => panic!("nothing in this application waits"),
    }
}

fn request(path: &str, cookie: Option<&str>) -> Request {
    let mut request = Request::builder().uri(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::empty()).unwrap()
}
