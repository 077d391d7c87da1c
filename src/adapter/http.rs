//! Headers and responses of the `http` crate, version 1: for every framework that
//! is built on it.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Response, StatusCode};

use crate::data::SessionData;
use crate::effects::{Effects, Mode};
use crate::exchange::{Exchange, Outcome};
use crate::layer::SessionLayer;
use crate::store::Store;

/// What a sentence is.
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// Opens the session of a request with these headers.
pub(super) fn open<T: SessionData, S: Store>(
    layer: &SessionLayer<T, S>,
    headers: &HeaderMap,
) -> Exchange<T, S> {
    let values = headers.get_all(layer.request_header());
    layer.open(values.into_iter().map(HeaderValue::as_bytes))
}

/// Adds the effects to the response, or to one of the error's own.
// Inlined, because a response is large to move.
#[inline]
pub(super) fn apply<B>(
    outcome: Outcome,
    mut response: Response<B>,
    body: impl FnOnce(&'static str) -> B,
) -> Response<B> {
    if let Some(error) = &outcome.error {
        response = sentence(error.status(), body(error.public_message()));
    }
    add_effects(outcome.effects, response.headers_mut());
    response
}

/// Tells whether an error of the handler's may pass as an error, on which no
/// header can travel: the session wants nothing of the response.
pub(super) fn lets_errors_pass(outcome: &Outcome) -> bool {
    outcome.error.is_none() && outcome.effects.is_empty()
}

/// Answers with a status and a sentence.
pub(super) fn sentence<B>(status: u16, sentence: B) -> Response<B> {
    let mut response = Response::new(sentence);
    *response.status_mut() = self::status(status);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PLAIN));
    response
}

/// Names a status, of those that errors have.
pub(super) fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Adds the effects to a response's headers.
pub(super) fn add_effects(effects: Effects, headers: &mut HeaderMap) {
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
