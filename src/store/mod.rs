//! Where sessions are kept: the contract of a store, and the stores.
//!
//! [`Store`] is seven verbs on five values: a key and the four of a
//! [`Record`]. Its documentation is the contract;
//! `testing::conformance` is the same contract as code. Whoever remembers what a
//! store said keeps an eighth, [`recall`](Store::recall).

use std::fmt;
use std::future::Future;
use std::sync::Arc;

pub use self::backend::Backend;
#[cfg(feature = "sealed")]
pub(crate) use self::backend::Perform;
#[cfg(feature = "cache")]
pub use self::cached::Cached;
pub use self::change::{Change, Changes};
pub use self::connect::ConnectError;
pub use self::erased::DynStore;
pub use self::limit::TimeLimit;
pub use self::memory::MemoryStore;
#[cfg(feature = "mongodb")]
pub use self::mongodb::MongoStore;
#[cfg(feature = "redis")]
pub use self::redis::{RedisChanges, RedisStore};
pub use self::scan::{Cursor, Page, Row, Scan};
#[cfg(feature = "mysql")]
pub use self::sql::MySqlStore;
#[cfg(feature = "sqlite")]
pub use self::sql::SqliteStore;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use self::sql::TableNameError;
#[cfg(feature = "postgres")]
pub use self::sql::{PostgresChanges, PostgresStore};
use crate::id::SessionKey;
use crate::record::Record;
use crate::subject::Subject;
use crate::time::Timestamp;

#[doc = include_str!("choosing.md")]
pub mod choosing {}

mod backend;
#[cfg(feature = "cache")]
mod cached;
mod change;
mod connect;
mod erased;
mod limit;
mod memory;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "redis")]
mod redis;
mod scan;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;

/// A place that keeps records under keys, and an index of them by subject.
///
/// The library's promises (no lost update, no ended session coming back, a
/// complete "log out everywhere") rest on what is said here and on nothing
/// else. Whatever can compare and swap one row can keep sessions.
///
/// # What holds for every verb
///
/// - **One row, one step.** `insert`, `replace`, `touch` and `end` of one key
///   are linearizable: each happens at one instant between its call and its
///   answer, and the next one sees it. There are no steps in between that
///   another caller, or a crash, could see. Different keys owe each other
///   nothing but the index (below).
/// - **One round trip.** A verb is one command to the engine; for an engine inside
///   the process, one transaction. A refused [`replace`](Self::replace) may take
///   one more to say what is there.
/// - **Any number at once.** All verbs may run at the same time, from many
///   threads, processes and machines.
/// - **Dropped futures.** If a verb's future is dropped before it is ready, the
///   verb happened or it did not; it never happened in part, and no lock is left
///   behind. One that the engine has begun may still happen afterwards.
/// - **Never blocking.** The futures are polled on the runtime's threads. An engine
///   that waits for a disk in its calls is called on a thread that may wait.
/// - **Bytes as they are.** What is loaded equals what was written, to the bit,
///   also `expires_at` in milliseconds, an empty body and a body of 64 KiB. A
///   body that the engine cannot take is [`ErrorKind::TooLarge`], never cut.
/// - **No opinion on time.** A store hides nothing for being expired, and asks
///   no clock: `now` is an argument. A store may let its engine remove records
///   whose `expires_at` has passed, never earlier.
/// - **Errors.** An engine that cannot be reached is
///   [`ErrorKind::Unavailable`]; absence is not an error. After an error of a
///   writing verb the caller knows nothing: it happened or it did not.
///
/// # The index
///
/// The index names the sessions of a subject. **It never misses:** as long as
/// a record with a subject is there, whoever asks for that subject gets its key,
/// from the moment on at which the writing verb could be seen. It may name too
/// many: keys of records that are gone, or that belong to somebody else by now;
/// the caller loads each and looks. A store whose index and records cannot be
/// written in one step therefore writes the index first, then the record, and
/// takes a key out of the index only after the record.
///
/// # What breaks if it is broken
///
/// A `replace` that creates, or ignores the revision, brings logged-out users
/// back and loses writes. A `touch` that creates brings them back too. An
/// index that misses a session leaves a thief logged in after "log out
/// everywhere". A `load` that answers "absent" in an outage logs everybody out.
/// A wrong *refusal*, in contrast, costs one reload: when in doubt, refuse.
///
/// # Example
///
/// `examples/custom-store` in this library's repository is a complete store in less than
/// a hundred lines, with a main function that holds it to this contract;
/// `examples/embedded-store` is one for an engine without a query language, which
/// blocks. To keep a handle of a store that a layer has, use it behind an [`Arc`]; to
/// choose one at run time, as a [`DynStore`].
pub trait Store: Send + Sync + 'static {
    /// Whether the future of every verb is ready when it is first polled: the store never waits.
    ///
    /// False unless a store says otherwise, as [`MemoryStore`] does. A request on a store that
    /// answers at once spares the memory and the locks that waiting needs. One that says so and waits all the
    /// same has its verbs dropped and called again, which is slow and otherwise harmless.
    const ANSWERS_AT_ONCE: bool = false;

    /// Returns the record under a key, or `None` if there is none.
    ///
    /// Also a record that is past its time, and also a tombstone. A row that is
    /// there and does not make sense is [`ErrorKind::Corrupt`], not `None`; a damaged
    /// engine is another error.
    fn load(&self, key: &SessionKey) -> impl Future<Output = Result<Option<Record>>> + Send;

    /// Returns the record under a key, perhaps as it was a moment ago.
    ///
    /// This is what a request asks first. A store that remembers nothing does not
    /// write it: it then answers what [`load`](Self::load) says, which is
    /// [`Recalled::Current`]. Who remembers answers [`Recalled::Remembered`], and
    /// promises two things. It is never older than a write of this key, or a
    /// `remove_expired`, that was acknowledged before the call and through the same
    /// value. And it is older than what the store has by a stated time at most.
    ///
    /// A request whose id does not fit what is remembered loads the record before
    /// it believes that; one that writes compares revisions as ever. So a needless
    /// `Remembered` costs a `load`, and a wrong `Current` logs a user out for whom
    /// another machine has just made a new id.
    fn recall(&self, key: &SessionKey) -> impl Future<Output = Result<Recalled>> + Send {
        async { self.load(key).await.map(Recalled::Current) }
    }

    /// Creates the record under a key that has none.
    ///
    /// If there is any record under the key, also an expired one or a tombstone,
    /// it changes nothing and answers [`Inserted::Exists`].
    fn insert(
        &self,
        key: &SessionKey,
        record: &Record,
    ) -> impl Future<Output = Result<Inserted>> + Send;

    /// Replaces the record under a key, if it is at revision `expected`.
    ///
    /// All four values become those of `record`, whose revision is greater than
    /// `expected`; an `expires_at` earlier than before counts like any other.
    /// `expected` is never [`Revision::ENDED`], because nothing replaces a tombstone.
    /// Otherwise it changes nothing and answers [`Replaced::Conflict`] with what
    /// is there, or what was there a moment later. It never creates: where there is
    /// no record, the answer is `Conflict(None)`.
    fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> impl Future<Output = Result<Replaced>> + Send;

    /// Moves a record's deadline forward, if it is at revision `at`.
    ///
    /// If the record's `expires_at` is earlier than `expires_at`, that becomes
    /// the new one. Otherwise, at any other revision, and where there is no record,
    /// nothing changes, which is no error. It never creates, never moves a deadline
    /// back, and leaves revision, subject and body alone, so that it cannot make
    /// another request's `replace` fail. `at` is never [`Revision::ENDED`]: a
    /// tombstone is not touched.
    fn touch(
        &self,
        key: &SessionKey,
        at: Revision,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Writes a tombstone under a key, whatever is there, and also if nothing is.
    ///
    /// What is given as `tombstone` has the revision [`Revision::ENDED`] and no
    /// subject. From then on every `insert` and `replace` under this key is refused
    /// until the tombstone has expired and is removed. On any other record, all four
    /// values become the tombstone's, also an earlier deadline. A tombstone on a tombstone
    /// keeps the later deadline of both, and either body.
    fn end(&self, key: &SessionKey, tombstone: &Record) -> impl Future<Output = Result<()>> + Send;

    /// Returns the keys of a subject's sessions, in ascending order.
    ///
    /// The order is that of [`SessionKey::as_bytes`], and no key comes twice. At
    /// most `limit` keys (none if it is 0), all greater than `after`. Fewer than
    /// `limit` means that these were the last. A session that is there during the
    /// whole walk through the pages is on one of them. Expired records may be among
    /// them.
    fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SessionKey>>> + Send;

    /// Removes records whose `expires_at` is `now` or earlier, and says how many.
    ///
    /// At most `limit` of them; fewer than `limit` means that no more are known.
    /// Tombstones too. A record whose deadline is moved forward at the same time
    /// is either removed or touched, not both. The cost is that of what is
    /// removed, not of what is kept, and requests go on meanwhile. An engine that
    /// expires records by itself may answer 0.
    fn remove_expired(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize>> + Send;
}

pub use crate::record::{Body, Revision};

/// What [`Store::recall`] knows.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Recalled {
    /// What [`Store::load`] would have answered.
    Current(Option<Record>),
    /// What was there a moment ago.
    Remembered(Option<Record>),
}

/// What came of [`Store::insert`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Inserted {
    /// The record is there now.
    Created,
    /// There is another record under this key; nothing was changed.
    Exists,
}

/// What came of [`Store::replace`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Replaced {
    /// The record is there now.
    Done,
    /// The record was not at the expected revision; nothing was changed. With
    /// what is there instead, or `None` if nothing is.
    Conflict(Option<Record>),
}

/// The result of a store's verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A store's failure: what kind it is of, and the engine's own words.
#[derive(Debug, thiserror::Error)]
#[error("session store: {kind}")]
pub struct Error {
    kind: ErrorKind,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error of its kind and the engine's own error.
    pub fn new(
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// Returns what kind of failure it was.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}

/// What a caller can do about a store's failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The engine cannot be reached, or is too busy: try again later.
    Unavailable,
    /// One row is there and does not make sense: look at the data.
    ///
    /// A request takes its session for lost and goes on without, so this is never the
    /// answer where the engine, its file or its table is damaged: that is
    /// [`Other`](Self::Other).
    Corrupt,
    /// The record is larger than the engine takes: store less.
    TooLarge,
    /// Anything else, as a table that is missing: look at the source.
    Other,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "unavailable",
            Self::Corrupt => "a row is corrupt",
            Self::TooLarge => "the record is too large",
            Self::Other => "failed",
        })
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    const ANSWERS_AT_ONCE: bool = S::ANSWERS_AT_ONCE;

    fn load(&self, key: &SessionKey) -> impl Future<Output = Result<Option<Record>>> + Send {
        (**self).load(key)
    }

    fn recall(&self, key: &SessionKey) -> impl Future<Output = Result<Recalled>> + Send {
        (**self).recall(key)
    }

    fn insert(
        &self,
        key: &SessionKey,
        record: &Record,
    ) -> impl Future<Output = Result<Inserted>> + Send {
        (**self).insert(key, record)
    }

    fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> impl Future<Output = Result<Replaced>> + Send {
        (**self).replace(key, expected, record)
    }

    fn touch(
        &self,
        key: &SessionKey,
        at: Revision,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<()>> + Send {
        (**self).touch(key, at, expires_at)
    }

    fn end(&self, key: &SessionKey, tombstone: &Record) -> impl Future<Output = Result<()>> + Send {
        (**self).end(key, tombstone)
    }

    fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SessionKey>>> + Send {
        (**self).sessions_of(subject, after, limit)
    }

    fn remove_expired(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize>> + Send {
        (**self).remove_expired(now, limit)
    }
}

impl<S: Scan + ?Sized> Scan for Arc<S> {
    fn scan(
        &self,
        from: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page>> + Send {
        (**self).scan(from, limit)
    }
}
