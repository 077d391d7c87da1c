//! Reads the `Cookie` header and writes `Set-Cookie`, on bytes and strings alone.
//!
//! Four rules hold everywhere in this module:
//!
//! - **Every candidate is shown.** [`values`] yields each value under a name, not the first or the
//!   last. A browser sends several cookies of one name when a neighbouring host or path has planted
//!   one ("cookie tossing"), and does not say which is whose.
//! - **Nothing is decoded.** Names and values are compared and handed out as they came. So no name
//!   turns into `__Host-..` by percent-decoding, unquoting or trimming.
//! - **What a browser would drop is never sent.** A broken prefix rule, `SameSite=None` without
//!   `Secure` or a cookie over 4096 octets is a [`PolicyError`], mostly when the [`CookiePolicy`]
//!   is made, at start-up.
//! - **A removal repeats the original.** [`CookiePolicy::removal`] carries the same `Path`,
//!   `Domain` and flags, because a browser replaces a cookie only under the same name, domain and
//!   path.
//!
//! Rules are from [RFC 6265bis], cookie prefixes of the `Http` kind from its successor draft,
//! [Cookies], and `Partitioned` from [CHIPS]. The module does not sign or encrypt, does not
//! percent-encode, and does not know the public suffix list: `Domain=co.uk` passes here and is
//! refused by the browser.
//!
//! [RFC 6265bis]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis-22
//! [Cookies]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-layered-cookies
//! [CHIPS]: https://datatracker.ietf.org/doc/html/draft-cutler-httpbis-partitioned-cookies

mod attributes;
mod error;
mod format;
mod name;
mod parse;
mod policy;

pub use attributes::{Attributes, SameSite};
pub use error::PolicyError;
pub use format::set_cookie;
pub use parse::{Values, values};
pub use policy::CookiePolicy;

pub(crate) use name::is_token_octet;
pub(crate) use parse::trim;
