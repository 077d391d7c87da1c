//! Whose the records were that were loaded last, in a cluster.
//!
//! There the index of a new subject is written before the record, and the record's server says
//! that it must be only when it is asked. A request loads before it replaces, so this store
//! mostly knows it without that trip.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::SessionKey;
use crate::record::Record;
use crate::store::Revision;
use crate::subject::Subject;

/// It is a guess: of a key and its revision it knows 32 bits, and a later load takes the place
/// of an earlier one. A wrong guess costs a trip, or an entry of the index too many; what is
/// right is for the record's server to say.
pub(super) struct Loaded(Box<[AtomicU64]>);

/// More than there are requests between their load and their replace: 32 KiB.
const SLOTS: usize = 4096;

impl Loaded {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn note(&self, key: &SessionKey, record: &Record) {
        let (slot, tag) = self.find(key, record.revision);
        slot.store(u64::from(tag) << 32 | u64::from(short(record.subject)), Ordering::Relaxed);
    }

    /// Whether the record was somebody else's, or nobody's, when it was loaded at this revision.
    pub(super) fn was_of_another(&self, key: &SessionKey, at: Revision, subject: &Subject) -> bool {
        let (slot, tag) = self.find(key, at);
        let noted = slot.load(Ordering::Relaxed);
        noted >> 32 == u64::from(tag) && noted as u32 != short(Some(*subject))
    }

    /// Keys are hashes: any of their bytes tell them apart.
    fn find(&self, key: &SessionKey, revision: Revision) -> (&AtomicU64, u32) {
        let [a, b, c, d, e, f, ..] = *key.as_bytes();
        let place = usize::from(u16::from_be_bytes([a, b])) % SLOTS;
        let revision = revision.as_u64();
        let tag = u32::from_be_bytes([c, d, e, f]) ^ (revision ^ revision >> 32) as u32;
        // Not 0, as which nothing was noted.
        (&self.0[place], tag.max(1))
    }
}

/// 0 is nobody.
fn short(subject: Option<Subject>) -> u32 {
    subject.map_or(0, |subject| {
        let [a, b, c, d, ..] = *subject.as_bytes();
        u32::from_be_bytes([a, b, c, d]).max(1)
    })
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loaded(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn record(revision: u64, subject: Option<Subject>) -> Record {
        let revision = Revision::from_u64(revision);
        Record { revision, subject, expires_at: Timestamp::MAX, body: Vec::new().into() }
    }

    #[test]
    fn what_was_loaded_tells_who_is_new() {
        let loaded = Loaded::new();
        let [key, other] = [[7; 32], [8; 32]].map(SessionKey::from_bytes);
        let [ann, bob] = ["ann", "bob"].map(Subject::from);
        let (first, second) = (Revision::from_u64(1), Revision::from_u64(2));
        assert!(!loaded.was_of_another(&key, first, &ann), "nothing is known");
        loaded.note(&key, &record(1, None));
        assert!(loaded.was_of_another(&key, first, &ann));
        assert!(!loaded.was_of_another(&key, second, &ann), "another revision");
        assert!(!loaded.was_of_another(&other, first, &ann), "another key");
        loaded.note(&key, &record(2, Some(ann)));
        assert!(!loaded.was_of_another(&key, second, &ann));
        assert!(loaded.was_of_another(&key, second, &bob));
    }
}
