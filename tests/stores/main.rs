//! What holds for each store beside the contract that all share.
#![allow(clippy::unwrap_used, missing_docs)]

#[cfg(all(feature = "cache", feature = "testing"))]
mod cached;
#[cfg(feature = "testing")]
mod conformance;
mod connect;
#[cfg(feature = "sqlite")]
#[path = "../security/devices/fifty.rs"]
mod fifty;
#[cfg(feature = "testing")]
mod histories;
mod limit;
mod memory;
mod rows;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "testing")]
mod wrong;

use self::rows::{at, key, numbered, record, tombstone};
