//! What holds for the store in MySQL and MariaDB.

mod cleanup;
mod contract;
mod cost;
mod errors;
mod schema;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use typed_session::store::{MySqlStore, TimeLimit};

use crate::faults::{LIMIT, at_last};

fn url() -> String {
    std::env::var("MYSQL_URL").expect("MYSQL_URL: ./tests/run engines sets it")
}

fn options() -> MySqlConnectOptions {
    url().parse().unwrap()
}

async fn pool() -> MySqlPool {
    MySqlPoolOptions::new().max_connections(12).connect_with(options()).await.unwrap()
}

/// A pool whose connections begin with a statement.
async fn pool_with(statement: &'static str) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(12)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(statement).await.map(drop) })
        })
        .connect_with(options())
        .await
        .unwrap()
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

/// A store that does not wait for long, on a table for the tests of faults.
async fn impatient(url: String) -> TimeLimit<MySqlStore> {
    let pool = MySqlPoolOptions::new().max_connections(3).acquire_timeout(LIMIT);
    let store = MySqlStore::new(pool.connect_lazy(&url).unwrap()).table("under_fire").unwrap();
    at_last(|| store.migrate()).await;
    TimeLimit::new(store, LIMIT, tokio::time::sleep)
}

under_fire!(Kind::MySql, crate::mysql::impatient);
