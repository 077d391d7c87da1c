//! The stores of engines that are reached over a socket, against the real servers.
//!
//! `./tests/run engines` starts what is needed; each test is ignored otherwise.
#![allow(clippy::unwrap_used, missing_docs)]

mod redis;
mod redis_cluster;
mod redis_wire;
mod server;
