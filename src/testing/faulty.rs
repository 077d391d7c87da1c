//! A store that fails when it is told to.

use std::sync::{Arc, Mutex, PoisonError};

use super::verb::Verb;
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Error, ErrorKind, Inserted, Recalled, Replaced, Result, Revision, Store};
use crate::subject::Subject;
use crate::time::Timestamp;

/// A store that fails when it is told to, through its [`Faults`].
///
/// ```
/// use typed_session::store::{ErrorKind, MemoryStore, Store};
/// use typed_session::testing::{Faulty, Verb, When, schedule};
/// use typed_session::SessionKey;
///
/// let store = Faulty::new(MemoryStore::new());
/// let faults = store.faults();
/// let key = SessionKey::from_bytes([0; 32]);
///
/// faults.every(Verb::Load, ErrorKind::Unavailable, When::Before);
/// assert!(schedule::run(store.load(&key)).is_err());
/// faults.clear();
/// assert!(schedule::run(store.load(&key)).is_ok());
/// ```
#[derive(Debug)]
pub struct Faulty<S> {
    store: S,
    faults: Faults,
}

impl<S> Faulty<S> {
    /// Puts a switch before a store; it starts without faults.
    pub fn new(store: S) -> Self {
        Self { store, faults: Faults::default() }
    }

    /// Returns the switch.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

/// Whether the verb that fails has happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// It fails before anything happened.
    Before,
    /// It happens, and its answer is lost.
    After,
}

/// The switch of a [`Faulty`] store; clones switch the same store.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

#[derive(Debug)]
struct Fault {
    verb: Verb,
    kind: ErrorKind,
    when: When,
    calls: Which,
}

#[derive(Debug)]
enum Which {
    Every,
    /// The call that comes after so many others; then never again.
    After(usize),
}

impl Faults {
    /// Makes every call of a verb fail, until [`clear`](Self::clear).
    pub fn every(&self, verb: Verb, kind: ErrorKind, when: When) {
        self.add(Fault { verb, kind, when, calls: Which::Every });
    }

    /// Makes the `n`th call of a verb from now on fail, once. The next call is
    /// the first; there is no call 0.
    pub fn nth(&self, n: usize, verb: Verb, kind: ErrorKind, when: When) {
        if let Some(others) = n.checked_sub(1) {
            self.add(Fault { verb, kind, when, calls: Which::After(others) });
        }
    }

    /// Makes every call of every verb fail before it happens, until
    /// [`clear`](Self::clear).
    pub fn outage(&self) {
        for verb in Verb::ALL {
            self.every(verb, ErrorKind::Unavailable, When::Before);
        }
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn add(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// The fault of this call, the earliest set if there are several.
    fn next(&self, verb: Verb) -> Option<(ErrorKind, When)> {
        let mut hit = None;
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain_mut(|fault| {
            if fault.verb != verb {
                return true;
            }
            match &mut fault.calls {
                Which::Every => {
                    hit.get_or_insert((fault.kind, fault.when));
                    true
                }
                Which::After(0) => {
                    hit.get_or_insert((fault.kind, fault.when));
                    false
                }
                Which::After(others) => {
                    *others -= 1;
                    true
                }
            }
        });
        hit
    }

    async fn around<T>(&self, verb: Verb, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next(verb) {
            None => call.await,
            Some((kind, When::Before)) => Err(Error::new(kind, format!("{verb} was told to fail"))),
            Some((kind, When::After)) => {
                // The answer is lost, whatever it was.
                let _ = call.await;
                Err(Error::new(kind, format!("the answer of {verb} was told to get lost")))
            }
        }
    }
}

impl<S: Store> Store for Faulty<S> {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.faults.around(Verb::Load, self.store.load(key)).await
    }

    async fn recall(&self, key: &SessionKey) -> Result<Recalled> {
        self.faults.around(Verb::Load, self.store.recall(key)).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.faults.around(Verb::Insert, self.store.insert(key, record)).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.faults.around(Verb::Replace, self.store.replace(key, expected, record)).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.faults.around(Verb::Touch, self.store.touch(key, at, expires_at)).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.faults.around(Verb::End, self.store.end(key, tombstone)).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.faults.around(Verb::SessionsOf, self.store.sessions_of(subject, after, limit)).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.faults.around(Verb::RemoveExpired, self.store.remove_expired(now, limit)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::testing::schedule::run;

    const KEY: SessionKey = SessionKey::from_bytes([1; 32]);

    fn record() -> Record {
        Record {
            revision: Revision::from_u64(1),
            subject: None,
            expires_at: Timestamp::MAX,
            body: vec![1].into(),
        }
    }

    #[test]
    fn a_lost_answer_is_of_a_verb_that_happened() {
        let store = Faulty::new(MemoryStore::new());
        store.faults().nth(1, Verb::Insert, ErrorKind::Unavailable, When::After);
        let lost = run(store.insert(&KEY, &record())).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Unavailable);
        assert_eq!(run(store.load(&KEY)).unwrap(), Some(record()));
    }

    #[test]
    fn a_verb_that_fails_before_has_not_happened() {
        let store = Faulty::new(MemoryStore::new());
        store.faults().nth(1, Verb::Insert, ErrorKind::TooLarge, When::Before);
        let failed = run(store.insert(&KEY, &record())).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::TooLarge);
        assert_eq!(run(store.load(&KEY)).unwrap(), None);
    }

    #[test]
    fn the_nth_call_of_a_verb_fails_and_no_other() {
        let store = Faulty::new(MemoryStore::new());
        store.faults().nth(2, Verb::Load, ErrorKind::Other, When::Before);
        let failed: Vec<_> = (0..4).map(|_| run(store.load(&KEY)).is_err()).collect();
        assert_eq!(failed, [false, true, false, false]);
    }

    #[test]
    fn an_outage_lasts_until_it_is_cleared() {
        let store = Faulty::new(MemoryStore::new());
        store.faults().outage();
        assert!(run(store.load(&KEY)).is_err() && run(store.load(&KEY)).is_err());
        assert!(run(store.touch(&KEY, Revision::from_u64(1), Timestamp::MAX)).is_err());
        store.faults().clear();
        assert!(run(store.load(&KEY)).is_ok());
    }
}
