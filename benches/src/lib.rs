//! What sessions cost a request: this library, the same promises written by hand, other
//! libraries, and the application without sessions, side by side.
//!
//! Each question has a program of its own, see `src/bin` and `README.md`.

#[cfg(feature = "frameworks")]
pub mod actix_web;
pub mod alloc;
pub mod app;
pub mod at_once;
pub mod axum;
pub mod check;
#[cfg(feature = "engines")]
pub mod engines;
#[cfg(feature = "frameworks")]
pub mod poem;
pub mod report;
pub mod results;
#[cfg(feature = "frameworks")]
pub mod salvo;
pub mod stopwatch;
pub mod svg;
pub mod tower;
pub mod workload;

/// Returns everybody who can be compared in this build.
pub fn contestants() -> Vec<app::Contestant> {
    let all = axum::CONTESTANTS.into_iter();
    #[cfg(feature = "peers")]
    let all = all.chain(axum::PEERS);
    all.collect()
}
