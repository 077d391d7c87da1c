//! Contestants on salvo: its handler of a connection is called, without a socket and without a
//! runtime.

use std::hint::black_box;

use salvo_core::conn::SocketAddr;
use salvo_core::http::header::{COOKIE, SET_COOKIE};
use salvo_core::http::uri::Scheme;
use salvo_core::http::{ReqBody, Request, ResBody};
use salvo_core::{ConnCtrl, Router, Service, hyper};

use crate::app::{Answer, App, Contestant, Cookies, Kind};
use crate::at_once::at_once;

mod floor;
mod library;
#[cfg(feature = "peers")]
mod salvo_session;

/// Without sessions; what is subtracted from the others.
pub const FLOOR: Contestant = Contestant {
    name: "floor",
    framework: "salvo",
    kind: Kind::Floor,
    floor: None,
    cookies: Cookies::Never,
    make: || served(floor::floor()),
};

/// Without sessions, in a hoop that does nothing.
pub const EMPTY: Contestant =
    Contestant { name: "empty", kind: Kind::EmptyLayer, make: || served(floor::empty()), ..HERE };

pub const LIBRARY: Contestant = Contestant {
    name: "library",
    kind: Kind::Library,
    cookies: Cookies::WhenNew,
    make: || served(library::library()),
    ..HERE
};

/// salvo's own, with its store in memory.
#[cfg(feature = "peers")]
pub const PEER: Contestant = Contestant {
    name: "salvo-session",
    kind: Kind::Peer,
    cookies: Cookies::WhenNew,
    make: || served(salvo_session::salvo_session()),
    ..HERE
};

const HERE: Contestant = Contestant { floor: Some(&FLOOR), ..FLOOR };

/// A connection under measurement.
struct Served<C> {
    call: C,
    ready: Vec<Request>,
}

fn served(router: Router) -> Box<dyn App> {
    // As its server does it for each connection.
    let (here, there) = (SocketAddr::Unknown, SocketAddr::Unknown);
    let connection = ConnCtrl::new();
    let handler =
        Service::new(router).hyper_handler(here, there, Scheme::HTTP, None, connection, None);
    // Up to the response as hyper gets it.
    let call = move |request| at_once(handler.handle(request)).strip_to_hyper();
    Box::new(Served { call, ready: Vec::new() })
}

impl<C: Fn(Request) -> hyper::Response<ResBody>> App for Served<C> {
    fn visit(&mut self, path: &str, cookie: Option<&str>) -> Answer {
        let response = (self.call)(request(path, cookie));
        let lines = response.headers().get_all(SET_COOKIE).into_iter();
        Answer::of(response.status().as_u16(), lines.map(|line| line.to_str().unwrap()))
    }

    fn prepare(&mut self, requests: &[(&str, Option<&str>)]) {
        self.ready = requests.iter().map(|(path, cookie)| request(path, *cookie)).collect();
    }

    fn serve(&mut self) {
        for request in self.ready.drain(..) {
            drop(black_box((self.call)(request)));
        }
    }
}

fn request(path: &str, cookie: Option<&str>) -> Request {
    let mut request = hyper::Request::builder().uri(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    Request::from_hyper(request.body(ReqBody::None).unwrap(), Scheme::HTTP)
}
