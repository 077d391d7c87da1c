//! Contestants on actix-web: a service is called, without a socket and without a runtime.

use std::hint::black_box;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::TestRequest;

use crate::app::{Answer, App, Contestant};
use crate::at_once::at_once;

#[cfg(feature = "peers")]
mod actix_session;
mod floor;
mod library;

/// Without sessions; what is subtracted from the others.
pub const FLOOR: Contestant = Contestant { name: "floor", make: floor::floor };

/// Without sessions, in middleware that does nothing.
pub const EMPTY: Contestant = Contestant { name: "empty", make: floor::empty };

pub const LIBRARY: Contestant = Contestant { name: "library", make: library::library };

/// actix-session, with a store in memory.
#[cfg(feature = "peers")]
pub const PEER: Contestant = Contestant { name: "actix-session", make: actix_session::in_memory };

/// actix-session, with all data in the cookie, which it encrypts.
#[cfg(feature = "peers")]
pub const COOKIE_PEER: Contestant =
    Contestant { name: "actix-session, cookie", make: actix_session::in_cookie };

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
        let line = response.headers().get(SET_COOKIE).map(|line| line.to_str().unwrap());
        Answer::of(response.status().as_u16(), line)
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
