//! How ids travel in a configuration, as the client sees it.

use http::header::{AUTHORIZATION, COOKIE, HeaderName, SET_COOKIE};

use super::client::{Answer, Check};
use crate::cookie::{Attributes, CookiePolicy};
use crate::transport::Transport;

/// How the ids of one layer travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carrier {
    /// In a cookie of this name.
    Cookie(&'static str),
    /// As `Authorization: Bearer ..`.
    Bearer,
    /// In a header of this name.
    Header(&'static str),
}

/// The two layers of each configuration.
pub(super) const CONFIGURATIONS: [[Carrier; 2]; 3] = [
    [Carrier::Cookie("__Host-session"), Carrier::Cookie("__Host-theme")],
    [Carrier::Bearer, Carrier::Cookie("__Host-theme")],
    [Carrier::Header("x-session"), Carrier::Header("x-theme")],
];

/// What a response did to the id that its client holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Issued {
    Nothing,
    /// An id, as a request shows it.
    Id(String),
    Removal,
}

impl Carrier {
    pub(super) fn transport(self) -> Transport {
        match self {
            Self::Cookie(name) => {
                let policy = CookiePolicy::new(name, Attributes::default());
                Transport::cookie(policy.expect("the name and the attributes go together"))
            }
            Self::Bearer => Transport::bearer(),
            Self::Header(name) => Transport::header(name).expect("the name is free"),
        }
    }

    pub(super) const fn is_cookie(self) -> bool {
        matches!(self, Self::Cookie(_))
    }

    /// The header in which requests carry the id.
    pub(super) const fn request_header(self) -> HeaderName {
        match self {
            Self::Cookie(_) => COOKIE,
            Self::Bearer => AUTHORIZATION,
            Self::Header(name) => HeaderName::from_static(name),
        }
    }

    /// The header in which responses carry it.
    pub(super) const fn response_header(self) -> HeaderName {
        match self {
            Self::Cookie(_) => SET_COOKIE,
            Self::Bearer | Self::Header(_) => self.request_header(),
        }
    }

    /// The value of the request's header, for an id or for what is none.
    pub(super) fn shows(self, id: &str) -> String {
        match self {
            Self::Cookie(name) => format!("{name}={id}"),
            Self::Bearer => format!("Bearer {id}"),
            Self::Header(_) => id.to_owned(),
        }
    }

    /// The id alone, of the value of a request's header.
    pub(super) fn id(self, shown: &str) -> &str {
        let before = match self {
            Self::Cookie(name) => name.len() + 1,
            Self::Bearer => "Bearer ".len(),
            Self::Header(_) => 0,
        };
        shown.get(before..).unwrap_or_default()
    }

    /// What a response does to the id.
    pub(super) fn issued(self, answer: &Answer) -> Check<Issued> {
        let mut values = answer.values(self.response_header().as_str());
        if let Self::Cookie(name) = self {
            values.retain(|line| line.split('=').next() == Some(name));
            for line in &mut values {
                line.truncate(line.find(';').unwrap_or(line.len()));
            }
        }
        match values.as_slice() {
            [] => Ok(Issued::Nothing),
            [value] if value.is_empty() => Ok(Issued::Removal),
            [value] if self.is_cookie() && self.id(value).is_empty() => Ok(Issued::Removal),
            [value] if *value == self.shows(self.id(value)) => Ok(Issued::Id(value.clone())),
            _ => Err(format!("{}: {values:?} is not one id", answer.what)),
        }
    }
}
