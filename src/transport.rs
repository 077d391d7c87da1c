//! How an id travels: where a request carries it, and how a response hands it out.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::candidates::Candidates;
use crate::cookie::{self, CookiePolicy, PolicyError};
use crate::effects::IdHeader;
use crate::id::SessionId;
use crate::id_form::{self, IdForm, Read, Salt, Scope};

/// How the id travels between client and server: in a cookie, as a `Bearer` token, or in a header
/// of its own.
///
/// [`SessionLayer::transport`](crate::SessionLayer::transport) sets it. The default is the cookie,
/// which is what browsers are for. The two others are for clients that keep the id themselves:
/// programs, and apps on a phone. The response hands out a new id in the header in which the
/// requests are to carry it, complete (`authorization: Bearer <id>`, or `x-session: <id>`), and at
/// the end of a session the same header with an empty value: forget it. So a client keeps the value
/// whenever there is one in a response, and sends it with every request.
///
/// How the id is written is another matter: as it is, signed or encrypted, see
/// [`IdForm`](crate::IdForm).
///
/// An id is accepted by the transport that is set and by no other. A field of `Authorization`, or
/// of the named header, holds one id; of a list with commas, as some proxies make of repeated
/// fields, none is taken. Of several fields each is tried, five at most. Two layers around one route
/// need two headers, or two cookies: a response has each header but `Set-Cookie` once. Login,
/// rotation, superseded ids and limits are the same for all. A header has no `Max-Age`, so
/// [`Lifetime::persistent`](crate::Lifetime::persistent) changes nothing there: whether the id
/// outlives a restart is up to the client, and the limits are the server's.
///
/// # Security
///
/// An id that a script can send, a script can steal: in a browser only an `HttpOnly` cookie is out
/// of its reach. In return a browser adds neither header by itself to what another site has caused,
/// so cross-site request forgery is no threat to it. A page of another origin can read
/// the header of the response only if the application names it in `Access-Control-Expose-Headers`.
///
/// # Example
///
/// ```
/// use typed_session::store::MemoryStore;
/// use typed_session::{SessionData, SessionLayer, Transport, TransportError};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Visits { count: u64 }
/// # impl SessionData for Visits {}
///
/// // From the configuration, say.
/// let transport = match "x-session" {
///     "cookie" => Transport::default(),
///     "bearer" => Transport::bearer(),
///     name => Transport::header(name)?,
/// };
/// let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new()).transport(transport);
/// assert_eq!(sessions.request_header(), "x-session");
/// # Ok::<(), TransportError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transport(Kind);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Cookie(CookiePolicy),
    Bearer,
    /// By its name, in lower case.
    // Invariant: `check_name` has passed.
    Header(String),
}

impl Transport {
    /// Carries the id in a cookie of this policy.
    #[must_use]
    pub const fn cookie(policy: CookiePolicy) -> Self {
        Self(Kind::Cookie(policy))
    }

    /// Carries the id as `Authorization: Bearer <id>` (RFC 6750, section 2.1).
    ///
    /// The scheme is read without regard to case. A field of another scheme, such as `Basic`, is
    /// none of a session's business.
    #[must_use]
    pub const fn bearer() -> Self {
        Self(Kind::Bearer)
    }

    /// Carries the id in a header of this name, such as `x-session`, and nothing else with it.
    ///
    /// An empty value is no id, so a client may always send what it was given last.
    ///
    /// # Errors
    ///
    /// If it is no name of a header, or a well-known one with a meaning of its own. Names that only
    /// your proxy acts on are not known here; look there.
    pub fn header(name: &str) -> Result<Self, TransportError> {
        let name = name.to_ascii_lowercase();
        check_name(&name)?;
        Ok(Self(Kind::Header(name)))
    }

    /// The name, in lower case, of the header by which requests carry the id.
    pub(crate) fn request_header(&self) -> &str {
        match &self.0 {
            Kind::Cookie(_) => "cookie",
            Kind::Bearer => AUTHORIZATION,
            Kind::Header(name) => name,
        }
    }

    /// The same as `Vary` names it.
    pub(crate) fn vary(&self) -> Cow<'static, str> {
        match &self.0 {
            Kind::Cookie(_) => Cow::Borrowed("Cookie"),
            Kind::Bearer => Cow::Borrowed("Authorization"),
            Kind::Header(name) => Cow::Owned(name.clone()),
        }
    }

    pub(crate) const fn is_cookie(&self) -> bool {
        matches!(self.0, Kind::Cookie(_))
    }

    pub(crate) const fn is_bearer(&self) -> bool {
        matches!(self.0, Kind::Bearer)
    }

    /// The cookie's policy, if it is one.
    pub(crate) const fn cookie_policy(&self) -> Option<&CookiePolicy> {
        match &self.0 {
            Kind::Cookie(policy) => Some(policy),
            Kind::Bearer | Kind::Header(_) => None,
        }
    }

    /// Tells whether the client is told how long the id is good, and so must be told again.
    pub(crate) const fn has_max_age(&self) -> bool {
        match self.0 {
            Kind::Cookie(_) => true,
            Kind::Bearer | Kind::Header(_) => false,
        }
    }

    /// Tells whether a browser adds the id by itself, also to what another site has caused.
    pub(crate) const fn is_ambient(&self) -> bool {
        match self.0 {
            Kind::Cookie(_) => true,
            Kind::Bearer | Kind::Header(_) => false,
        }
    }

    /// Where an id's text is valid.
    pub(crate) const fn scope(&self) -> Scope<'_> {
        match &self.0 {
            Kind::Cookie(policy) => Scope { kind: id_form::Kind::Cookie, name: policy.name() },
            Kind::Bearer => Scope { kind: id_form::Kind::Header, name: AUTHORIZATION },
            Kind::Header(name) => Scope { kind: id_form::Kind::Header, name: name.as_str() },
        }
    }

    /// Reads the values of a request's headers of the name [`request_header`](Self::request_header).
    pub(crate) fn candidates<'h>(
        &self,
        form: &IdForm,
        fields: impl Iterator<Item = &'h [u8]>,
    ) -> Candidates {
        self.candidates_by(fields, |value| form.read(value, self.scope()))
    }

    /// The same, where something else than an id stands in its place.
    pub(crate) fn candidates_by<'h>(
        &self,
        fields: impl Iterator<Item = &'h [u8]>,
        mut read: impl FnMut(&[u8]) -> Read,
    ) -> Candidates {
        let mut candidates = Candidates::default();
        let mut take = |value| candidates.take(read(value));
        // Enough, or all.
        let (ControlFlow::Break(()) | ControlFlow::Continue(())) = match &self.0 {
            Kind::Cookie(policy) => {
                let mut values = fields.map(|field| cookie::values(field, policy.name()));
                values.try_for_each(|mut values| values.try_for_each(&mut take))
            }
            Kind::Bearer => fields.filter_map(bearer_token).try_for_each(take),
            Kind::Header(_) => {
                let mut values = fields.map(cookie::trim).filter(|value| !value.is_empty());
                values.try_for_each(take)
            }
        };
        candidates
    }

    /// The header that hands the id to the client; `max_age` is for the cookie alone.
    pub(crate) fn hand_out(
        &self,
        form: &IdForm,
        Handed { id, salt }: &Handed,
        max_age: Option<Duration>,
    ) -> Option<IdHeader> {
        // By the policy's own promise an id always passes.
        form.with_text(id, salt, self.scope(), |id| self.hand_out_text(id, max_age).ok())
    }

    /// The header that hands to the client what stands in the place of an id.
    pub(crate) fn hand_out_text(
        &self,
        text: &str,
        max_age: Option<Duration>,
    ) -> Result<IdHeader, PolicyError> {
        match &self.0 {
            Kind::Cookie(policy) => policy.set_cookie(text, max_age).map(IdHeader::set_cookie),
            Kind::Bearer => Ok(IdHeader::new(AUTHORIZATION, ["Bearer ", text].concat())),
            Kind::Header(name) => Ok(IdHeader::new(name.clone(), text.to_owned())),
        }
    }

    /// The header that makes the client forget its id.
    pub(crate) fn take_back(&self) -> IdHeader {
        match &self.0 {
            Kind::Cookie(policy) => IdHeader::set_cookie(policy.removal()),
            Kind::Bearer => IdHeader::new(AUTHORIZATION, String::new()),
            Kind::Header(name) => IdHeader::new(name.clone(), String::new()),
        }
    }
}

/// An id for the client, and what it takes to write it.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) id: SessionId,
    pub(crate) salt: Salt,
}

impl Default for Transport {
    fn default() -> Self {
        Self::cookie(CookiePolicy::default())
    }
}

/// What follows the scheme in a field of the scheme `Bearer` (RFC 9110, section 11.4), be it an id
/// or not.
fn bearer_token(field: &[u8]) -> Option<&[u8]> {
    let field = cookie::trim(field);
    let end = field.iter().position(|&octet| octet == b' ').unwrap_or(field.len());
    let (scheme, mut token) = field.split_at(end);
    while let [b' ', rest @ ..] = token {
        token = rest;
    }
    scheme.eq_ignore_ascii_case(b"Bearer").then_some(token)
}

/// Why a name is not fit for [`Transport::header`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// It is no name of a header (RFC 9110, section 5.1), or is longer than any that is in use.
    #[error(
        "a header's name is 1 to 64 ASCII letters, digits and characters of !#$%&'*+-.^_`|~, such as `x-session`"
    )]
    Name,
    /// Servers, browsers, proxies or this library take the header for something else.
    #[error(
        "the header `{name}` has a meaning of its own; choose another, such as `x-session`, or one of the other transports"
    )]
    Reserved {
        /// The name, in lower case.
        name: String,
    },
}

fn check_name(name: &str) -> Result<(), TransportError> {
    let is_name =
        (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(cookie::is_token_octet);
    if !is_name {
        return Err(TransportError::Name);
    }
    if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(TransportError::Reserved { name: name.to_owned() });
    }
    Ok(())
}

const AUTHORIZATION: &str = "authorization";

const LONGEST_NAME: usize = 64;

/// The fields of RFC 9110 to 9112, of cookies, and others that servers, browsers and proxies act on
/// or log.
const RESERVED: &[&str] = &[
    "age",
    "allow",
    "alt-svc",
    "authentication-info",
    "authorization",
    "cache-control",
    "cf-connecting-ip",
    "clear-site-data",
    "connection",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "early-data",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
    "x-sendfile",
];

/// Whole families. What begins with `proxy-` or `sec-`, no script in a browser may send.
const RESERVED_PREFIXES: &[&str] =
    &["accept", "access-control-", "content-", "if-", "proxy-", "sec-", "x-accel-", "x-forwarded-"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_token_and_compared_in_lower_case() {
        let long = "x".repeat(64);
        for name in ["x-session", "X-Session", "sid", "a", "x_session", "1!#$%&'*+-.^_`|~", &long] {
            let transport = Transport::header(name).unwrap();
            assert_eq!(transport.request_header(), name.to_ascii_lowercase());
            assert_eq!(transport.vary(), name.to_ascii_lowercase());
        }
        let longer = "x".repeat(65);
        let names = ["", " ", "x session", "x:", ":path", "x\r\ny", "x\0", "sitzung-\u{e4}", "x,y"];
        for name in names.into_iter().chain([longer.as_str()]) {
            assert_eq!(Transport::header(name), Err(TransportError::Name), "{name:?}");
        }
    }

    #[test]
    fn a_name_with_a_meaning_of_its_own_is_refused() {
        let names = [
            "Authorization",
            "Cookie",
            "Set-Cookie",
            "Host",
            "Content-Length",
            "Connection",
            "TE",
            "Transfer-Encoding",
            "Upgrade",
            "Vary",
            "Cache-Control",
            "Clear-Site-Data",
            "Date",
            "Accept",
            "Accept-Language",
            "Access-Control-Allow-Origin",
            "If-None-Match",
            "Expect",
            "Proxy-Authorization",
            "Sec-Fetch-Site",
            "X-Forwarded-For",
            "X-Original-URL",
            "X-HTTP-Method-Override",
            "X-Request-ID",
            "X-Accel-Redirect",
            "Forwarded",
            "Location",
        ];
        for name in names {
            let error = Transport::header(name).unwrap_err();
            assert_eq!(error, TransportError::Reserved { name: name.to_ascii_lowercase() });
            assert!(error.to_string().contains(&name.to_ascii_lowercase()), "{error}");
        }
        for fine in ["x-authorization", "session", "x-accept", "host-session", "iffy"] {
            assert!(Transport::header(fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn of_a_field_of_the_scheme_bearer_the_token_is_read() {
        for (field, token) in [
            ("Bearer abc", "abc"),
            ("bearer abc", "abc"),
            ("BEARER    abc", "abc"),
            (" \tBearer abc\t ", "abc"),
            ("Bearer", ""),
            ("Bearer  ", ""),
            // None of them is an id.
            ("Bearer a b", "a b"),
            ("Bearer a, Bearer b", "a, Bearer b"),
            ("Bearer \tabc", "\tabc"),
            ("Bearer \"abc\"", "\"abc\""),
        ] {
            assert_eq!(bearer_token(field.as_bytes()), Some(token.as_bytes()), "{field:?}");
        }
        let others = [
            "",
            " ",
            "abc",
            "Basic abc",
            "Basic abc, Bearer abc",
            "Bearerabc",
            "Bearer\tabc",
            "Bearer,abc",
            "Bearer=abc",
            "XBearer abc",
            "Bea\u{200b}rer abc",
            "\u{a0}Bearer abc",
        ];
        for field in others {
            assert_eq!(bearer_token(field.as_bytes()), None, "{field:?}");
        }
        assert_eq!(bearer_token(b"Bearer \xff\0"), Some(b"\xff\0".as_slice()));
        assert_eq!(bearer_token(b"\xffBearer abc"), None);
    }
}
