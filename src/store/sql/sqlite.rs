//! Sessions in an SQLite file.

use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Sqlite};

use super::{Engine, Sql, failed};
use crate::store::{ErrorKind, Result};

const SCHEMA: &str = include_str!("sqlite.sql");

const LOAD: &str = r#"
SELECT revision, subject, expires_at, body FROM "typed_sessions" WHERE key = ?1"#;

const INSERT: &str = r#"
INSERT INTO "typed_sessions" (key, revision, subject, expires_at, body)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (key) DO NOTHING"#;

// 9223372036854775807 is `Revision::ENDED`: a tombstone is never replaced.
const REPLACE: &str = r#"
UPDATE "typed_sessions" SET revision = ?3, subject = ?4, expires_at = ?5, body = ?6
WHERE key = ?1 AND revision = ?2 AND revision < 9223372036854775807"#;

const TOUCH: &str = r#"
UPDATE "typed_sessions" SET expires_at = ?3 WHERE key = ?1 AND revision = ?2 AND expires_at < ?3"#;

// On the right of each `=` is the row as it was.
const END: &str = r#"
INSERT INTO "typed_sessions" (key, revision, subject, expires_at, body)
VALUES (?1, 9223372036854775807, NULL, ?2, ?3)
ON CONFLICT (key) DO UPDATE SET
    revision = excluded.revision,
    subject = NULL,
    expires_at = iif(revision = excluded.revision,
        max(expires_at, excluded.expires_at), excluded.expires_at),
    body = excluded.body"#;

const SESSIONS_OF: &str = r#"
SELECT key FROM "typed_sessions" WHERE subject = ?1 AND key > ?2 ORDER BY key LIMIT ?3"#;

const REMOVE_EXPIRED: &str = r#"
DELETE FROM "typed_sessions" WHERE key IN
    (SELECT key FROM "typed_sessions" WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)"#;

const SCAN: &str = r#"
SELECT key, revision, subject, expires_at FROM "typed_sessions" WHERE key > ?1 ORDER BY key LIMIT ?2"#;

/// A store in an SQLite file, on a pool of yours.
///
/// [`migrate`](Self::migrate) makes the table; without it every verb fails.
///
/// ```no_run
/// use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};
/// use typed_session::store::SqliteStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = SqliteConnectOptions::new()
///     .filename("sessions.db")
///     .create_if_missing(true)
///     .journal_mode(SqliteJournalMode::Wal);
/// let store = SqliteStore::new(SqlitePool::connect_with(options).await?);
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
///
/// # The pool
///
/// Choose sqlx's runtime by its own features, as `runtime-tokio`.
///
/// - `journal_mode(Wal)`: loads go on while a session is written. It stays set
///   in the file.
/// - `busy_timeout`: how long a write waits for that of another process, five
///   seconds if left alone. Past it, the error is [`ErrorKind::Unavailable`].
/// - `acquire_timeout`: how long a call waits for a connection of the pool, 30 seconds
///   if left alone; a few are enough for a web server.
/// - `synchronous`: what a power failure may undo. With `Full`, which is the
///   default, nothing that was acknowledged; with `Normal` in WAL mode, which is
///   several times as fast, the last writes, so that someone who has just logged
///   out may be logged in again. A process that is killed loses nothing
///   with either.
///
/// Every verb is one statement outside of any transaction, a refused `replace` two, and
/// holds a connection no longer than that.
#[derive(Clone)]
pub struct SqliteStore {
    sql: Arc<Sql<Sqlite>>,
}

sql_store! {
    SqliteStore: Sqlite, SCHEMA;
    load: LOAD(key);
    insert: INSERT(key, revision, subject, expires_at, body);
    replace: REPLACE(key, at, revision, subject, expires_at, body);
    touch: TOUCH(key, at, expires_at);
    end: END(key, expires_at, body);
    sessions_of: SESSIONS_OF(subject, after, limit);
    remove_expired: REMOVE_EXPIRED(now, limit);
    scan: SCAN(after, limit);
}

impl SqliteStore {
    /// Makes the table and its indexes, as far as they are not there.
    ///
    /// Any number of processes may do so at once, at every start.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn migrate(&self) -> Result<()> {
        let done = sqlx::raw_sql(AssertSqlSafe(self.schema())).execute(&self.sql.pool).await;
        done.map_err(failed::<Sqlite>)?;
        Ok(())
    }
}

impl Engine for Sqlite {
    fn kind(error: &dyn DatabaseError) -> ErrorKind {
        // The low byte is the code itself, the others say more.
        match error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
            Some(BUSY | LOCKED | IOERR | FULL | CANTOPEN | PROTOCOL) => ErrorKind::Unavailable,
            // Also a damaged file, which is an outage and not one corrupt row.
            Some(TOOBIG) => ErrorKind::TooLarge,
            _ => ErrorKind::Other,
        }
    }
}

// https://www.sqlite.org/rescode.html
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const IOERR: i32 = 10;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const PROTOCOL: i32 = 15;
const TOOBIG: i32 = 18;
