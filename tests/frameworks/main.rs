//! Every adapter against its real framework.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[cfg(any(feature = "poem", feature = "salvo", feature = "viz"))]
mod loopback;
#[cfg(feature = "poem")]
mod poem;
#[cfg(feature = "salvo")]
mod salvo;
mod versions;
#[cfg(feature = "viz")]
mod viz;
