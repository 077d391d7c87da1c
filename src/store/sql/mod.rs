//! Sessions in SQL databases: what the engines share.
//!
//! An engine's file says its SQL, what is bound to each statement, and what the
//! engine's errors mean. The verbs are written once, in `verbs.rs`.

use std::borrow::Cow;
use std::fmt;

use sqlx::error::DatabaseError;
use sqlx::{ColumnIndex, Database, Decode, Pool, Type};

#[cfg(feature = "mysql")]
pub use self::mysql::MySqlStore;
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresChanges, PostgresStore};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
use super::{Cursor, Error, ErrorKind, Page, Result, Revision, Row};
use crate::id::SessionKey;
use crate::record::{Body, Record};
use crate::subject::Subject;
use crate::time::Timestamp;

// First, because a macro is known only from its definition on.
#[macro_use]
mod verbs;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// What an engine says by its errors.
trait Engine: Database {
    fn kind(error: &dyn DatabaseError) -> ErrorKind;

    /// Whether it undid the statement for the sake of another one, so that the
    /// same statement may do better now.
    fn gave_way(_: &dyn DatabaseError) -> bool {
        false
    }

    /// Whether an `INSERT` says by this error that there is such a key.
    fn is_duplicate(_: &dyn DatabaseError) -> bool {
        false
    }

    /// Whether the error's details show what is in the row.
    fn shows_data(_: &dyn DatabaseError) -> bool {
        false
    }
}

/// One text for each verb.
#[derive(Clone)]
struct Statements<T> {
    load: T,
    insert: T,
    replace: T,
    touch: T,
    end: T,
    sessions_of: T,
    remove_expired: T,
    scan: T,
}

impl<T> Statements<T> {
    fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> Statements<U> {
        Statements {
            load: f(&self.load),
            insert: f(&self.insert),
            replace: f(&self.replace),
            touch: f(&self.touch),
            end: f(&self.end),
            sessions_of: f(&self.sessions_of),
            remove_expired: f(&self.remove_expired),
            scan: f(&self.scan),
        }
    }
}

/// What a store is made of.
struct Sql<DB: Database> {
    pool: Pool<DB>,
    table: String,
    /// As they are in the engine's file, with what was asked for besides.
    template: Statements<Cow<'static, str>>,
    /// The same with the table's name.
    statements: Statements<std::sync::Arc<str>>,
}

const DEFAULT_TABLE: &str = "typed_sessions";

impl<DB: Database> Sql<DB> {
    fn new(pool: Pool<DB>, table: &str, template: Statements<Cow<'static, str>>) -> Self {
        let statements = template.map(|sql| named(sql.trim(), table).into());
        Self { pool, table: table.to_owned(), template, statements }
    }
}

impl<DB: Engine> Sql<DB> {
    /// Runs a statement, again if the engine undid it for the sake of another one.
    async fn tried<'a, T, F>(
        &'a self,
        attempt: impl Fn(&'a Pool<DB>) -> F,
    ) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        for _ in 1..TRIES {
            match attempt(&self.pool).await {
                Err(sqlx::Error::Database(error)) if DB::gave_way(&*error) => (),
                outcome => return outcome,
            }
        }
        attempt(&self.pool).await
    }
}

/// Puts the table's name into SQL, wherever a quoted name begins with the default.
fn named(sql: &str, table: &str) -> String {
    ['"', '`'].iter().fold(sql.to_owned(), |sql, quote| {
        sql.replace(&format!("{quote}{DEFAULT_TABLE}"), &format!("{quote}{table}"))
    })
}

fn checked(table: &str) -> Result<&str, TableNameError> {
    let well_formed = (1..=48).contains(&table.len())
        && table.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !table.starts_with(|first: char| first.is_ascii_digit())
        && !table.to_ascii_lowercase().starts_with("sqlite_");
    if well_formed { Ok(table) } else { Err(TableNameError(())) }
}

/// The text is no name for a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a table name is 1 to 48 letters, digits and underscores, and begins with no digit")]
pub struct TableNameError(());

/// What statements bind: bytes and signed numbers, nothing else.
#[derive(Default)]
struct Values<'a> {
    key: &'a [u8],
    at: i64,
    revision: i64,
    subject: Option<&'a [u8]>,
    expires_at: i64,
    body: &'a [u8],
    now: i64,
    /// Every key is greater than no bytes.
    after: &'a [u8],
    limit: i64,
}

impl<'a> Values<'a> {
    fn of(key: &'a SessionKey, record: &'a Record) -> Self {
        Self {
            key: key.as_bytes(),
            revision: record.revision.as_i64(),
            subject: record.subject.as_ref().map(|subject| subject.as_bytes().as_slice()),
            expires_at: record.expires_at.as_millis(),
            body: &record.body,
            ..Self::default()
        }
    }
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// How often a statement is tried that gives way to others. Whoever made it do so
/// has got on, so it takes many others at once to use them up.
const TRIES: usize = 32;

/// A row of a record: revision, subject, deadline, body.
fn record<'r, R>(row: &'r R) -> Result<Record>
where
    R: sqlx::Row<Database: Engine>,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    let body: &[u8] = column(row, 3)?;
    Ok(Record {
        revision: revision(row, 0)?,
        subject: subject(row, 1)?,
        expires_at: Timestamp::from_millis(column(row, 2)?),
        body: Body(body.to_vec()),
    })
}

/// A row of a walk: key, revision, subject, deadline.
fn walked<'r, R>(row: &'r R) -> Result<Row>
where
    R: sqlx::Row<Database: Engine>,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    let expires_at = Timestamp::from_millis(column(row, 3)?);
    Ok(Row::new(key(row)?, revision(row, 1)?, subject(row, 2)?, expires_at))
}

/// A page that is full may have one after it.
fn page<'r, R>(rows: &'r [R], limit: usize) -> Result<Page>
where
    R: sqlx::Row<Database: Engine>,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    // What has no proper key is no record, and can be loaded by nobody.
    let keyed = rows.iter().filter_map(|row| Some((key(row).ok()?, walked(row))));
    let page = Page::of(keyed)?;
    let last: Option<&[u8]> = match rows.last().filter(|_| rows.len() >= limit) {
        Some(row) => Some(column(row, 0)?),
        None => None,
    };
    Ok(Page { next: last.map(Cursor::from_bytes), ..page })
}

/// The last row's key, proper or not.
fn last<'r, R>(rows: &'r [R]) -> Result<Option<Vec<u8>>>
where
    R: sqlx::Row<Database: Engine>,
    usize: ColumnIndex<R>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    rows.last().map(|row| column::<R, &[u8]>(row, 0).map(<[u8]>::to_vec)).transpose()
}

fn key<'r, R>(row: &'r R) -> Result<SessionKey>
where
    R: sqlx::Row<Database: Engine>,
    usize: ColumnIndex<R>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(SessionKey::from_bytes(hash("key", column(row, 0)?)?))
}

fn revision<'r, R>(row: &'r R, index: usize) -> Result<Revision>
where
    R: sqlx::Row<Database: Engine>,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let revision = column(row, index)?;
    if revision < 0 {
        return Err(Error::new(ErrorKind::Corrupt, Senseless("revision")));
    }
    Ok(Revision::from_i64(revision))
}

fn subject<'r, R>(row: &'r R, index: usize) -> Result<Option<Subject>>
where
    R: sqlx::Row<Database: Engine>,
    usize: ColumnIndex<R>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    let subject: Option<&[u8]> = column(row, index)?;
    Ok(subject.map(|bytes| hash("subject", bytes)).transpose()?.map(Subject::from_hash))
}

fn column<'r, R, T>(row: &'r R, index: usize) -> Result<T>
where
    R: sqlx::Row<Database: Engine>,
    usize: ColumnIndex<R>,
    T: Decode<'r, R::Database> + Type<R::Database>,
{
    row.try_get(index).map_err(failed::<R::Database>)
}

fn hash(column: &'static str, bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Error::new(ErrorKind::Corrupt, Senseless(column)))
}

#[derive(Debug, thiserror::Error)]
#[error("the column {0} holds what no session has there")]
struct Senseless(&'static str);

fn failed<DB: Engine>(error: sqlx::Error) -> Error {
    let kind = match &error {
        sqlx::Error::Database(error) => DB::kind(&**error),
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => ErrorKind::Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    };
    match error {
        sqlx::Error::Database(error) if DB::shows_data(&*error) => {
            let code = error.code().map(Cow::into_owned).unwrap_or_default();
            Error::new(kind, Refused { code, message: error.message().to_owned() })
        }
        error => Error::new(kind, error),
    }
}

/// An engine's error without its details, which would show what is in the row.
#[derive(Debug, thiserror::Error)]
#[error("error returned from database: {code}: {message}")]
struct Refused {
    code: String,
    message: String,
}

impl<DB: Database> fmt::Debug for Sql<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql").field("table", &self.table).finish_non_exhaustive()
    }
}
