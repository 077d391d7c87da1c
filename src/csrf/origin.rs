//! The check of where a request comes from.

use std::fmt;

use crate::cookie;
use crate::request::RequestHead;

/// Which origins may cause requests that change something: the site itself, and those that it trusts.
///
/// [`SessionLayer::check_origin`](crate::SessionLayer::check_origin) sets it. By default it is on for
/// sessions whose id is in a cookie, which is what a browser adds by itself to whatever another site
/// has caused.
///
/// A browser says where a request comes from, and no page can make it say something else. These are
/// the rules, the first that fits:
///
/// | the request | is |
/// | --- | --- |
/// | is a `GET`, `HEAD` or `OPTIONS`, and no WebSocket | let through: it is to change nothing |
/// | has the header `Sec-Fetch-Site`, `Origin` or `Host` several times, where that is asked for | refused |
/// | has `Sec-Fetch-Site: same-origin`, or `none`: typed, a bookmark | let through |
/// | has any other `Sec-Fetch-Site`, and an `Origin` that is trusted | let through |
/// | has any other `Sec-Fetch-Site`: `cross-site`, `same-site`, what nobody knows | refused |
/// | has an `Origin` of the host and port that it was sent to, or a trusted one | let through |
/// | has any other `Origin`, also `null` | refused |
/// | has neither | let through: it is from no browser of today |
///
/// These are the rules of the OWASP cheat sheet on the matter and of Go's `CrossOriginProtection`,
/// but that a WebSocket is judged although it begins as a `GET`.
///
/// # Who is refused by mistake
///
/// Nobody, as far as we know, who uses a browser of 2023 or later over HTTPS: those send
/// `Sec-Fetch-Site` with every request, and it is theirs and not the proxy's. Over plain HTTP,
/// and by older ones, `Origin` is compared with the host that the server sees; a proxy that
/// changes `Host` without a wish of yours makes the two differ. Mend the proxy, or trust the origin.
/// What a proxy says in `Forwarded` or `X-Forwarded-Host` is not read: a client can say it, too. Over
/// plain HTTP, a site whose `Referrer-Policy` is `no-referrer` makes browsers say `Origin: null`.
///
/// Requests that other sites are *meant* to cause are refused until they are trusted: a form on
/// `www.shop.example` that posts to `app.shop.example`, a page of an API's client, the callback of
/// a sign-in by `form_post` or SAML. A default cookie is not on those from other sites anyway.
/// A server that calls a webhook is no browser, and let through. A route for browsers of everybody
/// belongs outside of the layer.
///
/// # Security
///
/// OWASP ASVS 5.0, 3.5.1 and 3.5.3. It sees where a request comes from, and not what the page there
/// does: it is no help against a script that an attacker has brought into the site itself. A `GET`
/// that changes something is not protected; nor is one that middleware inside of the layer turns into
/// another method: such overrides belong outside of it. Browsers before 2020 that send neither header with a form
/// have `SameSite` alone, or a [token](crate::csrf::Token). A network attacker on `http://` of the same
/// host is for `Strict-Transport-Security` to keep out.
///
/// # Example
///
/// ```
/// use typed_session::csrf::{OriginCheck, OriginError};
/// use typed_session::{SessionData, SessionLayer, store::MemoryStore};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Visits { count: u64 }
/// # impl SessionData for Visits {}
///
/// let check = OriginCheck::new().trust("https://www.shop.example")?;
/// let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new()).check_origin(check);
/// # Ok::<(), OriginError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginCheck {
    is_on: bool,
    trusted: Vec<String>,
}

impl OriginCheck {
    /// Makes a check that lets through what the site itself has caused: the default.
    #[must_use]
    pub const fn new() -> Self {
        Self { is_on: true, trusted: Vec::new() }
    }

    /// Trusts another origin, such as `https://www.shop.example` or `http://localhost:5173`.
    ///
    /// It is a scheme, a host and, if it is not the scheme's own, a port. There are no wildcards:
    /// a subdomain that somebody else takes over would be one of them.
    ///
    /// # Errors
    ///
    /// If it is no origin, or not as browsers write them.
    ///
    /// # Security
    ///
    /// Whatever a page of that origin causes, is done in the name of the user who looks at it.
    pub fn trust(mut self, origin: &str) -> Result<Self, OriginError> {
        let parsed = Origin::parse(origin.as_bytes()).filter(|parsed| parsed.to_string() == origin);
        if parsed.is_none() {
            return Err(OriginError { origin: origin.to_owned() });
        }
        if !self.trusted.iter().any(|trusted| trusted == origin) {
            self.trusted.push(origin.to_owned());
        }
        Ok(self)
    }

    /// Makes a check that lets everything through.
    ///
    /// # Security
    ///
    /// `SameSite=Lax` alone is left, which does not tell one subdomain from another, nor a login of
    /// the user from a login that a strange page has caused. Check [tokens](crate::csrf::Token) then.
    #[must_use]
    pub const fn dangerous_off() -> Self {
        Self { is_on: false, trusted: Vec::new() }
    }

    /// The origins that are trusted beside the site itself, or nothing if all are.
    pub(crate) fn trusted(&self) -> Option<&[String]> {
        self.is_on.then_some(&*self.trusted)
    }

    /// Judges a request by its head.
    ///
    /// A layer does it by itself; it is for services that have no layer.
    ///
    /// # Errors
    ///
    /// Why the request is not to be handled.
    pub fn judge(&self, request: &impl RequestHead) -> Result<(), CrossOrigin> {
        if !self.is_on || is_safe(request) {
            return Ok(());
        }
        match One::of(request.fields("sec-fetch-site")) {
            One::Several => Err(CrossOrigin::Ambiguous),
            One::Value(b"same-origin" | b"none") => Ok(()),
            One::Value(_) => match One::of(request.fields("origin")) {
                One::Value(origin) if self.trusts(origin) => Ok(()),
                _ => Err(CrossOrigin::CrossSite),
            },
            One::Nothing => match One::of(request.fields("origin")) {
                One::Nothing => Ok(()),
                One::Several => Err(CrossOrigin::Ambiguous),
                One::Value(origin) if self.trusts(origin) => Ok(()),
                One::Value(origin) => is_of_host(origin, request),
            },
        }
    }

    fn trusts(&self, origin: &[u8]) -> bool {
        self.trusted.iter().any(|trusted| trusted.as_bytes() == origin)
    }

    /// Tells whether anything is refused at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }
}

impl Default for OriginCheck {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a request was refused by where it comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CrossOrigin {
    /// By its `Sec-Fetch-Site` the request comes from another origin, and from none that is trusted.
    CrossSite,
    /// Its `Origin` is another one than that of the host it was sent to, and none that is trusted.
    ForeignOrigin,
    /// A header that it was to be judged by is there several times.
    Ambiguous,
}

impl fmt::Display for CrossOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CrossSite => "by its Sec-Fetch-Site",
            Self::ForeignOrigin => "by its Origin",
            Self::Ambiguous => "by headers that are there several times",
        })
    }
}

/// What is no origin.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{origin}` is no origin as browsers write them: a scheme, a host in lower case, a port unless it is the scheme's own, and no path, as in `https://www.shop.example`"
)]
pub struct OriginError {
    origin: String,
}

/// Tells whether the request is one that is to change nothing.
fn is_safe(request: &impl RequestHead) -> bool {
    // A WebSocket begins as a `GET`. Other upgrades are none of a browser's: some proxies
    // offer `h2c` with every request.
    matches!(request.method(), "GET" | "HEAD" | "OPTIONS")
        && !request.fields("upgrade").any(|field| contains_ignoring_case(field, b"websocket"))
}

fn contains_ignoring_case(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// Judges by `Origin` and host.
fn is_of_host(origin: &[u8], request: &impl RequestHead) -> Result<(), CrossOrigin> {
    let host = match request.authority() {
        Some(authority) => authority.as_bytes(),
        None => match One::of(request.fields("host")) {
            One::Value(host) => host,
            One::Nothing => return Err(CrossOrigin::ForeignOrigin),
            One::Several => return Err(CrossOrigin::Ambiguous),
        },
    };
    let is_same = Origin::parse(origin).is_some_and(|origin| {
        let default = origin.default_port();
        // Of a page that is no page of the Web the host says nothing.
        default.is_some()
            && Host::parse(host).is_some_and(|host| {
                host.name.eq_ignore_ascii_case(origin.host.name)
                    && host.port.or(default) == origin.host.port.or(default)
            })
    });
    if is_same { Ok(()) } else { Err(CrossOrigin::ForeignOrigin) }
}

/// What there is of a header that is to be there once.
enum One<'h> {
    Nothing,
    Value(&'h [u8]),
    Several,
}

impl<'h> One<'h> {
    fn of(mut fields: impl Iterator<Item = &'h [u8]>) -> Self {
        match (fields.next(), fields.next()) {
            (None, _) => Self::Nothing,
            (Some(value), None) => Self::Value(cookie::trim(value)),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// A serialised origin (RFC 6454, section 6.2), that is not `null`.
struct Origin<'h> {
    scheme: &'h str,
    host: Host<'h>,
}

impl<'h> Origin<'h> {
    fn parse(text: &'h [u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let (scheme, host) = text.split_once("://")?;
        let mut octets = scheme.bytes();
        let is_scheme = octets.next()?.is_ascii_alphabetic()
            && octets.all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet));
        is_scheme.then_some(Self { scheme, host: Host::parse(host.as_bytes())? })
    }

    fn default_port(&self) -> Option<u16> {
        if self.scheme.eq_ignore_ascii_case("https") {
            Some(443)
        } else if self.scheme.eq_ignore_ascii_case("http") {
            Some(80)
        } else {
            None
        }
    }
}

/// As browsers write it.
impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { name, port } = &self.host;
        write!(f, "{}://{}", self.scheme.to_ascii_lowercase(), name.to_ascii_lowercase())?;
        match port.filter(|port| Some(*port) != self.default_port()) {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// A host and its port, as in `Host`: no user, no path.
struct Host<'h> {
    /// With the brackets, if it is an address of IPv6.
    name: &'h str,
    port: Option<u16>,
}

impl<'h> Host<'h> {
    fn parse(text: &'h [u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (name, port) = text.split_at_checked(end)?;
        let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !name.is_empty() && name.bytes().all(is_host_octet),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => Some(parse_port(digits)?),
            None if port.is_empty() => None,
            None => return None,
        };
        is_name.then_some(Self { name, port })
    }
}

/// Names beyond ASCII are in their ASCII form in both headers.
const fn is_host_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_')
}

fn parse_port(digits: &str) -> Option<u16> {
    let is_number = digits.bytes().all(|octet| octet.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_number)
}
