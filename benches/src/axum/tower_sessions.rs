//! The application with tower-sessions, its store in memory, and its cookie as it is by
//! default: `Secure`, `HttpOnly`, `SameSite=Strict`.
//!
//! An idle limit of one hour, as ours is (by default two weeks). It is moved on by writes;
//! to have it moved on by reads, `with_always_save` would store the session after each of them.
//! The profile is one value under one key, which its documentation calls strongly typed.

use std::hint::black_box;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tower_sessions::cookie::time::Duration;
use tower_sessions::session::Error;
use tower_sessions::{Expiry, MemoryStore, Session, SessionManagerLayer};

use super::{Pause, show};
use crate::app::{END, LIGHT, PAUSED, PAUSED_THEME, SHOW};
use crate::workload::Profile;

const PROFILE: &str = "profile";

struct Failed;

impl From<Error> for Failed {
    fn from(_: Error) -> Self {
        Self
    }
}

impl axum::response::IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

async fn profile(session: &Session) -> Result<Profile, Failed> {
    Ok(session.get(PROFILE).await?.unwrap_or_default())
}

pub fn tower_sessions() -> Router {
    let expiry = Expiry::OnInactivity(Duration::hours(1));
    Router::new()
        .route("/alone", get(async || {}))
        .route(
            "/read",
            get(async |session: Session| {
                black_box(profile(&session).await?.counter);
                Ok::<_, Failed>(())
            }),
        )
        .route(
            "/write",
            get(async |session: Session| {
                let mut profile = profile(&session).await?;
                profile.counter += 1;
                session.insert(PROFILE, profile).await?;
                Ok::<_, Failed>(())
            }),
        )
        .route(
            "/visit",
            get(async |session: Session| {
                session.insert(PROFILE, Profile::visitor()).await?;
                Ok::<_, Failed>(())
            }),
        )
        .route(
            "/create",
            get(async |session: Session| {
                session.insert(PROFILE, Profile::user()).await?;
                Ok::<_, Failed>(())
            }),
        )
        .route(
            "/login",
            get(async |session: Session| {
                session.cycle_id().await?;
                let mut profile = profile(&session).await?;
                profile.log_in();
                session.insert(PROFILE, profile).await?;
                Ok::<_, Failed>(())
            }),
        )
        .route(
            END,
            get(async |session: Session| {
                session.flush().await?;
                Ok::<_, Failed>(())
            }),
        )
        .route(SHOW, get(async |session: Session| Ok::<_, Failed>(show(&profile(&session).await?))))
        .route(
            PAUSED,
            get(async |session: Session| {
                let mut profile = profile(&session).await?;
                Pause::default().await;
                profile.counter += 1;
                session.insert(PROFILE, profile).await?;
                Ok::<_, Failed>(())
            }),
        )
        .route(
            PAUSED_THEME,
            get(async |session: Session| {
                let mut profile = profile(&session).await?;
                Pause::default().await;
                profile.theme = LIGHT.into();
                session.insert(PROFILE, profile).await?;
                Ok::<_, Failed>(())
            }),
        )
        .layer(SessionManagerLayer::new(MemoryStore::default()).with_expiry(expiry))
}
