//! Headers and statuses of actix-web.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{
    CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, UPGRADE, VARY,
};
use actix_web::http::{StatusCode, uri::Authority};

use crate::effects::{Effects, Header, Mode};
use crate::request::RequestHead;

/// The head of a request.
pub(super) struct Head<'a>(pub(super) &'a ServiceRequest);

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        self.0.method().as_str()
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let headers = self.0.headers();
        let values = match name {
            // Found without a look at its letters.
            "cookie" => headers.get_all(COOKIE),
            "upgrade" => headers.get_all(UPGRADE),
            name => headers.get_all(name),
        };
        values.map(HeaderValue::as_bytes)
    }

    fn authority(&self) -> Option<&str> {
        self.0.uri().authority().map(Authority::as_str)
    }

    fn peer(&self) -> Option<IpAddr> {
        self.0.peer_addr().map(|peer| peer.ip())
    }
}

/// Names the status of an error.
pub(super) fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Answers with a status and a sentence.
pub(super) fn sentence(code: u16, text: &'static str) -> HttpResponse {
    HttpResponse::build(status(code)).content_type("text/plain; charset=utf-8").body(text)
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

/// Adds headers that are needed again to a response's.
pub(super) fn add_headers<'a>(from: impl Iterator<Item = Header<'a>>, headers: &mut HeaderMap) {
    for header in from {
        let value = HeaderValue::from_str(header.value);
        let (Some(name), Ok(mut value)) = (name(header.name), value) else { continue };
        value.set_sensitive(header.is_secret);
        add(header.mode, name, value, headers);
    }
}

fn add(mode: Mode, name: HeaderName, value: HeaderValue, headers: &mut HeaderMap) {
    match mode {
        Mode::Append => headers.append(name, value),
        Mode::Replace => drop(headers.insert(name, value)),
    }
}
