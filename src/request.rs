//! What a layer looks at of a request.

use std::net::IpAddr;

/// What a layer looks at of a request, as an adapter shows it.
///
/// It is the head alone; a layer reads no body.
pub trait RequestHead {
    /// Returns the method, in the letters of the request: `GET`, `POST`.
    fn method(&self) -> &str;

    /// Returns the values of all fields of this name, in their order. The name is in lower case.
    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]>;

    /// Returns the host and port that the request names in its target, as every one of HTTP/2 does:
    /// `shop.example`, `127.0.0.1:8080`. `None` means that there is the field `Host` for it.
    ///
    /// What a proxy says of itself, as in `Forwarded`, is not meant.
    fn authority(&self) -> Option<&str> {
        None
    }

    /// Returns the address of who is connected, if the framework knows it: the client, or
    /// the last proxy before this server.
    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

/// Tells whether a browser goes to the page that answers (Fetch Metadata Request Headers, section
/// 2.2), and not a script of a page that stays.
pub(crate) fn navigates(request: &impl RequestHead) -> bool {
    let mut modes = request.fields("sec-fetch-mode");
    match (modes.next(), modes.next()) {
        (Some(mode), None) => mode == b"navigate",
        (Some(_), Some(_)) => false,
        // A browser of old, or one without TLS, which is not told apart from a script.
        (None, _) => {
            matches!(request.method(), "GET" | "HEAD") && request.fields("upgrade").next().is_none()
        }
    }
}
