//! Every adapter against its real framework.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[cfg(all(feature = "axum", feature = "testing"))]
mod axum;
#[cfg(all(feature = "adapter-suite", feature = "axum", feature = "sqlite"))]
mod sockets;
#[cfg(all(feature = "tower", feature = "testing"))]
mod tower;
