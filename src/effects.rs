//! What must be done to a response.

use std::borrow::Cow;
use std::fmt;

/// What must be done to the response: the headers that the session asks for.
///
/// An adapter copies them and decides nothing.
#[derive(Clone, Default, Eq, PartialEq)]
#[must_use = "without these headers the client never learns of its session"]
pub struct Effects {
    /// What hands out an id or takes it back, if anything.
    pub(crate) id: Option<IdHeader>,
    /// The response says that something failed, which is not for a cache.
    pub(crate) failed: bool,
    /// The response depends on the request's id: the header that carries it.
    pub(crate) vary: Option<Cow<'static, str>>,
    /// The session was ended: the value of `Clear-Site-Data`, if asked for.
    pub(crate) clear_site_data: Option<&'static str>,
}

/// The header that hands an id to the client, or takes it back.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct IdHeader {
    /// In lower case.
    pub(crate) name: Cow<'static, str>,
    pub(crate) value: String,
}

impl IdHeader {
    pub(crate) const fn set_cookie(value: String) -> Self {
        Self { name: Cow::Borrowed(SET_COOKIE), value }
    }

    pub(crate) fn new(name: impl Into<Cow<'static, str>>, value: String) -> Self {
        Self { name: name.into(), value }
    }

    /// Cookies of the handler's stay beside ours; of another header there is one.
    pub(crate) fn mode(&self) -> Mode {
        if self.name == SET_COOKIE { Mode::Append } else { Mode::Replace }
    }
}

const SET_COOKIE: &str = "set-cookie";
pub(crate) const VARY: &str = "vary";
pub(crate) const CLEAR_SITE_DATA: &str = "clear-site-data";

impl Effects {
    pub(crate) const NONE: Self =
        Self { id: None, failed: false, vary: None, clear_site_data: None };

    /// Returns the headers to set, at most four.
    ///
    /// With every id, and with every failure, goes `Cache-Control: no-store`
    /// (OWASP ASVS 5.0, 14.3.2), and as soon as the session was asked for, `Vary`
    /// with the name of the request header that carries the id.
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        let id = self.id.as_ref().map(|id| Header {
            name: &id.name,
            value: &id.value,
            mode: id.mode(),
            is_secret: true,
        });
        let vary = self.vary.as_deref().map(|value| Header {
            name: VARY,
            value,
            mode: Mode::Append,
            is_secret: false,
        });
        let no_store = self.is_no_store().then_some(Header::NO_STORE);
        let clear = self.clear_site_data.map(|value| Header::new(CLEAR_SITE_DATA, value));
        [id, no_store, vary, clear].into_iter().flatten()
    }

    /// The response is this client's alone, or of this moment.
    pub(crate) const fn is_no_store(&self) -> bool {
        self.id.is_some() || self.failed
    }

    /// Returns the value of the one `Set-Cookie`, if there is one.
    ///
    /// # Security
    ///
    /// It holds the id. It belongs into the response and nowhere else.
    #[must_use]
    pub fn set_cookie(&self) -> Option<&str> {
        self.id.as_ref().filter(|id| id.name == SET_COOKIE).map(|id| &*id.value)
    }

    /// Tells whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Shows no id.
impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects")
            .field("id", &self.id.as_ref().map(|id| &id.name))
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
    /// Its value: visible ASCII and spaces. It may be empty.
    pub value: &'a str,
    /// What becomes of headers of that name that the response has.
    pub mode: Mode,
    /// It holds an id, so mark it as sensitive where the framework can: it is then
    /// neither logged nor kept in HTTP/2's table of headers.
    pub is_secret: bool,
}

impl Header<'static> {
    pub(crate) const NO_STORE: Self = Self::new("cache-control", "no-store");
}

impl<'a> Header<'a> {
    /// One that takes the place of others, and is no secret.
    pub(crate) const fn new(name: &'a str, value: &'a str) -> Self {
        Self { name, value, mode: Mode::Replace, is_secret: false }
    }
}

/// Shows no value: it may hold an id.
impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let vary = Effects { vary: Some(Cow::Borrowed("Cookie")), ..Effects::NONE };
        assert!(!vary.is_empty());
        assert_eq!(vary.headers().map(|header| header.name).collect::<Vec<_>>(), ["vary"]);
    }

    #[test]
    fn debug_shows_no_id() {
        let id = IdHeader::set_cookie("session=c2VjcmV0".to_owned());
        let effects = Effects { id: Some(id), ..Effects::NONE };
        let text = format!("{effects:?} {:?}", effects.headers().collect::<Vec<_>>());
        assert!(text.contains("id: Some") && text.contains("set-cookie"), "{text}");
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }
}
