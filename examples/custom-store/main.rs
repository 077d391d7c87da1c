//! A store of one's own, complete: seven verbs, each one statement. What they must do is in the
//! documentation of `Store`, and `main` holds them to it: `cargo run --example custom-store`.
use sqlx::SqlitePool;
use typed_session::store::{Body, Error, ErrorKind, Inserted, Replaced, Result, Revision, Store};
use typed_session::{Record, SessionKey, Subject, Timestamp};

const SCHEMA: &str = "CREATE TABLE sessions (key BLOB PRIMARY KEY, revision INT NOT NULL,
        subject BLOB, expires_at INT NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX a ON sessions (subject, key); CREATE INDEX b ON sessions (expires_at)";
const LOAD: &str = "SELECT revision, subject, expires_at, body FROM sessions WHERE key = ?";
const INSERT: &str = "INSERT INTO sessions VALUES (?1, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
// The one condition by which no update is lost, and nothing that has ended comes back.
const REPLACE: &str = "UPDATE sessions SET (revision, subject, expires_at, body) = (?3, ?4, ?5, ?6)
    WHERE key = ?1 AND revision = ?2";
const TOUCH: &str = "UPDATE sessions SET expires_at = ?3
    WHERE key = ?1 AND revision = ?2 AND expires_at < ?3";
const END: &str = "INSERT INTO sessions VALUES (?1, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET
    expires_at = iif(revision = ?3, max(expires_at, ?5), ?5), revision = ?3, subject = ?4, body = ?6";
const KEYS_OF: &str = "SELECT key FROM sessions WHERE subject = ? AND key > ? ORDER BY key LIMIT ?";
const REMOVE_EXPIRED: &str = "DELETE FROM sessions WHERE key IN
    (SELECT key FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";

struct MyStore(SqlitePool);
impl MyStore {
    /// Puts a record in the place of what is at a revision, and says how many rows that changed.
    async fn put(&self, sql: &'static str, key: &SessionKey, at: i64, new: &Record) -> Result<u64> {
        let subject = new.subject.as_ref().map(|subject| &subject.as_bytes()[..]);
        let query = sqlx::query(sql).bind(&key.as_bytes()[..]).bind(at).bind(new.revision.as_i64());
        let query = query.bind(subject).bind(new.expires_at.as_millis()).bind(&new.body[..]);
        Ok(query.execute(&self.0).await.map_err(failed)?.rows_affected())
    }
}

/// Says what the caller can do about it. Engines know more cases than these.
fn failed(error: sqlx::Error) -> Error {
    let is_outage = matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut);
    Error::new(if is_outage { ErrorKind::Unavailable } else { ErrorKind::Other }, error)
}

fn hash(bytes: Vec<u8>) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| ErrorKind::Corrupt.into())
}

impl Store for MyStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        let row = sqlx::query_as(LOAD).bind(&key.as_bytes()[..]).fetch_optional(&self.0).await;
        let row: Option<(_, Option<_>, _, _)> = row.map_err(failed)?;
        let Some((revision, subject, at, body)) = row else { return Ok(None) };
        let subject = subject.map(hash).transpose()?.map(Subject::from_hash);
        let (revision, at) = (Revision::from_i64(revision), Timestamp::from_millis(at));
        Ok(Some(Record { revision, subject, expires_at: at, body: Body(body) }))
    }

    async fn insert(&self, key: &SessionKey, new: &Record) -> Result<Inserted> {
        let created = self.put(INSERT, key, 0, new).await? == 1;
        Ok(if created { Inserted::Created } else { Inserted::Exists })
    }

    async fn replace(&self, key: &SessionKey, at: Revision, new: &Record) -> Result<Replaced> {
        let done = self.put(REPLACE, key, at.as_i64(), new).await? == 1;
        Ok(if done { Replaced::Done } else { Replaced::Conflict(self.load(key).await?) })
    }

    async fn touch(&self, key: &SessionKey, at: Revision, until: Timestamp) -> Result<()> {
        let query = sqlx::query(TOUCH).bind(&key.as_bytes()[..]).bind(at.as_i64());
        query.bind(until.as_millis()).execute(&self.0).await.map_err(failed).map(drop)
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.put(END, key, 0, tombstone).await.map(drop)
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        let after = after.map_or(&[][..], |key| key.as_bytes()); // all are greater than no bytes
        let keys = sqlx::query_scalar(KEYS_OF).bind(&subject.as_bytes()[..]).bind(after);
        let keys = keys.bind(limit as i64).fetch_all(&self.0).await.map_err(failed)?;
        keys.into_iter().map(|key| Ok(SessionKey::from_bytes(hash(key)?))).collect()
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let query = sqlx::query(REMOVE_EXPIRED).bind(now.as_millis()).bind(limit as i64);
        Ok(query.execute(&self.0).await.map_err(failed)?.rows_affected() as usize)
    }
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("no folder");
    let url = format!("sqlite:{}/db?mode=rwc", folder.path().display());
    let pool = SqlitePool::connect(&url).await.expect("no database");
    sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("no table");
    typed_session::testing::conformance::run(async || MyStore(pool.clone())).await;
    println!("it keeps the contract"); // a rule that is broken is a panic that names it
}
