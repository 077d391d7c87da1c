//! A store with an await point around every verb.

use super::schedule::yield_now;
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Inserted, Recalled, Replaced, Result, Revision, Store};
use crate::subject::Subject;
use crate::time::Timestamp;

/// A store whose every verb gives way to others first.
///
/// A store in memory answers at once, so two requests on it never overlap.
/// Behind this they do, wherever a database would let them, and an
/// [`Explorer`](super::schedule::Explorer) can try every order.
#[derive(Clone, Debug)]
pub struct Yielding<S> {
    store: S,
    yields: Yields,
}

/// Where a [`Yielding`] store gives way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Yields {
    /// Before the verb. Enough for every order of verbs, and there are far fewer
    /// schedules to try.
    Before,
    /// Before and after it, so that an answer may also be late, or, with
    /// [`Explorer::drops`](super::schedule::Explorer::drops), lost.
    Around,
}

impl<S> Yielding<S> {
    /// Puts await points around every verb of a store.
    pub const fn new(store: S, yields: Yields) -> Self {
        Self { store, yields }
    }

    async fn around<T>(&self, verb: impl Future<Output = T> + Send) -> T {
        yield_now().await;
        let answer = verb.await;
        match self.yields {
            Yields::Before => {}
            Yields::Around => yield_now().await,
        }
        answer
    }
}

impl<S: Store> Store for Yielding<S> {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.around(self.store.load(key)).await
    }

    async fn recall(&self, key: &SessionKey) -> Result<Recalled> {
        self.around(self.store.recall(key)).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.around(self.store.insert(key, record)).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.around(self.store.replace(key, expected, record)).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.around(self.store.touch(key, at, expires_at)).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.around(self.store.end(key, tombstone)).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.around(self.store.sessions_of(subject, after, limit)).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.around(self.store.remove_expired(now, limit)).await
    }
}
