//! The object-safe twin of [`Store`], for a store chosen at run time.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Inserted, Recalled, Replaced, Result, Revision, Store};
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

/// Any store at all, chosen at run time; itself a [`Store`], and cheap to clone.
///
/// Each call costs one more heap allocation than a call of the store itself.
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
pub struct DynStore(Arc<dyn ErasedStore>);

impl DynStore {
    /// Hides a store's type.
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for DynStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynStore(..)")
    }
}

impl Store for DynStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.0.load(key).await
    }

    async fn recall(&self, key: &SessionKey) -> Result<Recalled> {
        self.0.recall(key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.0.insert(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.0.replace(key, expected, record).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.0.touch(key, at, expires_at).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.0.end(key, tombstone).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.0.sessions_of(subject, after, limit).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.0.remove_expired(now, limit).await
    }
}
