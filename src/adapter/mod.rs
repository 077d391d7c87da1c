//! Adapters: each translates one framework's requests and responses, and
//! decides nothing.

#[cfg(feature = "actix-web")]
mod actix_web;
#[cfg(feature = "axum")]
mod axum;
#[cfg(any(feature = "tower", feature = "poem", feature = "salvo", feature = "viz"))]
mod http;
#[cfg(any(feature = "actix-web", feature = "ntex"))]
pub(crate) mod middleware;
#[cfg(feature = "ntex")]
mod ntex;
#[cfg(feature = "poem")]
pub(crate) mod poem;
#[cfg(feature = "rocket")]
mod rocket;
#[cfg(feature = "salvo")]
mod salvo;
#[cfg(feature = "tower")]
pub(crate) mod tower;
#[cfg(feature = "viz")]
pub(crate) mod viz;
