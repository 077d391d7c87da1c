use std::borrow::Cow;

use super::PolicyError;

/// The attributes of a cookie, apart from how long it lives.
///
/// The default is the strict one: `Path=/; Secure; HttpOnly; SameSite=Lax`, and no `Domain`, so
/// that only the host that set the cookie gets it back. Name what differs and end with
/// `..Attributes::default()`:
///
/// ```
/// use typed_session::cookie::{Attributes, SameSite};
///
/// let shared = Attributes { domain: Some("example.com".into()), ..Attributes::default() };
/// assert!(shared.secure && shared.http_only);
/// assert_eq!(shared.same_site, Some(SameSite::Lax));
/// ```
///
/// Any combination can be written down here; [`CookiePolicy::new`](super::CookiePolicy::new) and
/// [`set_cookie`](super::set_cookie) refuse those that browsers would drop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attributes {
    /// The URLs that get the cookie; `None` leaves it to the browser, which takes the directory of
    /// the request's URL.
    pub path: Option<Cow<'static, str>>,

    /// The host that shares the cookie with all its subdomains; `None` is narrower: the very host
    /// that set it.
    ///
    /// A leading dot is left out when written, as browsers ignore it (RFC 6265bis, section 5.6.3).
    ///
    /// # Security
    ///
    /// Every subdomain can then read the cookie, and each of them can plant one of the same name.
    pub domain: Option<Cow<'static, str>>,

    /// Keeps the cookie off plain HTTP, where anyone on the way could read or replace it.
    pub secure: bool,

    /// Hides the cookie from JavaScript.
    pub http_only: bool,

    /// Whether requests that other sites cause carry the cookie; `None` leaves the attribute out
    /// and the choice to the browser.
    pub same_site: Option<SameSite>,

    /// Gives each top-level site its own copy of the cookie when our pages are embedded there.
    pub partitioned: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            path: Some(Cow::Borrowed("/")),
            domain: None,
            secure: true,
            http_only: true,
            same_site: Some(SameSite::Lax),
            partitioned: false,
        }
    }
}

impl Attributes {
    /// Checks what holds for every name.
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        if let Some(path) = &self.path {
            check_path(path)?;
        }
        if let Some(domain) = &self.domain {
            check_domain(without_leading_dot(domain))?;
        }
        if self.same_site == Some(SameSite::None) && !self.secure {
            return Err(PolicyError::SameSiteNoneWithoutSecure);
        }
        if self.partitioned && !self.secure {
            return Err(PolicyError::PartitionedWithoutSecure);
        }
        Ok(())
    }

    /// The attributes as they stand behind the value; an absent one is empty.
    pub(super) fn parts(&self) -> [&str; 8] {
        let (path_is, path) = match &self.path {
            Some(path) => ("; Path=", path.as_ref()),
            None => ("", ""),
        };
        let (domain_is, domain) = match &self.domain {
            Some(domain) => ("; Domain=", without_leading_dot(domain)),
            None => ("", ""),
        };
        let same_site = match self.same_site {
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
            None => "",
        };
        let secure = if self.secure { "; Secure" } else { "" };
        let http_only = if self.http_only { "; HttpOnly" } else { "" };
        let partitioned = if self.partitioned { "; Partitioned" } else { "" };
        [path_is, path, domain_is, domain, secure, http_only, same_site, partitioned]
    }
}

/// Which requests of other sites carry the cookie (RFC 6265bis, section 4.1.2.7). Complete by
/// nature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SameSite {
    /// None of them: who follows a link to us arrives logged out.
    Strict,
    /// Only top-level navigation by a safe method, such as following a link.
    Lax,
    /// All of them; needs `Secure`, and protection against cross-site request forgery.
    None,
}

/// `path-value` of RFC 6265bis, section 4.1.1, that a browser stores as it stands.
fn check_path(path: &str) -> Result<(), PolicyError> {
    // Not a space at the end, because the browser trims it (section 5.6) and so stores another
    // path.
    if !path.starts_with('/') || path.ends_with(' ') || !path.bytes().all(is_attribute_octet) {
        return Err(PolicyError::Path);
    }
    if path.len() > MAX_ATTRIBUTE_OCTETS {
        return Err(PolicyError::PathTooLong { octets: path.len() });
    }
    Ok(())
}

/// `av-octet` of RFC 6265bis, section 4.1.1.
fn is_attribute_octet(octet: u8) -> bool {
    matches!(octet, b' '..=b'~') && octet != b';'
}

/// `domain-value` of RFC 6265bis, section 4.1.1: labels of letters, digits and inner hyphens, as in
/// RFC 1123.
fn check_domain(domain: &str) -> Result<(), PolicyError> {
    if domain.len() <= MAX_HOST_OCTETS && domain.split('.').all(is_label) {
        Ok(())
    } else {
        Err(PolicyError::Domain)
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_OCTETS).contains(&label.len())
        && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn without_leading_dot(domain: &str) -> &str {
    domain.strip_prefix('.').unwrap_or(domain)
}

/// Browsers ignore an attribute with a longer value (RFC 6265bis, section 5.6).
const MAX_ATTRIBUTE_OCTETS: usize = 1024;

/// A host name as text, RFC 1035, section 2.3.4; stays within the limit for attributes.
const MAX_HOST_OCTETS: usize = 253;

const MAX_LABEL_OCTETS: usize = 63;
