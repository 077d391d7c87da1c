//! The shop's pages as ntex's responses, which has words of its own for all of HTTP.

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::ops::Deref;

use ntex::http::Payload;
use ntex::web::{FromRequest, HttpRequest, HttpResponse, Responder, State, WebResponseError};
use typed_session::Rejection;

use crate::{Answer, Sessions, pages};

impl<St: State> Responder<St> for Answer {
    async fn respond_to(self, _: &St, _: &HttpRequest) -> HttpResponse {
        response(&self)
    }
}

/// For what was typed and cannot be taken.
impl<St, Err> WebResponseError<St, Err> for Answer {
    fn error_response(&self, _: &St) -> HttpResponse {
        response(self)
    }
}

impl Error for Answer {}

/// As ntex logs it.
impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0.status(), f)
    }
}

impl Debug for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

fn response(Answer(page): &Answer) -> HttpResponse {
    let mut response = HttpResponse::builder(page.status().as_u16().try_into().unwrap_or_default());
    for (name, value) in page.headers() {
        response.header(name.as_str(), value.as_bytes());
    }
    response.body(page.body().clone())
}

/// The layer, as an argument of a handler, if the application's configuration has it as its state.
pub struct All(Sessions);

impl Deref for All {
    type Target = Sessions;

    fn deref(&self) -> &Sessions {
        &self.0
    }
}

impl<St> FromRequest<St> for All {
    type Error = Answer;

    async fn from_request(_: &St, req: &HttpRequest, _: &mut Payload) -> Result<Self, Answer> {
        let sessions = req.app_state::<Sessions>().cloned();
        sessions.map(Self).ok_or_else(|| pages::failed(Rejection::MissingLayer).into())
    }
}
