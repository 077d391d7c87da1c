//! What must be done to a response.

/// What must be done to the response: the headers that the session asks for.
///
/// An adapter copies them and decides nothing.
#[derive(Clone, Default, Eq, PartialEq)]
#[must_use = "without these headers the client never learns of its session"]
pub struct Effects {
    /// The one `Set-Cookie`, if any.
    pub(crate) set_cookie: Option<String>,
    /// The response says that something failed, which is not for a cache.
    pub(crate) failed: bool,
    /// The response depends on the request's cookies.
    pub(crate) vary: bool,
    /// The session was ended: the value of `Clear-Site-Data`, if asked for.
    pub(crate) clear_site_data: Option<&'static str>,
}

impl Effects {
    pub(crate) const NONE: Self =
        Self { set_cookie: None, failed: false, vary: false, clear_site_data: None };

    /// Returns the headers to set, at most four.
    ///
    /// With every `Set-Cookie`, and with every failure, goes `Cache-Control:
    /// no-store` (OWASP ASVS 5.0, 14.3.2), and as soon as the session was asked
    /// for, `Vary: Cookie`.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        let set_cookie = self.set_cookie.as_deref();
        let set_cookie =
            set_cookie.map(|value| Header { name: "set-cookie", value, mode: Mode::Append });
        let [cache_control, vary, clear_site_data] = self.fixed_headers();
        [set_cookie, cache_control, vary, clear_site_data].into_iter().flatten()
    }

    /// All of them but `Set-Cookie`.
    pub(crate) fn fixed_headers(&self) -> [Option<Header<'static>>; 3] {
        [
            (self.set_cookie.is_some() || self.failed).then_some(Header {
                name: "cache-control",
                value: "no-store",
                mode: Mode::Replace,
            }),
            self.vary.then_some(Header { name: "vary", value: "Cookie", mode: Mode::Append }),
            self.clear_site_data.map(|value| Header {
                name: "clear-site-data",
                value,
                mode: Mode::Replace,
            }),
        ]
    }

    /// Returns the value of the one `Set-Cookie`, if there is one.
    ///
    /// # Security
    ///
    /// It holds the id. It belongs into the response and nowhere else.
    #[must_use]
    pub fn set_cookie(&self) -> Option<&str> {
        self.set_cookie.as_deref()
    }

    /// Tells whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Shows no id.
impl std::fmt::Debug for Effects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effects")
            .field("set_cookie", &self.set_cookie.as_ref().map(|_| ".."))
            .field("failed", &self.failed)
            .field("vary", &self.vary)
            .field("clear_site_data", &self.clear_site_data)
            .finish()
    }
}

/// A header for the response.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Header<'a> {
    /// Its name, in lower case.
    pub name: &'a str,
    /// Its value: visible ASCII and spaces.
    pub value: &'a str,
    /// What becomes of headers of that name that the response has.
    pub mode: Mode,
}

/// Shows no value: it may hold an id.
impl std::fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header")
            .field("name", &self.name)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// What becomes of headers of the same name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// They stay, and this one is added.
    Append,
    /// This one takes their place.
    Replace,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_do_is_seen_as_such() {
        assert!(Effects::NONE.is_empty());
        assert_eq!(Effects::NONE.headers().count(), 0);
        let vary = Effects { vary: true, ..Effects::NONE };
        assert!(!vary.is_empty());
        assert_eq!(vary.headers().map(|header| header.name).collect::<Vec<_>>(), ["vary"]);
    }

    #[test]
    fn debug_shows_no_id() {
        let secret = "session=c2VjcmV0".to_owned();
        let effects = Effects { set_cookie: Some(secret), ..Effects::NONE };
        let text = format!("{effects:?} {:?}", effects.headers().collect::<Vec<_>>());
        assert!(text.contains("set_cookie: Some") && text.contains("set-cookie"), "{text}");
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }
}
