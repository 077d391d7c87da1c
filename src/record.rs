//! The row that a store keeps for a session.

use std::fmt;

use crate::subject::Subject;
use crate::time::Timestamp;

/// What a store keeps under a [`SessionKey`](crate::SessionKey): four values
/// beside the key.
///
/// A store writes and reads them as they are. It looks into none of them but
/// `revision`, which [`replace`](crate::store::Store::replace) compares, and
/// `expires_at`, by which it cleans up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The version of this record.
    pub revision: Revision,
    /// Who the session belongs to, hashed; what the store indexes.
    pub subject: Option<Subject>,
    /// When the record may be removed. The core checks it on every load; a
    /// store is never trusted for expiry and never hides an expired record.
    pub expires_at: Timestamp,
    /// Opaque bytes.
    pub body: Body,
}

/// A record's opaque bytes; `Debug` shows their number alone.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Body(pub Vec<u8>);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::ops::Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The version of a record: a number that grows with every replacement.
///
/// It grows by steps of random size, so that a writer whose answer was lost on
/// the way can tell its own record from somebody else's. It always fits an
/// `i64` and is never negative.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Revision(u64);

impl Revision {
    /// The revision of a tombstone: the last there can be. Nothing replaces a
    /// record that has it.
    pub const ENDED: Self = Self(i64::MAX as u64);

    /// Makes a revision of its number, as a store read it. A number above that
    /// of [`ENDED`](Self::ENDED) becomes `ENDED`.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        if number > Self::ENDED.0 { Self::ENDED } else { Self(number) }
    }

    /// Makes a revision of a signed number, for stores that have no other. A
    /// negative number, which no store was ever given, becomes `ENDED`.
    #[must_use]
    pub const fn from_i64(number: i64) -> Self {
        if number < 0 { Self::ENDED } else { Self(number.unsigned_abs()) }
    }

    /// Returns the number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the number as a store writes it that has signed numbers only.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        // Never more than `i64::MAX`: every constructor sees to it.
        self.0 as i64
    }

    /// The first revision of a record.
    pub(crate) const fn first(step: u32) -> Self {
        Self(1 + step as u64)
    }

    /// The next revision, or nothing once all are used up.
    pub(crate) const fn next(self, step: u32) -> Option<Self> {
        // 2^31 replacements are sure to fit, whatever the steps.
        let next = self.0 + 1 + step as u64;
        if next < Self::ENDED.0 { Some(Self(next)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_grows_and_never_reaches_the_tombstones() {
        let mut revision = Revision::first(u32::MAX);
        for _ in 0..1000 {
            let next = revision.next(u32::MAX).unwrap();
            assert!(next > revision && next < Revision::ENDED);
            revision = next;
        }
        assert_eq!(Revision::from_u64(Revision::ENDED.as_u64() - 1).next(0), None);
        assert_eq!(Revision::ENDED.next(0), None);
        assert!(Revision::first(0) < Revision::first(0).next(0).unwrap());
    }

    #[test]
    fn a_revision_survives_a_store_of_signed_numbers() {
        for number in [0, 1, i64::MAX as u64] {
            let revision = Revision::from_u64(number);
            assert_eq!(Revision::from_i64(revision.as_i64()), revision);
        }
        assert_eq!(Revision::from_u64(u64::MAX), Revision::ENDED);
        assert_eq!(Revision::from_i64(-1), Revision::ENDED);
    }

    #[test]
    fn debug_of_a_record_shows_no_data() {
        assert_eq!(format!("{:?}", Body(b"alice".to_vec())), "Body(5 bytes)");
    }
}
