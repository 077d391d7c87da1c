//! What sessions cost a request: this library, the same promises written by hand, and the
//! application without sessions, side by side.
//!
//! Each question has a program of its own, see `src/bin`.

#[cfg(feature = "frameworks")]
pub mod actix_web;
pub mod alloc;
pub mod app;
pub mod at_once;
pub mod axum;
#[cfg(feature = "frameworks")]
pub mod poem;
#[cfg(feature = "frameworks")]
pub mod salvo;
pub mod stopwatch;
pub mod tower;
pub mod workload;
