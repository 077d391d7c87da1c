//! What a request tells the cookie jar: its URL, and who started it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A request as the cookie jar sees it.
///
/// A plain `&str` is a request for that URL by the site itself.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) url: &'a str,
    pub(super) initiator: Initiator,
}

impl<'a> Request<'a> {
    /// Makes a request for `url` that was started by `initiator`.
    #[must_use]
    pub const fn new(url: &'a str, initiator: Initiator) -> Self {
        Self { url, initiator }
    }
}

impl<'a> From<&'a str> for Request<'a> {
    fn from(url: &'a str) -> Self {
        Self::new(url, Initiator::SameSite)
    }
}

impl<'a> From<&'a String> for Request<'a> {
    fn from(url: &'a String) -> Self {
        Self::new(url, Initiator::SameSite)
    }
}

/// Who started a request, and how; all that `SameSite` asks (section 5.2).
///
/// Complete by nature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Initiator {
    /// The user by the address bar, or a page of the same site by any means.
    SameSite,
    /// A page of another site that sends the whole tab here by a safe method:
    /// a link, or a form with `GET`.
    CrossSiteLink,
    /// A page of another site that sends the whole tab here by an unsafe
    /// method: a form with `POST`.
    CrossSitePost,
    /// A page of another site that stays where it is: an image, a frame, a
    /// `fetch`.
    CrossSiteEmbed,
}

/// The parts of a URL that matter to cookies.
pub(super) struct Target {
    pub(super) is_encrypted: bool,
    /// In lower case; an IPv6 address is in its brackets.
    pub(super) host: String,
    /// Begins with a slash.
    pub(super) path: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_encrypted = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let rest = rest.split('?').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        let host = authority.rsplit('@').next().unwrap_or_default();
        Some(Self { is_encrypted, host: canonical_host(host)?, path: path.to_owned() })
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self.host == "[::1]"
            || self.host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
    }

    /// The default-path, section 5.1.4.
    pub(super) fn default_path(&self) -> &str {
        match self.path.rfind('/') {
            None | Some(0) => "/",
            Some(last) => &self.path[..last],
        }
    }
}

/// The host of `host[:port]` in lower case (section 5.1.2, for ASCII only).
fn canonical_host(host_and_port: &str) -> Option<String> {
    let (host, port) = match host_and_port.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            (format!("[{address}]"), port)
        }
        None => {
            let colon = host_and_port.find(':').unwrap_or(host_and_port.len());
            let (host, port) = host_and_port.split_at(colon);
            let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if host.is_empty() || !host.chars().all(is_host) {
                return None;
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|c| c.is_ascii_digit()));
    is_port.then_some(host)
}

/// Domain matching, section 5.1.3.
pub(super) fn domain_matches(host: &str, domain: &str) -> bool {
    let is_below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let is_address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    host == domain || (is_below && !is_address)
}

/// Path matching, section 5.1.4.
pub(super) fn path_matches(request: &[u8], cookie: &[u8]) -> bool {
    request
        .strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with(b"/") || rest.starts_with(b"/"))
}
