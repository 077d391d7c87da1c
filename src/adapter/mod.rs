//! Adapters: each translates one framework's requests and responses, and
//! decides nothing.

#[cfg(feature = "axum")]
pub(crate) mod axum;
#[cfg(feature = "tower")]
mod http;
#[cfg(feature = "tower")]
pub(crate) mod tower;
