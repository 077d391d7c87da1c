//! What holds for each store beside the contract that all share.
#![allow(clippy::unwrap_used, missing_docs)]

#[cfg(all(feature = "cache", feature = "testing"))]
mod cached;
#[cfg(feature = "testing")]
mod conformance;
mod connect;
#[cfg(feature = "testing")]
mod histories;
mod limit;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "testing")]
mod wrong;

use typed_session::store::{Body, Revision};
use typed_session::{Record, SessionKey, Subject, Timestamp};

/// A key that begins with `first`.
fn key(first: u8) -> SessionKey {
    SessionKey::from_bytes([first; 32])
}

/// The key of a number, as random as a real one.
fn numbered(number: u64) -> SessionKey {
    SessionKey::from_bytes(*Subject::from(number).as_bytes())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn record(revision: u64, subject: Option<&str>, millis: i64) -> Record {
    Record {
        revision: Revision::from_u64(revision),
        subject: subject.map(Subject::from),
        expires_at: at(millis),
        body: Body(format!("body {revision}").into_bytes()),
    }
}

fn tombstone(millis: i64) -> Record {
    Record { revision: Revision::ENDED, ..record(7, None, millis) }
}
