//! Users and their sessions, on each engine; each attaches it in one line.

use typed_session::store::{Scan, Store};
use typed_session::{EndReason, SessionData, SessionKey, SessionLayer, Subject};

use super::fifty::fifty_logins_keep_the_limit;

#[derive(Default, serde::Deserialize, serde::Serialize)]
pub(crate) struct Account {
    user: Option<String>,
}

impl SessionData for Account {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

pub(crate) type Layer<S> = SessionLayer<Account, S>;

pub(crate) async fn log_in<S: Store>(layer: &Layer<S>, user: &str) -> SessionKey {
    let exchange = layer.open([]);
    let session = exchange.session().await.unwrap();
    session.update(|account| account.user = Some(user.into()));
    assert!(exchange.finish().await.error.is_none());
    session.key().unwrap()
}

pub(crate) async fn keys_of<S: Store>(layer: &Layer<S>, user: &str) -> Vec<SessionKey> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = layer.sessions_of(Subject::from(user), after.as_ref(), 3).await.unwrap();
        assert_eq!(page.unreadable, []);
        keys.extend(page.sessions.iter().map(|info| info.key));
        match page.next {
            Some(next) => after = Some(next),
            None => return keys,
        }
    }
}

/// All of it, on a store that nobody else uses.
pub(crate) async fn all<S: Scan + Clone>(store: S) {
    fifty_logins_keep_the_limit(store.clone()).await;
    let layer = Layer::new(store);
    layer.end_everyone(EndReason::Revoked).await.unwrap();
    let mut anns = Vec::new();
    for _ in 0..10 {
        anns.push(log_in(&layer, "ann").await);
        log_in(&layer, "bob").await;
    }
    anns.sort();
    assert_eq!(keys_of(&layer, "ann").await, anns);

    let ann = Subject::from("ann");
    let bobs = keys_of(&layer, "bob").await;
    assert!(!layer.end_of(ann, &bobs[0], EndReason::Revoked).await.unwrap());
    assert!(layer.end_of(ann, &anns[0], EndReason::Revoked).await.unwrap());

    let exchange = layer.open([]);
    let session = exchange.session().await.unwrap();
    session.update(|account| account.user = Some("ann".into()));
    assert_eq!(layer.end_others(&session, EndReason::Revoked).await.unwrap(), 9);
    assert!(exchange.finish().await.effects.set_cookie().is_some());
    assert_eq!(keys_of(&layer, "ann").await, [session.key().unwrap()]);

    assert_eq!(layer.end_all_by_scan(ann, EndReason::Revoked).await.unwrap(), 1);
    assert_eq!(layer.end_everyone(EndReason::Revoked).await.unwrap(), 10);
    assert_eq!(keys_of(&layer, "bob").await, []);
}
