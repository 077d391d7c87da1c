//! PostgreSQL: a pool of sqlx.

use std::hint::black_box;

use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::{Executor, Postgres, Row};
use typed_session::store::PostgresStore;

use super::{CONNECTIONS, Call, Engine, statement};

const SOURCE: &str = include_str!("../../../src/store/sql/postgres.rs");

#[derive(Clone)]
pub struct Postgresql {
    pool: PgPool,
    load: &'static str,
    insert: &'static str,
    replace: &'static str,
}

impl Postgresql {
    pub async fn connect(url: &str) -> Self {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = pool.connect(url).await.unwrap();
        PostgresStore::new(pool.clone()).migrate().await.unwrap();
        let [load, insert, replace] =
            ["LOAD", "INSERT", "REPLACE"].map(|name| statement(SOURCE, name));
        Self { pool, load, insert, replace }
    }

    async fn run<'c>(&self, call: &Call, on: impl Executor<'c, Database = Postgres>) {
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

    async fn setting(&self, name: &'static str) -> String {
        sqlx::query_scalar("SELECT current_setting($1)")
            .bind(name)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

fn columns(row: &PgRow) -> (i64, Option<Vec<u8>>, i64, Vec<u8>) {
    let subject: Option<&[u8]> = row.get(1);
    (row.get(0), subject.map(<[u8]>::to_vec), row.get(2), row.get::<&[u8], _>(3).to_vec())
}

impl Engine for Postgresql {
    const NAME: &str = "PostgreSQL";

    type Store = PostgresStore;
    type Raw = Call;

    fn store(&self) -> PostgresStore {
        PostgresStore::new(self.pool.clone())
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
        self.pool.execute("TRUNCATE typed_sessions").await.unwrap();
    }

    async fn settle(&self) {
        self.pool.execute("VACUUM ANALYZE typed_sessions").await.unwrap();
    }

    async fn bytes(&self) -> Vec<(String, u64)> {
        let sql = "SELECT 'all', pg_total_relation_size('typed_sessions')
            UNION ALL SELECT 'table', pg_relation_size('typed_sessions')
            UNION ALL SELECT indexrelname::text, pg_relation_size(indexrelid)
                FROM pg_stat_user_indexes WHERE relname = 'typed_sessions'";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs())).collect()
    }

    async fn about(&self) -> String {
        format!(
            "PostgreSQL {}, fsync {}, synchronous_commit {}, shared_buffers {}, \
             {CONNECTIONS} connections",
            self.setting("server_version").await,
            self.setting("fsync").await,
            self.setting("synchronous_commit").await,
            self.setting("shared_buffers").await,
        )
    }
}
