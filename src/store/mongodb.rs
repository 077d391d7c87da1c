//! Sessions in a MongoDB collection.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use mongodb::bson::doc;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, RawBsonRef, RawDocument, RawDocumentBuf};
use mongodb::error::{ErrorKind as Failure, WriteFailure};
use mongodb::options::{
    Acknowledgment, CollectionOptions, IndexOptions, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Collection, Cursor as Documents, Database, IndexModel};

use super::{
    Cursor, Error, ErrorKind, Inserted, Page, Replaced, Result, Revision, Row, Scan, Store,
};
use crate::id::SessionKey;
use crate::record::{Body, Record};
use crate::subject::Subject;
use crate::time::Timestamp;

// A document, with its indexes beside the one on `_id`:
//
//   _id         BinData(0), 32 bytes
//   revision    Int64
//   subject     BinData(0), 32 bytes, or absent      (subject, _id) where there is one
//   expires_at  Int64, milliseconds since 1970
//   remove_at   Date: `expires_at`, within a calendar    TTL
//   body        BinData(0)

/// A store in a MongoDB collection, in a database of yours.
///
/// [`migrate`](Self::migrate) makes the indexes; without them the verbs work, and those that
/// need an index are slow.
///
/// ```no_run
/// use mongodb::Client;
/// use typed_session::store::MongoStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::with_uri_str("mongodb://db1,db2,db3/?replicaSet=rs0").await?;
/// let store = MongoStore::new(client.database("shop"));
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
///
/// # What it asks of the server
///
/// MongoDB 4.2 or later. What writes or loads a session is one command on one document;
/// a refused `replace` is two. Whatever the client was told to do, the store
///
/// - **writes with `w: "majority"` and `j: true`**: what is acknowledged is in the journal
///   of most members, so that neither a power failure nor a failover undoes it. With less,
///   someone who has logged out may be logged in again.
/// - **reads from the primary, `local`**: the next load sees what was written. A
///   primary that is cut off from the others answers from its past until it notices, which
///   takes it some ten seconds; nothing can be written there meanwhile. Where that is too
///   long for an ended session to be read, say [`linearizable`](Self::linearizable).
///
/// Leave `retryWrites` on, which is the driver's default: against a replica set a write
/// whose answer was lost is sent once more under its number, and done once. A standalone
/// server has no such numbers, so the write fails and the layer finds out what became of it.
///
/// A collection that is sharded must be so by `_id`, hashed.
///
/// # Time limits
///
/// Of its own the driver waits for ever for a server that accepts a command and does not
/// answer. So a command that has no answer within [`timeout`](Self::timeout) is
/// [`ErrorKind::Unavailable`], ten seconds if left alone, whatever it waits for:
/// choosing a server, a connection of the pool, the answer. The client's
/// `serverSelectionTimeoutMS` (30 seconds) and `connectTimeoutMS` (10 seconds) count within it.
///
/// # Clean-up
///
/// The server removes what has expired by itself, by a TTL index, five minutes after its time, so
/// that clocks may differ that much. It looks once a minute.
/// [`remove_expired`](Store::remove_expired) does the same sooner; it takes two
/// commands for each thousand records.
#[derive(Clone)]
pub struct MongoStore {
    database: Database,
    collection: Collection<RawDocumentBuf>,
    limit: Duration,
    read_concern: ReadConcern,
}

impl MongoStore {
    /// Makes a store that keeps its records in the collection `typed_sessions`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self::with(database, "typed_sessions", Duration::from_secs(10), ReadConcern::local())
    }

    /// Sets the collection's name.
    #[must_use]
    pub fn collection(self, name: &str) -> Self {
        Self::with(self.database, name, self.limit, self.read_concern)
    }

    /// Sets how long a command may take; ten seconds if not set.
    ///
    /// An election takes a replica set some ten seconds. With a longer limit requests wait for
    /// it to be over, with a shorter one they fail meanwhile.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        Self::with(self.database, self.collection.name(), limit, self.read_concern)
    }

    /// Makes every load ask most members whether this primary still is one.
    ///
    /// So no load is ever answered from the past, also not while the network is divided; it
    /// costs a round trip between the members each. Not for a standalone server, which refuses it.
    #[must_use]
    pub fn linearizable(self) -> Self {
        let name = self.collection.name().to_owned();
        Self::with(self.database, &name, self.limit, ReadConcern::linearizable())
    }

    fn with(database: Database, name: &str, limit: Duration, read_concern: ReadConcern) -> Self {
        // The server takes no longer ones.
        let limit = limit.min(Duration::from_millis(i32::MAX.unsigned_abs().into()));
        let write_concern = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(limit)
            .build();
        let options = CollectionOptions::builder()
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .read_concern(read_concern.clone())
            .write_concern(write_concern)
            .build();
        let collection = database.collection_with_options(name, options);
        Self { database, collection, limit, read_concern }
    }

    /// Makes the indexes, and so the collection, as far as they are not there.
    ///
    /// Any number of processes may do so at once, at every start. It takes as long
    /// as the server takes: there is no limit.
    ///
    /// # Errors
    ///
    /// Those of the server, as where there is an index of the same keys with other options.
    pub async fn migrate(&self) -> Result<()> {
        let subject = IndexOptions::builder()
            .partial_filter_expression(doc! { "subject": { "$exists": true } })
            .build();
        let remove_at = IndexOptions::builder().expire_after(MARGIN).build();
        let indexes = [
            IndexModel::builder().keys(doc! { "subject": 1, "_id": 1 }).options(subject).build(),
            IndexModel::builder().keys(doc! { "remove_at": 1 }).options(remove_at).build(),
        ];
        self.collection.create_indexes(indexes).await.map_err(failed)?;
        Ok(())
    }

    /// Waits for an answer, but not for ever.
    async fn within<T>(
        &self,
        answer: impl Future<Output = mongodb::error::Result<T>> + Send,
    ) -> Result<T, mongodb::error::Error> {
        tokio::time::timeout(self.limit, answer)
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

/// How far the clocks of the servers may be ahead.
const MARGIN: Duration = Duration::from_secs(300);

/// The last millisecond of the year 9999. Some tools cannot read a later date.
const END_OF_CALENDAR: i64 = 253_402_300_799_999;

/// A document's 16 MiB, less what is around the body.
const LARGEST_BODY: usize = 16 * 1024 * 1024 - 1024;

/// Records that are removed at once.
const BATCH: usize = 1000;

/// Tries of an upsert that met another of the same key.
const TRIES: usize = 5;

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.collection.namespace().to_string();
        f.debug_struct("MongoStore").field("collection", &name).finish_non_exhaustive()
    }
}

impl Store for MongoStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        let find = self.collection.find_one(doc! { "_id": binary(key.as_bytes()) });
        let found = self.within(find.max_time(self.limit).into_future()).await.map_err(failed)?;
        found.as_deref().map(record).transpose()
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        fits(record)?;
        let insert = self.collection.insert_one(document(Some(key), record));
        match self.within(insert.into_future()).await {
            Ok(_) => Ok(Inserted::Created),
            Err(error) if is_duplicate(&error) => Ok(Inserted::Exists),
            Err(error) => Err(failed(error)),
        }
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        fits(record)?;
        // A tombstone is never replaced.
        let there = doc! {
            "_id": binary(key.as_bytes()),
            "revision": { "$eq": expected.as_i64(), "$lt": Revision::ENDED.as_i64() },
        };
        let replace = self.collection.replace_one(there, document(None, record));
        let done = self.within(replace.into_future()).await.map_err(failed)?;
        if done.matched_count == 0 {
            return Ok(Replaced::Conflict(self.load(key).await?));
        }
        Ok(Replaced::Done)
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        let there = doc! {
            "_id": binary(key.as_bytes()),
            "revision": at.as_i64(),
            "expires_at": { "$lt": expires_at.as_millis() },
        };
        let moved = doc! { "$set": {
            "expires_at": expires_at.as_millis(),
            "remove_at": remove_at(expires_at),
        } };
        let update = self.collection.update_one(there, moved);
        self.within(update.into_future()).await.map_err(failed)?;
        Ok(())
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        fits(tombstone)?;
        // What a `$` names is the document as it was.
        let ended = doc! { "$eq": ["$revision", Revision::ENDED.as_i64()] };
        let later = |name: &str, new: Bson| {
            doc! { "$cond": [ended.clone(), { "$max": [name, new.clone()] }, new] }
        };
        let expires_at = tombstone.expires_at;
        let update = vec![
            doc! { "$set": {
                "revision": Revision::ENDED.as_i64(),
                "expires_at": later("$expires_at", expires_at.as_millis().into()),
                "remove_at": later("$remove_at", remove_at(expires_at).into()),
                "body": binary(&tombstone.body),
            } },
            doc! { "$unset": "subject" },
        ];
        let mut tries = 1;
        loop {
            let there = doc! { "_id": binary(key.as_bytes()) };
            let upsert = self.collection.update_one(there, update.clone()).upsert(true);
            match self.within(upsert.into_future()).await {
                Ok(_) => return Ok(()),
                // Another came first, as an insert. It will be found now.
                Err(error) if is_duplicate(&error) && tries < TRIES => tries += 1,
                Err(error) => return Err(failed(error)),
            }
        }
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut filter = doc! { "subject": binary(subject.as_bytes()) };
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": binary(after.as_bytes()) });
        }
        let find = self.collection.find(filter).projection(doc! { "_id": 1 });
        let find = find.sort(doc! { "_id": 1 }).limit(signed(limit)).batch_size(at_once(limit));
        let mut keys = Vec::new();
        let collect = async {
            let mut documents = find.max_time(self.limit).await?;
            each(&mut documents, |document| keys.push(key(document))).await
        };
        self.within(collect).await.map_err(failed)?;
        keys.into_iter().collect()
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let due = doc! {
            "remove_at": { "$lte": remove_at(now) },
            "expires_at": { "$lte": now.as_millis() },
        };
        let mut removed = 0;
        while removed < limit {
            let batch = BATCH.min(limit - removed);
            let find = self.collection.find(due.clone()).projection(doc! { "_id": 1 });
            let find = find.sort(doc! { "remove_at": 1 });
            let find = find.limit(signed(batch)).batch_size(at_once(batch)).max_time(self.limit);
            let mut found = Vec::new();
            let step = async {
                let mut documents = find.await?;
                // Whatever stands in `_id`: what is due goes.
                each(&mut documents, |document| {
                    found.extend(document.get("_id").ok().flatten().map(Bson::try_from));
                })
                .await?;
                let ids = found.iter().flatten().cloned().collect::<Vec<_>>();
                if ids.is_empty() {
                    return Ok(0);
                }
                // What was touched since then stays.
                let mut still_due = due.clone();
                still_due.insert("_id", doc! { "$in": ids });
                Ok(self.collection.delete_many(still_due).await?.deleted_count)
            };
            let deleted = self.within(step).await.map_err(failed)?;
            removed += usize::try_from(deleted).unwrap_or(usize::MAX);
            if found.len() < batch {
                break;
            }
        }
        Ok(removed)
    }
}

impl Scan for MongoStore {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        let limit = limit.max(1);
        let mut filter = Document::new();
        if let Some(from) = from {
            filter.insert("_id", doc! { "$gt": binary(from.as_bytes()) });
        }
        let find = self.collection.find(filter).projection(doc! { "body": 0 });
        let find = find.sort(doc! { "_id": 1 }).limit(signed(limit)).batch_size(at_once(limit));
        let mut rows = Vec::new();
        let collect = async {
            let mut documents = find.max_time(self.limit).await?;
            each(&mut documents, |document| rows.push((key(document), row(document)))).await
        };
        self.within(collect).await.map_err(failed)?;
        let is_full = rows.len() == limit;
        let mut keyed = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            keyed.push((key?, row));
        }
        let last = keyed.last().filter(|_| is_full);
        let next = last.map(|(key, _)| Cursor::from_bytes(key.as_bytes().as_slice()));
        Ok(Page { next, ..Page::of(keyed)? })
    }
}

async fn each(
    documents: &mut Documents<RawDocumentBuf>,
    mut found: impl FnMut(&RawDocument),
) -> mongodb::error::Result<()> {
    while documents.advance().await? {
        found(documents.current());
    }
    Ok(())
}

fn signed(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// One more than is wanted: an exact batch leaves the server with a cursor that is not at its end.
/// At most so many keys as fit in one answer.
fn at_once(limit: usize) -> u32 {
    u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX).min(100_000)
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// When the server may remove it: never before `expires_at`, unless that is after the year 9999.
fn remove_at(expires_at: Timestamp) -> DateTime {
    DateTime::from_millis(expires_at.as_millis().clamp(0, END_OF_CALENDAR))
}

fn fits(record: &Record) -> Result<()> {
    if record.body.len() > LARGEST_BODY { Err(ErrorKind::TooLarge.into()) } else { Ok(()) }
}

fn document(key: Option<&SessionKey>, record: &Record) -> RawDocumentBuf {
    use mongodb::bson::cstr;

    let mut document = RawDocumentBuf::new();
    if let Some(key) = key {
        document.append(cstr!("_id"), binary(key.as_bytes()));
    }
    document.append(cstr!("revision"), record.revision.as_i64());
    if let Some(subject) = &record.subject {
        document.append(cstr!("subject"), binary(subject.as_bytes()));
    }
    document.append(cstr!("expires_at"), record.expires_at.as_millis());
    document.append(cstr!("remove_at"), remove_at(record.expires_at));
    document.append(cstr!("body"), binary(&record.body));
    document
}

fn record(document: &RawDocument) -> Result<Record> {
    let body = document.get_binary("body").map_err(|_| senseless("body"))?;
    let Row { revision, subject, expires_at, .. } = row(document)?;
    Ok(Record { revision, subject, expires_at, body: Body(body.bytes.to_vec()) })
}

fn row(document: &RawDocument) -> Result<Row> {
    let revision = document.get_i64("revision").map_err(|_| senseless("revision"))?;
    let expires_at = document.get_i64("expires_at").map_err(|_| senseless("expires_at"))?;
    if revision < 0 {
        return Err(senseless("revision"));
    }
    let subject = match document.get("subject").map_err(|_| senseless("subject"))? {
        None => None,
        Some(subject) => Some(Subject::from_hash(hash("subject", subject)?)),
    };
    let (revision, expires_at) = (Revision::from_i64(revision), Timestamp::from_millis(expires_at));
    Ok(Row::new(key(document)?, revision, subject, expires_at))
}

fn key(document: &RawDocument) -> Result<SessionKey> {
    match document.get("_id") {
        Ok(Some(id)) => Ok(SessionKey::from_bytes(hash("_id", id)?)),
        Ok(None) | Err(_) => Err(senseless("_id")),
    }
}

fn hash(field: &'static str, value: RawBsonRef<'_>) -> Result<[u8; 32]> {
    let bytes = value.as_binary().and_then(|binary| binary.bytes.try_into().ok());
    bytes.ok_or_else(|| senseless(field))
}

fn senseless(field: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, Senseless(field))
}

#[derive(Debug, thiserror::Error)]
#[error("the field {0} holds what no session has there")]
struct Senseless(&'static str);

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    code(error) == Some(DUPLICATE_KEY)
}

fn code(error: &mongodb::error::Error) -> Option<i32> {
    match &*error.kind {
        Failure::Command(error) => Some(error.code),
        Failure::Write(WriteFailure::WriteError(error)) => Some(error.code),
        Failure::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        _ => None,
    }
}

fn failed(error: mongodb::error::Error) -> Error {
    let kind = match &*error.kind {
        Failure::Io(_)
        | Failure::ServerSelection { .. }
        | Failure::ConnectionPoolCleared { .. }
        | Failure::DnsResolve { .. }
        | Failure::Shutdown
        | Failure::Write(WriteFailure::WriteConcernError(_)) => ErrorKind::Unavailable,
        _ if ["RetryableWriteError", "TransientTransactionError", "SystemOverloadedError"]
            .iter()
            .any(|label| error.contains_label(label)) =>
        {
            ErrorKind::Unavailable
        }
        _ => match code(&error) {
            Some(code) if UNAVAILABLE.contains(&code) => ErrorKind::Unavailable,
            Some(code) if TOO_LARGE.contains(&code) => ErrorKind::TooLarge,
            _ => ErrorKind::Other,
        },
    };
    Error::new(kind, error)
}

// https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
const DUPLICATE_KEY: i32 = 11000;
const TOO_LARGE: [i32; 3] = [10334, 17419, 17420];
const UNAVAILABLE: [i32; 24] = [
    6,     // HostUnreachable
    7,     // HostNotFound
    24,    // LockTimeout
    50,    // MaxTimeMSExpired
    64,    // WriteConcernTimeout
    89,    // NetworkTimeout
    91,    // ShutdownInProgress
    100,   // UnsatisfiableWriteConcern
    112,   // WriteConflict
    133,   // FailedToSatisfyReadPreference
    134,   // ReadConcernMajorityNotAvailableYet
    189,   // PrimarySteppedDown
    202,   // NetworkInterfaceExceededTimeLimit
    262,   // ExceededTimeLimit
    9001,  // SocketException
    10058, // LegacyNotPrimary
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11601, // Interrupted
    11602, // InterruptedDueToReplStateChange
    13435, // NotPrimaryNoSecondaryOk
    13436, // NotPrimaryOrSecondary
    13388, // StaleConfig
    14031, // OutOfDiskSpace
];
