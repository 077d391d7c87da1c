//! The table: its schema, its name, and who makes it.

use sqlx::{AssertSqlSafe, Executor};
use typed_session::store::{Inserted, PostgresStore, Store};

use super::{on, pool, store};
use crate::processes::migrate_at_once;
use crate::{key, record};

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn eight_processes_migrate_at_once() {
    let pool = pool().await;
    migrate_at_once(
        "postgres::schema::eight_processes_migrate_at_once",
        async |table| PostgresStore::new(pool.clone()).table(table).unwrap().migrate().await,
        async |table| {
            let drop_table = format!("DROP TABLE IF EXISTS {table}");
            pool.execute(AssertSqlSafe(drop_table)).await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn migrating_again_keeps_what_is_there() {
    let (store, pool) = store("migrated_again").await;
    assert_eq!(store.insert(&key(1), &record(1, None, 5)).await.unwrap(), Inserted::Created);
    store.migrate().await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(record(1, None, 5)));
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'migrated_again'";
    assert_eq!(sqlx::query_scalar::<_, i64>(indexes).fetch_one(&pool).await.unwrap(), 3);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_table_may_have_any_name_of_letters_digits_and_underscores() {
    let pool = pool().await;
    let long = "x".repeat(48);
    for name in ["select", "Order", "_1", &long] {
        let store = on(&pool, name).await;
        assert_eq!(store.insert(&key(1), &record(1, None, 5)).await.unwrap(), Inserted::Created);
        let count = format!("SELECT count(*) FROM \"{name}\"");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&pool).await.unwrap();
        assert_eq!(count, 1);
    }
    for wrong in ["", "1st", "a b", "a\"b", "a;b", "a.b", "é", &format!("{long}x")] {
        assert!(PostgresStore::new(pool.clone()).table(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_schema_is_this_one() {
    let store = PostgresStore::new(pool().await).table("visits").unwrap();
    assert_eq!(
        store.schema(),
        r#"CREATE TABLE IF NOT EXISTS "visits" (
    key        bytea  NOT NULL PRIMARY KEY,
    revision   bigint NOT NULL,
    subject    bytea,
    expires_at bigint NOT NULL, -- milliseconds since 1970
    body       bytea  NOT NULL
);
CREATE INDEX IF NOT EXISTS "visits_expires_at" ON "visits" (expires_at);
CREATE INDEX IF NOT EXISTS "visits_subject" ON "visits" (subject, key)
    WHERE subject IS NOT NULL;
"#
    );
    assert_eq!(format!("{store:?}"), r#"PostgresStore { table: "visits", .. }"#);
}
