//! Responses of the `http` crate, version 1: for every framework that is built
//! on it.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use http::{HeaderMap, Response, StatusCode};

use crate::data::SessionData;
use crate::effects::{Effects, Mode};
use crate::exchange::{Exchange, Outcome};
use crate::layer::SessionLayer;
use crate::store::Store;

/// Returns the name of the request header that carries the id: made once, for [`open`].
pub(super) fn request_header<T: SessionData, S: Store>(layer: &SessionLayer<T, S>) -> HeaderName {
    HeaderName::from_bytes(layer.request_header().as_bytes())
        .expect("a transport has a short token for its name")
}

/// Opens the session of a request with these headers.
pub(super) fn open<T: SessionData, S: Store>(
    layer: &SessionLayer<T, S>,
    request_header: &HeaderName,
    headers: &HeaderMap,
) -> Exchange<T, S> {
    layer.open(headers.get_all(request_header).into_iter().map(HeaderValue::as_bytes))
}

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
        add(header.mode, name, HeaderValue::from_static(header.value), headers);
    }
    // Moved and not copied, here and below. It is visible ASCII, by the promise of `Header`.
    let vary = effects.vary.map(|name| match name {
        Cow::Borrowed(name) => Ok(HeaderValue::from_static(name)),
        Cow::Owned(name) => HeaderValue::try_from(name),
    });
    if let Some(Ok(vary)) = vary {
        headers.append(VARY, vary);
    }
    if let Some(id) = effects.id
        && let (mode, Ok(name)) = (id.mode(), HeaderName::from_bytes(id.name.as_bytes()))
        && let Ok(mut value) = HeaderValue::try_from(id.value)
    {
        value.set_sensitive(true);
        add(mode, name, value, headers);
    }
}

fn add(mode: Mode, name: HeaderName, value: HeaderValue, headers: &mut HeaderMap) {
    match mode {
        Mode::Append => drop(headers.append(name, value)),
        Mode::Replace => drop(headers.insert(name, value)),
    }
}
