//! The frameworks: what to know of each, one page each.
//!
//! The layer itself is the framework's middleware, and [`Session<T>`](crate::Session) its extractor;
//! an adapter translates requests and responses and decides nothing. Each page has an example, where
//! to put the layer, and what becomes of the framework's own errors.
//!
//! | framework | feature | page | |
//! | --- | --- | --- | --- |
//! | axum 0.8 | `axum` | `adapter::axum` | `Router::layer(sessions)` |
//! | actix-web 4 | `actix-web` | `adapter::actix_web` | `App::wrap(sessions.clone())` |
//! | poem 3 | `poem` | `adapter::poem` | `route.with(sessions)` |
//! | salvo 1 | `salvo` | `adapter::salvo` | `Router::hoop(sessions)` |
//! | rocket 0.5 | `rocket` | `adapter::rocket` | `rocket.attach(sessions)` |
//! | ntex 4 | `ntex` | `adapter::ntex` | `App::middleware(sessions.clone())` |
//! | viz 0.11 | `viz` | `adapter::viz` | `Router::with(sessions)` |
//! | warp, cot, hyper, whatever is on tower and `http` 1 | `tower` | `adapter::tower` | `sessions.layer(service)` |
//!
//! For all of them:
//!
//! - What a handler has changed is stored when its response is there, whatever its status is, and
//!   before the response's head leaves. If it cannot be stored, the response is replaced by one of
//!   the error's [`status`](crate::Error::status) with a sentence; so what is to look otherwise is
//!   for middleware around the layer. It carries the session's headers all the same, and
//!   `Cache-Control: no-store`.
//! - A request that another site has caused is a 403, and its handler is not called
//!   ([`OriginCheck`](crate::csrf::OriginCheck)). So it is on every route that the layer is around, where
//!   ids are in cookies, whether the handler takes the session or not.
//! - A handler that panics stores nothing but what it had committed by itself.
//! - [`Guard<T, R>`](crate::Guard) is an argument like [`Session<T>`](crate::Session): the handler is
//!   run for those alone who meet its requirement. Whom it refuses gets the same answer everywhere,
//!   see [`protecting_routes`](crate::manual::protecting_routes).
//! - A route without the layer is answered by a 500 that says so ([`Rejection`](crate::Rejection)).
//! - Two layers with different data and different cookies may be around one route. The same layer
//!   twice is harmless: the inner one counts.
//!
//! A framework that is not here takes an adapter of its own, of 100 to 150 lines; how to write one
//! is a page of the [manual](crate::manual::writing_an_adapter), and `testing::adapter` tests it.

#[cfg(feature = "actix-web")]
pub mod actix_web;
#[cfg(feature = "tower")]
mod answer;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(any(
    feature = "actix-web",
    feature = "poem",
    feature = "rocket",
    feature = "salvo",
    feature = "tower",
    feature = "viz"
))]
mod given;
#[cfg(any(feature = "tower", feature = "poem", feature = "salvo", feature = "viz"))]
mod http;
#[cfg(any(feature = "actix-web", feature = "ntex"))]
mod middleware;
#[cfg(feature = "ntex")]
pub mod ntex;
#[cfg(feature = "poem")]
pub mod poem;
#[cfg(feature = "rocket")]
pub mod rocket;
#[cfg(feature = "salvo")]
pub mod salvo;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "viz")]
pub mod viz;
