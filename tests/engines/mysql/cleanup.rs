//! Clean-up of many rows.

use sqlx::{AssertSqlSafe, Executor};

use super::store;
use crate::cleanup::{NOW, rows, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: ./tests/run engines"]
async fn requests_go_on_beside_a_clean_up() {
    let (store, pool) = store("cleanup").await;
    // In portions, as one transaction of millions of rows has no end.
    for first in (0..rows()).step_by(100_000) {
        let fill = format!(
            "INSERT INTO cleanup
            WITH digit AS (SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3
                UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8
                UNION SELECT 9),
            number AS (SELECT 1 + {first} + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d AS n
                FROM digit a, digit b, digit c, digit d, digit e)
            SELECT unhex(sha2(n, 256)), 1, NULL, if(n % 2 = 0, {NOW} - n, {NOW} + n),
                repeat('x', 300)
            FROM number WHERE n <= {} ORDER BY 1",
            rows()
        );
        pool.execute(AssertSqlSafe(fill)).await.unwrap();
    }
    pool.execute("ANALYZE TABLE cleanup").await.unwrap();
    run("MariaDB", store).await;
    pool.execute("DROP TABLE cleanup").await.unwrap();
}
