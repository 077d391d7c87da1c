//! How a rejection becomes a response: by the catchers.

use std::io::Cursor;

use rocket::http::{ContentType, Method, Status};
use rocket::response::Responder;
use rocket::route::{self, Handler, Route};
use rocket::{Build, Data, Request, Response, Rocket};

use super::slot;
use crate::{Error, Header, Rejection};

/// The route of rejected requests, for a fairing cannot answer.
#[derive(Clone)]
pub(super) struct Gate;

/// The answer to a request on its way there.
struct Rejected(Answer);

impl Gate {
    /// One way for all paths; no other request takes it, for browsers send no `TRACE`.
    pub(super) fn mounted(rocket: Rocket<Build>) -> Rocket<Build> {
        if rocket.state::<Self>().is_some() {
            return rocket;
        }
        let gate = Route::ranked(isize::MIN, Method::Trace, "/<_..>", Self);
        rocket.manage(Self).mount("/", [gate])
    }

    /// Returns the answer to a rejected request that was not kept from the other routes after all: a
    /// fairing attached later has given it another method.
    pub(super) fn passed(request: &Request<'_>) -> Option<Answer> {
        slot(request).take().map(|Rejected(answer)| answer)
    }

    /// Keeps the request from all other routes.
    pub(super) fn take(request: &mut Request<'_>, rejection: &Rejection) {
        *slot(request) = Some(Rejected(Answer::of(rejection)));
        request.set_method(Method::Trace);
    }
}

#[rocket::async_trait]
impl Handler for Gate {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> route::Outcome<'r> {
        let Some(Rejected(answer)) = slot(request).take() else {
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

/// For handlers that use `?` on [`Session::transact`](crate::Session::transact) and
/// [`commit`](crate::Session::commit).
impl<'r> Responder<'r, 'static> for Error {
    fn respond_to(self, request: &'r Request<'_>) -> rocket::response::Result<'static> {
        Rejection::from(self).respond_to(request)
    }
}

/// A rejection, for the response that is made of it.
pub(super) struct Answer {
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

    /// Takes the place of a response that must not be sent.
    pub(super) fn replace(self, response: &mut Response<'_>) {
        *response = Response::new();
        say(response, self.status, self.text);
        for (name, value) in self.headers {
            response.set_raw_header(name, value);
        }
    }

    /// Adds it to a response, or takes the place of rocket's own page.
    pub(super) fn put_on(self, request: &Request<'_>, response: &mut Response<'_>) {
        if !is_caught(request, self.status) {
            say(response, self.status, self.text);
        }
        for (name, value) in self.headers {
            if !response.headers().contains(&name) {
                response.set_raw_header(name, value);
            }
        }
    }
}

pub(super) fn remember(request: &Request<'_>, rejection: Rejection) -> (Status, Rejection) {
    *slot(request) = Some(Answer::of(&rejection));
    (Status::new(rejection.status()), rejection)
}

/// The rejection that the response is made of, as far as rocket tells.
pub(super) fn answered(request: &Request<'_>, answer: Status) -> Option<Answer> {
    slot(request).take().filter(|remembered: &Answer| remembered.status == answer.code)
}

/// Tells whether the page is a catcher's of the application, and not rocket's.
fn is_caught(request: &Request<'_>, status: u16) -> bool {
    request.rocket().catchers().any(|catcher| {
        catcher.code.is_none_or(|code| code == status)
            && catcher.base.path().segments().prefix_of(request.uri().path().segments())
    })
}

pub(super) fn say(response: &mut Response<'_>, status: u16, text: &'static str) {
    response.set_status(Status::new(status));
    response.set_header(ContentType::Plain);
    response.set_sized_body(text.len(), Cursor::new(text));
}
