//! Headers and statuses of ntex.

use std::net::IpAddr;

use ntex::http::{HeaderMap, StatusCode, header::HeaderValue};
use ntex::web::{HttpResponse, WebRequest};

use crate::effects::{Header, Mode};
use crate::error::Rejection;
use crate::request::RequestHead;

/// The head of a request.
pub(super) struct Head<'a, In>(pub(super) &'a WebRequest<In>);

impl<In> RequestHead for Head<'_, In> {
    fn method(&self) -> &str {
        self.0.method().as_str()
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.0.headers().get_all(name).map(HeaderValue::as_bytes)
    }

    fn authority(&self) -> Option<&str> {
        self.0.uri().authority().map(|authority| authority.as_str())
    }

    fn peer(&self) -> Option<IpAddr> {
        self.0.peer_addr().map(|peer| peer.ip())
    }
}

/// Makes the response of a rejection.
pub(super) fn answer(rejection: &Rejection) -> HttpResponse {
    let mut response = sentence(rejection.status(), rejection.public_message());
    add(rejection.headers(), response.headers_mut());
    response
}

/// Answers with a status and a sentence.
pub(super) fn sentence(status: u16, text: &'static str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::builder(status).content_type("text/plain; charset=utf-8").body(text)
}

/// Adds headers to a response's.
pub(super) fn add<'a>(from: impl Iterator<Item = Header<'a>>, headers: &mut HeaderMap) {
    for header in from {
        let value = HeaderValue::from_str(header.value);
        let (Ok(name), Ok(mut value)) = (header.name.try_into(), value) else { continue };
        value.set_sensitive(header.is_secret);
        match header.mode {
            Mode::Append => headers.append(name, value),
            Mode::Replace => headers.insert(name, value),
        }
    }
}
