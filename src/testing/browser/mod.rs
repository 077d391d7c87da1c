//! A browser's cookie jar, for tests that ask "and what would a browser do?".
//!
//! [`Browser`] is an oracle against this library's own cookies: it follows
//! RFC 6265bis (draft-ietf-httpbis-rfc6265bis-22, whose section numbers are
//! used here) and shares no code with [`crate::cookie`], so that a mistake in
//! the one is not a mistake in the other.
//!
//! It does not model, because no test of a session needs it:
//!
//! - **The public suffix list.** A domain of a single label (`com`, but also
//!   `localhost`) counts as a public suffix, `co.uk` does not.
//! - **What counts as one site.** That needs the same list, so a [`Request`]
//!   says by itself from where it was [started](Initiator).
//! - **Eviction.** A real browser forgets cookies beyond some hundreds.
//! - **Partitions.** `Partitioned` is checked and stored, but all embedders
//!   share one partition. Nor are third-party cookies blocked.
//! - **"Lax-allowing-unsafe"** (section 5.6.7.2): a cookie without `SameSite`
//!   is `Lax` from its first moment, where some browsers wait two minutes.
//! - `Clear-Site-Data`, redirect chains, and the repair of URLs: a host is
//!   written in ASCII and a path as it goes over the wire.
//!
//! # Example: log in, go away, come back
//!
//! ```
//! # use std::sync::Arc;
//! # use std::sync::atomic::{AtomicI64, Ordering};
//! # use std::time::Duration;
//! use typed_session::testing::browser::{Browser, Initiator, Request};
//! # use typed_session::{Clock, Timestamp};
//! # struct Hand(AtomicI64);
//! # impl Hand {
//! #     fn advance(&self, by: Duration) {
//! #         self.0.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
//! #     }
//! # }
//! # impl Clock for Hand {
//! #     fn now(&self) -> Timestamp {
//! #         Timestamp::from_millis(self.0.load(Ordering::Relaxed))
//! #     }
//! # }
//! # let clock = Arc::new(Hand(AtomicI64::new(1_700_000_000_000)));
//! # const DAY: Duration = Duration::from_secs(24 * 60 * 60);
//!
//! let shop = "https://shop.example/cart";
//! let browser = Browser::new(clock.clone());
//! let answers = browser.receive(
//!     shop,
//!     [
//!         "__Host-session=s3cret; Path=/; Secure; HttpOnly; SameSite=Lax",
//!         "__Host-remember=me; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=604800",
//!         "tracker=1; Domain=ads.example",
//!     ],
//! );
//! assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
//! assert_eq!(
//!     browser.cookie_header(shop).as_deref(),
//!     Some("__Host-session=s3cret; __Host-remember=me")
//! );
//!
//! // No script sees them, and no form on another site is sent with them.
//! assert_eq!(browser.document_cookie(shop), "");
//! assert_eq!(browser.cookie_header(Request::new(shop, Initiator::CrossSitePost)), None);
//!
//! // The browser is closed for six days: the session cookie is gone.
//! browser.restart();
//! clock.advance(6 * DAY);
//! assert_eq!(browser.cookie_header(shop).as_deref(), Some("__Host-remember=me"));
//!
//! // A day later the other one has expired as well.
//! clock.advance(DAY);
//! assert_eq!(browser.cookie_header(shop), None);
//! ```

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::request::Target;
use self::set_cookie::SetCookie;
use crate::Clock;

pub use self::rejected::Rejected;
pub use self::request::{Initiator, Request};
pub use self::stored::{SameSite, StoredCookie};

mod date;
mod rejected;
mod request;
mod set_cookie;
mod stored;
#[cfg(test)]
mod tests;

/// A browser with one cookie jar.
///
/// Tabs share a browser by reference; every method takes `&self`. A clone is a
/// second browser with a copy of all cookies, such as a thief has, and with the
/// same clock.
///
/// A URL that a browser cannot fetch by HTTP has no cookies and sets none.
pub struct Browser {
    clock: Arc<dyn Clock>,
    localhost: Localhost,
    // Invariant: in order of age, and at most one cookie for each name, domain,
    // host-only flag and path; a cookie keeps its place when it is replaced.
    jar: Mutex<Vec<StoredCookie>>,
}

impl Browser {
    /// Makes a browser without cookies, which asks `clock` for the time.
    #[must_use]
    pub fn new(clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), localhost: Localhost::Trusted, jar: Mutex::new(Vec::new()) }
    }

    /// Chooses whether `http://localhost` may use `Secure` cookies.
    ///
    /// Default: [`Localhost::Trusted`].
    #[must_use]
    pub fn localhost(mut self, localhost: Localhost) -> Self {
        self.localhost = localhost;
        self
    }

    /// Takes the `Set-Cookie` lines of the response to `request`, in order.
    ///
    /// A line is any octets after `Set-Cookie: `. Each answer says whether the
    /// line was obeyed, or by which rule it was ignored (section 5.7); a cookie
    /// that is removed, because it arrives expired, is obeyed.
    pub fn receive<'a, L: AsRef<[u8]>>(
        &self,
        request: impl Into<Request<'a>>,
        lines: impl IntoIterator<Item = L>,
    ) -> Vec<Result<(), Rejected>> {
        let request = request.into();
        lines.into_iter().map(|line| self.store(request, line.as_ref(), Api::Http)).collect()
    }

    /// Returns the `Cookie` header of `request`; none if there is no cookie for
    /// it (section 5.8.1).
    ///
    /// The longest path comes first, then the oldest cookie. Octets that are
    /// not UTF-8 are replaced; [`cookie_header_bytes`](Self::cookie_header_bytes)
    /// keeps them.
    #[must_use]
    pub fn cookie_header<'a>(&self, request: impl Into<Request<'a>>) -> Option<String> {
        self.cookie_header_bytes(request).map(|header| String::from_utf8_lossy(&header).into())
    }

    /// Returns the `Cookie` header of `request` in its exact octets.
    #[must_use]
    pub fn cookie_header_bytes<'a>(&self, request: impl Into<Request<'a>>) -> Option<Vec<u8>> {
        self.retrieve(request.into(), Api::Http)
    }

    /// Returns what a script of the page at `url` reads from `document.cookie`:
    /// all that the page's own requests carry, without `HttpOnly` (section
    /// 5.8.2).
    #[must_use]
    pub fn document_cookie(&self, url: &str) -> String {
        let cookies = self.retrieve(url.into(), Api::Script).unwrap_or_default();
        String::from_utf8_lossy(&cookies).into()
    }

    /// Assigns to `document.cookie`, as a script of the page at `url` would.
    ///
    /// # Errors
    ///
    /// The rule by which the cookie was ignored; a script neither makes nor
    /// replaces a cookie that is `HttpOnly`.
    pub fn set_document_cookie(&self, url: &str, line: &str) -> Result<(), Rejected> {
        self.store(url.into(), line.as_bytes(), Api::Script)
    }

    /// Closes the browser and opens it again: all cookies without `Max-Age` or
    /// `Expires` are gone (section 5.7).
    pub fn restart(&self) {
        self.jar().retain(|cookie| cookie.expires_at.is_some());
    }

    /// Returns the cookie of this exact name, as it is stored; if there are
    /// several, the one that would be sent first.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<StoredCookie> {
        self.cookies().into_iter().find(|cookie| cookie.name == name.as_bytes())
    }

    /// Returns all cookies that have not expired, of all sites, in the order in
    /// which they would be sent.
    #[must_use]
    pub fn cookies(&self) -> Vec<StoredCookie> {
        let now = self.clock.now();
        let mut cookies = self.jar().clone();
        cookies.retain(|cookie| !cookie.is_expired(now));
        // Stable: of two paths of one length, the older cookie stays first.
        cookies.sort_by_key(|cookie| Reverse(cookie.path.len()));
        cookies
    }

    /// The storage model, section 5.7, in the order of its steps.
    fn store(&self, request: Request<'_>, line: &[u8], api: Api) -> Result<(), Rejected> {
        let target = Target::parse(request.url).ok_or(Rejected::Url)?;
        let set = SetCookie::parse(line)?;
        let over_secure_connection = self.is_secure(&target);
        let now = self.clock.now();
        let domain = set.domain(&target)?;
        let cookie = StoredCookie {
            name: set.name.to_vec(),
            value: set.value.to_vec(),
            path: set.path(&target).to_vec(),
            host_only: domain.is_none(),
            domain: domain.unwrap_or_else(|| target.host.clone()),
            secure: set.secure,
            http_only: set.http_only,
            same_site: set.same_site,
            partitioned: set.partitioned,
            expires_at: set.expires_at(now),
            created_at: now,
        };
        if cookie.secure && !over_secure_connection {
            return Err(Rejected::SecureFromInsecure);
        }
        if cookie.http_only && api == Api::Script {
            return Err(Rejected::HttpOnlyFromScript);
        }

        let mut jar = self.jar();
        jar.retain(|cookie| !cookie.is_expired(now));
        if !cookie.secure
            && !over_secure_connection
            && jar.iter().any(|stored| stored.is_secure_and_shadowed_by(&cookie))
        {
            return Err(Rejected::SecureLeftAlone);
        }
        match (cookie.same_site, request.initiator) {
            (SameSite::None, _) if !cookie.secure => {
                return Err(Rejected::SameSiteNoneWithoutSecure);
            }
            (SameSite::None, _) => {}
            (
                SameSite::Strict | SameSite::Lax | SameSite::Unspecified,
                Initiator::CrossSiteEmbed,
            ) => return Err(Rejected::CrossSite),
            (
                SameSite::Strict | SameSite::Lax | SameSite::Unspecified,
                Initiator::SameSite | Initiator::CrossSiteLink | Initiator::CrossSitePost,
            ) => {}
        }
        if cookie.partitioned && !cookie.secure {
            return Err(Rejected::PartitionedWithoutSecure);
        }
        cookie.check_prefix(set.path.is_some())?;

        let old = jar.iter().position(|stored| stored.has_identity_of(&cookie));
        match old {
            Some(old) if jar[old].http_only && api == Api::Script => {
                return Err(Rejected::HttpOnlyLeftAlone);
            }
            Some(old) => jar[old] = StoredCookie { created_at: jar[old].created_at, ..cookie },
            None => jar.push(cookie),
        }
        jar.retain(|cookie| !cookie.is_expired(now));
        Ok(())
    }

    /// The retrieval algorithm, section 5.8.3.
    fn retrieve(&self, request: Request<'_>, api: Api) -> Option<Vec<u8>> {
        let target = Target::parse(request.url)?;
        let secure = self.is_secure(&target);
        let cookies: Vec<_> = self
            .cookies()
            .into_iter()
            .filter(|cookie| {
                cookie.is_for_host(&target.host)
                    && request::path_matches(target.path.as_bytes(), &cookie.path)
                    && (secure || !cookie.secure)
                    && (api == Api::Http || !cookie.http_only)
                    && cookie.same_site.allows(request.initiator)
            })
            .map(|cookie| match cookie.name.as_slice() {
                [] => cookie.value,
                name => [name, b"=", &cookie.value].concat(),
            })
            .collect();
        (!cookies.is_empty()).then(|| cookies.join(&b"; "[..]))
    }

    fn is_secure(&self, target: &Target) -> bool {
        match self.localhost {
            Localhost::Trusted => target.is_encrypted || target.is_loopback(),
            Localhost::Untrusted => target.is_encrypted,
        }
    }

    fn jar(&self) -> MutexGuard<'_, Vec<StoredCookie>> {
        // The jar is whole between any two statements, so a panic elsewhere
        // leaves nothing half done.
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Browser {
    fn clone(&self) -> Self {
        Self {
            clock: Arc::clone(&self.clock),
            localhost: self.localhost,
            jar: Mutex::new(self.jar().clone()),
        }
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser")
            .field("cookies", &self.cookies())
            .field("localhost", &self.localhost)
            .finish_non_exhaustive()
    }
}

/// Whether an unencrypted connection to this machine counts as a secure one:
/// to `localhost`, `*.localhost`, `127.0.0.0/8` or `[::1]`.
///
/// The draft leaves it to the browser what a secure connection is (section
/// 5.7, step 13). Complete by nature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Localhost {
    /// It does, as in Chrome and Firefox.
    Trusted,
    /// It does not, as in Safari: `Secure` cookies need `https` everywhere.
    Untrusted,
}

/// Who reads or writes: HTTP, or a "non-HTTP API".
#[derive(Clone, Copy, Eq, PartialEq)]
enum Api {
    Http,
    Script,
}
