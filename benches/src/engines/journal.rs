//! What requests ask of a store, written down.

use std::sync::{Arc, Mutex};

use typed_session::store::{Inserted, MemoryStore, Replaced, Result, Revision, Store};
use typed_session::{Record, SessionKey, SessionLayer, Subject, Timestamp};

use super::traffic;
use crate::workload::{Profile, Workload};

/// A verb that a request needs, with what it is given.
#[derive(Clone)]
pub enum Call {
    Load(SessionKey),
    Insert(SessionKey, Record),
    Replace(SessionKey, Revision, Record),
}

/// Requests that are ready to be made, and what has to be there before.
pub struct Prepared {
    /// What makes their sessions.
    pub inserts: Vec<Call>,
    /// What the requests bring.
    pub cookies: Vec<Option<String>>,
    /// What each of them asks of its store.
    pub calls: Vec<Vec<Call>>,
}

/// Makes requests of the workload on a store in memory, and notes what they do.
pub async fn prepare(workload: Workload, count: usize) -> Prepared {
    let journal = Journal::default();
    let layer = SessionLayer::<Profile, _>::new(journal.clone());
    let mut cookies = Vec::new();
    for _ in 0..count {
        cookies.push(match workload {
            Workload::Bare | Workload::Create => None,
            Workload::Login => traffic::visit(&layer).await,
            _ => traffic::answer(&layer, Workload::Create, None).await,
        });
    }
    let inserts = journal.take();
    let mut calls = Vec::new();
    for cookie in &cookies {
        let _ = traffic::answer(&layer, workload, cookie.as_deref()).await;
        calls.push(journal.take());
    }
    Prepared { inserts, cookies, calls }
}

#[derive(Clone, Default)]
struct Journal {
    store: Arc<MemoryStore>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Journal {
    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Store for Journal {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.note(Call::Load(*key));
        self.store.load(key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.note(Call::Insert(*key, record.clone()));
        self.store.insert(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.note(Call::Replace(*key, expected, record.clone()));
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
