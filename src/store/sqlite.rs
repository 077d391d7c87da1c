//! Sessions in an SQLite file.

use std::fmt;
use std::sync::Arc;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row};

use super::{Error, ErrorKind, Inserted, Replaced, Result, Revision, Store};
use crate::id::SessionKey;
use crate::record::{Body, Record};
use crate::subject::Subject;
use crate::time::Timestamp;

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
/// - `synchronous`: what a power failure may undo. With `Full`, which is the
///   default, nothing that was acknowledged; with `Normal` in WAL mode, which is
///   several times as fast, the last writes, so that someone who has just logged
///   out may be logged in again. A process that is killed loses nothing
///   with either.
///
/// Every verb is one statement outside of any transaction, and holds a
/// connection no longer than that.
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    table: Arc<str>,
    statements: Arc<Statements>,
}

/// The statements above with the table's name in them.
struct Statements {
    load: Arc<str>,
    insert: Arc<str>,
    replace: Arc<str>,
    touch: Arc<str>,
    end: Arc<str>,
    sessions_of: Arc<str>,
    remove_expired: Arc<str>,
}

impl SqliteStore {
    /// Makes a store that keeps its records in the table `typed_sessions`.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self::with_table(pool, DEFAULT_TABLE)
    }

    /// Sets the table's name.
    ///
    /// # Errors
    ///
    /// Unless it is 1 to 48 ASCII letters, digits and underscores, without a
    /// digit or `sqlite_` at the start.
    pub fn table(self, name: &str) -> Result<Self, TableNameError> {
        let well_formed = (1..=48).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.to_ascii_lowercase().starts_with("sqlite_");
        if well_formed { Ok(Self::with_table(self.pool, name)) } else { Err(TableNameError(())) }
    }

    fn with_table(pool: SqlitePool, table: &str) -> Self {
        let sql = |text: &str| text.trim().replace(DEFAULT_TABLE, table).into();
        let statements = Statements {
            load: sql(LOAD),
            insert: sql(INSERT),
            replace: sql(REPLACE),
            touch: sql(TOUCH),
            end: sql(END),
            sessions_of: sql(SESSIONS_OF),
            remove_expired: sql(REMOVE_EXPIRED),
        };
        Self { pool, table: table.into(), statements: statements.into() }
    }

    /// Returns the SQL that makes the table, for migrations of your own.
    #[must_use]
    pub fn schema(&self) -> String {
        SCHEMA.replace(DEFAULT_TABLE, &self.table)
    }

    /// Makes the table and its indexes, as far as they are not there.
    ///
    /// Any number of processes may do so at once, at every start.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn migrate(&self) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(self.schema())).execute(&self.pool).await.map_err(failed)?;
        Ok(())
    }
}

const DEFAULT_TABLE: &str = "typed_sessions";

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("table", &self.table).finish_non_exhaustive()
    }
}

/// The text is no name for a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a table name is 1 to 48 letters, digits and underscores, and begins with no digit")]
pub struct TableNameError(());

impl Store for SqliteStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        let row = sqlx::query(AssertSqlSafe(self.statements.load.clone()))
            .bind(key.as_bytes().as_slice())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        row.as_ref().map(record).transpose()
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        let done = sqlx::query(AssertSqlSafe(self.statements.insert.clone()))
            .bind(key.as_bytes().as_slice())
            .bind(record.revision.as_i64())
            .bind(record.subject.as_ref().map(|subject| subject.as_bytes().as_slice()))
            .bind(record.expires_at.as_millis())
            .bind(&record.body[..])
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(if done.rows_affected() == 0 { Inserted::Exists } else { Inserted::Created })
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        let done = sqlx::query(AssertSqlSafe(self.statements.replace.clone()))
            .bind(key.as_bytes().as_slice())
            .bind(expected.as_i64())
            .bind(record.revision.as_i64())
            .bind(record.subject.as_ref().map(|subject| subject.as_bytes().as_slice()))
            .bind(record.expires_at.as_millis())
            .bind(&record.body[..])
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Ok(Replaced::Conflict(self.load(key).await?));
        }
        Ok(Replaced::Done)
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        sqlx::query(AssertSqlSafe(self.statements.touch.clone()))
            .bind(key.as_bytes().as_slice())
            .bind(at.as_i64())
            .bind(expires_at.as_millis())
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        sqlx::query(AssertSqlSafe(self.statements.end.clone()))
            .bind(key.as_bytes().as_slice())
            .bind(tombstone.expires_at.as_millis())
            .bind(&tombstone.body[..])
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        let rows = sqlx::query(AssertSqlSafe(self.statements.sessions_of.clone()))
            .bind(subject.as_bytes().as_slice())
            // Every key is greater than no bytes.
            .bind(after.map_or(&[][..], |after| after.as_bytes()))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let key = |row: &SqliteRow| Ok(SessionKey::from_bytes(hash("key", column(row, 0)?)?));
        rows.iter().map(key).collect()
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let done = sqlx::query(AssertSqlSafe(self.statements.remove_expired.clone()))
            .bind(now.as_millis())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }
}

fn record(row: &SqliteRow) -> Result<Record> {
    let revision: i64 = column(row, 0)?;
    let subject: Option<&[u8]> = column(row, 1)?;
    let body: &[u8] = column(row, 3)?;
    if revision < 0 {
        return Err(Error::new(ErrorKind::Corrupt, Senseless("revision")));
    }
    Ok(Record {
        revision: Revision::from_i64(revision),
        subject: subject.map(|bytes| hash("subject", bytes)).transpose()?.map(Subject::from_hash),
        expires_at: Timestamp::from_millis(column(row, 2)?),
        body: Body(body.to_vec()),
    })
}

fn column<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(index).map_err(failed)
}

fn hash(column: &'static str, bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Error::new(ErrorKind::Corrupt, Senseless(column)))
}

#[derive(Debug, thiserror::Error)]
#[error("the column {0} holds what no session has there")]
struct Senseless(&'static str);

fn failed(error: sqlx::Error) -> Error {
    let kind = match &error {
        sqlx::Error::Database(error) => {
            // The low byte is the code itself, the others say more.
            match error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
                Some(BUSY | LOCKED | IOERR | FULL | CANTOPEN | PROTOCOL) => ErrorKind::Unavailable,
                Some(CORRUPT | NOTADB) => ErrorKind::Corrupt,
                Some(TOOBIG) => ErrorKind::TooLarge,
                _ => ErrorKind::Other,
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => ErrorKind::Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    };
    Error::new(kind, error)
}

// https://www.sqlite.org/rescode.html
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const PROTOCOL: i32 = 15;
const TOOBIG: i32 = 18;
const NOTADB: i32 = 26;
