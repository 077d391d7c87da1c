//! A small shop: visits, a basket, a login, and a page that shows the session.
//!
//! All of it that is about neither sessions nor a framework, for the examples to share: what is
//! left to each of them is its routes, its handlers, and what they do with the session. [`Page`] is
//! a response of the `http` crate, in words that every framework has one of its own for.
#![allow(
    clippy::result_large_err,
    reason = "a refusal is a page, and nothing is lost by moving it"
)]

pub mod account;
#[cfg(feature = "actix-web")]
mod actix_web;
mod agent;
mod answer;
#[cfg(feature = "cot")]
pub mod cot;
mod data;
mod failure;
mod forms;
#[cfg(feature = "ntex")]
pub mod ntex;
mod open;
pub mod pages;
#[cfg(feature = "poem")]
pub mod poem;
#[cfg(feature = "rocket")]
pub mod rocket;
#[cfg(feature = "salvo")]
pub mod salvo;
#[cfg(feature = "viz")]
pub mod viz;
#[cfg(feature = "warp")]
pub mod warp;

pub use answer::Answer;
pub use data::{Full, STAY, Shop};
pub use failure::Failure;
pub use forms::{Add, BODY_LIMIT, Device, Login, Nothing, Sent, form};
pub use open::{Open, Sessions, Visitors, interrupted, open};
pub use pages::Page;
