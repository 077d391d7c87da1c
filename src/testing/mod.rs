//! What tests of sessions need.

pub mod browser;
