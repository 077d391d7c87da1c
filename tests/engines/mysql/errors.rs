//! What an error is of: an outage, a row, a size, or the set-up.

use std::net::TcpListener;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use typed_session::Record;
use typed_session::store::{ErrorKind, Inserted, MySqlStore, Scan, Store};

use super::{options, pool, pool_with, store};
use crate::sql::kinds;
use crate::{at, key, numbered, record, tombstone};

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_missing_table_is_neither_an_outage_nor_an_absent_session() {
    let store = MySqlStore::new(pool().await).table("missing").unwrap();
    assert_eq!(kinds(&store).await, [ErrorKind::Other; 8]);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_is_not_there_is_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = MySqlConnectOptions::new().host("127.0.0.1").port(port).username("nobody");
    let short = MySqlPoolOptions::new().acquire_timeout(Duration::from_millis(200));
    let store = MySqlStore::new(short.connect_lazy_with(nowhere));
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8]);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_takes_the_connection_and_never_answers_is_unavailable() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let silent_host = MySqlConnectOptions::new().host("127.0.0.1").port(port).username("nobody");
    let short = MySqlPoolOptions::new().acquire_timeout(Duration::from_millis(200));
    let store = MySqlStore::new(short.connect_lazy_with(silent_host));
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8]);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_pool_that_is_used_up_or_closed_is_unavailable() {
    let short =
        MySqlPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_millis(200));
    let pool = short.connect_with(options()).await.unwrap();
    let store = MySqlStore::new(pool.clone());
    let taken = pool.acquire().await.unwrap();
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8]);
    drop(taken);
    pool.close().await;
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 8]);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_row_that_is_locked_for_too_long_is_unavailable() {
    let (store, holder) = store("locked").await;
    assert_eq!(store.insert(&key(1), &record(1, None, 5)).await.unwrap(), Inserted::Created);
    let mut lock = holder.begin().await.unwrap();
    lock.execute("SELECT * FROM locked FOR UPDATE").await.unwrap();
    let store = MySqlStore::new(pool_with("SET SESSION innodb_lock_wait_timeout = 1").await);
    let store = store.table("locked").unwrap();
    let error = store.end(&key(1), &tombstone(9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Readers do not wait for writers.
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(record(1, None, 5)));
    lock.rollback().await.unwrap();
    store.end(&key(1), &tombstone(9)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_session_that_may_only_read_is_unavailable_to_writers() {
    let (_, _pool) = store("read_only").await;
    let store = MySqlStore::new(pool_with("SET SESSION TRANSACTION READ ONLY").await);
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
    let one = MySqlPoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = one.connect_with(options()).await.unwrap();
    let store = MySqlStore::new(pool.clone()).table("ended").unwrap();
    let id: u64 = sqlx::query_scalar("SELECT connection_id()").fetch_one(&pool).await.unwrap();
    // Back in the pool, which looks at it once more.
    while pool.num_idle() == 0 {
        tokio::task::yield_now().await;
    }
    admin.execute(AssertSqlSafe(format!("KILL {id}"))).await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.load(&key(1)).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_body_larger_than_a_packet_is_refused_and_never_cut() {
    let (store, pool) = store("too_large").await;
    let packet: u64 =
        sqlx::query_scalar("SELECT @@max_allowed_packet").fetch_one(&pool).await.unwrap();
    let size = usize::try_from(packet).unwrap();
    for (size, fits) in [(size - 1000, true), (size + 1000, false)] {
        let large = Record { body: vec![7; size].into(), ..record(1, None, 5) };
        let inserted = store.insert(&key(1), &large).await;
        match fits {
            true => assert_eq!(inserted.unwrap(), Inserted::Created),
            false => assert_eq!(inserted.unwrap_err().kind(), ErrorKind::TooLarge),
        }
        assert_eq!(store.load(&key(1)).await.unwrap().is_some(), fits);
        assert_eq!(store.remove_expired(at(9), 9).await.unwrap(), usize::from(fits));
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_column_that_is_too_short_is_an_error_in_strict_mode() {
    let (store, pool) = store("too_short").await;
    pool.execute("ALTER TABLE too_short MODIFY body VARBINARY(5) NOT NULL").await.unwrap();
    let error = store.insert(&key(1), &record(1, None, 5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_senseless_row_is_corrupt_and_not_absent() {
    let (store, pool) = store("senseless").await;
    pool.execute("ALTER TABLE senseless MODIFY subject VARBINARY(40)").await.unwrap();
    for (column, value) in [("revision", "-1"), ("subject", "x'0102'"), ("subject", "''")] {
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
async fn a_statement_that_a_deadlock_undid_is_tried_again() {
    let (store, pool) = store("deadlock").await;
    for number in 1..=2 {
        let its = record(1, None, number.into());
        assert_eq!(store.insert(&key(number), &its).await.unwrap(), Inserted::Created);
    }
    // A transaction that has done much, so that the server undoes the other one.
    let mut heavy = pool.begin().await.unwrap();
    for number in 0..100_u64 {
        let insert = "INSERT INTO deadlock VALUES (?, 1, NULL, 1000, '')";
        let its = numbered(number);
        sqlx::query(insert).bind(its.as_bytes().as_slice()).execute(&mut *heavy).await.unwrap();
    }
    let lock = |number| {
        format!("SELECT 1 FROM deadlock WHERE `key` = unhex('{}') FOR UPDATE", key(number))
    };
    heavy.execute(AssertSqlSafe(lock(2))).await.unwrap();
    let sweep = tokio::spawn({
        let store = store.clone();
        async move { store.remove_expired(at(9), 9).await }
    });
    let waits = "SELECT count(*) FROM information_schema.innodb_trx
        WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE 'DELETE FROM `deadlock`%'";
    let sweep_waits = async {
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&pool).await.unwrap() == 0 {
            // The server answers what it has answered before to who asks within 100 ms.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sweep_waits).await.expect("the sweep waits");
    heavy.execute(AssertSqlSafe(lock(1))).await.unwrap();
    heavy.commit().await.unwrap();
    assert_eq!(sweep.await.unwrap().unwrap(), 2);
}
