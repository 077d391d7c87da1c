//! The application, after the move.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tower_sessions_core::SessionStore as OldStore;
use tower_sessions_core::session::{Id as OldId, Record as OldRecord};
use tower_sessions_core::session_store::Result as OldResult;
use typed_session::cookie::{Attributes, SameSite};
use typed_session::store::Store;
use typed_session::{Session, SessionData, SessionLayer, Subject};

use crate::carry_over::{CarryOver, middleware};

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Shop {
    pub(crate) user: Option<u64>,
    pub(crate) basket: Vec<String>,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.map(Subject::from)
    }
}

/// What is carried over: the user and the basket, by the keys that the old program gave them.
pub(crate) fn fill(old: &OldRecord, session: &Session<Shop>) {
    let user = old.data.get("user_id").and_then(|user| user.as_u64());
    let basket = old.data.get("basket").cloned().map(serde_json::from_value);
    session.update(|shop| {
        shop.user = user;
        shop.basket = basket.and_then(Result::ok).unwrap_or_default();
    });
}

/// The attributes of the old cookie, which are those of tower-sessions if it was told nothing.
pub(crate) fn old_attributes() -> Attributes {
    Attributes { same_site: Some(SameSite::Strict), ..Attributes::default() }
}

/// The routes of the application, its sessions, and around them the middleware: it must come before
/// the sessions are opened.
pub(crate) fn with<S: Store, Old: OldStore>(
    sessions: SessionLayer<Shop, S>,
    carry_over: CarryOver<Shop, S, Old>,
) -> Router {
    Router::new()
        .route("/", get(who))
        .route("/add", post(add))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/about", get(|| async { "no session" }))
        .layer(sessions)
        .layer(from_fn_with_state(carry_over, middleware::<Shop, S, Old>))
}

async fn who(session: Session<Shop>) -> String {
    session.read(|shop| format!("user {:?}, basket {:?}\n", shop.user, shop.basket))
}

async fn add(session: Session<Shop>, item: String) {
    session.update(|shop| shop.basket.push(item));
}

async fn login(session: Session<Shop>) {
    session.update(|shop| shop.user = Some(7));
}

async fn logout(session: Session<Shop>) {
    session.end();
}

/// Stands in for the store of the old program, whichever it was.
#[derive(Debug, Default)]
pub(crate) struct OldMemoryStore(pub(crate) Mutex<HashMap<OldId, OldRecord>>);

#[async_trait::async_trait]
impl OldStore for OldMemoryStore {
    async fn create(&self, record: &mut OldRecord) -> OldResult<()> {
        self.save(record).await
    }

    async fn save(&self, record: &OldRecord) -> OldResult<()> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.insert(record.id, record.clone());
        Ok(())
    }

    async fn load(&self, id: &OldId) -> OldResult<Option<OldRecord>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned())
    }

    async fn delete(&self, id: &OldId) -> OldResult<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }
}
