//! What the server tells of changes.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor};
use typed_session::SessionKey;
use typed_session::store::{
    Change, Changes, PostgresChanges, PostgresStore, Replaced, Revision, Store,
};
use typed_session::testing::conformance;

use super::{on, options, pool};
use crate::{at, key, record, tombstone};

async fn notifying(table: &str) -> PostgresStore {
    on(&pool().await, table).await.notify_changes(table).unwrap()
}

async fn next(changes: &mut PostgresChanges) -> Change {
    tokio::time::timeout(Duration::from_secs(10), changes.next()).await.unwrap().unwrap()
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_store_that_notifies_keeps_the_contract() {
    // The contract is not about the disk: no commit waits for it.
    let options = options().options([("synchronous_commit", "off")]);
    let pool = PgPoolOptions::new().max_connections(12).connect_with(options).await.unwrap();
    let store = on(&pool, "notifies").await.notify_changes("notifies").unwrap();
    conformance::run(async || store.clone()).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn replace_and_end_are_told_and_nothing_else_is() {
    let store = notifying("told").await;
    // Another machine, which has given the table its name after the channel.
    let there = PostgresStore::new(pool().await).notify_changes("told").unwrap();
    let there = there.table("told").unwrap();
    let mut changes = store.changes("told").await.unwrap();
    let first = Revision::from_u64(1);
    for number in 1..4 {
        let _ = there.insert(&key(number), &record(1, None, 5)).await.unwrap();
        there.touch(&key(number), first, at(9)).await.unwrap();
    }
    let refused = there.replace(&key(1), Revision::from_u64(7), &record(8, None, 9)).await;
    assert!(matches!(refused.unwrap(), Replaced::Conflict(Some(_))));
    let done = there.replace(&key(2), first, &record(2, None, 9)).await.unwrap();
    assert_eq!(done, Replaced::Done);
    assert_eq!(there.load(&key(2)).await.unwrap(), Some(record(2, None, 9)));
    there.end(&key(3), &tombstone(9)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Key(key(2)));
    assert_eq!(next(&mut changes).await, Change::Key(key(3)));
    let channel = PostgresStore::new(pool().await).notify_changes("it's");
    assert!(channel.is_err());
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn after_a_lost_connection_anything_may_have_been_missed() {
    let store = notifying("missed").await;
    let mut changes = store.changes("missed").await.unwrap();
    let admin = pool().await;
    for round in 1..4 {
        admin
            .execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                 WHERE query LIKE 'LISTEN \"missed\"%' AND pid <> pg_backend_pid()",
            )
            .await
            .unwrap();
        // Nobody hears this.
        store.end(&SessionKey::from_bytes([round; 32]), &tombstone(9)).await.unwrap();
        // Dropped at whatever it was doing, which must not lose the news.
        for _ in 0..round {
            tokio::select! { biased;
                change = changes.next() => panic!("{change:?}"),
                () = std::future::ready(()) => (),
            }
        }
        assert_eq!(next(&mut changes).await, Change::Missed);
        store.end(&key(round + 100), &tombstone(9)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Key(key(round + 100)));
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn what_is_no_key_stands_for_any() {
    let store = notifying("no_key").await;
    let mut changes = store.changes("no_key").await.unwrap();
    let notify = "NOTIFY no_key, 'everything'".to_owned();
    pool().await.execute(AssertSqlSafe(notify)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Missed);
}
