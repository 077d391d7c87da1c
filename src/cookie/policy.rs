use std::{borrow::Cow, time::Duration};

use super::{Attributes, PolicyError, SameSite, format};
use crate::id_form::LONGEST_TEXT;

/// The name and attributes of the session's cookie, checked when made.
///
/// The default is `__Host-session` with `Path=/; Secure; HttpOnly; SameSite=Lax`. By the `__Host-`
/// prefix the browser takes the cookie over HTTPS only and from this very host only, so a
/// neighbouring subdomain can neither read nor plant it.
///
/// # Security
///
/// The default meets ASVS 5.0, 3.3.1 to 3.3.4 (`Secure` with a prefix, `SameSite`, `__Host-`,
/// `HttpOnly`). A policy that departs from it says so at the call, for example by `secure: false`.
/// None can write a cookie that is too long to be kept (3.3.5).
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use typed_session::cookie::{Attributes, CookiePolicy, PolicyError};
///
/// let policy = CookiePolicy::default();
/// assert_eq!(
///     policy.set_cookie("c2VjcmV0", Some(Duration::from_secs(3600)))?,
///     "__Host-session=c2VjcmV0; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600",
/// );
/// # Ok::<(), PolicyError>(())
/// ```
///
/// One session for all subdomains, so without `__Host-`:
///
/// ```
/// # use typed_session::cookie::{Attributes, CookiePolicy, PolicyError};
/// let shared = Attributes { domain: Some("example.com".into()), ..Attributes::default() };
/// let policy = CookiePolicy::new("__Secure-session", shared.clone())?;
/// assert_eq!(
///     policy.set_cookie("c2VjcmV0", None)?,
///     "__Secure-session=c2VjcmV0; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax",
/// );
///
/// let refused = CookiePolicy::new("__Host-session", shared);
/// assert_eq!(refused, Err(PolicyError::PrefixWithDomain { prefix: "__Host-" }));
/// # Ok::<(), PolicyError>(())
/// ```
// Invariant: `format::check` has passed, also with an id in its longest form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookiePolicy {
    name: Cow<'static, str>,
    attributes: Attributes,
}

impl CookiePolicy {
    /// Makes the policy, or says which rule of the browsers it breaks.
    ///
    /// # Errors
    ///
    /// Any [`PolicyError`] but [`Value`](PolicyError::Value). Fix the configuration: no later step
    /// can.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        attributes: Attributes,
    ) -> Result<Self, PolicyError> {
        let name = name.into();
        format::check(&name, &attributes, LONGEST_TEXT)?;
        Ok(Self { name, attributes })
    }

    /// Makes a cookie called `session` that also travels over plain HTTP, for development on one's
    /// own machine.
    ///
    /// Some browsers take `Secure` cookies from `http://localhost`, Safari does not, and none takes
    /// them from `http://192.168.0.7`; without `Secure` there can be no `__Host-` either.
    ///
    /// # Security
    ///
    /// Never for a server that others reach: whoever sits on the network reads the cookie and is
    /// logged in, and any subdomain can plant one.
    ///
    /// # Example
    ///
    /// ```
    /// use typed_session::cookie::CookiePolicy;
    ///
    /// let policy = if cfg!(debug_assertions) {
    ///     CookiePolicy::dangerous_plain_http_on_localhost()
    /// } else {
    ///     CookiePolicy::default()
    /// };
    /// # assert!(policy.name().ends_with("session"));
    /// ```
    pub fn dangerous_plain_http_on_localhost() -> Self {
        Self {
            name: Cow::Borrowed("session"),
            attributes: Attributes { secure: false, ..Attributes::default() },
        }
    }

    /// Withholds the cookie from every request that another site causes, links included.
    ///
    /// Safe to call on any policy. Who follows a link from a mail or another site then arrives
    /// logged out, until the next click.
    ///
    /// ```
    /// use typed_session::cookie::CookiePolicy;
    ///
    /// let policy = CookiePolicy::default().with_same_site_strict();
    /// assert_eq!(
    ///     policy.set_cookie("c2VjcmV0", None).unwrap(),
    ///     "__Host-session=c2VjcmV0; Path=/; Secure; HttpOnly; SameSite=Strict",
    /// );
    /// ```
    #[must_use]
    pub fn with_same_site_strict(mut self) -> Self {
        // Invariant kept: no rule is about `Strict`.
        self.attributes.same_site = Some(SameSite::Strict);
        self
    }

    /// The name to look up with [`values`](super::values).
    pub const fn name(&self) -> &str {
        match &self.name {
            Cow::Borrowed(name) => name,
            Cow::Owned(name) => name.as_str(),
        }
    }

    /// The attributes that both [`set_cookie`](Self::set_cookie) and [`removal`](Self::removal)
    /// write.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Writes the value of a `Set-Cookie` header that gives the client this cookie.
    ///
    /// Without `max_age` the cookie lives as long as the browser's own session. How it is rounded
    /// and capped is told at [`cookie::set_cookie`](super::set_cookie). One allocation.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Value`] or [`PolicyError::TooLong`], for values that are not of the library's
    /// own making. A session id always passes, in any form.
    pub fn set_cookie(
        &self,
        value: &str,
        max_age: Option<Duration>,
    ) -> Result<String, PolicyError> {
        format::check_size(&self.name, value.len())?;
        format::check_value(value)?;
        Ok(format::write(&self.name, value, &self.attributes, max_age))
    }

    /// Writes the value of a `Set-Cookie` header that makes the client forget this cookie.
    ///
    /// ```
    /// use typed_session::cookie::CookiePolicy;
    ///
    /// assert_eq!(
    ///     CookiePolicy::default().removal(),
    ///     "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; \
    ///      Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    /// );
    /// ```
    #[must_use]
    pub fn removal(&self) -> String {
        format::write(&self.name, "", &self.attributes, Some(Duration::ZERO))
    }
}

impl Default for CookiePolicy {
    fn default() -> Self {
        Self { name: Cow::Borrowed("__Host-session"), attributes: Attributes::default() }
    }
}
