//! What sessions cost a request: this library, the same promises written by hand, other
//! libraries, and the application without sessions, side by side.
//!
//! Each question has a program of its own, see `src/bin` and `README.md`.

pub mod alloc;
pub mod app;
pub mod axum;
pub mod check;
pub mod report;
pub mod results;
pub mod stopwatch;
pub mod svg;
pub mod workload;

/// Returns everybody who can be compared in this build.
pub fn contestants() -> Vec<app::Contestant> {
    let all = axum::CONTESTANTS.into_iter();
    #[cfg(feature = "peers")]
    let all = all.chain(axum::PEERS);
    all.collect()
}
