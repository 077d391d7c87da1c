//! MariaDB: a pool of sqlx.

use std::hint::black_box;

use sqlx::mysql::{MySqlPool, MySqlPoolOptions, MySqlRow};
use sqlx::{Executor, MySql, Row};
use typed_session::store::MySqlStore;

use super::{CONNECTIONS, Call, Engine, statement};

const SOURCE: &str = include_str!("../../../src/store/sql/mysql.rs");

#[derive(Clone)]
pub struct MariaDb {
    pool: MySqlPool,
    load: &'static str,
    insert: &'static str,
    replace: &'static str,
}

impl MariaDb {
    pub async fn connect(url: &str) -> Self {
        let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = pool.connect(url).await.unwrap();
        MySqlStore::new(pool.clone()).migrate().await.unwrap();
        let [load, insert, replace] =
            ["LOAD", "INSERT", "REPLACE"].map(|name| statement(SOURCE, name));
        Self { pool, load, insert, replace }
    }

    async fn run<'c>(&self, call: &Call, on: impl Executor<'c, Database = MySql>) {
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
                    .bind(record.revision.as_i64())
                    .bind(record.subject.as_ref().map(|it| &it.as_bytes()[..]))
                    .bind(record.expires_at.as_millis())
                    .bind(&record.body[..])
                    .bind(&key.as_bytes()[..])
                    .bind(expected.as_i64());
                assert_eq!(query.execute(on).await.unwrap().rows_affected(), 1);
            }
        }
    }

    async fn setting(&self, name: &'static str) -> String {
        let sql = "SELECT CAST(variable_value AS CHAR) FROM information_schema.global_variables
            WHERE variable_name = ?";
        sqlx::query_scalar(sql).bind(name).fetch_one(&self.pool).await.unwrap()
    }
}

fn columns(row: &MySqlRow) -> (i64, Option<Vec<u8>>, i64, Vec<u8>) {
    let subject: Option<&[u8]> = row.get(1);
    (row.get(0), subject.map(<[u8]>::to_vec), row.get(2), row.get::<&[u8], _>(3).to_vec())
}

impl Engine for MariaDb {
    const NAME: &str = "MariaDB";

    type Store = MySqlStore;
    type Raw = Call;

    fn store(&self) -> MySqlStore {
        MySqlStore::new(self.pool.clone())
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
        // What was deleted is purged in the background.
        self.pool.execute("ANALYZE TABLE typed_sessions").await.unwrap();
    }

    async fn bytes(&self) -> Vec<(String, u64)> {
        self.settle().await;
        let sql = "SELECT 'file', CAST(file_size AS SIGNED)
                FROM information_schema.innodb_sys_tablespaces WHERE name = 'test/typed_sessions'
            UNION ALL SELECT CAST(index_name AS CHAR),
                CAST(stat_value * @@innodb_page_size AS SIGNED)
                FROM mysql.innodb_index_stats WHERE database_name = 'test'
                AND table_name = 'typed_sessions' AND stat_name = 'size'";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs())).collect()
    }

    async fn about(&self) -> String {
        format!(
            "MariaDB {}, innodb_flush_log_at_trx_commit {}, innodb_buffer_pool_size {}, \
             {CONNECTIONS} connections",
            self.setting("version").await,
            self.setting("innodb_flush_log_at_trx_commit").await,
            self.setting("innodb_buffer_pool_size").await,
        )
    }
}
