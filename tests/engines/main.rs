//! The stores of engines that are reached over a socket, against the real servers.
//!
//! `./tests/run engines` starts what is needed; each test is ignored otherwise.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "attached by each engine")]
mod faults;
#[allow(dead_code, reason = "attached by each engine")]
mod histories;
