//! What a verb costs the server: one statement, and the way by an index.

use std::collections::BTreeMap;

use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::{on, options, pool};
use crate::sql::{every_verb, statements};

/// How often this connection has done what.
async fn counts(pool: &MySqlPool) -> BTreeMap<String, u64> {
    let status = "SHOW SESSION STATUS WHERE variable_name IN ('Com_select', 'Com_insert',
        'Com_update', 'Com_delete', 'Com_stmt_prepare', 'Com_stmt_execute', 'Com_begin',
        'Com_commit', 'Com_rollback')";
    let rows = sqlx::raw_sql(status).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get::<String, _>(1).parse().unwrap())).collect()
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn each_verb_is_one_statement_that_is_prepared_once() {
    let one = MySqlPoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = one.connect_with(options()).await.unwrap();
    let store = on(&pool, "counted").await;
    let before = counts(&pool).await;
    every_verb(&store, 10).await;
    let mut done = counts(&pool).await;
    done.iter_mut().for_each(|(name, count)| *count -= before[name]);
    let wanted = [
        // Three read. What was prepared and is executed counts as what it is, too.
        ("Com_select", 30),
        ("Com_insert", 20),
        ("Com_update", 20),
        ("Com_delete", 10),
        ("Com_stmt_prepare", 8),
        ("Com_stmt_execute", 80),
        ("Com_begin", 0),
        ("Com_commit", 0),
        ("Com_rollback", 0),
    ];
    assert_eq!(done, wanted.map(|(name, count)| (name.to_owned(), count)).into());
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn each_statement_goes_by_an_index() {
    let pool = pool().await;
    on(&pool, "plans").await;
    let fill = "INSERT INTO plans
        WITH digit AS (SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4
            UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9),
        number AS (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d AS n
            FROM digit a, digit b, digit c, digit d, digit e WHERE e.d < 5)
        SELECT unhex(sha2(n, 256)), n, if(n % 2 = 0, unhex(sha2(n DIV 10, 256)), NULL), n,
            repeat('x', 300)
        FROM number";
    pool.execute(fill).await.unwrap();
    pool.execute("ANALYZE TABLE plans").await.unwrap();
    for (name, sql) in statements(include_str!("../../../src/store/sql/mysql.rs")) {
        let key = "unhex(sha2(2, 256))";
        // Half of the rows are due.
        let (values, way): (&[&str], _) = match name {
            "LOAD" => (&[key], "const PRIMARY"),
            "REPLACE" => (&["3", "NULL", "5", "''", key, "2"], "range PRIMARY"),
            "TOUCH" => (&["50001", key, "2", "50001"], "range PRIMARY"),
            "SESSIONS_OF" => (&["unhex(sha2(1, 256))", "''", "100"], "range plans_subject"),
            "REMOVE_EXPIRED" => (&["25000", "1000"], "range plans_expires_at"),
            "SCAN" => (&["''", "1000"], "range PRIMARY"),
            // These go by the key and nothing else; there is no plan.
            "INSERT" | "END" => continue,
            other => panic!("{other}"),
        };
        let mut parts = sql.split('?');
        let mut explain = format!("EXPLAIN {}", parts.next().unwrap());
        for (part, value) in parts.zip(values) {
            explain += value;
            explain += part;
        }
        let explain = explain.replace("typed_sessions", "plans");
        let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&pool).await.unwrap();
        let text = |column: &str| -> String {
            rows[0].try_get::<Option<String>, _>(column).unwrap().unwrap_or_default()
        };
        let (plan, extra) = (format!("{} {}", text("type"), text("key")), text("Extra"));
        assert_eq!((rows.len(), plan.as_str()), (1, way), "{name}: {extra}");
        assert!(!extra.contains("filesort") && !extra.contains("temporary"), "{name}: {extra}");
        assert!(name != "SESSIONS_OF" || extra.contains("Using index"), "{name}: {extra}");
    }
}
