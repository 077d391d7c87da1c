//! Sessions in a PostgreSQL database.

use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Postgres};

use super::{Engine, Sql, failed};
use crate::store::{ErrorKind, Result};

const SCHEMA: &str = include_str!("postgres.sql");

const LOAD: &str = r#"
SELECT revision, subject, expires_at, body FROM "typed_sessions" WHERE key = $1"#;

const INSERT: &str = r#"
INSERT INTO "typed_sessions" (key, revision, subject, expires_at, body)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key) DO NOTHING"#;

// 9223372036854775807 is `Revision::ENDED`: a tombstone is never replaced.
const REPLACE: &str = r#"
UPDATE "typed_sessions" SET revision = $3, subject = $4, expires_at = $5, body = $6
WHERE key = $1 AND revision = $2 AND revision < 9223372036854775807"#;

const TOUCH: &str = r#"
UPDATE "typed_sessions" SET expires_at = $3 WHERE key = $1 AND revision = $2 AND expires_at < $3"#;

const END: &str = r#"
INSERT INTO "typed_sessions" AS there (key, revision, subject, expires_at, body)
VALUES ($1, 9223372036854775807, NULL, $2, $3)
ON CONFLICT (key) DO UPDATE SET
    revision = excluded.revision,
    subject = NULL,
    expires_at = CASE WHEN there.revision = excluded.revision
        THEN greatest(there.expires_at, excluded.expires_at) ELSE excluded.expires_at END,
    body = excluded.body"#;

const SESSIONS_OF: &str = r#"
SELECT key FROM "typed_sessions" WHERE subject = $1 AND key > $2 ORDER BY key LIMIT $3"#;

// An array, so that what is due is found once, whatever the plan.
const REMOVE_EXPIRED: &str = r#"
DELETE FROM "typed_sessions" WHERE key = ANY (ARRAY(
    SELECT key FROM "typed_sessions" WHERE expires_at <= $1
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))"#;

const SCAN: &str = r#"
SELECT key, revision, subject, expires_at FROM "typed_sessions"
WHERE key > $1 ORDER BY key LIMIT $2"#;

/// A store in a PostgreSQL database, on a pool of yours.
///
/// [`migrate`](Self::migrate) makes the table; without it every verb fails.
///
/// ```no_run
/// use sqlx::postgres::PgPool;
/// use typed_session::store::PostgresStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::new(PgPool::connect("postgres://localhost/shop").await?);
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    sql: Arc<Sql<Postgres>>,
}

sql_store! {
    PostgresStore: Postgres, SCHEMA;
    load: LOAD(key);
    insert: INSERT(key, revision, subject, expires_at, body);
    replace: REPLACE(key, at, revision, subject, expires_at, body);
    touch: TOUCH(key, at, expires_at);
    end: END(key, expires_at, body);
    sessions_of: SESSIONS_OF(subject, after, limit);
    remove_expired: REMOVE_EXPIRED(now, limit);
    scan: SCAN(after, limit);
}

impl PostgresStore {
    /// Makes the table and its indexes, as far as they are not there.
    ///
    /// Any number of processes may do so at once, at every start: they take turns by
    /// an advisory lock, because `IF NOT EXISTS` alone is no protection.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn migrate(&self) -> Result<()> {
        // Sent at once, these are one transaction, and the lock lasts as long.
        let sql = format!("SELECT pg_advisory_xact_lock({MIGRATION});\n{}", self.schema());
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.sql.pool).await;
        done.map_err(failed::<Postgres>)?;
        Ok(())
    }
}

/// The lock that migrations take, a number of our own: `typedses` in ASCII.
const MIGRATION: i64 = i64::from_be_bytes(*b"typedses");

impl Engine for Postgres {
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    fn kind(error: &dyn DatabaseError) -> ErrorKind {
        let code = error.code().unwrap_or_default();
        match (code.get(..2).unwrap_or_default(), &*code) {
            // The connection, an undone transaction, a full disk or too many clients,
            // a cancelled statement or a shutdown, a failing file system.
            ("08" | "40" | "53" | "57" | "58", _) => ErrorKind::Unavailable,
            // A lock that was waited for too long; a server that is a standby now.
            (_, "55P03" | "25006") => ErrorKind::Unavailable,
            (_, "XX001" | "XX002") => ErrorKind::Corrupt,
            ("54", _) | (_, "22001") => ErrorKind::TooLarge,
            _ => ErrorKind::Other,
        }
    }

    /// A conflict between transactions, where the pool's connections are not at
    /// `read committed`, or a deadlock.
    fn gave_way(error: &dyn DatabaseError) -> bool {
        matches!(error.code().as_deref(), Some("40001" | "40P01"))
    }

    /// A violated constraint tells the whole row.
    fn shows_data(error: &dyn DatabaseError) -> bool {
        error.code().is_some_and(|code| code.starts_with("23"))
    }
}
