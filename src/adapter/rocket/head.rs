//! What a layer looks at of a request of rocket's.

use std::net::IpAddr;

use rocket::Request;

use crate::RequestHead;

/// The head of a request, and what rocket has taken out of it.
pub(super) struct Head<'a, 'r> {
    request: &'a Request<'r>,
    jar: Vec<String>,
    host: Option<String>,
}

impl<'a, 'r> Head<'a, 'r> {
    pub(super) fn of(request: &'a Request<'r>) -> Self {
        // Those of `rocket::local` are in the jar alone.
        let jar = match request.headers().contains("cookie") {
            true => Vec::new(),
            false => request.cookies().iter().map(ToString::to_string).collect(),
        };
        // Of HTTP/2, whose requests have no such field.
        let host = match request.headers().contains("host") {
            true => None,
            false => request.host().map(ToString::to_string),
        };
        Self { request, jar, host }
    }
}

impl RequestHead for Head<'_, '_> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let jar = if name == "cookie" { &*self.jar } else { &[] };
        let fields = self.request.headers().get(name);
        fields.map(str::as_bytes).chain(jar.iter().map(String::as_bytes))
    }

    fn authority(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn peer(&self) -> Option<IpAddr> {
        self.request.remote().map(|peer| peer.ip())
    }
}
