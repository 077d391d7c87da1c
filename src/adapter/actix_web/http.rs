//! Headers and statuses of actix-web.

use std::net::IpAddr;

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::{StatusCode, header::HeaderMap, header::HeaderValue, uri::Authority};

use crate::effects::{Header, Mode};
use crate::request::RequestHead;

/// The head of a request.
pub(super) struct Head<'a>(pub(super) &'a ServiceRequest);

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        self.0.method().as_str()
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.0.headers().get_all(name).map(HeaderValue::as_bytes)
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

/// Adds headers to a response's.
pub(super) fn add<'a>(from: impl Iterator<Item = Header<'a>>, headers: &mut HeaderMap) {
    for header in from {
        let value = HeaderValue::from_str(header.value);
        let (Ok(name), Ok(mut value)) = (header.name.parse(), value) else { continue };
        value.set_sensitive(header.is_secret);
        match header.mode {
            Mode::Append => headers.append(name, value),
            Mode::Replace => drop(headers.insert(name, value)),
        }
    }
}
