//! Why a request was refused, and how that is answered.

use std::sync::Arc;
use std::time::Duration;

use crate::effects::Header;

/// What a session lacks for what was asked of it.
///
/// A [`Requirement`](crate::Requirement) says it, or a handler:
/// [`Session::refuse`](crate::Session::refuse) makes a response of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody is logged in. 401, or a redirect to the login page.
    NotLoggedIn,
    /// The user is logged in and must prove again who they are: a 401, or a redirect to the page
    /// for it.
    Stale {
        /// How old the proof may be, if that is what it is about.
        within: Option<Duration>,
    },
    /// This user may not do it, however they log in. 403.
    Forbidden,
}

/// A refusal, and how it is answered: with the settings of the layer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("refused: {why:?}")]
pub struct Refused {
    pub(crate) why: Refusal,
    /// Where the browser is sent instead.
    pub(crate) location: Option<Arc<str>>,
    /// Of an answer by 401: how to authenticate, where there is a name for it.
    pub(crate) challenge: Option<String>,
}

impl Refused {
    /// Returns what the session lacks.
    #[must_use]
    pub const fn why(&self) -> Refusal {
        self.why
    }

    /// Returns where the browser is sent, if it is.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    pub(crate) const fn status(&self) -> u16 {
        match (self.why, &self.location) {
            (Refusal::Forbidden, _) => 403,
            (Refusal::NotLoggedIn | Refusal::Stale { .. }, Some(_)) => 303,
            (Refusal::NotLoggedIn | Refusal::Stale { .. }, None) => 401,
        }
    }

    pub(crate) const fn public_message(&self) -> &'static str {
        match self.why {
            Refusal::NotLoggedIn => "Please log in.",
            Refusal::Stale { .. } => "Please confirm who you are.",
            Refusal::Forbidden => "You may not do this.",
        }
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        let location = self.location.as_deref().map(|value| Header::new("location", value));
        let challenge = self.challenge.as_deref();
        let challenge = challenge.map(|value| Header::new("www-authenticate", value));
        [location, challenge].into_iter().flatten()
    }
}

/// Where browsers are sent that may not go on, if anywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    pub(crate) login: Option<Arc<str>>,
    pub(crate) reauthentication: Option<Arc<str>>,
}

impl Pages {
    pub(crate) const fn are_any(&self) -> bool {
        self.login.is_some() || self.reauthentication.is_some()
    }

    /// The page for who lacks this.
    pub(crate) const fn of(&self, why: Refusal) -> Option<&Arc<str>> {
        match (why, &self.reauthentication) {
            (Refusal::Stale { .. }, Some(page)) => Some(page),
            (Refusal::Stale { .. } | Refusal::NotLoggedIn, _) => self.login.as_ref(),
            (Refusal::Forbidden, _) => None,
        }
    }
}

/// Percent-encodes what no URL may hold (RFC 3986, section 2), so that a header can hold it.
pub(crate) fn in_url(page: &str) -> Arc<str> {
    let mut url = String::with_capacity(page.len());
    for byte in page.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | ..=0x20 | 0x7f.. => {
                url.push('%');
                url.extend([byte >> 4, byte & 0xf].map(|half| char::from(HEX[usize::from(half)])));
            }
            _ => url.push(char::from(byte)),
        }
    }
    url.into()
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
