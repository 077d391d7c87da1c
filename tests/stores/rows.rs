//! Records and keys for tests.

use typed_session::store::{Body, Revision};
use typed_session::{Record, SessionKey, Subject, Timestamp};

/// A key that begins with `first`.
pub(crate) fn key(first: u8) -> SessionKey {
    SessionKey::from_bytes([first; 32])
}

/// The key of a number, as random as a real one.
pub(crate) fn numbered(number: u64) -> SessionKey {
    SessionKey::from_bytes(*Subject::from(number).as_bytes())
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn record(revision: u64, subject: Option<&str>, millis: i64) -> Record {
    Record {
        revision: Revision::from_u64(revision),
        subject: subject.map(Subject::from),
        expires_at: at(millis),
        body: Body(format!("body {revision}").into_bytes()),
    }
}

pub(crate) fn tombstone(millis: i64) -> Record {
    Record { revision: Revision::ENDED, ..record(7, None, millis) }
}
