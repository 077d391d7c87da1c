//! Every adapter against its real framework.
#[cfg(feature = "axum")]
mod axum;
