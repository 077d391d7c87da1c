//! The security requirements, each by its number, and attacks.
//!
//! A test whose name begins with `asvs_7_2_4_` holds the library to the clause 7.2.4 of OWASP ASVS 5.0.
#![allow(clippy::unwrap_used, missing_docs)]

mod abuse;
mod attacks;
mod clauses;
mod consent;
mod csrf;
mod devices;
mod guards;
mod policy;
#[cfg(all(feature = "sealed", feature = "messagepack"))]
mod sealing;
mod signing;
#[cfg(all(feature = "sealed", feature = "messagepack"))]
mod stateless;
mod watching;
#[allow(dead_code, reason = "shared with the tests of the core")]
#[path = "../core/world.rs"]
mod world;
