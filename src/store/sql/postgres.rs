//! Sessions in a PostgreSQL database.

use std::fmt;
use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgListener;
use sqlx::{Acquire, AssertSqlSafe, Postgres};

use super::{Engine, Sql, Statements, TableNameError, checked, failed};
use crate::store::{Change, Changes, ErrorKind, Result};

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
///
/// # The pool
///
/// Choose sqlx's runtime and TLS by its own features, as `runtime-tokio`. Every
/// connection must reach the primary.
///
/// - `acquire_timeout`: how long a call waits for a connection, 30 seconds if left
///   alone. Past it the error is [`ErrorKind::Unavailable`]; a few seconds are
///   enough for a web server.
/// - `test_before_acquire`: on if left alone, and one more round trip a call. Off,
///   the first call on a connection that died in the pool is
///   [`ErrorKind::Unavailable`].
/// - `options([("statement_timeout", "5s")])`: how long the server works on one
///   statement, and `lock_timeout` how long it waits for a lock. Neither helps
///   against a server that is gone without a word: see below.
/// - `options([("search_path", "shop")])`: the schema of the table.
///
/// Every verb is one statement outside of any transaction, a refused `replace` two;
/// each is one round trip once its connection has prepared it. sqlx makes another, empty
/// one when the connection comes back to the pool, for which no request waits unless all
/// connections are taken.
///
/// **Time limits.** sqlx has none for a statement that was sent: where the server's
/// machine is lost, a call waits until the operating system gives the connection
/// up (Linux: `net.ipv4.tcp_retries2`, about 15 minutes). Put a
/// [`TimeLimit`](crate::store::TimeLimit) around the store.
///
/// **Isolation.** Right at each. At `read committed`, which is the server's default,
/// no statement has to be repeated; at `repeatable read` and `serializable`, one that
/// meets another on the same row is tried up to 32 times in all, and is then
/// [`ErrorKind::Unavailable`].
///
/// **Durability.** What is acknowledged is on disk, unless `synchronous_commit` is
/// off: then a crash of the server may undo the last writes, so that someone
/// who has just logged out may be logged in again. After a failover to an
/// asynchronous standby the same.
///
/// **PgBouncer** in transaction mode needs `max_prepared_statements` above 0, which
/// it has since 1.21; sqlx prepares each statement in a round trip of its own,
/// also the ones that it does not keep.
///
/// **Space.** Each write leaves a dead row for autovacuum, and moves an index entry
/// if the deadline moves.
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

impl PostgresStore {
    /// Has every `replace` and `end` of a record notify a channel, for
    /// [`changes`](Self::changes) on other machines.
    ///
    /// They say the key, within their one statement; the server sends it once the
    /// change is committed. `insert`, `touch` and `remove_expired` do not notify. Off if
    /// not called, because commits that notify wait for each other: the server puts
    /// them in one line.
    ///
    /// # Errors
    ///
    /// Unless the channel's name is as a table's may be.
    pub fn notify_changes(self, channel: &str) -> Result<Self, TableNameError> {
        let Sql { pool, table, template, .. } = &*self.sql;
        let notify = format!("\nRETURNING pg_notify('{}', encode(key, 'hex'))", checked(channel)?);
        let template = Statements {
            replace: format!("{REPLACE}{notify}").into(),
            end: format!("{END}{notify}").into(),
            ..template.clone()
        };
        Ok(Self { sql: Sql::new(pool.clone(), table, template).into() })
    }

    /// Listens to what [`notify_changes`](Self::notify_changes) sends to a channel.
    ///
    /// It keeps one connection of the pool for itself, which must lead to the server
    /// itself and not to PgBouncer.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn changes(&self, channel: &str) -> Result<PostgresChanges> {
        let mut listener =
            PgListener::connect_with(&self.sql.pool).await.map_err(failed::<Postgres>)?;
        listener.eager_reconnect(false);
        listener.listen(channel).await.map_err(failed::<Postgres>)?;
        Ok(PostgresChanges { listener, lost: false })
    }
}

/// Changes in a [`PostgresStore`], as they are committed.
///
/// A connection that was lost is made again, and then [`Change::Missed`] comes
/// first. That it is lost, the server or the operating system must say: of a machine
/// that is gone without a word nobody hears for long, as sqlx asks for no
/// keepalive. A cache that follows still needs its time limit.
pub struct PostgresChanges {
    listener: PgListener,
    /// Whether something may have been missed, of which nobody was told yet.
    lost: bool,
}

impl Changes for PostgresChanges {
    async fn next(&mut self) -> Result<Change> {
        loop {
            if self.lost {
                // Connects, if it must, and listens again.
                match self.listener.acquire().await {
                    Ok(_) => {
                        self.lost = false;
                        return Ok(Change::Missed);
                    }
                    Err(sqlx::Error::PoolTimedOut) => continue,
                    Err(error) => return Err(failed::<Postgres>(error)),
                }
            }
            match self.listener.try_recv().await {
                // What is no key may stand for any.
                Ok(Some(said)) => {
                    return Ok(said.payload().parse().map_or(Change::Missed, Change::Key));
                }
                Ok(None) => self.lost = true,
                Err(error) => {
                    self.lost = true;
                    if !matches!(error, sqlx::Error::Io(_)) {
                        return Err(failed::<Postgres>(error));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for PostgresChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresChanges").finish_non_exhaustive()
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
            ("54", _) | (_, "22001") => ErrorKind::TooLarge,
            // Also a damaged table or index, which is an outage and not one corrupt row.
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
