//! Why a browser ignores a `Set-Cookie` line.

use std::error::Error;
use std::fmt;

/// The rule by which a browser ignored a `Set-Cookie` line.
///
/// May grow, as the rules of browsers do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rejected {
    /// The URL is none that is fetched by HTTP.
    Url,
    /// A control character other than a tab, anywhere in the line (section
    /// 5.6).
    ControlCharacter,
    /// Name and value have more than 4096 octets together (section 5.6).
    TooLong,
    /// Neither a name nor a value (section 5.7, step 2).
    Empty,
    /// `Domain` is not ASCII (section 5.7, step 8).
    DomainNotAscii,
    /// `Domain` is a public suffix, here one of a single label (section 5.7,
    /// step 9).
    PublicSuffix,
    /// `Domain` is neither the host nor above it (section 5.7, step 10).
    DomainMismatch,
    /// `Secure`, but the connection is not (section 5.7, step 13).
    SecureFromInsecure,
    /// `HttpOnly`, but set by a script (section 5.7, step 15).
    HttpOnlyFromScript,
    /// Would hide a `Secure` cookie, over a connection that is not (section
    /// 5.7, step 16).
    SecureLeftAlone,
    /// Not `SameSite=None`, in the answer to an embedded request of another
    /// site (section 5.7, step 18).
    CrossSite,
    /// `SameSite=None` without `Secure` (section 5.7, step 19).
    SameSiteNoneWithoutSecure,
    /// `Partitioned` without `Secure` (draft-cutler-httpbis-partitioned-cookies).
    PartitionedWithoutSecure,
    /// `__Secure-` without `Secure` (section 5.7, step 20).
    SecurePrefix,
    /// `__Host-` without `Secure` or without `Path=/`, or with a `Domain`
    /// (section 5.7, step 21).
    HostPrefix,
    /// `__Http-` or `__Host-Http-` without `Secure` or without `HttpOnly`
    /// (draft-ietf-httpbis-layered-cookies).
    HttpPrefix,
    /// No name, and a value that looks like a name with a prefix (section 5.7,
    /// step 22).
    PrefixInValue,
    /// Would replace an `HttpOnly` cookie, by a script (section 5.7, step 23).
    HttpOnlyLeftAlone,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "the url is none that is fetched by http",
            Self::ControlCharacter => "the line has a control character",
            Self::TooLong => "name and value have more than 4096 octets",
            Self::Empty => "the cookie has neither name nor value",
            Self::DomainNotAscii => "the domain is not ascii",
            Self::PublicSuffix => "the domain is a public suffix",
            Self::DomainMismatch => "the domain is neither the host nor above it",
            Self::SecureFromInsecure => "a secure cookie needs a secure connection",
            Self::HttpOnlyFromScript => "a script cannot set an HttpOnly cookie",
            Self::SecureLeftAlone => "an insecure connection cannot hide a secure cookie",
            Self::CrossSite => "an embedded cross-site request can only set SameSite=None",
            Self::SameSiteNoneWithoutSecure => "SameSite=None needs Secure",
            Self::PartitionedWithoutSecure => "Partitioned needs Secure",
            Self::SecurePrefix => "the prefix __Secure- needs Secure",
            Self::HostPrefix => "the prefix __Host- needs Secure, Path=/ and no Domain",
            Self::HttpPrefix => "the prefix __Http- needs Secure and HttpOnly",
            Self::PrefixInValue => "the cookie has no name, and its value begins with a prefix",
            Self::HttpOnlyLeftAlone => "a script cannot replace an HttpOnly cookie",
        })
    }
}

impl Error for Rejected {}
