//! What holds for the PostgreSQL store.

mod changes;
mod cleanup;
mod contract;
mod cost;
mod errors;
mod schema;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use typed_session::store::{PostgresStore, TimeLimit};

use crate::faults::{LIMIT, at_last};

fn url() -> String {
    std::env::var("POSTGRES_URL").expect("POSTGRES_URL: ./tests/run engines sets it")
}

fn options() -> PgConnectOptions {
    url().parse().unwrap()
}

async fn pool() -> PgPool {
    PgPoolOptions::new().max_connections(12).connect_with(options()).await.unwrap()
}

/// A store of the test's own, on a table of its name.
pub(crate) async fn store(table: &str) -> (PostgresStore, PgPool) {
    let pool = pool().await;
    (on(&pool, table).await, pool)
}

async fn on(pool: &PgPool, table: &str) -> PostgresStore {
    pool.execute(AssertSqlSafe(format!("DROP TABLE IF EXISTS \"{table}\""))).await.unwrap();
    let store = PostgresStore::new(pool.clone()).table(table).unwrap();
    store.migrate().await.unwrap();
    store
}

/// A store that does not wait for long, on a table for the tests of faults.
async fn impatient(url: String) -> TimeLimit<PostgresStore> {
    let pool = PgPoolOptions::new().max_connections(3).acquire_timeout(LIMIT);
    let store = PostgresStore::new(pool.connect_lazy(&url).unwrap()).table("under_fire").unwrap();
    at_last(|| store.migrate()).await;
    TimeLimit::new(store, LIMIT, tokio::time::sleep)
}

under_fire!(Kind::Postgres, crate::postgres::impatient);
