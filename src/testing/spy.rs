//! A store that counts what it is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::verb::Verb;
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Inserted, Recalled, Replaced, Result, Revision, Store};
use crate::subject::Subject;
use crate::time::Timestamp;

/// A store that counts the calls of every verb, also of those that fail.
///
/// A [`recall`](Store::recall) counts as a `load`.
///
/// Give the store away and keep its [`handle`](Self::handle).
///
/// ```
/// use typed_session::store::{MemoryStore, Store};
/// use typed_session::testing::{Calls, Spy, Verb, schedule};
/// use typed_session::SessionKey;
///
/// let store = Spy::new(MemoryStore::new());
/// let spied = store.handle();
/// schedule::run(store.load(&SessionKey::from_bytes([0; 32]))).unwrap();
/// assert_eq!(spied.take(), [Verb::Load]);
/// assert_eq!(spied.calls(), Calls::default());
/// ```
#[derive(Debug)]
pub struct Spy<S> {
    store: S,
    handle: Spied,
}

impl<S> Spy<S> {
    /// Watches a store.
    pub fn new(store: S) -> Self {
        Self { store, handle: Spied::default() }
    }

    /// Returns a handle that tells what the store was asked.
    #[must_use]
    pub fn handle(&self) -> Spied {
        self.handle.clone()
    }
}

/// What a [`Spy`] has seen.
#[derive(Clone, Debug, Default)]
pub struct Spied(Arc<Mutex<Vec<Verb>>>);

impl Spied {
    /// Returns how often each verb was called since the last [`take`](Self::take).
    #[must_use]
    pub fn calls(&self) -> Calls {
        let mut calls = Calls::default();
        for verb in self.log().iter() {
            *match verb {
                Verb::Load => &mut calls.load,
                Verb::Insert => &mut calls.insert,
                Verb::Replace => &mut calls.replace,
                Verb::Touch => &mut calls.touch,
                Verb::End => &mut calls.end,
                Verb::SessionsOf => &mut calls.sessions_of,
                Verb::RemoveExpired => &mut calls.remove_expired,
            } += 1;
        }
        calls
    }

    /// Returns the verbs in the order of their calls, and forgets them.
    pub fn take(&self) -> Vec<Verb> {
        std::mem::take(&mut *self.log())
    }

    fn log(&self) -> MutexGuard<'_, Vec<Verb>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, verb: Verb) {
        self.log().push(verb);
    }
}

/// How often each verb was called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "seven verbs, named as in the contract")]
pub struct Calls {
    pub load: usize,
    pub insert: usize,
    pub replace: usize,
    pub touch: usize,
    pub end: usize,
    pub sessions_of: usize,
    pub remove_expired: usize,
}

impl Calls {
    /// Returns how many calls there were of any verb.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.load
            + self.insert
            + self.replace
            + self.touch
            + self.end
            + self.sessions_of
            + self.remove_expired
    }
}

impl<S: Store> Store for Spy<S> {
    const ANSWERS_AT_ONCE: bool = S::ANSWERS_AT_ONCE;

    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.handle.saw(Verb::Load);
        self.store.load(key).await
    }

    async fn recall(&self, key: &SessionKey) -> Result<Recalled> {
        self.handle.saw(Verb::Load);
        self.store.recall(key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.handle.saw(Verb::Insert);
        self.store.insert(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.handle.saw(Verb::Replace);
        self.store.replace(key, expected, record).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.handle.saw(Verb::Touch);
        self.store.touch(key, at, expires_at).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.handle.saw(Verb::End);
        self.store.end(key, tombstone).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.handle.saw(Verb::SessionsOf);
        self.store.sessions_of(subject, after, limit).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.handle.saw(Verb::RemoveExpired);
        self.store.remove_expired(now, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::testing::schedule::run;

    #[test]
    fn a_spy_counts_every_verb_once_and_knows_their_order() {
        let spy = Spy::new(MemoryStore::new());
        let key = SessionKey::from_bytes([1; 32]);
        let record = Record {
            revision: Revision::from_u64(1),
            subject: None,
            expires_at: Timestamp::from_millis(9),
            body: vec![].into(),
        };
        run(async {
            let _ = spy.load(&key).await;
            let _ = spy.insert(&key, &record).await;
            let _ = spy.replace(&key, record.revision, &record).await;
            let _ = spy.touch(&key, record.revision, record.expires_at).await;
            let _ = spy.end(&key, &record).await;
            let _ = spy.sessions_of(&Subject::from("a"), None, 1).await;
            let _ = spy.remove_expired(record.expires_at, 1).await;
        });
        let spied = spy.handle();
        let once = Calls {
            load: 1,
            insert: 1,
            replace: 1,
            touch: 1,
            end: 1,
            sessions_of: 1,
            remove_expired: 1,
        };
        assert_eq!(spied.calls(), once);
        assert_eq!(spied.calls().total(), 7);
        assert_eq!(spied.take(), Verb::ALL);
        assert_eq!(spied.calls().total(), 0);
    }
}
