//! The same requests on any runtime and on none: bytes in, strings out.

use serde::{Deserialize, Serialize};
use typed_session::store::MemoryStore;
use typed_session::{SessionData, SessionLayer};

#[derive(Default, Deserialize, Serialize)]
struct Visits {
    count: u64,
}

impl SessionData for Visits {}

type Sessions = SessionLayer<Visits, MemoryStore>;

/// A visit, and the cookie that the response sets.
async fn visit(sessions: &Sessions, cookie: &[u8]) -> Option<String> {
    let exchange = sessions.open([cookie]);
    let session = exchange.session().await.unwrap();
    session.transact(|visits| visits.count += 1).await.unwrap();
    let outcome = exchange.finish().await;
    assert!(outcome.error.is_none());
    outcome.effects.set_cookie().map(|line| line.split(';').next().unwrap().to_owned())
}

/// Nine visits by one client, most of them two at a time.
async fn visits() -> u64 {
    let sessions = Sessions::new(MemoryStore::new());
    let cookie = visit(&sessions, b"").await.unwrap().into_bytes();
    for _ in 0..4 {
        let both = futures_util::join!(visit(&sessions, &cookie), visit(&sessions, &cookie));
        assert_eq!(both, (None, None));
    }
    sessions.open([cookie.as_slice()]).session().await.unwrap().read(|visits| visits.count)
}

#[test]
fn sessions_need_no_runtime() {
    assert_eq!(futures_executor::block_on(visits()), 9);
}

#[test]
fn sessions_run_on_smol() {
    assert_eq!(smol::block_on(smol::spawn(visits())), 9);
}

#[tokio::test]
async fn sessions_run_on_tokio() {
    assert_eq!(tokio::spawn(visits()).await.unwrap(), 9);
}
