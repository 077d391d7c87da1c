//! What every rule works with: a store, fresh keys, and words for what is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Check, Expiry, Rule, Suite};
use crate::id::SessionKey;
use crate::record::Record;
use crate::store::{Inserted, Replaced, Revision, Store};
use crate::subject::Subject;
pub(super) use crate::testing::history::said;
use crate::testing::schedule::Random;
pub(super) use crate::testing::tasks::Job;
use crate::testing::tasks::{Spawn, race};
use crate::time::Timestamp;

/// Long before every session there ever was, so that a sweep of the suite takes
/// away nobody's records.
pub(super) const LONG_AGO: Timestamp = Timestamp::from_millis(5_000_000_000);

pub(super) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

pub(super) struct Bench<S> {
    pub(super) store: Arc<S>,
    pub(super) now: Timestamp,
    pub(super) runs: usize,
    pub(super) width: usize,
    pub(super) seed: u64,
    expiry: Expiry,
    spawn: Option<Spawn>,
    random: Mutex<Random>,
    /// Every key that was handed out, for cleaning up.
    keys: Mutex<Vec<SessionKey>>,
}

impl<S: Store> Bench<S> {
    pub(super) fn new(suite: &Suite, rule: Rule, store: S) -> Self {
        // A rule's keys do not depend on the rules before it.
        let seed = Random(suite.seed ^ ((rule as u64) << 48)).next();
        Self {
            store: Arc::new(store),
            now: suite.now,
            runs: suite.runs,
            width: suite.width,
            seed,
            expiry: suite.expiry,
            spawn: suite.spawn.clone(),
            random: Mutex::new(Random(seed)),
            keys: Mutex::default(),
        }
    }

    /// Whether the engine removes records by itself.
    pub(super) fn expires_natively(&self) -> bool {
        self.expiry == Expiry::Native
    }

    pub(super) fn random(&self) -> MutexGuard<'_, Random> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let mut random = self.random();
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes());
        }
        bytes
    }

    pub(super) fn key(&self) -> SessionKey {
        let bytes = self.bytes();
        self.key_of(bytes)
    }

    pub(super) fn key_of(&self, bytes: [u8; 32]) -> SessionKey {
        let key = SessionKey::from_bytes(bytes);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).push(key);
        key
    }

    pub(super) fn keys(&self, count: usize) -> Vec<SessionKey> {
        (0..count).map(|_| self.key()).collect()
    }

    pub(super) fn subject(&self) -> Subject {
        Subject::from_hash(self.bytes())
    }

    /// A record for the next hour, with a body of its own and no subject.
    pub(super) fn live(&self, revision: u64) -> Record {
        Record {
            revision: Revision::from_u64(revision),
            subject: None,
            expires_at: self.now.plus(minutes(60)),
            // Text, so that only the rule on bodies sees a store that takes no other.
            body: blake3::Hash::from_bytes(self.bytes()).to_hex().as_bytes().to_vec().into(),
        }
    }

    pub(super) fn live_of(&self, revision: u64, subject: Subject) -> Record {
        Record { subject: Some(subject), ..self.live(revision) }
    }

    pub(super) fn until(&self, expires_at: Timestamp) -> Record {
        Record { expires_at, ..self.live(1) }
    }

    pub(super) fn expired(&self, revision: u64) -> Record {
        Record { expires_at: self.now.minus(minutes(60)), ..self.live(revision) }
    }

    pub(super) fn tombstone(&self, expires_at: Timestamp) -> Record {
        Record { revision: Revision::ENDED, expires_at, ..self.live(0) }
    }

    // The verbs, where a failure is a broken rule.

    pub(super) async fn load(&self, key: &SessionKey) -> Check<Option<Record>> {
        said("load", self.store.load(key).await)
    }

    pub(super) async fn insert(&self, key: &SessionKey, record: &Record) -> Check<Inserted> {
        said("insert", self.store.insert(key, record).await)
    }

    pub(super) async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Check<Replaced> {
        said("replace", self.store.replace(key, expected, record).await)
    }

    pub(super) async fn touch(
        &self,
        key: &SessionKey,
        at: &Record,
        expires_at: Timestamp,
    ) -> Check {
        said("touch", self.store.touch(key, at.revision, expires_at).await)
    }

    pub(super) async fn end(&self, key: &SessionKey, tombstone: &Record) -> Check {
        said("end", self.store.end(key, tombstone).await)
    }

    pub(super) async fn page(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Check<Vec<SessionKey>> {
        said("sessions_of", self.store.sessions_of(subject, after, limit).await)
    }

    pub(super) async fn sweep(&self, now: Timestamp, limit: usize) -> Check<usize> {
        said("remove_expired", self.store.remove_expired(now, limit).await)
    }

    /// Inserts where nothing is.
    pub(super) async fn put(&self, key: &SessionKey, record: &Record) -> Check {
        same("insert of a new key", self.insert(key, record).await?, Inserted::Created)
    }

    /// Replaces what was put.
    pub(super) async fn swap(&self, key: &SessionKey, old: &Record, new: &Record) -> Check {
        match self.replace(key, old.revision, new).await? {
            Replaced::Done => Ok(()),
            Replaced::Conflict(_) => {
                Err("replace from the revision that is there was refused".to_owned())
            }
        }
    }

    /// Checks what is under a key.
    pub(super) async fn expect(&self, when: &str, key: &SessionKey, wanted: &Record) -> Check {
        match self.load(key).await? {
            None => Err(format!("{when}: the record is gone")),
            Some(there) => alike(when, &there, wanted),
        }
    }

    /// All keys of a subject, by pages of `limit`.
    pub(super) async fn walk(&self, subject: &Subject, limit: usize) -> Check<Vec<SessionKey>> {
        let mut keys = Vec::new();
        loop {
            let page = self.page(subject, keys.last(), limit).await?;
            if page.first().is_some_and(|first| keys.last().is_some_and(|last| first <= last)) {
                return Err("a page begins before the end of the page before".to_owned());
            }
            keys.extend(&page);
            if page.len() < limit {
                return Ok(keys);
            }
        }
    }

    /// Sweeps away what is due; gives up after many pages, if the answer never
    /// says that it was the last.
    pub(super) async fn drain(&self, now: Timestamp) -> Check {
        for _ in 0..1000 {
            if self.sweep(now, 1000).await? < 1000 {
                return Ok(());
            }
        }
        Err("remove_expired never answers fewer than `limit`".to_owned())
    }

    /// Runs all jobs at the same time, on the caller's threads if there are any.
    pub(super) async fn race<T: Send + 'static>(&self, jobs: Vec<Job<T>>) -> Check<Vec<T>> {
        race(self.spawn.as_ref(), jobs).await
    }

    /// Ends all that was written, so that the engine may remove it.
    pub(super) async fn clean_up(&self) {
        let tombstone = self.tombstone(LONG_AGO);
        let keys = std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        // What cannot be cleaned up stays; the rules have said what they had to.
        for key in keys {
            let _ = self.store.end(&key, &tombstone).await;
        }
        let _ = self.drain(LONG_AGO).await;
    }
}

/// Two values that should be equal.
pub(super) fn same<T: fmt::Debug + PartialEq>(what: &str, got: T, wanted: T) -> Check {
    if got == wanted { Ok(()) } else { Err(format!("{what}: {got:?} instead of {wanted:?}")) }
}

/// Two records that should be equal; says which of the four values are not.
pub(super) fn alike(when: &str, got: &Record, wanted: &Record) -> Check {
    let mut wrong = BTreeMap::new();
    if got.revision != wanted.revision {
        wrong.insert("revision", format!("{:?}, not {:?}", got.revision, wanted.revision));
    }
    if got.subject != wanted.subject {
        wrong.insert("subject", format!("{:?}, not {:?}", got.subject, wanted.subject));
    }
    if got.expires_at != wanted.expires_at {
        let (got, wanted) = (got.expires_at.as_millis(), wanted.expires_at.as_millis());
        wrong.insert("expires_at", format!("{got} ms, not {wanted} ms"));
    }
    if got.body != wanted.body {
        let at = got.body.iter().zip(wanted.body.iter()).position(|(got, wanted)| got != wanted);
        wrong.insert(
            "body",
            match at {
                Some(at) => format!("another from byte {at} on"),
                None => format!("{} bytes, not {}", got.body.len(), wanted.body.len()),
            },
        );
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong: Vec<_> = wrong.iter().map(|(name, text)| format!("{name} is {text}")).collect();
    Err(format!("{when}: {}", wrong.join("; ")))
}

/// A condition.
pub(super) fn holds(condition: bool, otherwise: &str) -> Check {
    if condition { Ok(()) } else { Err(otherwise.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wrong::{Mistake, WrongStore};

    #[test]
    fn a_seed_gives_each_rule_its_keys() {
        let key = |seed, rule| {
            Bench::new(&Suite::new().seed(seed), rule, WrongStore::new(Mistake::None)).key()
        };
        assert_eq!(key(3, Rule::OneStep), key(3, Rule::OneStep));
        assert_ne!(key(3, Rule::OneStep), key(4, Rule::OneStep));
        assert_ne!(key(3, Rule::OneStep), key(3, Rule::InsertCreates));
    }
}
