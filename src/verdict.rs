//! What became of the id that a request carried.

use std::fmt;

/// What became of the id that a request carried.
///
/// Every load has one, and it says why there is no session where one might
/// expect one. With every other than [`Resumed`](Self::Resumed) the data is the
/// default.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The request carried no id.
    New,
    /// The session is alive and its data was loaded.
    Resumed,
    /// What stood in the place of an id, such as a cookie of the right name, has
    /// not the form of one. No store was asked.
    Malformed,
    /// It has the form of an id, and no key of the layer's [`IdForm`](crate::IdForm) vouches for it:
    /// it is made up, from another cookie or layer, not signed, or by a key that is in the ring no
    /// more. No store was asked.
    Unverified,
    /// The store knows no such session: it expired long ago, or never was.
    Unknown,
    /// The session was idle for too long.
    IdleExpired,
    /// The session reached the end of its life, however active it was.
    AbsoluteExpired,
    /// The session was ended.
    Ended(EndReason),
    /// The session lives and goes by another id now: it was rotated, by a login
    /// for example, after this request was sent, or the id is an old one that
    /// somebody kept. Writing is refused, and no id is handed out, so that a late
    /// request cannot overwrite that of the login.
    Superseded,
    /// There is a session of that name, and the id is none that it has or, as far
    /// as is remembered, had.
    Forged,
    /// The record, or the data in it, is of a format that this program cannot
    /// read. It is kept as it is; writing starts a fresh session.
    Undecodable,
}

impl Verdict {
    /// How much a verdict says, where several ids got several verdicts.
    pub(crate) const fn weight(self) -> u8 {
        match self {
            Self::New => 0,
            Self::Malformed => 1,
            Self::Unverified => 2,
            Self::Unknown => 3,
            Self::Forged => 4,
            Self::IdleExpired => 5,
            Self::AbsoluteExpired => 6,
            Self::Undecodable => 7,
            Self::Ended(_) => 8,
            // Above all but a live session: it forbids a new id.
            Self::Superseded => 9,
            Self::Resumed => 10,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Resumed => "resumed",
            Self::Malformed => "malformed id",
            Self::Unverified => "unverified id",
            Self::Unknown => "unknown id",
            Self::IdleExpired => "expired: idle for too long",
            Self::AbsoluteExpired => "expired: end of life",
            Self::Ended(EndReason::Logout) => "ended: logged out",
            Self::Ended(EndReason::Revoked) => "ended: revoked",
            Self::Ended(EndReason::Displaced) => "ended: a later login took its place",
            Self::Ended(EndReason::IdReused) => "ended: an old id was shown again",
            Self::Superseded => "superseded id",
            Self::Forged => "forged id",
            Self::Undecodable => "undecodable record",
        })
    }
}

/// Why a session was ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EndReason {
    /// The holder of the session ended it.
    Logout,
    /// Somebody else ended it: an administrator, or the user from elsewhere.
    Revoked,
    /// An id that timed rotation had replaced was shown after its grace, so two
    /// parties hold ids of the session.
    IdReused,
    /// A later login of the same subject took its place, because there may be only so many
    /// sessions: [`max_sessions`](crate::SessionLayer::max_sessions).
    Displaced,
}

impl EndReason {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Logout => 0,
            Self::Revoked => 1,
            Self::IdReused => 2,
            Self::Displaced => 3,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Logout),
            1 => Some(Self::Revoked),
            2 => Some(Self::IdReused),
            3 => Some(Self::Displaced),
            _ => None,
        }
    }
}
