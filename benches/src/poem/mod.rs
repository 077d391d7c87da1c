//! Contestants on poem: an endpoint is called, without a socket and without a runtime.

use std::hint::black_box;

use poem::endpoint::BoxEndpoint;
use poem::http::header::{COOKIE, SET_COOKIE};
use poem::{Endpoint, EndpointExt, Request, Response};

use crate::app::{Answer, App, Contestant, Cookies, Kind};
use crate::at_once::at_once;

mod floor;
mod library;
#[cfg(feature = "peers")]
mod server_session;

/// Without sessions; what is subtracted from the others.
pub const FLOOR: Contestant = Contestant {
    name: "floor",
    framework: "poem",
    kind: Kind::Floor,
    floor: None,
    cookies: Cookies::Never,
    make: || served(floor::floor()),
};

/// Without sessions, in middleware that does nothing.
pub const EMPTY: Contestant =
    Contestant { name: "empty", kind: Kind::EmptyLayer, make: || served(floor::empty()), ..HERE };

pub const LIBRARY: Contestant = Contestant {
    name: "library",
    kind: Kind::Library,
    cookies: Cookies::WhenNew,
    make: || served(library::library()),
    ..HERE
};

/// poem's own, with its store in memory.
#[cfg(feature = "peers")]
pub const PEER: Contestant = Contestant {
    name: "poem's ServerSession",
    kind: Kind::Peer,
    cookies: Cookies::WhenNew,
    make: || served(server_session::server_session()),
    ..HERE
};

const HERE: Contestant = Contestant { floor: Some(&FLOOR), ..FLOOR };

/// An endpoint under measurement.
struct Served {
    endpoint: BoxEndpoint<'static>,
    ready: Vec<Request>,
}

fn served(endpoint: impl Endpoint<Output = Response> + 'static) -> Box<dyn App> {
    Box::new(Served { endpoint: endpoint.boxed(), ready: Vec::new() })
}

impl App for Served {
    fn visit(&mut self, path: &str, cookie: Option<&str>) -> Answer {
        let response = at_once(self.endpoint.get_response(request(path, cookie)));
        let lines = response.headers().get_all(SET_COOKIE).into_iter();
        Answer::of(response.status().as_u16(), lines.map(|line| line.to_str().unwrap()))
    }

    fn prepare(&mut self, requests: &[(&str, Option<&str>)]) {
        self.ready = requests.iter().map(|(path, cookie)| request(path, *cookie)).collect();
    }

    fn serve(&mut self) {
        for request in self.ready.drain(..) {
            drop(black_box(at_once(self.endpoint.get_response(request))));
        }
    }
}

fn request(path: &str, cookie: Option<&str>) -> Request {
    let mut request = Request::builder().uri_str(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.finish()
}
