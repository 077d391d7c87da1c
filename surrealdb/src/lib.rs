//! Sessions in SurrealDB, for [`typed_session`].
//!
//! [`SurrealStore`] works on a connection of yours, to a server or to an engine in the process:
//! protocols and engines are features of the `surrealdb` crate, of which this one switches on none.
//!
//! # License
//!
//! This crate is under MIT or Apache 2.0. The SDK that it builds on, also its smallest part, is
//! under the Business Source License 1.1: read there what that allows you.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use surrealdb::types::{
    Bytes, ErrorDetails, Number, Object, QueryError, RecordId, RecordIdKey, RecordIdKeyRange, Value,
};
use surrealdb::{Connection, Surreal};
use typed_session::store::{
    Body, Cursor, Error, ErrorKind, Inserted, Page, Replaced, Result, Revision, Row, Scan, Store,
};
use typed_session::{Record, SessionKey, Subject, Timestamp};

// Each of these is one statement, and so one transaction: it sees one moment, and is done as a
// whole or not at all. Where another transaction wrote the same record meanwhile, its commit is
// refused, and it is run again.

const SCHEMA: &str = include_str!("schema.surql");

const LOAD: &str = "SELECT * FROM ONLY $id";

const INSERT: &str = "CREATE $id CONTENT $record RETURN NONE";

// 9223372036854775807 is `Revision::ENDED`: a tombstone is never replaced.
const REPLACE: &str = "{
    LET $done = UPDATE $id CONTENT $record
        WHERE revision = $expected AND revision < 9223372036854775807 RETURN VALUE revision;
    RETURN IF array::len($done) > 0 { true } ELSE { (SELECT * FROM ONLY $id) };
}";

const TOUCH: &str = "UPDATE $id SET expires_at = $expires_at
    WHERE revision = $at AND expires_at < $expires_at RETURN NONE";

const END: &str = "{
    LET $there = (SELECT VALUE expires_at FROM $id WHERE revision = 9223372036854775807)[0];
    UPSERT $id CONTENT {
        revision: 9223372036854775807,
        expires_at: IF $there != NONE AND $there > $expires_at { $there } ELSE { $expires_at },
        body: $body
    } RETURN NONE;
}";

const SESSIONS_OF: &str = "SELECT id FROM `typed_sessions`
    WHERE subject = $subject AND id > $after ORDER BY id LIMIT $limit";

const REMOVE_EXPIRED: &str = "{
    LET $due = SELECT VALUE id FROM `typed_sessions` WHERE expires_at <= $now LIMIT $limit;
    RETURN array::len((DELETE $due RETURN BEFORE));
}";

const SCAN: &str = "SELECT id, revision, subject, expires_at FROM $range LIMIT $limit";

/// A store in a SurrealDB table, on a connection of yours.
///
/// [`migrate`](Self::migrate) makes the table. Without it every verb fails, until an insert makes
/// a table without indexes. The connection has a namespace and a database in use.
///
/// ```
/// use surrealdb::engine::any::connect;
/// use typed_session_surrealdb::SurrealStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = connect("mem://").await?;
/// connection.use_ns("shop").use_db("shop").await?;
/// let store = SurrealStore::new(connection);
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Conflicts
///
/// Every verb is one query of one statement, which is a transaction; clean-up is one for
/// each hundred records. The engines are
/// optimistic: of two that write one record at the same time, one is refused. It is
/// run again at once, some times; what still meets others then is
/// [`ErrorKind::Unavailable`].
///
/// # Time limit
///
/// A query that has no answer within [`timeout`](Self::timeout), ten seconds if left
/// alone, is [`ErrorKind::Unavailable`]. Of its own the SDK waits for ever.
///
/// # Durability
///
/// That of the engine. `surrealkv://path` waits for the disk at each commit, which is its default
/// (`?sync=every`): what was acknowledged outlives the process and the power. With
/// `?sync=1s` or `?sync=never` the last writes can be lost, so that someone who has just
/// logged out is logged in again. `mem://` keeps nothing.
pub struct SurrealStore<C: Connection> {
    connection: Surreal<C>,
    table: Arc<str>,
    statements: Arc<Statements>,
    limit: Duration,
}

/// Those of the statements above that name the table.
struct Statements {
    sessions_of: String,
    remove_expired: String,
}

impl<C: Connection> SurrealStore<C> {
    /// Makes a store that keeps its records in the table `typed_sessions`.
    #[must_use]
    pub fn new(connection: Surreal<C>) -> Self {
        Self::with(connection, DEFAULT_TABLE, Duration::from_secs(10))
    }

    /// Sets the table's name.
    ///
    /// # Errors
    ///
    /// Unless it is 1 to 48 ASCII letters, digits and underscores, without a digit at
    /// the start.
    pub fn table(self, name: &str) -> Result<Self, TableNameError> {
        let well_formed = (1..=48).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit());
        if !well_formed {
            return Err(TableNameError(()));
        }
        Ok(Self::with(self.connection, name, self.limit))
    }

    /// Sets how long a query may take; ten seconds if not set.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn with(connection: Surreal<C>, table: &str, limit: Duration) -> Self {
        let statements = Statements {
            sessions_of: SESSIONS_OF.replace(DEFAULT_TABLE, table),
            remove_expired: REMOVE_EXPIRED.replace(DEFAULT_TABLE, table),
        };
        Self { connection, table: table.into(), statements: statements.into(), limit }
    }

    /// Returns the statements that make the table, for migrations of your own.
    #[must_use]
    pub fn schema(&self) -> String {
        SCHEMA.replace(DEFAULT_TABLE, &self.table)
    }

    /// Makes the table and its indexes, as far as they are not there.
    ///
    /// Any number of processes may do so at once, at every start. There is no time
    /// limit.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn migrate(&self) -> Result<()> {
        let schema = self.schema();
        for statement in schema.split_inclusive(';').filter(|text| !text.trim().is_empty()) {
            self.tries(statement, &Object::new()).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Runs a statement until no other transaction is in its way.
    async fn tries(&self, statement: &str, values: &Object) -> surrealdb::Result<Value> {
        let mut tries = 1;
        loop {
            let query = self.connection.query(statement).bind(values.clone());
            let answer = match query.await {
                Ok(mut answers) => answers.take::<Value>(0),
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if is_conflict(&error) && tries < TRIES => {
                    tries += 1;
                    // Whoever was first has the thread.
                    tokio::task::yield_now().await;
                }
                answer => return answer,
            }
        }
    }

    /// Runs a statement, but not for ever.
    async fn run(&self, statement: &str, values: Object) -> Result<Value, Failure> {
        match tokio::time::timeout(self.limit, self.tries(statement, &values)).await {
            Ok(answer) => answer.map_err(Failure::Engine),
            Err(_) => Err(Failure::Late(self.limit)),
        }
    }

    fn id(&self, key: &SessionKey) -> RecordId {
        RecordId::new(&*self.table, hex(key.as_bytes()))
    }
}

const DEFAULT_TABLE: &str = "typed_sessions";

/// Tries of one statement.
const TRIES: usize = 64;

/// Records that one transaction removes. Small, since any of them can be in somebody's way.
const BATCH: usize = 100;

impl<C: Connection> Clone for SurrealStore<C> {
    fn clone(&self) -> Self {
        Self {
            connection: self.connection.clone(),
            table: Arc::clone(&self.table),
            statements: Arc::clone(&self.statements),
            limit: self.limit,
        }
    }
}

impl<C: Connection> fmt::Debug for SurrealStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SurrealStore").field("table", &self.table).finish_non_exhaustive()
    }
}

/// The text is no name for a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a table name is 1 to 48 letters, digits and underscores, and begins with no digit")]
pub struct TableNameError(());

impl<C: Connection> Store for SurrealStore<C> {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        let there = self.run(LOAD, values([("id", Value::RecordId(self.id(key)))])).await?;
        maybe(there)
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        let values = values([("id", Value::RecordId(self.id(key))), ("record", content(record))]);
        match self.run(INSERT, values).await {
            Ok(_) => Ok(Inserted::Created),
            Err(Failure::Engine(error)) if error.is_already_exists() => Ok(Inserted::Exists),
            Err(error) => Err(error.into()),
        }
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        let values = values([
            ("id", Value::RecordId(self.id(key))),
            ("expected", int(expected.as_i64())),
            ("record", content(record)),
        ]);
        match self.run(REPLACE, values).await? {
            Value::Bool(true) => Ok(Replaced::Done),
            there => Ok(Replaced::Conflict(maybe(there)?)),
        }
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        let values = values([
            ("id", Value::RecordId(self.id(key))),
            ("at", int(at.as_i64())),
            ("expires_at", int(expires_at.as_millis())),
        ]);
        self.run(TOUCH, values).await?;
        Ok(())
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        let values = values([
            ("id", Value::RecordId(self.id(key))),
            ("expires_at", int(tombstone.expires_at.as_millis())),
            ("body", bytes(&tombstone.body)),
        ]);
        self.run(END, values).await?;
        Ok(())
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        let after = match after {
            Some(after) => self.id(after),
            // Every key is greater than no text.
            None => RecordId::new(&*self.table, ""),
        };
        let values = values([
            ("subject", Value::String(hex(subject.as_bytes()))),
            ("after", Value::RecordId(after)),
            ("limit", int(i64::try_from(limit).unwrap_or(i64::MAX))),
        ]);
        rows(self.run(&self.statements.sessions_of, values).await?)?.iter().map(key).collect()
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut removed = 0;
        while removed < limit {
            let batch = BATCH.min(limit - removed);
            let values = values([("now", int(now.as_millis())), ("limit", int(batch as i64))]);
            let count = match self.run(&self.statements.remove_expired, values).await? {
                Value::Number(Number::Int(count)) => usize::try_from(count).unwrap_or(0),
                _ => return Err(senseless("count")),
            };
            removed += count;
            if count < batch {
                break;
            }
        }
        Ok(removed)
    }
}

impl<C: Connection> Scan for SurrealStore<C> {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        use std::ops::Bound;

        let limit = limit.max(1);
        let start = match from.map(|from| String::from_utf8(from.as_bytes().to_vec())) {
            Some(Ok(from)) => Bound::Excluded(RecordIdKey::String(from)),
            Some(Err(_)) => return Err(Error::new(ErrorKind::Other, Senseless("cursor"))),
            None => Bound::Unbounded,
        };
        let range = RecordIdKeyRange { start, end: Bound::Unbounded };
        let range = RecordId::new(&*self.table, RecordIdKey::Range(Box::new(range)));
        let values = values([
            ("range", Value::RecordId(range)),
            ("limit", int(i64::try_from(limit).unwrap_or(i64::MAX))),
        ]);
        let rows = rows(self.run(SCAN, values).await?)?;
        let keyed = rows.iter().map(|there| Ok((key(there)?, row(there))));
        let keyed = keyed.collect::<Result<Vec<_>>>()?;
        let last = keyed.last().filter(|_| keyed.len() == limit);
        let next = last.map(|(key, _)| Cursor::from_bytes(hex(key.as_bytes())));
        Ok(Page { next, ..Page::of(keyed)? })
    }
}

fn values<const N: usize>(values: [(&str, Value); N]) -> Object {
    let mut object = Object::new();
    for (name, value) in values {
        object.insert(name, value);
    }
    object
}

fn int(number: i64) -> Value {
    Value::Number(Number::Int(number))
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(Bytes::from(bytes.to_vec()))
}

fn content(record: &Record) -> Value {
    let mut content = values([
        ("revision", int(record.revision.as_i64())),
        ("expires_at", int(record.expires_at.as_millis())),
        ("body", bytes(&record.body)),
    ]);
    if let Some(subject) = &record.subject {
        content.insert("subject", Value::String(hex(subject.as_bytes())));
    }
    Value::Object(content)
}

/// 64 hexadecimal digits, whose order is that of the bytes. Not bytes, because no index is used
/// for those.
fn hex(bytes: &[u8; 32]) -> String {
    use fmt::Write;

    let mut text = String::with_capacity(64);
    for byte in bytes {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    // One way to write it: what is read is what is found by its text.
    let digits = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 64 || !text.as_bytes().iter().all(digits) {
        return None;
    }
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn rows(answer: Value) -> Result<Vec<Value>> {
    match answer {
        Value::Array(rows) => Ok(rows.into_inner()),
        _ => Err(senseless("answer")),
    }
}

fn maybe(there: Value) -> Result<Option<Record>> {
    match there {
        Value::None | Value::Null => Ok(None),
        there => {
            let Row { revision, subject, expires_at, .. } = row(&there)?;
            match field(&there, "body") {
                Value::Bytes(body) => {
                    Ok(Some(Record { revision, subject, expires_at, body: Body(body.to_vec()) }))
                }
                _ => Err(senseless("body")),
            }
        }
    }
}

fn row(there: &Value) -> Result<Row> {
    let number = |name: &'static str| match field(there, name) {
        Value::Number(Number::Int(number)) => Ok(*number),
        _ => Err(senseless(name)),
    };
    let revision = number("revision")?;
    if revision < 0 {
        return Err(senseless("revision"));
    }
    let subject = match field(there, "subject") {
        Value::None => None,
        Value::String(text) => {
            Some(Subject::from_hash(unhex(text).ok_or_else(|| senseless("subject"))?))
        }
        _ => return Err(senseless("subject")),
    };
    let expires_at = Timestamp::from_millis(number("expires_at")?);
    Ok(Row::new(key(there)?, Revision::from_i64(revision), subject, expires_at))
}

fn field<'a>(row: &'a Value, name: &str) -> &'a Value {
    match row {
        Value::Object(row) => row.get(name).unwrap_or(&Value::None),
        _ => &Value::None,
    }
}

fn key(row: &Value) -> Result<SessionKey> {
    match field(row, "id") {
        Value::RecordId(RecordId { key: RecordIdKey::String(text), .. }) => {
            unhex(text).map(SessionKey::from_bytes).ok_or_else(|| senseless("id"))
        }
        _ => Err(senseless("id")),
    }
}

fn senseless(field: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, Senseless(field))
}

#[derive(Debug, thiserror::Error)]
#[error("the field {0} holds what no session has there")]
struct Senseless(&'static str);

/// Why a statement has no answer.
enum Failure {
    Engine(surrealdb::Error),
    Late(Duration),
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Late(Duration);

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Engine(error) => failed(error),
            Failure::Late(limit) => Error::new(ErrorKind::Unavailable, Late(limit)),
        }
    }
}

fn is_conflict(error: &surrealdb::Error) -> bool {
    matches!(error.query_details(), Some(QueryError::TransactionConflict))
}

fn failed(error: surrealdb::Error) -> Error {
    let kind = match error.details() {
        ErrorDetails::Connection(_) => ErrorKind::Unavailable,
        // Without details it is a commit of which nobody knows what became.
        ErrorDetails::Query(None | Some(QueryError::TransactionConflict)) => ErrorKind::Unavailable,
        ErrorDetails::Query(Some(QueryError::TimedOut { .. } | QueryError::Cancelled)) => {
            ErrorKind::Unavailable
        }
        // The engine has no other word for it.
        _ if error.message().contains("too large") => ErrorKind::TooLarge,
        _ => ErrorKind::Other,
    };
    Error::new(kind, error)
}
