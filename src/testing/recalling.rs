//! A store that loads what another one recalls.

use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Inserted, Recalled, Replaced, Result, Revision, Store};
use crate::subject::Subject;
use crate::time::Timestamp;

/// A store whose `load` is the `recall` of the store inside.
///
/// The contract, its races included, says what may be loaded after which write.
/// Through this, a store that remembers is held to the same where it answers from
/// memory, as far as one value of it goes: of other machines' writes the
/// [`conformance`](super::conformance) suite knows nothing.
///
/// ```
/// # #[cfg(feature = "cache")] {
/// use typed_session::store::{Cached, MemoryStore};
/// use typed_session::testing::{Recalling, conformance, schedule};
///
/// schedule::run(conformance::run(async || Recalling::new(Cached::new(MemoryStore::new()))));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Recalling<S>(S);

impl<S> Recalling<S> {
    /// Puts `recall` in the place of `load`.
    pub const fn new(store: S) -> Self {
        Self(store)
    }
}

impl<S: Store> Store for Recalling<S> {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        match self.0.recall(key).await? {
            Recalled::Current(record) | Recalled::Remembered(record) => Ok(record),
        }
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
