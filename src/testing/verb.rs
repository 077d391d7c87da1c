//! The seven verbs, by name.

use std::fmt;

/// A verb of [`Store`](crate::store::Store).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verb {
    /// `load`
    Load,
    /// `insert`
    Insert,
    /// `replace`
    Replace,
    /// `touch`
    Touch,
    /// `end`
    End,
    /// `sessions_of`
    SessionsOf,
    /// `remove_expired`
    RemoveExpired,
}

impl Verb {
    /// All seven, in the contract's order.
    pub const ALL: [Self; 7] = [
        Self::Load,
        Self::Insert,
        Self::Replace,
        Self::Touch,
        Self::End,
        Self::SessionsOf,
        Self::RemoveExpired,
    ];
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Insert => "insert",
            Self::Replace => "replace",
            Self::Touch => "touch",
            Self::End => "end",
            Self::SessionsOf => "sessions_of",
            Self::RemoveExpired => "remove_expired",
        })
    }
}
