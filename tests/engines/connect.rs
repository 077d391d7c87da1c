//! Stores by their URL, as a program's configuration names them.

use std::collections::BTreeSet;

use typed_session::store::{ConnectError, DynStore, Inserted, Scan, Store};
use typed_session::testing::conformance::Suite;

use crate::server::{Kind, shared};
use crate::{at, numbered, record};

/// A table, a collection or a prefix that is this test's own.
fn own() -> String {
    format!("by_url_{}", std::process::id())
}

/// Takes a store by its URL, twice into use, holds it to the contract, and walks through it.
async fn serves(url: &str, native_expiry: bool) {
    let store = DynStore::connect_as(url, Some(&own())).await.unwrap();
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    let suite = Suite::new().runs(2);
    let suite = if native_expiry { suite.native_expiry() } else { suite };
    suite.run(async || store.clone()).await;

    let far = at(4_000_000_000_000);
    for number in 0..25 {
        let its = typed_session::Record { expires_at: far, ..record(1, Some("ann"), 0) };
        assert_eq!(store.insert(&numbered(number), &its).await.unwrap(), Inserted::Created);
    }
    let (mut met, mut from) = (BTreeSet::new(), None);
    loop {
        let page = store.scan(from.as_ref(), 7).await.unwrap();
        met.extend(page.rows.iter().filter(|row| row.expires_at == far).map(|row| row.key));
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    assert_eq!(met.len(), 25);

    // What is under another name is another store's.
    let other = DynStore::connect_as(url, Some(&format!("{}_other", own()))).await.unwrap();
    other.migrate().await.unwrap();
    assert_eq!(other.load(&numbered(1)).await.unwrap(), None);
    store.close().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn postgres_is_a_url() {
    let url = shared(Kind::Postgres);
    serves(&url, false).await;
    assert!(matches!(
        DynStore::connect_as(&url, Some("no table; drop")).await,
        Err(ConnectError::Invalid(_))
    ));
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn mysql_is_a_url() {
    let url = shared(Kind::MySql);
    serves(&url, false).await;
    DynStore::connect(&url.replace("mysql:", "mariadb:")).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn redis_is_a_url() {
    let url = shared(Kind::Redis);
    serves(&url, true).await;
    DynStore::connect(&url.replace("redis:", "valkey:")).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_cluster_is_no_url_and_says_so() {
    let url = shared(Kind::RedisCluster);
    let node = url.split(',').next().unwrap();
    let error = DynStore::connect(node).await.unwrap_err();
    let ConnectError::Invalid(reason) = error else { panic!("{error:?}") };
    assert!(reason.to_string().contains("RedisStore::cluster"), "{reason}");
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn mongodb_is_a_url_with_a_database() {
    let url = shared(Kind::MongoDb);
    serves(&url, false).await;
}
