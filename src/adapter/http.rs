//! Headers and statuses of the `http` crate, version 1: for every framework that
//! is built on it.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{CACHE_CONTROL, COOKIE, HeaderName, HeaderValue, SET_COOKIE, UPGRADE, VARY};
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::effects::{Effects, Header, Mode};
use crate::request::RequestHead;

/// The head of a request.
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: Option<IpAddr>,
}

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let values = match name {
            // Found without a look at its letters.
            "cookie" => self.headers.get_all(COOKIE),
            "upgrade" => self.headers.get_all(UPGRADE),
            name => self.headers.get_all(name),
        };
        values.into_iter().map(HeaderValue::as_bytes)
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(Authority::as_str)
    }

    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }
}

/// Names the status of an error.
pub(super) fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Adds the headers of a rejection to a response's.
pub(super) fn add_headers<'a>(from: impl Iterator<Item = Header<'a>>, headers: &mut HeaderMap) {
    for header in from {
        if let Ok(value) = HeaderValue::from_str(header.value)
            && let Some(name) = name(header.name)
        {
            add(header.mode, name, value, headers);
        }
    }
}

/// The name of a header, without a look at its letters if it is one of the usual.
#[inline]
fn name(name: &str) -> Option<HeaderName> {
    match name {
        "set-cookie" => Some(SET_COOKIE),
        "cache-control" => Some(CACHE_CONTROL),
        "vary" => Some(VARY),
        name => HeaderName::from_bytes(name.as_bytes()).ok(),
    }
}

/// Adds the effects to a response's headers.
pub(super) fn add_effects(effects: Effects, headers: &mut HeaderMap) {
    effects.give(|header| {
        let value = match header.value {
            Cow::Borrowed(value) => Ok(HeaderValue::from_static(value)),
            Cow::Owned(value) => HeaderValue::try_from(value),
        };
        if let (Some(name), Ok(mut value)) = (name(&header.name), value) {
            value.set_sensitive(header.is_secret);
            add(header.mode, name, value, headers);
        }
    });
}

fn add(mode: Mode, name: HeaderName, value: HeaderValue, headers: &mut HeaderMap) {
    match mode {
        Mode::Append => drop(headers.append(name, value)),
        Mode::Replace => drop(headers.insert(name, value)),
    }
}
