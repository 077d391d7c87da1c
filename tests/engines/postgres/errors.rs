//! What an error is of: an outage, a row, a size, or the set-up.

use std::net::TcpListener;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use typed_session::Record;
use typed_session::store::{ErrorKind, Inserted, PostgresStore, Scan, Store, TimeLimit};

use super::{options, pool, store};
use crate::sql::kinds;
use crate::{at, key, record, tombstone};

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_missing_table_is_neither_an_outage_nor_an_absent_session() {
    let store = PostgresStore::new(pool().await).table("missing").unwrap();
    assert_eq!(kinds(&store).await, [ErrorKind::Other; 8]);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_is_not_there_is_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = PgConnectOptions::new().host("127.0.0.1").port(port).username("nobody");
    let short = PgPoolOptions::new().acquire_timeout(Duration::from_millis(200));
    let store = PostgresStore::new(short.connect_lazy_with(nowhere));
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8]);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_takes_the_connection_and_never_answers_is_unavailable() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let silent_host = PgConnectOptions::new().host("127.0.0.1").port(port).username("nobody");
    let short = PgPoolOptions::new().acquire_timeout(Duration::from_millis(200));
    let store = PostgresStore::new(short.connect_lazy_with(silent_host));
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8]);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_pool_that_is_used_up_or_closed_is_unavailable() {
    let short = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_millis(200));
    let pool = short.connect_with(options()).await.unwrap();
    let store = PostgresStore::new(pool.clone());
    let taken = pool.acquire().await.unwrap();
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8]);
    drop(taken);
    pool.close().await;
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8]);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_lock_or_a_statement_that_takes_too_long_is_unavailable() {
    let (_, holder) = store("locked").await;
    let mut lock = holder.begin().await.unwrap();
    lock.execute("LOCK TABLE locked").await.unwrap();
    for limit in ["lock_timeout", "statement_timeout"] {
        let options = options().options([(limit, "50ms")]);
        let store = PostgresStore::new(PgPoolOptions::new().connect_with(options).await.unwrap());
        let store = store.table("locked").unwrap();
        assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8], "{limit}");
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_became_a_replica_is_unavailable_to_writers() {
    let (_, _pool) = store("read_only").await;
    let options = options().options([("default_transaction_read_only", "on")]);
    let store = PostgresStore::new(PgPoolOptions::new().connect_with(options).await.unwrap());
    let store = store.table("read_only").unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap(), None);
    let errors = [
        store.insert(&key(1), &record(1, None, 5)).await.unwrap_err(),
        store.end(&key(1), &tombstone(9)).await.unwrap_err(),
        store.remove_expired(at(9), 9).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Unavailable), "{errors:?}");
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_connection_that_the_server_ends_is_unavailable_and_the_next_call_goes_on() {
    let (_, admin) = store("ended").await;
    let one = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = one.connect_with(options()).await.unwrap();
    let store = PostgresStore::new(pool.clone()).table("ended").unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&pool).await.unwrap();
    // Back in the pool, which looks at it once more.
    while pool.num_idle() == 0 {
        tokio::task::yield_now().await;
    }
    let end = format!("SELECT pg_terminate_backend({pid}, 5000)");
    admin.execute(AssertSqlSafe(end)).await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.load(&key(1)).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_senseless_row_is_corrupt_and_not_absent() {
    let (store, pool) = store("senseless").await;
    for (column, value) in [("revision", "-1"), ("subject", "'\\x0102'"), ("subject", "''")] {
        store.remove_expired(at(9), 9).await.unwrap();
        assert_eq!(store.insert(&key(1), &record(1, None, 5)).await.unwrap(), Inserted::Created);
        let spoil = format!("UPDATE senseless SET {column} = {value}");
        pool.execute(AssertSqlSafe(spoil)).await.unwrap();
        let error = store.load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{column}");
        let page = store.scan(None, 9).await.unwrap();
        assert_eq!((page.rows, page.corrupt), (vec![], vec![key(1)]), "{column}");
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn what_a_constraint_refuses_is_not_shown() {
    let (store, pool) = store("constrained").await;
    pool.execute("ALTER TABLE constrained ADD CHECK (length(body) < 6)").await.unwrap();
    let secret = Record { body: b"secret".to_vec().into(), ..record(1, Some("alice"), 5) };
    let error = store.insert(&key(0xab), &secret).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    let text = format!("{error} {error:?}");
    assert!(text.contains("constrained_body_check"), "{text}");
    for data in ["secret", "736563726574", "[115, 101", "abab"] {
        assert!(!text.contains(data), "{text}");
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_statement_that_is_never_answered_ends_by_the_time_limit() {
    let (store, pool) = store("silent").await;
    let mut lock = pool.begin().await.unwrap();
    lock.execute("LOCK TABLE silent").await.unwrap();
    let limit = Duration::from_millis(100);
    let limited = TimeLimit::new(store, limit, tokio::time::sleep);
    // More calls than the pool has connections.
    for _ in 0..20 {
        let error = limited.load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    lock.rollback().await.unwrap();
    // And the connections are of use again.
    while limited.load(&key(1)).await.is_err() {}
}
