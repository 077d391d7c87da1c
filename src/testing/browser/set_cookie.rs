//! The `Set-Cookie` line, read as a browser reads it (section 5.6).

use std::time::Duration;

use super::request::{Target, domain_matches};
use super::{Rejected, SameSite, date};
use crate::Timestamp;

/// Section 5.6, of name and value together.
const MAX_PAIR: usize = 4096;
/// Section 5.6, of one attribute's value.
const MAX_ATTRIBUTE: usize = 1024;
/// Section 5.5.
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// A line in its parts; of an attribute that stands twice, the last.
pub(super) struct SetCookie<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    /// As given, and some if it is given at all.
    pub(super) path: Option<&'a [u8]>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: SameSite,
    pub(super) partitioned: bool,
    domain: &'a [u8],
    max_age: Option<Duration>,
    expires: Option<Timestamp>,
}

impl<'a> SetCookie<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Rejected> {
        if line.iter().any(|&octet| octet.is_ascii_control() && octet != b'\t') {
            return Err(Rejected::ControlCharacter);
        }
        let mut parts = line.split(|&octet| octet == b';');
        let pair = parts.next().unwrap_or_default();
        // Without `=` all of it is the value.
        let (name, value) = split_at_equals(pair).unwrap_or((b"", trim(pair)));
        if name.len() + value.len() > MAX_PAIR {
            return Err(Rejected::TooLong);
        }
        if name.is_empty() && value.is_empty() {
            return Err(Rejected::Empty);
        }
        let mut set = Self {
            name,
            value,
            path: None,
            secure: false,
            http_only: false,
            same_site: SameSite::Unspecified,
            partitioned: false,
            domain: b"",
            max_age: None,
            expires: None,
        };
        for attribute in parts {
            // Without `=` all of it is the name.
            let (name, value) = split_at_equals(attribute).unwrap_or((trim(attribute), b""));
            if value.len() <= MAX_ATTRIBUTE {
                set.attribute(name, value);
            }
        }
        Ok(set)
    }

    fn attribute(&mut self, name: &[u8], value: &'a [u8]) {
        match name.to_ascii_lowercase().as_slice() {
            b"domain" => self.domain = value.strip_prefix(b".").unwrap_or(value),
            b"path" => self.path = Some(value),
            b"secure" => self.secure = true,
            b"httponly" => self.http_only = true,
            b"partitioned" => self.partitioned = true,
            b"samesite" => self.same_site = same_site(value),
            // What cannot be read does not take back an earlier one.
            b"max-age" => self.max_age = max_age(value).or(self.max_age),
            b"expires" => self.expires = date::parse(value).or(self.expires),
            _ => {}
        }
    }

    /// Section 5.7, steps 7 to 10; none for a cookie of this host only.
    pub(super) fn domain(&self, target: &Target) -> Result<Option<String>, Rejected> {
        if !self.domain.is_ascii() {
            return Err(Rejected::DomainNotAscii);
        }
        let domain = String::from_utf8_lossy(self.domain).to_ascii_lowercase();
        let is_public_suffix = !domain.trim_end_matches('.').contains('.');
        if domain.is_empty() || (is_public_suffix && domain == target.host) {
            Ok(None)
        } else if is_public_suffix {
            Err(Rejected::PublicSuffix)
        } else if domain_matches(&target.host, &domain) {
            Ok(Some(domain))
        } else {
            Err(Rejected::DomainMismatch)
        }
    }

    /// Section 5.6.4.
    pub(super) fn path<'b>(&self, target: &'b Target) -> &'b [u8]
    where
        'a: 'b,
    {
        match self.path {
            Some(path) if path.starts_with(b"/") => path,
            Some(_) | None => target.default_path().as_bytes(),
        }
    }

    /// Section 5.7, step 6.
    pub(super) fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        match (self.max_age, self.expires) {
            (Some(Duration::ZERO), _) => Some(Timestamp::from_millis(i64::MIN)),
            (Some(max_age), _) => Some(now.plus(max_age)),
            (None, Some(expires)) => Some(expires.min(now.plus(MAX_AGE))),
            (None, None) => None,
        }
    }
}

/// Section 5.6.2; zero for all that is not in the future.
fn max_age(value: &[u8]) -> Option<Duration> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if digits.len() < value.len() {
        return Some(Duration::ZERO);
    }
    let seconds = digits.iter().fold(0_u64, |seconds, digit| {
        seconds.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    Some(Duration::from_secs(seconds).min(MAX_AGE))
}

/// Section 5.6.7.
fn same_site(value: &[u8]) -> SameSite {
    match value.to_ascii_lowercase().as_slice() {
        b"strict" => SameSite::Strict,
        b"lax" => SameSite::Lax,
        b"none" => SameSite::None,
        _ => SameSite::Unspecified,
    }
}

fn split_at_equals(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = octets.iter().position(|&octet| octet == b'=')?;
    Some((trim(&octets[..equals]), trim(&octets[equals + 1..])))
}

/// Space and tab alone; no other character counts as white space.
fn trim(mut octets: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = octets {
        octets = rest;
    }
    octets
}
