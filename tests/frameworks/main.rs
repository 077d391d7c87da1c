//! Every adapter against its real framework.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[cfg(feature = "rocket")]
mod rocket;
