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
mod devices;
mod faults;
#[path = "../security/devices/fifty.rs"]
mod fifty;
mod histories;
mod latency;
mod mongodb;
mod mysql;
mod postgres;
mod processes;
mod redis;
mod redis_cluster;
mod redis_wire;
mod requests;
#[path = "../stores/rows.rs"]
mod rows;
mod server;
mod sql;
mod sqlite;
mod watching;

use self::rows::{at, key, numbered, record, tombstone};
