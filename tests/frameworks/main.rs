//! Every adapter against its real framework.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[cfg(feature = "actix-web")]
mod actix_web;
#[cfg(feature = "ntex")]
mod ntex;
#[cfg(any(feature = "actix-web", feature = "ntex"))]
mod wire;
