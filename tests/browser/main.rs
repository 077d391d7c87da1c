//! The shop in a real browser.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]
