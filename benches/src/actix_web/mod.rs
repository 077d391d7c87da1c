//! Contestants on actix-web: a service is called, without a socket and without a runtime.

use std::hint::black_box;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::TestRequest;

use crate::app::{Answer, App, Contestant, Cookies, Kind};
use crate::at_once::at_once;

#[cfg(feature = "peers")]
mod actix_session;
mod floor;
mod library;

/// Without sessions; what is subtracted from the others.
pub const FLOOR: Contestant = Contestant {
    name: "floor",
    framework: "actix-web",
    kind: Kind::Floor,
    floor: None,
    cookies: Cookies::Never,
    make: floor::floor,
};

/// Without sessions, in middleware that does nothing.
pub const EMPTY: Contestant =
    Contestant { name: "empty", kind: Kind::EmptyLayer, make: floor::empty, ..HERE };

pub const LIBRARY: Contestant = Contestant {
    name: "library",
    kind: Kind::Library,
    cookies: Cookies::WhenNew,
    make: library::library,
    ..HERE
};

/// actix-session, with a store in memory.
#[cfg(feature = "peers")]
pub const PEER: Contestant = Contestant {
    name: "actix-session",
    kind: Kind::Peer,
    cookies: Cookies::WhenWritten,
    make: actix_session::in_memory,
    ..HERE
};

/// actix-session, with all data in the cookie, which it encrypts.
#[cfg(feature = "peers")]
pub const COOKIE_PEER: Contestant = Contestant {
    name: "actix-session, cookie",
    kind: Kind::Peer,
    cookies: Cookies::WhenWritten,
    make: actix_session::in_cookie,
    ..HERE
};

const HERE: Contestant = Contestant { floor: Some(&FLOOR), ..FLOOR };

/// A service under measurement.
struct Served<S> {
    service: S,
    ready: Vec<Request>,
}

/// Takes the application's service, which is made asynchronously.
fn served<S, B>(service: impl Future<Output = S>) -> Box<dyn App>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody,
{
    Box::new(Served { service: at_once(service), ready: Vec::new() })
}

impl<S, B> App for Served<S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    fn visit(&mut self, path: &str, cookie: Option<&str>) -> Answer {
        let response = at_once(self.service.call(request(path, cookie))).unwrap();
        let lines = response.headers().get_all(SET_COOKIE);
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

fn request(path: &str, cookie: Option<&str>) -> Request {
    let mut request = TestRequest::with_uri(path);
    if let Some(cookie) = cookie {
        request = request.insert_header((COOKIE, cookie));
    }
    request.to_request()
}
