//! Sessions in a MySQL or MariaDB database.

use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::{AssertSqlSafe, MySql};

use super::{Engine, Sql, failed};
use crate::store::{ErrorKind, Result};

const SCHEMA: &str = include_str!("mysql.sql");

const LOAD: &str = r#"
SELECT revision, subject, expires_at, body FROM `typed_sessions` WHERE `key` = ?"#;

// Not `IGNORE`, which hides any error: that there is such a key is error 1062.
const INSERT: &str = r#"
INSERT INTO `typed_sessions` (`key`, revision, subject, expires_at, body)
VALUES (?, ?, ?, ?, ?)"#;

// 9223372036854775807 is `Revision::ENDED`: a tombstone is never replaced. sqlx has
// the server count the rows that are found, not those that it makes different.
const REPLACE: &str = r#"
UPDATE `typed_sessions` SET revision = ?, subject = ?, expires_at = ?, body = ?
WHERE `key` = ? AND revision = ? AND revision < 9223372036854775807"#;

const TOUCH: &str = r#"
UPDATE `typed_sessions` SET expires_at = ? WHERE `key` = ? AND revision = ? AND expires_at < ?"#;

// From left to right, and each sees what is set before it: the deadline goes first.
const END: &str = r#"
INSERT INTO `typed_sessions` (`key`, revision, subject, expires_at, body)
VALUES (?, 9223372036854775807, NULL, ?, ?)
ON DUPLICATE KEY UPDATE
    expires_at = CASE WHEN revision = 9223372036854775807
        THEN greatest(expires_at, ?) ELSE ? END,
    revision = 9223372036854775807,
    subject = NULL,
    body = ?"#;

const SESSIONS_OF: &str = r#"
SELECT `key` FROM `typed_sessions` WHERE subject = ? AND `key` > ? ORDER BY `key` LIMIT ?"#;

const REMOVE_EXPIRED: &str = r#"
DELETE FROM `typed_sessions` WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"#;

const SCAN: &str = r#"
SELECT `key`, revision, subject, expires_at FROM `typed_sessions`
WHERE `key` > ? ORDER BY `key` LIMIT ?"#;

/// A store in a MySQL or MariaDB database, on a pool of yours.
///
/// [`migrate`](Self::migrate) makes the table; without it every verb fails.
///
/// ```no_run
/// use sqlx::mysql::MySqlPool;
/// use typed_session::store::MySqlStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MySqlStore::new(MySqlPool::connect("mysql://localhost/shop").await?);
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
///
/// # The pool
///
/// Choose sqlx's runtime and TLS by its own features, as `runtime-tokio`. Every
/// connection must reach the primary, and be in autocommit mode, which is the
/// server's default.
///
/// - `acquire_timeout`: how long a call waits for a connection, 30 seconds if left
///   alone. Past it the error is [`ErrorKind::Unavailable`]; a few seconds are
///   enough for a web server.
/// - `test_before_acquire`: on if left alone, and one more round trip a call. Off,
///   the first call on a connection that died in the pool is
///   [`ErrorKind::Unavailable`].
/// - `innodb_lock_wait_timeout`: how long a write waits for a row, 50 seconds if left
///   alone. Only somebody else's transaction on the table can make it wait so long.
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
/// **Isolation.** Right at each, from `READ UNCOMMITTED` to `SERIALIZABLE`. A
/// statement that the server undoes to resolve a deadlock is tried again, up to 32
/// times, and then [`ErrorKind::Unavailable`].
///
/// **Durability.** What is acknowledged is on disk, unless
/// `innodb_flush_log_at_trx_commit` is not 1: then a crash of the server may undo the
/// last second, so that someone who has just logged out may be logged in again. After
/// a failover to an asynchronous replica the same.
///
/// **Size.** A body may be a little smaller than `max_allowed_packet`; a larger one
/// is [`ErrorKind::TooLarge`]. Nothing is ever cut, in no `sql_mode`, because every
/// column of the [`schema`](Self::schema) holds all that there can be; in a
/// table of your own making see to that, and keep the strict mode.
#[derive(Clone)]
pub struct MySqlStore {
    sql: Arc<Sql<MySql>>,
}

sql_store! {
    MySqlStore: MySql, SCHEMA;
    load: LOAD(key);
    insert: INSERT(key, revision, subject, expires_at, body);
    replace: REPLACE(revision, subject, expires_at, body, key, at);
    touch: TOUCH(expires_at, key, at, expires_at);
    end: END(key, expires_at, body, expires_at, expires_at, body);
    sessions_of: SESSIONS_OF(subject, after, limit);
    remove_expired: REMOVE_EXPIRED(now, limit);
    scan: SCAN(after, limit);
}

impl MySqlStore {
    /// Makes the table and its indexes, as far as they are not there.
    ///
    /// Any number of processes may do so at once, at every start.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn migrate(&self) -> Result<()> {
        let done = sqlx::raw_sql(AssertSqlSafe(self.schema())).execute(&self.sql.pool).await;
        done.map_err(failed::<MySql>)?;
        Ok(())
    }
}

impl Engine for MySql {
    fn kind(error: &dyn DatabaseError) -> ErrorKind {
        match number(error) {
            // Too many connections; a server that stops, or kills, or hangs up on who was
            // silent for long; a network that fails.
            1040
            | 1047
            | 1053
            | 1077..=1079
            | 1129
            | 1152
            | 1158..=1161
            | 1203
            | 1226
            | 1317
            | 1927
            | 3169
            | 4031 => ErrorKind::Unavailable,
            // A lock or a statement that took too long, and what gave way to others.
            1020 | 1205 | 1213 | 1907 | 1969 | 3024 | 3572 => ErrorKind::Unavailable,
            // No memory, no disk; a server that is a replica now.
            1021 | 1037 | 1038 | 1041 | 1114 | 1290 | 1792 | 1836 => ErrorKind::Unavailable,
            1118 | 1153 | 1162 | 1301 | 1406 => ErrorKind::TooLarge,
            // Also a damaged table or index, which is an outage and not one corrupt row.
            _ => ErrorKind::Other,
        }
    }

    /// A deadlock, or a row that changed since a snapshot (MariaDB).
    fn gave_way(error: &dyn DatabaseError) -> bool {
        matches!(number(error), 1020 | 1213)
    }

    /// The table has one unique key.
    fn is_duplicate(error: &dyn DatabaseError) -> bool {
        matches!(number(error), 1062 | 1586)
    }
}

// https://mariadb.com/kb/en/mariadb-error-code-reference/
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
fn number(error: &dyn DatabaseError) -> u16 {
    error.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number)
}
