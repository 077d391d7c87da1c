//! What we write, a browser stores as it was meant; what we refuse, it would not have.
//!
//! Input, with a blank line between each: name, value, path, domain (`-` for no path or domain),
//! flags, and Max-Age in milliseconds (anything but a number for none). Flags are letters: `s` for
//! Secure, `h` for HttpOnly, `p` for Partitioned, and SameSite is `0` None, `1` Lax or `2` Strict.

#![no_main]

use std::{collections::BTreeMap, time::Duration};

use libfuzzer_sys::fuzz_target;
use typed_session::cookie::{self, Attributes, CookiePolicy, PolicyError, SameSite};

fuzz_target!(|input: &str| {
    let mut parts = input.split("\n\n");
    let mut part = || parts.next().unwrap_or_default();
    let (name, value) = (part(), part());
    let (path, domain) = (given(part()), given(part()));
    let flags = part();
    let max_age = part().trim_end().parse().ok().map(Duration::from_millis);
    let attributes = Attributes {
        path: path.map(|path| path.to_owned().into()),
        domain: domain.map(|domain| domain.to_owned().into()),
        secure: flags.contains('s'),
        http_only: flags.contains('h'),
        same_site: match flags.find(['0', '1', '2']).map(|at| flags.as_bytes()[at]) {
            Some(b'0') => Some(SameSite::None),
            Some(b'1') => Some(SameSite::Lax),
            Some(_) => Some(SameSite::Strict),
            None => None,
        },
        partitioned: flags.contains('p'),
    };

    let written = cookie::set_cookie(name, value, &attributes, max_age);
    match &written {
        Ok(header) => {
            let stored = browser(header).unwrap_or_else(|why| panic!("dropped, {why}: {header}"));
            assert_eq!(stored, meant(name, value, &attributes, max_age), "{header}");
            assert_eq!(header.capacity(), header.len());
            round_trip(header, name, value);
        }
        Err(error) => refused_for_a_reason(error, name, value, &attributes),
    }

    // A policy says the same at construction, and its removal differs in value and life only.
    let with_an_id = cookie::set_cookie(name, &"A".repeat(104), &attributes, max_age);
    let policy = match CookiePolicy::new(name.to_owned(), attributes.clone()) {
        Ok(policy) => policy,
        Err(error) => return assert_eq!(with_an_id, Err(error)),
    };
    assert_eq!(policy.set_cookie(&"A".repeat(104), max_age), with_an_id);
    assert_eq!(policy.set_cookie(value, max_age), written);
    let removal = browser(&policy.removal()).expect("a removal is a cookie as well");
    assert_eq!(removal, meant(name, "", &attributes, Some(Duration::ZERO)));
    let strict = policy.with_same_site_strict();
    assert_eq!(CookiePolicy::new(name.to_owned(), strict.attributes().clone()), Ok(strict));
});

fn given(part: &str) -> Option<&str> {
    (part != "-").then_some(part)
}

/// A cookie as a browser keeps it.
#[derive(Debug, Eq, PartialEq)]
struct Stored {
    name: String,
    value: String,
    attributes: BTreeMap<String, String>,
}

/// What the caller asked for, in a browser's terms.
fn meant(name: &str, value: &str, asked: &Attributes, max_age: Option<Duration>) -> Stored {
    let mut attributes = BTreeMap::new();
    let mut set = |name: &str, value: &str| attributes.insert(name.to_owned(), value.to_owned());
    if let Some(path) = &asked.path {
        set("path", path);
    }
    if let Some(domain) = &asked.domain {
        set("domain", &domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase());
    }
    if asked.secure {
        set("secure", "");
    }
    if asked.http_only {
        set("httponly", "");
    }
    if asked.partitioned {
        set("partitioned", "");
    }
    if let Some(same_site) = asked.same_site {
        set("samesite", &format!("{same_site:?}"));
    }
    if let Some(max_age) = max_age {
        let seconds = max_age.as_nanos().div_ceil(1_000_000_000).min(34_560_000);
        set("max-age", &seconds.to_string());
        if seconds == 0 {
            set("expires", "Thu, 01 Jan 1970 00:00:00 GMT");
        }
    }
    Stored { name: name.to_owned(), value: value.to_owned(), attributes }
}

/// RFC 6265bis, sections 5.6 and 5.7, as a browser on HTTPS goes through them.
fn browser(header: &str) -> Result<Stored, &'static str> {
    if header.chars().any(|c| c.is_control() || !c.is_ascii()) {
        return Err("a control or non-ASCII character");
    }
    let mut parts = header.split(';').map(trim);
    let pair = parts.next().unwrap_or_default();
    let (name, value) = pair.split_once('=').ok_or("no name")?;
    let (name, value) = (trim(name), trim(value));
    if name.is_empty() || name.len() + value.len() > 4096 {
        return Err("size");
    }

    let mut attributes = BTreeMap::new();
    for part in parts {
        let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
        let (attribute, mut value) = (trim(attribute).to_lowercase(), trim(value).to_owned());
        if value.len() > 1024 {
            continue;
        }
        match attribute.as_str() {
            "path" if !value.starts_with('/') => continue,
            "domain" => value = value.strip_prefix('.').unwrap_or(&value).to_lowercase(),
            "path" | "secure" | "httponly" | "partitioned" | "samesite" | "max-age" | "expires" => {
            }
            _ => return Err("an attribute that nobody asked for"),
        }
        if attributes.insert(attribute, value).is_some() {
            return Err("an attribute stands twice");
        }
    }

    let has = |attribute| attributes.contains_key(attribute);
    let host = has("secure") && !has("domain") && attributes.get("path").is_some_and(|p| p == "/");
    let lower = name.to_lowercase();
    let rules = [
        ("__secure-", has("secure")),
        ("__host-", host),
        ("__http-", has("secure") && has("httponly")),
        ("__host-http-", host && has("httponly")),
    ];
    for (prefix, kept) in rules {
        if lower.starts_with(prefix) && !kept {
            return Err("prefix");
        }
    }
    if !has("secure") && attributes.get("samesite").is_some_and(|value| value == "None") {
        return Err("SameSite=None without Secure");
    }
    if !has("secure") && has("partitioned") {
        return Err("Partitioned without Secure");
    }
    if let Some(seconds) = attributes.get("max-age") {
        let seconds: u64 = seconds.parse().map_err(|_| "Max-Age is no number")?;
        if seconds > 400 * 24 * 60 * 60 {
            return Err("Max-Age over 400 days");
        }
    }
    Ok(Stored { name: name.to_owned(), value: value.to_owned(), attributes })
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The browser sends the cookie back between two others, and we find it.
fn round_trip(header: &str, name: &str, value: &str) {
    let pair = header.split(';').next().unwrap_or_default();
    let request = format!("{name}x=0; {pair}; x{name}=0");
    let found = Vec::from_iter(cookie::values(request.as_bytes(), name));
    assert_eq!(found, [value.as_bytes()]);
}

/// The error names a rule that the input does break.
fn refused_for_a_reason(error: &PolicyError, name: &str, value: &str, asked: &Attributes) {
    let starts = |prefix: &str| name.to_lowercase().starts_with(&prefix.to_lowercase());
    let path = asked.path.as_deref().unwrap_or_default();
    let domain = asked.domain.as_deref().unwrap_or_default();
    let broken = match *error {
        PolicyError::Name => {
            name.is_empty() || name.contains(|c: char| !c.is_ascii_graphic() || separates(c))
        }
        PolicyError::Value => {
            value.contains(|c: char| !c.is_ascii_graphic() || "\",;\\".contains(c))
        }
        PolicyError::TooLong { octets } => octets == name.len() + value.len() && octets > 4096,
        PolicyError::Path => {
            !path.starts_with('/')
                || path.ends_with(' ')
                || path.contains(|c: char| c.is_control() || !c.is_ascii() || c == ';')
        }
        PolicyError::PathTooLong { octets } => octets == path.len() && octets > 1024,
        PolicyError::Domain => {
            let host = domain.strip_prefix('.').unwrap_or(domain);
            host.len() > 253
                || host.contains(|c: char| !c.is_ascii_alphanumeric() && !"-.".contains(c))
                || format!(".{host}.").contains("..")
                || format!(".{host}.").contains(".-")
                || format!(".{host}.").contains("-.")
                || host.split('.').any(|label| label.len() > 63)
        }
        PolicyError::PrefixWithoutSecure { prefix } => starts(prefix) && !asked.secure,
        PolicyError::PrefixWithoutHttpOnly { prefix } => {
            starts(prefix) && prefix.contains("Http") && !asked.http_only
        }
        PolicyError::PrefixWithoutRootPath { prefix } => {
            starts(prefix) && prefix.contains("Host") && path != "/"
        }
        PolicyError::PrefixWithDomain { prefix } => {
            starts(prefix) && prefix.contains("Host") && asked.domain.is_some()
        }
        PolicyError::SameSiteNoneWithoutSecure => {
            !asked.secure && asked.same_site == Some(SameSite::None)
        }
        PolicyError::PartitionedWithoutSecure => !asked.secure && asked.partitioned,
        _ => panic!("a new rule that is not checked here: {error}"),
    };
    assert!(broken, "refused without a reason: {error}");
}

/// `separators` of RFC 2616, which a token never held.
fn separates(character: char) -> bool {
    "()<>@,;:\\\"/[]?={}".contains(character)
}
