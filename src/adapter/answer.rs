//! Answers on the `http` crate, version 1, where a body can be made of text.

use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::adapter::http::{add_effects, add_headers, status};
use crate::error::{Error, Rejection};
use crate::exchange::Outcome;

/// Adds the effects to the response, or to one of the error's own.
// Inlined, because a response is large to move.
#[inline]
pub(super) fn apply<B: From<&'static str>>(
    outcome: Outcome,
    mut response: Response<B>,
) -> Response<B> {
    if let Some(error) = &outcome.error {
        response = sentence(error.status(), error.public_message());
    }
    add_effects(outcome.effects, response.headers_mut());
    response
}

/// The rejection's status, sentence and headers.
impl<B: From<&'static str>> From<&Rejection> for Response<B> {
    fn from(rejection: &Rejection) -> Self {
        let mut response = sentence(rejection.status(), rejection.public_message());
        add_headers(rejection.headers(), response.headers_mut());
        response
    }
}

impl<B: From<&'static str>> From<Rejection> for Response<B> {
    fn from(rejection: Rejection) -> Self {
        Self::from(&rejection)
    }
}

/// The same of an error alone.
impl<B: From<&'static str>> From<Error> for Response<B> {
    fn from(error: Error) -> Self {
        Self::from(&Rejection::from(error))
    }
}

/// Answers with a status and a sentence.
fn sentence<B: From<&'static str>>(code: u16, text: &'static str) -> Response<B> {
    let mut response = Response::new(B::from(text));
    *response.status_mut() = status(code);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
