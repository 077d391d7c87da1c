//! A store of one's own, on redb, a key-value engine inside the process: seven verbs, each in one
//! transaction. The documentation of `Store` is what they must do; `main` holds them to it.
//!
//!     cargo run --example embedded-store

use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition};
use tokio::task::spawn_blocking;
use typed_session::store::{Body, Error, ErrorKind, Inserted, Replaced, Result, Revision, Store};
use typed_session::{Record, SessionKey, Subject, Timestamp};

type Bytes = &'static [u8; 32];
type Row = (i64, Option<Bytes>, i64, &'static [u8]); // revision, subject, expires_at, body
const RECORDS: TableDefinition<Bytes, Row> = TableDefinition::new("records");
// Two indexes, of keys by subject and by deadline. redb keeps them in order.
const SUBJECTS: TableDefinition<(Bytes, Bytes), ()> = TableDefinition::new("subjects");
const DEADLINES: TableDefinition<(i64, Bytes), ()> = TableDefinition::new("deadlines");

struct RedbStore(Arc<Database>);

impl RedbStore {
    async fn new(database: Database) -> Result<Self> {
        let store = Self(Arc::new(database));
        store.write(|_| Ok(())).await?; // makes the tables
        Ok(store)
    }

    /// Runs a verb where it may wait for the disk. Who drops the future does not stop it: the verb
    /// still happens, as a whole.
    async fn run<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T> {
        let database = Arc::clone(&self.0);
        let answer = spawn_blocking(move || verb(&database)).await;
        answer.map_err(|panic| Error::new(ErrorKind::Other, panic))?.map_err(|error| {
            let kind = match error {
                redb::Error::Io(_) | redb::Error::PreviousIo => ErrorKind::Unavailable,
                redb::Error::Corrupted(_) => ErrorKind::Corrupt,
                redb::Error::ValueTooLarge(_) => ErrorKind::TooLarge,
                _ => ErrorKind::Other,
            };
            Error::new(kind, error)
        })
    }

    /// Runs a verb in one transaction. redb lets one writer in at a time, so what a verb has read is
    /// still true when it writes; and without the commit nothing has happened.
    async fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T> {
        self.run(|database| {
            let transaction = database.begin_write()?;
            let answer = verb(&mut Tables {
                records: transaction.open_table(RECORDS)?,
                subjects: transaction.open_table(SUBJECTS)?,
                deadlines: transaction.open_table(DEADLINES)?,
            })?;
            transaction.commit()?;
            Ok(answer)
        })
        .await
    }
}

struct Tables<'t> {
    records: Table<'t, Bytes, Row>,
    subjects: Table<'t, (Bytes, Bytes), ()>,
    deadlines: Table<'t, (i64, Bytes), ()>,
}

impl Tables<'_> {
    /// Puts a record under a key, or none, in the place of what is there.
    fn put(&mut self, key: &SessionKey, new: Option<&Record>) -> Result<(), StorageError> {
        let old = get(&self.records, key)?;
        let key = key.as_bytes();
        if let Some(Record { subject, expires_at, .. }) = old {
            self.records.remove(key)?;
            self.deadlines.remove((expires_at.as_millis(), key))?;
            if let Some(subject) = subject {
                self.subjects.remove((subject.as_bytes(), key))?;
            }
        }
        if let Some(Record { revision, subject, expires_at, body }) = new {
            let (subject, at) = (subject.as_ref().map(Subject::as_bytes), expires_at.as_millis());
            self.records.insert(key, (revision.as_i64(), subject, at, &**body))?;
            self.deadlines.insert((at, key), ())?;
            if let Some(subject) = subject {
                self.subjects.insert((subject, key), ())?;
            }
        }
        Ok(())
    }
}

fn get(
    records: &impl ReadableTable<Bytes, Row>,
    key: &SessionKey,
) -> Result<Option<Record>, StorageError> {
    Ok(records.get(key.as_bytes())?.map(|row| {
        let (revision, subject, expires_at, body) = row.value();
        Record {
            revision: Revision::from_i64(revision),
            subject: subject.map(|hash| Subject::from_hash(*hash)),
            expires_at: Timestamp::from_millis(expires_at),
            body: Body(body.to_vec()),
        }
    }))
}

impl Store for RedbStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        let key = *key;
        // Expired or not: whether a record still counts is the library's affair.
        self.run(move |database| Ok(get(&database.begin_read()?.open_table(RECORDS)?, &key)?)).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        let (key, record) = (*key, record.clone());
        self.write(move |tables| {
            if get(&tables.records, &key)?.is_some() {
                return Ok(Inserted::Exists);
            }
            tables.put(&key, Some(&record))?;
            Ok(Inserted::Created)
        })
        .await
    }

    async fn replace(&self, key: &SessionKey, at: Revision, record: &Record) -> Result<Replaced> {
        let (key, record) = (*key, record.clone());
        self.write(move |tables| match get(&tables.records, &key)? {
            // The one line that no update is lost by, and nothing ended comes back by.
            Some(old) if old.revision == at => {
                tables.put(&key, Some(&record))?;
                Ok(Replaced::Done)
            }
            other => Ok(Replaced::Conflict(other)),
        })
        .await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        let key = *key;
        self.write(move |tables| match get(&tables.records, &key)? {
            Some(old) if old.revision == at && old.expires_at < expires_at => {
                Ok(tables.put(&key, Some(&Record { expires_at, ..old }))?)
            }
            _ => Ok(()), // absent, changed meanwhile, or good for longer: no error
        })
        .await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        let (key, mut tombstone) = (*key, tombstone.clone());
        self.write(move |tables| {
            if let Some(old) = get(&tables.records, &key)?
                && old.revision == Revision::ENDED
            {
                tombstone.expires_at = tombstone.expires_at.max(old.expires_at);
            }
            Ok(tables.put(&key, Some(&tombstone))?)
        })
        .await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        let (subject, after) = (*subject, after.copied());
        self.run(move |database| {
            let subject = subject.as_bytes();
            let first = match &after {
                Some(key) => Excluded((subject, key.as_bytes())),
                None => Included((subject, &[0; 32])),
            };
            let subjects = database.begin_read()?.open_table(SUBJECTS)?;
            let found = subjects.range((first, Included((subject, &[0xff; 32]))))?.take(limit);
            found.map(|entry| Ok(SessionKey::from_bytes(*entry?.0.value().1))).collect()
        })
        .await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.write(move |tables| {
            let expired = tables.deadlines.range(..=(now.as_millis(), &[0xff; 32]))?.take(limit);
            let keys = expired.map(|entry| Ok(SessionKey::from_bytes(*entry?.0.value().1)));
            let keys = keys.collect::<Result<Vec<_>, StorageError>>()?;
            keys.iter().try_for_each(|key| tables.put(key, None))?;
            Ok(keys.len())
        })
        .await
    }
}

/// The whole contract in one line: a rule that is broken is a panic that names it.
#[tokio::main]
async fn main() {
    typed_session::testing::conformance::run(async || {
        let in_memory = redb::backends::InMemoryBackend::new(); // a file: `Database::create(path)`
        let database = Database::builder().create_with_backend(in_memory).expect("no database");
        RedbStore::new(database).await.expect("no tables")
    })
    .await;
    println!("redb keeps the contract");
}

#[test]
fn redb_keeps_the_contract() {
    main();
}
