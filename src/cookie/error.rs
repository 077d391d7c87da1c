/// A cookie that browsers would drop, change or misread, and the rule that it breaks.
///
/// Nothing of the value is kept in the error: a session's cookie value is a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The name is not a token (RFC 6265bis, section 4.1.1).
    #[error("cookie name is empty or not a token; use ASCII letters, digits, `-`, `_` and `.`")]
    Name,

    /// The value holds something else than cookie octets (RFC 6265bis, section 4.1.1).
    #[error(
        "cookie value has an octet that is no `cookie-octet`; encode it, for example as base64url"
    )]
    Value,

    /// Name and value together are longer than a browser stores (RFC 6265bis, section 5.6).
    #[error(
        "cookie name and value take {octets} octets and browsers keep at most 4096; shorten them"
    )]
    TooLong {
        /// How many octets name and value take together.
        octets: usize,
    },

    /// The path does not start with `/`, or a browser would cut it (RFC 6265bis, sections 4.1.1 and
    /// 5.6.4).
    #[error(
        "cookie path must start with `/`, not end with a space, and be ASCII but controls and `;`"
    )]
    Path,

    /// The path is longer than a browser reads (RFC 6265bis, section 5.6).
    #[error("cookie path takes {octets} octets and browsers ignore more than 1024; shorten it")]
    PathTooLong {
        /// How many octets the path takes.
        octets: usize,
    },

    /// The domain is not a host name (RFC 6265bis, section 4.1.1).
    #[error(
        "cookie domain is not a host name; write it like `example.com`, other scripts as `xn--..`"
    )]
    Domain,

    /// The name's prefix promises `Secure` (RFC 6265bis, section 4.1.3).
    #[error("cookie names that start with `{prefix}` need `Secure`; set it or choose another name")]
    PrefixWithoutSecure {
        /// The prefix in its usual spelling.
        prefix: &'static str,
    },

    /// The name's prefix promises `HttpOnly` (layered-cookies draft).
    #[error(
        "cookie names that start with `{prefix}` need `HttpOnly`; set it or choose another name"
    )]
    PrefixWithoutHttpOnly {
        /// The prefix in its usual spelling.
        prefix: &'static str,
    },

    /// The name's prefix promises a cookie of all paths (RFC 6265bis, section 4.1.3.2).
    #[error("cookie names that start with `{prefix}` need `Path=/`; set it or choose another name")]
    PrefixWithoutRootPath {
        /// The prefix in its usual spelling.
        prefix: &'static str,
    },

    /// The name's prefix promises a cookie of one host (RFC 6265bis, section 4.1.3.2).
    #[error("cookie names that start with `{prefix}` allow no `Domain`; remove it or rename")]
    PrefixWithDomain {
        /// The prefix in its usual spelling.
        prefix: &'static str,
    },

    /// Browsers refuse `SameSite=None` on a cookie that is not `Secure` (RFC 6265bis, section 5.7).
    #[error("`SameSite=None` needs `Secure`; set it or choose `Lax`")]
    SameSiteNoneWithoutSecure,

    /// Browsers refuse `Partitioned` on a cookie that is not `Secure` (CHIPS draft).
    #[error("`Partitioned` needs `Secure`; set it")]
    PartitionedWithoutSecure,
}
