//! Headers and statuses of the `http` crate, version 1: for every framework that
//! is built on it.

use std::borrow::Cow;

use http::header::{COOKIE, HeaderName, HeaderValue, VARY};
use http::{HeaderMap, StatusCode};

use crate::data::SessionData;
use crate::effects::{Effects, Mode};
use crate::exchange::Exchange;
use crate::layer::SessionLayer;
use crate::store::Store;

/// Opens the session of a request with these headers.
pub(super) fn open<T: SessionData, S: Store>(
    layer: &SessionLayer<T, S>,
    headers: &HeaderMap,
) -> Exchange<T, S> {
    let values = match layer.request_header() {
        // Found without a look at its letters.
        "cookie" => headers.get_all(COOKIE),
        name => headers.get_all(name),
    };
    layer.open(values.into_iter().map(HeaderValue::as_bytes))
}

/// Names the status of an error.
pub(super) fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Adds the effects to a response's headers.
pub(super) fn add_effects(effects: Effects, headers: &mut HeaderMap) {
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
