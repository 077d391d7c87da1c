//! The stores of engines that are reached over a socket, against the real servers.
//!
//! `./tests/run engines` starts what is needed; each test is ignored otherwise.
#![allow(clippy::unwrap_used, missing_docs)]

// First, because a macro is known only from its definition on.
#[macro_use]
mod under_fire;

mod cached;
mod cleanup;
mod connect;
mod faults;
mod histories;
mod latency;
mod mongodb;
mod mysql;
mod postgres;
mod processes;
mod redis;
mod redis_cluster;
mod redis_wire;
mod server;
mod sql;
mod sqlite;

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
