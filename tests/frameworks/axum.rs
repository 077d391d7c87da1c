//! axum, with the application that the suite's documentation shows.

#[path = "../../src/testing/adapter/application.rs"]
mod application;

pub(crate) use self::application::{act, routes};
