//! Users stay signed in while an application moves from tower-sessions: the old store is read
//! once, then ours. Prints a request with an old cookie to try.
//!
//!     cargo run --example moving         # http://127.0.0.1:3000, or PORT

use std::env;
use std::sync::Arc;

use tokio::net::TcpListener;
use tower_sessions_core::Session as OldSession;
use typed_session::cookie::CookiePolicy;
use typed_session::store::MemoryStore;
use typed_session::{SessionLayer, cookie};

use crate::app::{OldMemoryStore, Shop};
use crate::carry_over::CarryOver;

mod app;
#[path = "../../src/manual/moving/carry_over.rs"]
mod carry_over;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What the old program has left behind: a user who was signed in.
    let old = Arc::new(OldMemoryStore::default());
    let session = OldSession::new(None, Arc::clone(&old), None);
    session.insert("user_id", 42).await?;
    session.save().await?;

    let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new())
        .cookie(CookiePolicy::dangerous_plain_http_on_localhost());
    let plain_http = cookie::Attributes { secure: false, ..app::old_attributes() };
    let old_cookie = CookiePolicy::new("id", plain_http)?;
    let carry_over = CarryOver::new(sessions.clone(), old, old_cookie, app::fill);
    let app = app::with(sessions, carry_over);

    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let id = session.id().map(|id| id.to_string()).unwrap_or_default();
    println!("curl -i --cookie id={id} http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
