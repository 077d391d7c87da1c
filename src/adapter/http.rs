//! Responses of the `http` crate, version 1: for every framework that is built
//! on it.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Response, StatusCode};

use crate::effects::{Effects, Mode};
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

/// Answers with a status and a sentence.
pub(super) fn sentence<B: From<&'static str>>(status: u16, text: &'static str) -> Response<B> {
    let mut response = Response::new(B::from(text));
    let status = StatusCode::from_u16(status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn add_effects(effects: Effects, headers: &mut HeaderMap) {
    for header in effects.fixed_headers().into_iter().flatten() {
        let name = HeaderName::from_static(header.name);
        let value = HeaderValue::from_static(header.value);
        match header.mode {
            Mode::Append => drop(headers.append(name, value)),
            Mode::Replace => drop(headers.insert(name, value)),
        }
    }
    // Moved and not copied. It is visible ASCII, by the promise of `Header`.
    if let Some(Ok(mut value)) = effects.set_cookie.map(HeaderValue::try_from) {
        value.set_sensitive(true);
        headers.append(SET_COOKIE, value);
    }
}
