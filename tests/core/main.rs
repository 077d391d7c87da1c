//! The core, as a user of the crate sees it: bytes in, strings out.
#![allow(clippy::unwrap_used, missing_docs)]

#[cfg(feature = "testing")]
mod attacks;
#[cfg(feature = "testing")]
mod commit;
mod cookie;
mod defaults;
mod evolution;
#[cfg(feature = "testing")]
mod flash;
#[cfg(feature = "testing")]
mod histories;
#[cfg(feature = "testing")]
mod interleavings;
#[cfg(feature = "testing")]
mod lessons;
#[cfg(feature = "testing")]
mod lifecycle_table;
mod map;
#[cfg(feature = "testing")]
mod outside;
mod runtimes;
#[cfg(feature = "testing")]
mod stories;
#[cfg(feature = "testing")]
mod transports;
#[cfg(feature = "testing")]
mod verdicts;
#[cfg(feature = "testing")]
mod world;
