//! Typed, server-side HTTP sessions.
#![forbid(unsafe_code)]

pub mod cookie;
pub mod merge;
