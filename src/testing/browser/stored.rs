//! The cookies in the jar.

use std::borrow::Cow;
use std::fmt;

use super::request::{domain_matches, path_matches};
use super::{Initiator, Rejected};
use crate::Timestamp;

/// A cookie as the jar holds it, after all defaults and limits.
///
/// Name, value and path are octets, and are read by methods.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoredCookie {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) path: Vec<u8>,
    /// The host that set the cookie, or its `Domain`, in lower case and without
    /// a leading dot.
    pub domain: String,
    /// Whether only this very host gets the cookie, and none below it.
    pub host_only: bool,
    /// Whether the cookie needs a secure connection.
    pub secure: bool,
    /// Whether the cookie is hidden from scripts.
    pub http_only: bool,
    /// Which requests of other sites carry the cookie.
    pub same_site: SameSite,
    /// Whether the cookie asked for a partition.
    pub partitioned: bool,
    /// When the cookie expires; none for a cookie that dies with the browser.
    pub expires_at: Option<Timestamp>,
    /// When a cookie of this name, domain and path was first set.
    pub created_at: Timestamp,
}

impl StoredCookie {
    /// Returns the name; empty for a cookie that is only a value.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }

    /// Returns the value in its exact octets.
    #[must_use]
    pub fn value_bytes(&self) -> &[u8] {
        &self.value
    }

    /// Returns the path: the `Path` attribute, or the directory of the URL that
    /// set the cookie.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.path)
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    pub(super) fn is_for_host(&self, host: &str) -> bool {
        if self.host_only { host == self.domain } else { domain_matches(host, &self.domain) }
    }

    /// Section 5.7, step 23.
    pub(super) fn has_identity_of(&self, other: &Self) -> bool {
        self.name == other.name
            && self.domain == other.domain
            && self.host_only == other.host_only
            && self.path == other.path
    }

    /// "Leave secure cookies alone": section 5.7, step 16.
    pub(super) fn is_secure_and_shadowed_by(&self, other: &Self) -> bool {
        self.secure
            && self.name == other.name
            && (domain_matches(&self.domain, &other.domain)
                || domain_matches(&other.domain, &self.domain))
            && path_matches(&other.path, &self.path)
    }

    /// Section 5.4, and the two newer prefixes of
    /// draft-ietf-httpbis-layered-cookies.
    pub(super) fn check_prefix(&self, has_path_attribute: bool) -> Result<(), Rejected> {
        let name = self.name.to_ascii_lowercase();
        let value = self.value.to_ascii_lowercase();
        let is_host = name.starts_with(b"__host-");
        let is_http = name.starts_with(b"__http-") || name.starts_with(b"__host-http-");
        if name.starts_with(b"__secure-") && !self.secure {
            return Err(Rejected::SecurePrefix);
        }
        if is_host && !(self.secure && self.host_only && has_path_attribute && self.path == b"/") {
            return Err(Rejected::HostPrefix);
        }
        if is_http && !(self.secure && self.http_only) {
            return Err(Rejected::HttpPrefix);
        }
        // A server that sees `Cookie: __Host-a=b` cannot tell that all of it
        // is the value of a cookie without a name.
        let prefixes: [&[u8]; 3] = [b"__secure-", b"__host-", b"__http-"];
        if name.is_empty() && prefixes.iter().any(|prefix| value.starts_with(prefix)) {
            return Err(Rejected::PrefixInValue);
        }
        Ok(())
    }
}

impl fmt::Debug for StoredCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCookie")
            .field("name", &self.name())
            .field("value", &self.value())
            .field("domain", &self.domain)
            .field("host_only", &self.host_only)
            .field("path", &self.path())
            .field("secure", &self.secure)
            .field("http_only", &self.http_only)
            .field("same_site", &self.same_site)
            .field("partitioned", &self.partitioned)
            .field("expires_at", &self.expires_at)
            .field("created_at", &self.created_at)
            .finish()
    }
}

/// The `SameSite` attribute as a browser understands it (section 5.6.7).
///
/// Complete by nature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SameSite {
    /// No request of another site carries the cookie.
    Strict,
    /// A link on another site carries the cookie, and nothing else there.
    Lax,
    /// Every request carries the cookie.
    None,
    /// Not given, or a word that is none of the three: treated as `Lax`.
    Unspecified,
}

impl SameSite {
    pub(super) fn allows(self, initiator: Initiator) -> bool {
        match (self, initiator) {
            (Self::None, _) | (_, Initiator::SameSite) => true,
            (Self::Lax | Self::Unspecified, Initiator::CrossSiteLink) => true,
            (Self::Strict, Initiator::CrossSiteLink)
            | (_, Initiator::CrossSitePost | Initiator::CrossSiteEmbed) => false,
        }
    }
}
