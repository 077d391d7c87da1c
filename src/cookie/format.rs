use std::{fmt::Write, time::Duration};

use super::{Attributes, PolicyError, name};

/// Writes the value of a `Set-Cookie` header, for any name and attributes.
///
/// A session's own cookie is written by [`CookiePolicy`](super::CookiePolicy), which has checked
/// name and attributes before the first request. This function checks them each time; it is for the
/// other cookies of an application.
///
/// Without `max_age` the cookie lives as long as the browser's own session. A part of a second
/// counts as a whole one, and more than 400 days as 400 days, which is what browsers make of it
/// (RFC 6265bis, section 5.5). Zero removes the cookie; the header then says so by `Expires` too,
/// for clients that do not know `Max-Age`.
///
/// # Errors
///
/// The rule of [`PolicyError`] that a browser would hold against the cookie. Nothing is quoted,
/// encoded or left out to make it fit.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use typed_session::cookie::{self, Attributes, PolicyError};
///
/// let a_week = Duration::from_secs(7 * 24 * 60 * 60);
/// let for_scripts = Attributes { http_only: false, ..Attributes::default() };
/// assert_eq!(
///     cookie::set_cookie("theme", "dark", &for_scripts, Some(a_week))?,
///     "theme=dark; Path=/; Secure; SameSite=Lax; Max-Age=604800",
/// );
///
/// let injected = cookie::set_cookie("theme", "dark; Domain=evil", &for_scripts, None);
/// assert_eq!(injected, Err(PolicyError::Value));
/// # Ok::<(), PolicyError>(())
/// ```
pub fn set_cookie(
    name: &str,
    value: &str,
    attributes: &Attributes,
    max_age: Option<Duration>,
) -> Result<String, PolicyError> {
    check(name, attributes, value.len())?;
    check_value(value)?;
    Ok(write(name, value, attributes, max_age))
}

/// Checks everything but the value itself.
pub(super) fn check(
    name: &str,
    attributes: &Attributes,
    value_octets: usize,
) -> Result<(), PolicyError> {
    name::check(name, attributes)?;
    attributes.check()?;
    check_size(name, value_octets)
}

/// Browsers drop a longer cookie in silence (RFC 6265bis, section 5.6); the attributes do not
/// count.
pub(super) fn check_size(name: &str, value_octets: usize) -> Result<(), PolicyError> {
    let octets = name.len().saturating_add(value_octets);
    if octets > MAX_OCTETS { Err(PolicyError::TooLong { octets }) } else { Ok(()) }
}

/// `*cookie-octet` of RFC 6265bis, section 4.1.1. Not in quotes: they would be part of the value.
pub(super) fn check_value(value: &str) -> Result<(), PolicyError> {
    let is_cookie_octet = |octet: u8| COOKIE_OCTETS[usize::from(octet)];
    if value.bytes().all(is_cookie_octet) { Ok(()) } else { Err(PolicyError::Value) }
}

const COOKIE_OCTETS: [bool; 256] = {
    let mut is_one = [false; 256];
    let mut octet = b'!';
    while octet <= b'~' {
        is_one[octet as usize] = !matches!(octet, b'"' | b',' | b';' | b'\\');
        octet += 1;
    }
    is_one
};

/// Writes what has been checked, in one allocation of the exact size.
pub(super) fn write(
    name: &str,
    value: &str,
    attributes: &Attributes,
    max_age: Option<Duration>,
) -> String {
    let seconds = max_age.map(whole_seconds);
    let expires = if seconds == Some(0) { EXPIRES_AT_ONCE } else { "" };
    let attributes = attributes.parts();

    let octets = name.len()
        + "=".len()
        + value.len()
        + attributes.iter().map(|part| part.len()).sum::<usize>()
        + seconds.map_or(0, |seconds| MAX_AGE_IS.len() + decimal_digits(seconds))
        + expires.len();
    let mut header = String::with_capacity(octets);
    header.extend([name, "=", value]);
    header.extend(attributes);
    if let Some(seconds) = seconds {
        write!(header, "{MAX_AGE_IS}{seconds}").expect("a String takes whatever is written to it");
    }
    header.push_str(expires);
    header
}

/// Rounds up: half a second of life must not become `Max-Age=0`, which removes the cookie.
fn whole_seconds(max_age: Duration) -> u64 {
    let max_age = max_age.min(LONGEST_MAX_AGE);
    max_age.as_secs() + u64::from(max_age.subsec_nanos() > 0)
}

fn decimal_digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |exponent| exponent as usize + 1)
}

/// Name and value together.
const MAX_OCTETS: usize = 4096;

/// 400 days.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

const MAX_AGE_IS: &str = "; Max-Age=";

const EXPIRES_AT_ONCE: &str = "; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
