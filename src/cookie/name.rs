//! What a name may look like, and what its prefix promises.

use super::{Attributes, PolicyError};

/// Checks the name's characters, then the attributes that its prefix needs.
pub(super) fn check(name: &str, attributes: &Attributes) -> Result<(), PolicyError> {
    if name.is_empty() || !name.bytes().all(is_token_octet) {
        return Err(PolicyError::Name);
    }
    match Prefix::of(name) {
        Some(prefix) => prefix.check(attributes),
        None => Ok(()),
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(crate) fn is_token_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

/// A name prefix whose rules the browser enforces. All of them need `Secure`.
struct Prefix {
    text: &'static str,
    http_only: bool,
    host: bool,
}

/// `__Host-Http-` stands before `__Host-`, which begins it.
const PREFIXES: [Prefix; 4] = [
    Prefix { text: "__Host-Http-", http_only: true, host: true },
    Prefix { text: "__Host-", http_only: false, host: true },
    Prefix { text: "__Http-", http_only: true, host: false },
    Prefix { text: "__Secure-", http_only: false, host: false },
];

impl Prefix {
    /// Browsers match prefixes without regard to case (RFC 6265bis, section 5.4), so `__host-id` is
    /// held to the rules too.
    fn of(name: &str) -> Option<&'static Prefix> {
        PREFIXES.iter().find(|prefix| {
            name.get(..prefix.text.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.text))
        })
    }

    fn check(&self, attributes: &Attributes) -> Result<(), PolicyError> {
        let prefix = self.text;
        if !attributes.secure {
            return Err(PolicyError::PrefixWithoutSecure { prefix });
        }
        if self.http_only && !attributes.http_only {
            return Err(PolicyError::PrefixWithoutHttpOnly { prefix });
        }
        if self.host && attributes.domain.is_some() {
            return Err(PolicyError::PrefixWithDomain { prefix });
        }
        if self.host && attributes.path.as_deref() != Some("/") {
            return Err(PolicyError::PrefixWithoutRootPath { prefix });
        }
        Ok(())
    }
}
