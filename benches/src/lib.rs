//! What sessions cost a request: this library, the same promises written by hand, other
//! libraries, and the application without sessions, side by side.
//!
//! Each question has a program of its own, see `src/bin` and `README.md`.

#[cfg(feature = "frameworks")]
pub mod actix_web;
pub mod alloc;
pub mod app;
pub mod at_once;
pub mod axum;
pub mod check;
#[cfg(feature = "engines")]
pub mod engines;
#[cfg(feature = "frameworks")]
pub mod poem;
pub mod report;
pub mod results;
#[cfg(feature = "frameworks")]
pub mod salvo;
pub mod stopwatch;
pub mod svg;
pub mod tower;
pub mod workload;

/// Returns everybody who can be compared in this build; each framework's floor comes first.
pub fn contestants() -> Vec<app::Contestant> {
    #[cfg_attr(not(feature = "frameworks"), expect(unused_mut, reason = "nobody is added"))]
    let mut all = Vec::from(axum::CONTESTANTS);
    #[cfg(feature = "peers")]
    all.extend(axum::PEERS);
    #[cfg(feature = "frameworks")]
    {
        all.extend([tower::FLOOR, tower::BY_HAND, tower::LIBRARY]);
        all.extend([actix_web::FLOOR, actix_web::EMPTY, actix_web::LIBRARY]);
        all.extend([poem::FLOOR, poem::EMPTY, poem::LIBRARY]);
        all.extend([salvo::FLOOR, salvo::EMPTY, salvo::LIBRARY]);
    }
    #[cfg(feature = "peers")]
    all.extend([actix_web::PEER, actix_web::COOKIE_PEER, poem::PEER, salvo::PEER]);
    all
}
