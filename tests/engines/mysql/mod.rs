//! What holds for the store in MySQL and MariaDB.

mod contract;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use typed_session::store::MySqlStore;

fn url() -> String {
    std::env::var("MYSQL_URL").expect("MYSQL_URL: ./tests/run engines sets it")
}

fn options() -> MySqlConnectOptions {
    url().parse().unwrap()
}

async fn pool() -> MySqlPool {
    MySqlPoolOptions::new().max_connections(12).connect_with(options()).await.unwrap()
}

/// A store of the test's own, on a table of its name.
async fn store(table: &str) -> (MySqlStore, MySqlPool) {
    let pool = pool().await;
    (on(&pool, table).await, pool)
}

async fn on(pool: &MySqlPool, table: &str) -> MySqlStore {
    pool.execute(AssertSqlSafe(format!("DROP TABLE IF EXISTS `{table}`"))).await.unwrap();
    let store = MySqlStore::new(pool.clone()).table(table).unwrap();
    store.migrate().await.unwrap();
    store
}
