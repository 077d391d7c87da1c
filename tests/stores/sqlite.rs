//! What holds for the SQLite store alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Executor, Row};
use tempfile::TempDir;
use typed_session::store::{DynStore, ErrorKind, Inserted, Replaced, Revision, SqliteStore, Store};
#[cfg(feature = "testing")]
use typed_session::testing::{conformance, history};
use typed_session::{Record, SessionData, SessionLayer};

use crate::{at, key, numbered, record, tombstone};

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
}

async fn pool(dir: &TempDir) -> SqlitePool {
    SqlitePool::connect_with(options(&dir.path().join("sessions.db"))).await.unwrap()
}

async fn store(dir: &TempDir) -> (SqliteStore, SqlitePool) {
    let pool = pool(dir).await;
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.unwrap();
    (store, pool)
}

/// The whole contract, the races included, on many connections to one file.
#[cfg(feature = "testing")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    let dir = TempDir::new().unwrap();
    let (store, _) = store(&dir).await;
    conformance::run(async || store.clone()).await;
}

#[tokio::test]
async fn a_row_whose_key_is_none_does_not_hide_the_others_of_a_subject() {
    let dir = TempDir::new().unwrap();
    let (store, pool) = store(&dir).await;
    let subject = typed_session::Subject::from("ann");
    let mut keys: Vec<_> = (1..=5).map(key).collect();
    keys.sort();
    for key in &keys {
        let mine = Record { subject: Some(subject), ..record(1, None, 1000) };
        assert_eq!(store.insert(key, &mine).await.unwrap(), Inserted::Created);
    }
    for junk in ["x''", "x'00'", "x'ff'", "randomblob(31)", "randomblob(33)", "randomblob(100)"] {
        let sql = format!(
            "INSERT INTO typed_sessions SELECT {junk}, revision, subject, expires_at, body \
             FROM typed_sessions WHERE length(key) = 32 LIMIT 1"
        );
        pool.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    for limit in 1..9 {
        let (mut named, mut after) = (Vec::<typed_session::SessionKey>::new(), None);
        loop {
            let page = store.sessions_of(&subject, after.as_ref(), limit).await.unwrap();
            named.extend(&page);
            match page.last() {
                Some(last) if page.len() == limit => after = Some(*last),
                _ => break,
            }
        }
        assert_eq!(named, keys, "pages of {limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_logins_keep_the_limit() {
    let dir = TempDir::new().unwrap();
    let (store, _) = store(&dir).await;
    crate::fifty::fifty_logins_keep_the_limit(store).await;
}

#[cfg(feature = "testing")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_when_tasks_run_on_threads() {
    let dir = TempDir::new().unwrap();
    let (store, _) = store(&dir).await;
    let suite = conformance::Suite::new().spawn(|task| drop(tokio::spawn(task)));
    suite.run(async || store.clone()).await;
}

/// Several clients with a pool each, as several processes have it.
#[cfg(feature = "testing")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_histories_of_many_clients_have_an_explanation() {
    let dir = TempDir::new().unwrap();
    let (store, _) = store(&dir).await;
    let seconds = std::env::var("HISTORY_SECONDS").map_or(3, |text| text.parse().unwrap());
    let report = history::Workload::new()
        .lasting(Duration::from_secs(seconds))
        .spawn(|client| drop(tokio::spawn(client)))
        .check(async || SqliteStore::new(pool(&dir).await))
        .await
        .unwrap();
    drop(store);
    assert!(report.unknown > 0 && report.keys > 0 && report.undecided == 0, "{report:?}");
    println!("{report:?}");
}

#[cfg(feature = "testing")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_for_one_connection_in_memory() {
    let options = SqlitePoolOptions::new().max_connections(1);
    let store = SqliteStore::new(options.connect("sqlite::memory:").await.unwrap());
    store.migrate().await.unwrap();
    // sqlx closes the connection of a dropped query, and the database goes with it.
    let suite = conformance::Suite::new().skip(conformance::Rule::DroppedHalfway);
    suite.run(async || store.clone()).await;
}

#[tokio::test]
async fn a_table_name_is_letters_digits_and_underscores() {
    let dir = TempDir::new().unwrap();
    let (store, pool) = store(&dir).await;
    let long = "x".repeat(49);
    for wrong in ["", "1st", "a b", "a\"b", "a;b", "a.b", "é", "a-b", "sqlite_a", "SQLite_a", &long]
    {
        assert!(store.clone().table(wrong).is_err(), "{wrong}");
    }
    for right in ["a", "_1", "Order", "select", &long[1..]] {
        let other = store.clone().table(right).unwrap();
        other.migrate().await.unwrap();
        let inserted = other.insert(&key(1), &record(1, None, 5)).await.unwrap();
        assert_eq!(inserted, Inserted::Created, "{right}");
        let count = format!("SELECT count(*) FROM \"{right}\"");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&pool).await.unwrap();
        assert_eq!(count, 1);
    }
    assert_eq!(store.load(&key(1)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_number_of_processes_migrate_at_once() {
    let dir = TempDir::new().unwrap();
    let mut pools = Vec::new();
    for _ in 0..8 {
        pools.push(pool(&dir).await);
    }
    let start = Arc::new(tokio::sync::Barrier::new(pools.len()));
    let migrate = |pool: &SqlitePool| {
        let (start, store) = (start.clone(), SqliteStore::new(pool.clone()));
        tokio::spawn(async move {
            start.wait().await;
            store.migrate().await.unwrap();
            store.migrate().await.unwrap();
        })
    };
    for task in pools.iter().map(migrate).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let objects = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'typed_sessions%'";
    let objects: i64 = sqlx::query_scalar(objects).fetch_one(&pools[0]).await.unwrap();
    assert_eq!(objects, 3);
}

#[tokio::test]
async fn the_schema_is_this_one() {
    let dir = TempDir::new().unwrap();
    let schema = SqliteStore::new(pool(&dir).await).table("visits").unwrap().schema();
    assert_eq!(
        schema,
        r#"CREATE TABLE IF NOT EXISTS "visits" (
    key        BLOB    NOT NULL PRIMARY KEY,
    revision   INTEGER NOT NULL,
    subject    BLOB,
    expires_at INTEGER NOT NULL, -- milliseconds since 1970
    body       BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS "visits_expires_at" ON "visits" (expires_at);
CREATE INDEX IF NOT EXISTS "visits_subject" ON "visits" (subject, key)
    WHERE subject IS NOT NULL;
"#
    );
}

#[tokio::test]
async fn no_statement_scans_the_table_or_sorts() {
    let dir = TempDir::new().unwrap();
    let (_, pool) = store(&dir).await;
    let fill = "WITH RECURSIVE number (n) AS
            (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 50000)
        INSERT INTO typed_sessions
        SELECT randomblob(32), n, iif(n % 2 = 0, randomblob(32), NULL), n, zeroblob(300)
        FROM number";
    pool.execute(fill).await.unwrap();
    pool.execute("ANALYZE").await.unwrap();
    // The statements of `src/store/sql/sqlite.rs`, as it says them.
    let source = include_str!("../../src/store/sql/sqlite.rs");
    let statements: Vec<&str> =
        source.split("r#\"").skip(1).map(|rest| rest.split("\"#;").next().unwrap()).collect();
    assert_eq!(statements.len(), 8);
    let mut plans = Vec::new();
    for statement in statements {
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        for row in pool.fetch_all(AssertSqlSafe(explain)).await.unwrap() {
            plans.push(row.get::<String, _>("detail"));
        }
    }
    assert!(!plans.iter().any(|plan| plan.contains("SCAN") || plan.contains("TEMP")), "{plans:?}");
    for wanted in [
        "SEARCH typed_sessions USING PRIMARY KEY (key=?)",
        "SEARCH typed_sessions USING COVERING INDEX typed_sessions_subject (subject=? AND key>?)",
        "SEARCH typed_sessions USING COVERING INDEX typed_sessions_expires_at (expires_at<?)",
    ] {
        assert!(plans.iter().any(|plan| plan == wanted), "{plans:?}");
    }
}

#[tokio::test]
async fn sessions_outlive_the_process() {
    let dir = TempDir::new().unwrap();
    let there = record(5, Some("alice"), 1_700_000_000_123);
    {
        let (store, pool) = store(&dir).await;
        assert_eq!(store.insert(&key(1), &there).await.unwrap(), Inserted::Created);
        store.end(&key(2), &tombstone(9)).await.unwrap();
        pool.close().await;
    }
    let (store, _) = store(&dir).await;
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(there));
    assert_eq!(store.load(&key(2)).await.unwrap(), Some(tombstone(9)));
    assert_eq!(store.sessions_of(&"alice".into(), None, 9).await.unwrap(), [key(1)]);
}

#[tokio::test]
async fn what_is_acknowledged_is_in_the_file_before_anything_is_closed() {
    let dir = TempDir::new().unwrap();
    let (store, _open) = store(&dir).await;
    for number in 0..50 {
        let inserted = store.insert(&numbered(number), &record(1, None, 5)).await.unwrap();
        assert_eq!(inserted, Inserted::Created);
    }
    // What a killed process leaves: its files, as they are at this moment.
    let after = TempDir::new().unwrap();
    for name in ["sessions.db", "sessions.db-wal"] {
        std::fs::copy(dir.path().join(name), after.path().join(name)).unwrap();
    }
    let store = SqliteStore::new(pool(&after).await);
    for number in 0..50 {
        assert_eq!(store.load(&numbered(number)).await.unwrap(), Some(record(1, None, 5)));
    }
}

#[tokio::test]
async fn a_senseless_row_is_corrupt_and_not_absent() {
    let dir = TempDir::new().unwrap();
    let (store, pool) = store(&dir).await;
    for (column, value) in [("revision", "-1"), ("subject", "x'0102'"), ("subject", "x''")] {
        store.remove_expired(at(9), 9).await.unwrap();
        assert_eq!(store.insert(&key(1), &record(1, None, 5)).await.unwrap(), Inserted::Created);
        let spoil = format!("UPDATE typed_sessions SET {column} = {value}");
        pool.execute(AssertSqlSafe(spoil)).await.unwrap();
        let error = store.load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{column}");
        let error = store.replace(&key(1), Revision::from_u64(9), &record(10, None, 5)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt, "{column}");
    }
}

#[tokio::test]
async fn columns_of_other_types_are_corrupt() {
    let dir = TempDir::new().unwrap();
    let pool = pool(&dir).await;
    // A table of somebody else's making, without STRICT.
    pool.execute("CREATE TABLE typed_sessions (key, revision, subject, expires_at, body)")
        .await
        .unwrap();
    let insert = "INSERT INTO typed_sessions VALUES (?1, 'one', NULL, 5, x'00')";
    pool.execute(sqlx::query(insert).bind(vec![1; 32])).await.unwrap();
    let error = SqliteStore::new(pool).load(&key(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_no_corrupt_row() {
    let dir = TempDir::new().unwrap();
    let error = garbage(&dir).load(&key(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
}

#[derive(Default, serde::Deserialize, serde::Serialize)]
struct Visits(u32);

impl SessionData for Visits {}

/// A damaged file is an outage. Taken for one bad row, it would make everybody a
/// stranger, with a 200.
#[tokio::test]
async fn a_reading_request_on_a_file_that_is_no_database_fails() {
    let dir = TempDir::new().unwrap();
    let layer = SessionLayer::<Visits, _>::new(garbage(&dir));
    let cookie = format!("__Host-session={}", "A".repeat(43));
    let exchange = layer.open([cookie.as_bytes()]);
    let error = exchange.session().await.unwrap_err();
    assert!(matches!(error, typed_session::Error::Store(_)), "{error:?}");
    assert_eq!(error.status(), 503);
    assert_eq!(exchange.finish().await.effects.set_cookie(), None);
}

/// A store on a file of garbage.
fn garbage(dir: &TempDir) -> SqliteStore {
    let file = dir.path().join("sessions.db");
    std::fs::write(&file, [b'x'; 4096]).unwrap();
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(Duration::from_millis(50))
        .connect_lazy_with(SqliteConnectOptions::new().filename(&file));
    SqliteStore::new(pool)
}

async fn journal_mode(file: &Path) -> String {
    let options = SqliteConnectOptions::new().filename(file);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let mode = pool.fetch_one("PRAGMA journal_mode").await.unwrap().get(0);
    pool.close().await;
    mode
}

/// The file may be the application's, which has chosen its own journal.
#[tokio::test]
async fn a_file_is_converted_by_migrating_and_not_by_connecting() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("shop.db");
    let url = format!("sqlite:{}", file.display());
    std::fs::write(&file, []).unwrap();
    let store = DynStore::connect(&url).await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Other);
    store.close().await;
    assert_eq!(journal_mode(&file).await, "delete");

    let store = DynStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    assert_eq!(journal_mode(&file).await, "wal");
}

#[tokio::test]
async fn a_file_is_read_through_a_url_that_allows_no_more() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("shop.db");
    let own = options(&file).journal_mode(SqliteJournalMode::Delete);
    let store = SqliteStore::new(SqlitePool::connect_with(own).await.unwrap());
    store.migrate().await.unwrap();
    assert_eq!(store.insert(&key(1), &record(1, None, 5)).await.unwrap(), Inserted::Created);

    let url = format!("sqlite:{}?mode=ro", file.display());
    let store = DynStore::connect(&url).await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(record(1, None, 5)));
    assert!(store.end(&key(1), &tombstone(9)).await.is_err());
    store.close().await;
    assert_eq!(journal_mode(&file).await, "delete");
}

/// The journal can only be changed by one that is alone with the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_migrate_a_file_by_its_url_at_once() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("shop.db");
    let url = format!("sqlite:{}?mode=rwc", file.display());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let url = url.clone();
        all.spawn(async move {
            let store = DynStore::connect(&url).await.unwrap();
            store.migrate().await.unwrap();
            store.load(&key(1)).await.unwrap();
        });
    }
    all.join_all().await;
    assert_eq!(journal_mode(&file).await, "wal");
}

#[tokio::test]
async fn a_busy_database_is_unavailable() {
    let dir = TempDir::new().unwrap();
    let (store, holder) = store(&dir).await;
    assert_eq!(store.insert(&key(1), &record(1, None, 5)).await.unwrap(), Inserted::Created);
    let mut writer = holder.acquire().await.unwrap();
    writer.execute("BEGIN IMMEDIATE").await.unwrap();

    let options = options(&dir.path().join("sessions.db")).busy_timeout(Duration::from_millis(1));
    let store = SqliteStore::new(SqlitePool::connect_with(options).await.unwrap());
    let first = Revision::from_u64(1);
    let errors = [
        store.insert(&key(2), &record(1, None, 5)).await.unwrap_err(),
        store.replace(&key(1), first, &record(2, None, 5)).await.unwrap_err(),
        store.touch(&key(1), first, at(9)).await.unwrap_err(),
        store.end(&key(1), &tombstone(9)).await.unwrap_err(),
        store.remove_expired(at(9), 9).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    // Readers do not wait for writers.
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(record(1, None, 5)));
    writer.execute("COMMIT").await.unwrap();
    let done = store.replace(&key(1), first, &record(2, None, 5)).await.unwrap();
    assert_eq!(done, Replaced::Done);
}

#[tokio::test]
async fn a_pool_that_is_closed_or_used_up_is_unavailable() {
    let dir = TempDir::new().unwrap();
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(500))
        .connect_lazy_with(options(&dir.path().join("sessions.db")));
    let store = SqliteStore::new(pool.clone());
    let taken = pool.acquire().await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    drop(taken);
    pool.close().await;
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_body_larger_than_the_engine_takes_is_too_large() {
    let dir = TempDir::new().unwrap();
    let (store, pool) = store(&dir).await;
    // The engine's limit is a gigabyte; a trigger meets it at less expense.
    pool.execute(
        "CREATE TRIGGER t BEFORE INSERT ON typed_sessions
         BEGIN SELECT zeroblob(1000000001); END",
    )
    .await
    .unwrap();
    let error = store.insert(&key(1), &record(1, None, 5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_unavailable() {
    let dir = TempDir::new().unwrap();
    let missing = SqliteConnectOptions::new().filename(dir.path().join("missing/sessions.db"));
    let store = SqliteStore::new(SqlitePool::connect_lazy_with(missing));
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_missing_table_is_neither_an_outage_nor_an_absent_session() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::new(pool(&dir).await);
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Other);
}

#[tokio::test]
async fn errors_and_debug_show_no_data() {
    let dir = TempDir::new().unwrap();
    let (store, pool) = store(&dir).await;
    assert_eq!(format!("{store:?}"), r#"SqliteStore { table: "typed_sessions", .. }"#);
    pool.execute(
        "CREATE TRIGGER t BEFORE INSERT ON typed_sessions BEGIN SELECT raise(FAIL, 'no'); END",
    )
    .await
    .unwrap();
    let secret = Record { body: b"secret".to_vec().into(), ..record(1, Some("alice"), 5) };
    let error = store.insert(&key(0xab), &secret).await.unwrap_err();
    let text = format!("{error} {error:?}");
    for data in ["secret", "[115, 101", "abab", "[171", &key(0xab).to_string()] {
        assert!(!text.contains(data), "{text}");
    }
}

#[tokio::test]
async fn a_verb_that_is_dropped_leaves_no_lock() {
    let dir = TempDir::new().unwrap();
    let (store, _pool) = store(&dir).await;
    for number in 0..200 {
        // Polled a few times, then dropped at whatever it was doing.
        let key = numbered(number);
        let (first, second) = (record(1, Some("alice"), 5), record(2, None, 5));
        let verbs = async {
            let _ = store.insert(&key, &first).await;
            let _ = store.replace(&key, first.revision, &second).await;
        };
        let polls = async {
            for _ in 0..number % 40 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { () = verbs => (), () = polls => () }
    }
    for number in 0..200 {
        store.end(&numbered(number), &tombstone(9)).await.unwrap();
        assert_eq!(store.load(&numbered(number)).await.unwrap(), Some(tombstone(9)));
    }
}
