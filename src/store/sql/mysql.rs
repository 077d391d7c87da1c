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
            // Too many connections; a server that stops, or kills; a network that fails.
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
            | 3169 => ErrorKind::Unavailable,
            // A lock or a statement that took too long, and what gave way to others.
            1020 | 1205 | 1213 | 1907 | 1969 | 3024 | 3572 => ErrorKind::Unavailable,
            // No memory, no disk; a server that is a replica now.
            1021 | 1037 | 1038 | 1041 | 1114 | 1290 | 1792 | 1836 => ErrorKind::Unavailable,
            1034 | 1035 | 1194 | 1712 => ErrorKind::Corrupt,
            1118 | 1153 | 1162 | 1301 | 1406 => ErrorKind::TooLarge,
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
