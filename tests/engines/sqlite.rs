//! What of the SQLite store takes its time; the rest is in `tests/stores`.

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;
use typed_session::store::SqliteStore;

use crate::cleanup::{NOW, rows, run};
use crate::processes::{is_child, migrate_at_once};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes its time: ./tests/run engines"]
async fn requests_go_on_beside_a_clean_up() {
    let dir = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("sessions.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.unwrap();
    // The indexes afterwards, at once: row by row they take many times as long.
    pool.execute("DROP INDEX typed_sessions_expires_at; DROP INDEX typed_sessions_subject")
        .await
        .unwrap();
    let fill = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {})
        INSERT INTO typed_sessions SELECT randomblob(32), 1, NULL,
            iif(n % 2 = 0, {NOW} - n, {NOW} + n), zeroblob(300)
        FROM number ORDER BY 1",
        rows()
    );
    pool.execute(AssertSqlSafe(fill)).await.unwrap();
    store.migrate().await.unwrap();
    run("SQLite", store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes its time: ./tests/run engines"]
async fn a_minute_of_histories_has_an_explanation() {
    let dir = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("sessions.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let store = SqliteStore::new(SqlitePool::connect_with(options).await.unwrap());
    store.migrate().await.unwrap();
    crate::histories::calm_minute(async || store.clone()).await;
}

#[cfg(unix)]
#[tokio::test]
#[ignore = "takes its time: ./tests/run engines"]
async fn eight_processes_migrate_at_once() {
    use std::os::unix::process::parent_id;

    // One file for this process and those that it starts.
    let owner = if is_child() { parent_id() } else { std::process::id() };
    let file = std::env::temp_dir().join(format!("typed-session-migrated-{owner}.db"));
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    migrate_at_once(
        "sqlite::eight_processes_migrate_at_once",
        async |table| SqliteStore::new(pool.clone()).table(table).unwrap().migrate().await,
        async |table| {
            let drop_table = format!("DROP TABLE IF EXISTS {table}");
            pool.execute(AssertSqlSafe(drop_table)).await.unwrap();
        },
    )
    .await;
    pool.close().await;
    if !is_child() {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = file.clone().into_os_string();
            file.push(suffix);
            let _ = std::fs::remove_file(file);
        }
    }
}
