//! Sessions in this process's memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::{Inserted, Replaced, Result, Revision, Store};
use crate::id::SessionKey;
use crate::record::Record;
use crate::subject::Subject;
use crate::time::Timestamp;

/// A store in memory. (To be replaced by the sharded one.)
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<SessionKey, Record>,
    by_deadline: BTreeSet<(Timestamp, SessionKey)>,
}

impl Rows {
    fn put(&mut self, key: SessionKey, record: Record) {
        self.take(&key);
        self.by_deadline.insert((record.expires_at, key));
        self.rows.insert(key, record);
    }
    fn take(&mut self, key: &SessionKey) -> Option<Record> {
        let old = self.rows.remove(key)?;
        self.by_deadline.remove(&(old.expires_at, *key));
        Some(old)
    }
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    fn rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        Ok(self.rows().rows.get(key).cloned())
    }
    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        let mut rows = self.rows();
        if rows.rows.contains_key(key) {
            return Ok(Inserted::Exists);
        }
        rows.put(*key, record.clone());
        Ok(Inserted::Created)
    }
    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        let mut rows = self.rows();
        match rows.rows.get(key) {
            Some(there) if there.revision == expected => {
                rows.put(*key, record.clone());
                Ok(Replaced::Done)
            }
            there => Ok(Replaced::Conflict(there.cloned())),
        }
    }
    async fn touch(&self, key: &SessionKey, expires_at: Timestamp) -> Result<()> {
        let mut rows = self.rows();
        if rows.rows.get(key).is_some_and(|there| there.expires_at < expires_at) {
            if let Some(mut record) = rows.take(key) {
                record.expires_at = expires_at;
                rows.put(*key, record);
            }
        }
        Ok(())
    }
    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        let mut rows = self.rows();
        let mut tombstone = tombstone.clone();
        if let Some(there) = rows.rows.get(key).filter(|there| there.revision == Revision::ENDED) {
            tombstone.expires_at = tombstone.expires_at.max(there.expires_at);
        }
        rows.put(*key, tombstone);
        Ok(())
    }
    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        Ok(self
            .rows()
            .rows
            .iter()
            .filter(|(key, record)| {
                record.subject.as_ref() == Some(subject) && after.is_none_or(|after| *key > after)
            })
            .map(|(key, _)| *key)
            .take(limit)
            .collect())
    }
    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut rows = self.rows();
        let keys: Vec<_> = rows
            .by_deadline
            .range(..=(now, SessionKey::from_bytes([255; 32])))
            .take(limit)
            .map(|(_, key)| *key)
            .collect();
        for key in &keys {
            rows.take(key);
        }
        Ok(keys.len())
    }
}
