//! The object-safe twin of [`Store`], for a store chosen at run time.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Cursor, Error, ErrorKind, Inserted, Page, Recalled, Replaced, Result, Revision, Scan, Store,
};
use crate::id::SessionKey;
use crate::record::Record;
use crate::subject::Subject;
use crate::time::Timestamp;

/// [`Store`], verb by verb, callable through `dyn`. Every store is one.
///
/// Not public, because with both traits in scope every call would be ambiguous.
#[async_trait]
trait ErasedStore: Send + Sync + 'static {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>>;
    async fn recall(&self, key: &SessionKey) -> Result<Recalled>;
    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted>;
    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced>;
    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()>;
    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()>;
    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>>;
    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize>;
}

#[async_trait]
impl<S: Store> ErasedStore for S {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        Store::load(self, key).await
    }

    async fn recall(&self, key: &SessionKey) -> Result<Recalled> {
        Store::recall(self, key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        Store::insert(self, key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        Store::replace(self, key, expected, record).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        Store::touch(self, key, at, expires_at).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        Store::end(self, key, tombstone).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        Store::sessions_of(self, subject, after, limit).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        Store::remove_expired(self, now, limit).await
    }
}

/// [`Scan`] alone, callable through `dyn`.
#[async_trait]
trait ErasedScan: Send + Sync + 'static {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page>;
}

#[async_trait]
impl<S: Scan> ErasedScan for S {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        Scan::scan(self, from, limit).await
    }
}

/// Any store at all, chosen at run time; itself a [`Store`], and cheap to clone.
///
/// Each call costs one more heap allocation than a call of the store itself, and some 300
/// instructions. One is made of a store, or [connected to](Self::connect) by a URL.
///
/// ```
/// use typed_session::store::{DynStore, MemoryStore};
///
/// # fn from_config() -> &'static str { "memory" }
/// let store: DynStore = match from_config() {
///     "memory" => DynStore::new(MemoryStore::new()),
///     other => panic!("no store is called {other}"),
/// };
/// # let _ = store;
/// ```
#[derive(Clone)]
pub struct DynStore {
    store: Arc<dyn ErasedStore>,
    scan: Option<Arc<dyn ErasedScan>>,
    connected: Option<Arc<dyn Connected>>,
}

/// What can be done with a store that was made by a URL, beside the verbs.
#[async_trait]
pub(super) trait Connected: Send + Sync + 'static {
    /// Makes the tables, if the engine needs any.
    async fn migrate(&self) -> Result<()> {
        Ok(())
    }

    /// Says goodbye to the engine.
    async fn close(&self) {}
}

impl DynStore {
    /// Hides a store's type.
    ///
    /// It cannot be [walked through](Scan) any more; for that, see
    /// [`scannable`](Self::scannable).
    pub fn new(store: impl Store) -> Self {
        Self { store: Arc::new(store), scan: None, connected: None }
    }

    /// Hides the type of a store that can be walked through.
    pub fn scannable(store: impl Scan) -> Self {
        let store = Arc::new(store);
        Self { store: store.clone(), scan: Some(store), connected: None }
    }

    /// Hides the type of a store that was made by a URL.
    pub(super) fn connected(store: impl Scan, its: impl Connected) -> Self {
        Self { connected: Some(Arc::new(its)), ..Self::scannable(store) }
    }

    /// Makes the tables and indexes of a store that was
    /// [connected to](Self::connect) by a URL, as far as they are not there.
    ///
    /// Any number of processes may do so at once, at every start. Where the engine
    /// needs none, and for a store made by [`new`](Self::new), nothing is done.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn migrate(&self) -> Result<()> {
        match &self.connected {
            Some(its) => its.migrate().await,
            None => Ok(()),
        }
    }

    /// Closes a store that was [connected to](Self::connect) by a URL, in order.
    ///
    /// Calls that are under way are waited for, and all later ones fail. It is only good
    /// manners: a program may end without. SQLite moves its log into the file by it.
    ///
    /// Nothing is done for `memory:`, and for `redis:`, whose connection is closed once
    /// the last clone of the store is dropped: such a store goes on answering. Of a
    /// store made by [`new`](Self::new) the connections are not ours to close, and nothing
    /// is done either.
    pub async fn close(&self) {
        if let Some(its) = &self.connected {
            its.close().await;
        }
    }
}

impl fmt::Debug for DynStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynStore(..)")
    }
}

/// What [`DynStore::new`] was given cannot be walked through, which is
/// [`ErrorKind::Other`].
impl Scan for DynStore {
    async fn scan(&self, from: Option<&Cursor>, limit: usize) -> Result<Page> {
        match &self.scan {
            Some(store) => store.scan(from, limit).await,
            None => Err(Error::new(ErrorKind::Other, NotScannable)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("this store cannot be walked through")]
struct NotScannable;

impl Store for DynStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.store.load(key).await
    }

    async fn recall(&self, key: &SessionKey) -> Result<Recalled> {
        self.store.recall(key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.store.insert(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.store.replace(key, expected, record).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.store.touch(key, at, expires_at).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.store.end(key, tombstone).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.store.sessions_of(subject, after, limit).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.store.remove_expired(now, limit).await
    }
}
