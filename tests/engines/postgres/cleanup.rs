//! Clean-up of many rows.

use sqlx::{AssertSqlSafe, Executor};

use super::store;
use crate::cleanup::{NOW, rows, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: ./tests/run engines"]
async fn requests_go_on_beside_a_clean_up() {
    let (store, pool) = store("cleanup").await;
    let fill = format!(
        "INSERT INTO cleanup SELECT sha256(n::text::bytea), 1, NULL,
            CASE n % 2 WHEN 0 THEN {NOW} - n ELSE {NOW} + n END, repeat('x', 300)::bytea
        FROM generate_series(1, {}) AS n",
        rows()
    );
    pool.execute(AssertSqlSafe(fill)).await.unwrap();
    pool.execute("VACUUM ANALYZE cleanup").await.unwrap();
    run("PostgreSQL", store).await;
    pool.execute("DROP TABLE cleanup").await.unwrap();
}
