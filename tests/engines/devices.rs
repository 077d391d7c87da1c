//! Users and their sessions, on each engine.

use typed_session::store::{MySqlStore, PostgresStore, Scan, Store};
use typed_session::{EndReason, SessionData, SessionKey, SessionLayer, Subject};

use super::fifty::fifty_logins_keep_the_limit;
use super::server::{Kind, shared};

#[derive(Default, serde::Deserialize, serde::Serialize)]
struct Account {
    user: Option<String>,
}

impl SessionData for Account {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

type Layer<S> = SessionLayer<Account, S>;

async fn log_in<S: Store>(layer: &Layer<S>, user: &str) -> SessionKey {
    let exchange = layer.open([]);
    let session = exchange.session().await.unwrap();
    session.update(|account| account.user = Some(user.into()));
    assert!(exchange.finish().await.error.is_none());
    session.key().unwrap()
}

async fn keys_of<S: Store>(layer: &Layer<S>, user: &str) -> Vec<SessionKey> {
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
async fn all<S: Scan + Clone>(store: S) {
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn users_and_their_sessions_on_postgres() {
    let store = PostgresStore::new(sqlx::PgPool::connect(&shared(Kind::Postgres)).await.unwrap());
    let store = store.table("devices").unwrap();
    store.migrate().await.unwrap();
    all(store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn users_and_their_sessions_on_mysql() {
    let store = MySqlStore::new(sqlx::MySqlPool::connect(&shared(Kind::MySql)).await.unwrap());
    let store = store.table("devices").unwrap();
    store.migrate().await.unwrap();
    all(store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn users_and_their_sessions_on_redis() {
    let (store, ..) = super::redis::store().await;
    all(store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn an_index_with_garbage_in_it_ends_what_it_should_on_redis() {
    let (store, connection, prefix) = super::redis::store().await;
    let layer = Layer::new(store.clone());
    let mut anns = Vec::new();
    for _ in 0..5 {
        anns.push(log_in(&layer, "ann").await);
    }
    anns.sort();
    let bob = log_in(&layer, "bob").await;
    let ann = Subject::from("ann");
    let names: Vec<String> =
        redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection.clone()).await.unwrap();
    let mut indexes = Vec::new();
    for name in names {
        let kind: String =
            redis::cmd("TYPE").arg(&name).query_async(&mut connection.clone()).await.unwrap();
        indexes.extend((kind == "zset").then_some(name));
    }
    assert_eq!(indexes.len(), 2, "ann's and bob's");
    let ticket = [0xff_u8; 16];
    let entry = |key: &[u8]| [key, &ticket[..]].concat();
    for index in &indexes {
        let garbage: [Vec<u8>; 7] = [
            Vec::new(),
            b"garbage".to_vec(),
            vec![0xff; 100],
            anns[2].as_bytes().to_vec(),
            entry(bob.as_bytes()),
            entry(anns[0].as_bytes()),
            entry(&[7; 32]),
        ];
        for member in garbage {
            let _: i64 = redis::cmd("ZADD")
                .arg(index)
                .arg(0)
                .arg(member)
                .query_async(&mut connection.clone())
                .await
                .unwrap();
        }
    }
    for limit in [1, 2, 3, 100] {
        let mut named = Vec::new();
        let mut after = None;
        loop {
            let page = store.sessions_of(&ann, after.as_ref(), limit).await.unwrap();
            named.extend(&page);
            match page.last() {
                Some(last) if page.len() == limit => after = Some(*last),
                _ => break,
            }
        }
        assert!(named.is_sorted_by(|a, b| a < b), "{limit}");
        assert!(anns.iter().all(|key| named.contains(key)), "{limit}");
    }
    assert_eq!(keys_of(&layer, "ann").await, anns);
    assert_eq!(layer.end_all(ann, EndReason::Revoked).await.unwrap(), 5);
    assert_eq!(keys_of(&layer, "bob").await, [bob]);
    log_in(&layer, "ann").await;
    assert_eq!(keys_of(&layer, "ann").await.len(), 1, "and life goes on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn users_and_their_sessions_on_mongodb() {
    all(super::mongodb::fresh_store().await).await;
}
