//! What sessions cost a request: this library, the same promises written by hand, and the
//! application without sessions, side by side.
//!
//! Each question has a program of its own, see `src/bin`.

pub mod alloc;
pub mod app;
pub mod axum;
pub mod results;
pub mod stopwatch;
pub mod workload;
