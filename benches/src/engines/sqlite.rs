//! SQLite: a file, and a pool of one connection, as one writes at a time.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
};
use sqlx::{Executor, Row, Sqlite};
use typed_session::store::SqliteStore;

use super::{Call, Engine, statement};

const SOURCE: &str = include_str!("../../../src/store/sql/sqlite.rs");

#[derive(Clone)]
pub struct SqliteFile {
    pool: SqlitePool,
    file: PathBuf,
    load: &'static str,
    insert: &'static str,
    replace: &'static str,
}

impl SqliteFile {
    pub async fn open(folder: &Path) -> Self {
        let file = folder.join("sessions.db");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
        let pool = pool.connect_with(options).await.unwrap();
        SqliteStore::new(pool.clone()).migrate().await.unwrap();
        let [load, insert, replace] =
            ["LOAD", "INSERT", "REPLACE"].map(|name| statement(SOURCE, name));
        Self { pool, file, load, insert, replace }
    }

    async fn run<'c>(&self, call: &Call, on: impl Executor<'c, Database = Sqlite>) {
        match call {
            Call::Load(key) => {
                let query = sqlx::query(self.load).bind(&key.as_bytes()[..]);
                black_box(columns(&query.fetch_optional(on).await.unwrap().unwrap()));
            }
            Call::Insert(key, record) => {
                let query = sqlx::query(self.insert)
                    .bind(&key.as_bytes()[..])
                    .bind(record.revision.as_i64())
                    .bind(record.subject.as_ref().map(|it| &it.as_bytes()[..]))
                    .bind(record.expires_at.as_millis())
                    .bind(&record.body[..]);
                assert_eq!(query.execute(on).await.unwrap().rows_affected(), 1);
            }
            Call::Replace(key, expected, record) => {
                let query = sqlx::query(self.replace)
                    .bind(&key.as_bytes()[..])
                    .bind(expected.as_i64())
                    .bind(record.revision.as_i64())
                    .bind(record.subject.as_ref().map(|it| &it.as_bytes()[..]))
                    .bind(record.expires_at.as_millis())
                    .bind(&record.body[..]);
                assert_eq!(query.execute(on).await.unwrap().rows_affected(), 1);
            }
        }
    }
}

fn columns(row: &SqliteRow) -> (i64, Option<Vec<u8>>, i64, Vec<u8>) {
    let subject: Option<&[u8]> = row.get(1);
    (row.get(0), subject.map(<[u8]>::to_vec), row.get(2), row.get::<&[u8], _>(3).to_vec())
}

impl Engine for SqliteFile {
    const NAME: &str = "SQLite";

    type Store = SqliteStore;
    type Raw = Call;

    fn store(&self) -> SqliteStore {
        SqliteStore::new(self.pool.clone())
    }

    fn raw(&self, call: &Call) -> Call {
        call.clone()
    }

    async fn send(&self, raw: &Call) {
        self.run(raw, &self.pool).await;
    }

    async fn batch(&self, raw: &[Call]) {
        let mut transaction = self.pool.begin().await.unwrap();
        for call in raw {
            self.run(call, &mut *transaction).await;
        }
        transaction.commit().await.unwrap();
    }

    async fn clear(&self) {
        self.pool.execute("DELETE FROM typed_sessions; VACUUM").await.unwrap();
    }

    async fn settle(&self) {
        self.pool.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    }

    async fn bytes(&self) -> Vec<(String, u64)> {
        self.settle().await;
        let mut sizes = vec![("file".to_owned(), std::fs::metadata(&self.file).unwrap().len())];
        let sql = "SELECT name, sum(pgsize) FROM dbstat WHERE name LIKE 'typed%' GROUP BY name";
        // It is not compiled into every SQLite.
        if let Ok(rows) = sqlx::query(sql).fetch_all(&self.pool).await {
            sizes.extend(rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs())));
        }
        sizes
    }

    async fn about(&self) -> String {
        let version: String =
            sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&self.pool).await.unwrap();
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&self.pool).await.unwrap();
        format!("SQLite {version}, journal_mode wal, synchronous {synchronous}, one connection")
    }
}
