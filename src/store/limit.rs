//! A time limit for every call of a store.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::{
    Cursor, Error, ErrorKind, Inserted, Page, Recalled, Replaced, Result, Revision, Scan, Store,
};
use crate::id::SessionKey;
use crate::record::Record;
use crate::subject::Subject;
use crate::time::Timestamp;

type Sleep = dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// A store whose calls end after a while, whatever becomes of the engine.
///
/// A server that is lost without a word closes no connection: who waits for its
/// answer waits for as long as the operating system does, which is many minutes.
/// sqlx sets no limit to that, so the SQL stores need this one.
///
/// A call that takes longer is dropped, and is [`ErrorKind::Unavailable`]: of a
/// writing verb the caller knows nothing, as after any error. Five seconds are many
/// times what a session takes, and less than people wait.
///
/// It needs to be told how to sleep on the runtime there is:
///
/// ```
/// use std::time::Duration;
/// use typed_session::store::{MemoryStore, TimeLimit};
///
/// # type Store = MemoryStore;
/// # let store = MemoryStore::new();
/// let store = TimeLimit::new(store, Duration::from_secs(5), tokio::time::sleep);
/// # let _: TimeLimit<Store> = store;
/// ```
///
/// The connection of a dropped call is of no use to others before its server has
/// answered after all, or the system has given it up. Once all of a pool are
/// so, calls wait for one in vain, for the same limit.
#[derive(Clone)]
pub struct TimeLimit<S> {
    store: S,
    limit: Duration,
    sleep: Arc<Sleep>,
}

impl<S> TimeLimit<S> {
    /// Ends each call of a store after `limit`.
    ///
    /// A refused [`replace`](Store::replace) is one call, also where it is two
    /// commands to the engine; and so is a batch of
    /// [`remove_expired`](Store::remove_expired).
    pub fn new<F>(
        store: S,
        limit: Duration,
        sleep: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { store, limit, sleep: Arc::new(move |time| Box::pin(sleep(time))) }
    }

    /// Returns the store behind, whose calls last as long as they do.
    pub const fn store(&self) -> &S {
        &self.store
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        // The call is polled first: an answer that is there counts.
        match select(pin!(call), (self.sleep)(self.limit)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(Error::new(ErrorKind::Unavailable, TookTooLong(self.limit))),
        }
    }
}

/// No answer came in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct TookTooLong(Duration);

impl<S: fmt::Debug> fmt::Debug for TimeLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeLimit")
            .field("store", &self.store)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<S: Store> Store for TimeLimit<S> {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.within(self.store.load(key)).await
    }

    async fn recall(&self, key: &SessionKey) -> Result<Recalled> {
        self.within(self.store.recall(key)).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.within(self.store.insert(key, record)).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.within(self.store.replace(key, expected, record)).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.within(self.store.touch(key, at, expires_at)).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.within(self.store.end(key, tombstone)).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.within(self.store.sessions_of(subject, after, limit)).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.within(self.store.remove_expired(now, limit)).await
    }
}

impl<S: Scan> Scan for TimeLimit<S> {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        self.within(self.store.scan(from, limit)).await
    }
}
