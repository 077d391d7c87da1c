//! What a verb costs the server: one statement, and the way by an index.

use std::process;

use sqlx::{AssertSqlSafe, Executor, Row};

use super::{on, pool};
use crate::sql::{every_verb, statements};

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn each_verb_is_one_statement() {
    let pool = pool().await;
    // The server counts for ever: a table that no other run had.
    let table = format!("counted_{}", process::id());
    let store = on(&pool, &table).await;
    every_verb(&store, 10).await;
    let counts = format!(
        "SELECT query, calls FROM pg_stat_statements
         WHERE query LIKE '%\"{table}\"%' AND query !~ '^(DROP|CREATE|SELECT query)'"
    );
    let counts = pool.fetch_all(AssertSqlSafe(counts)).await.unwrap();
    let counts: Vec<(String, i64)> = counts.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(counts.len(), 8, "{counts:#?}");
    assert!(counts.iter().all(|(_, calls)| *calls == 10), "{counts:#?}");
    pool.execute(AssertSqlSafe(format!("DROP TABLE {table}"))).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn each_statement_goes_by_an_index() {
    let pool = pool().await;
    on(&pool, "plans").await;
    let fill = "INSERT INTO plans
        SELECT sha256(n::text::bytea), n, CASE WHEN n % 2 = 0 THEN sha256((n / 10)::text::bytea) END,
            n, repeat('x', 300)::bytea
        FROM generate_series(1, 50000) AS n";
    pool.execute(fill).await.unwrap();
    pool.execute("VACUUM ANALYZE plans").await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    // Once for any arguments, and once for these: half of the rows are due.
    for mode in ["force_generic_plan", "force_custom_plan"] {
        connection.execute(AssertSqlSafe(format!("SET plan_cache_mode = {mode}"))).await.unwrap();
        for (name, sql) in statements(include_str!("../../../src/store/sql/postgres.rs")) {
            let key = "sha256('1')";
            let (types, values, ways): (_, _, &[&str]) = match name {
                "LOAD" => ("bytea", key.into(), &["Index Scan using plans_pkey"]),
                "INSERT" => (
                    "bytea, bigint, bytea, bigint, bytea",
                    format!("{key}, 1, NULL, 5, ''"),
                    &["Conflict Arbiter Indexes: plans_pkey"],
                ),
                "REPLACE" => (
                    "bytea, bigint, bigint, bytea, bigint, bytea",
                    format!("{key}, 1, 2, NULL, 5, ''"),
                    &["Index Scan using plans_pkey"],
                ),
                "TOUCH" => (
                    "bytea, bigint, bigint",
                    format!("{key}, 1, 50001"),
                    &["Index Scan using plans_pkey"],
                ),
                "END" => (
                    "bytea, bigint, bytea",
                    format!("{key}, 1, ''"),
                    &["Conflict Arbiter Indexes: plans_pkey"],
                ),
                "SESSIONS_OF" => (
                    "bytea, bytea, bigint",
                    format!("{key}, '', 100"),
                    &["Index Only Scan using plans_subject"],
                ),
                "REMOVE_EXPIRED" => (
                    "bigint, bigint",
                    "25000, 1000".into(),
                    &["Index Scan using plans_expires_at", "plans_pkey"],
                ),
                "SCAN" => ("bytea, bigint", "'', 1000".into(), &["Index Scan using plans_pkey"]),
                other => panic!("{other}"),
            };
            let sql = sql.replace("typed_sessions", "plans");
            let explain = format!(
                "PREPARE planned ({types}) AS {sql}; EXPLAIN EXECUTE planned ({values}); \
                 DEALLOCATE planned"
            );
            let rows =
                sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let plan = plan.join("\n");
            assert!(ways.iter().all(|way| plan.contains(way)), "{name} {mode}:\n{plan}");
            assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{name} {mode}:\n{plan}");
        }
    }
}
