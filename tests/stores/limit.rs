//! A call that takes too long.

use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use typed_session::store::{
    Cursor, ErrorKind, Inserted, MemoryStore, Page, Replaced, Result, Revision, Scan, Store,
    TimeLimit,
};
use typed_session::{Record, SessionKey, Subject, Timestamp};

use crate::{at, key, record, tombstone};

const LIMIT: Duration = Duration::from_secs(5);

/// A store whose engine never answers.
struct Silent;

impl Store for Silent {
    async fn load(&self, _: &SessionKey) -> Result<Option<Record>> {
        pending().await
    }
    async fn insert(&self, _: &SessionKey, _: &Record) -> Result<Inserted> {
        pending().await
    }
    async fn replace(&self, _: &SessionKey, _: Revision, _: &Record) -> Result<Replaced> {
        pending().await
    }
    async fn touch(&self, _: &SessionKey, _: Revision, _: Timestamp) -> Result<()> {
        pending().await
    }
    async fn end(&self, _: &SessionKey, _: &Record) -> Result<()> {
        pending().await
    }
    async fn sessions_of(
        &self,
        _: &Subject,
        _: Option<&SessionKey>,
        _: usize,
    ) -> Result<Vec<SessionKey>> {
        pending().await
    }
    async fn remove_expired(&self, _: Timestamp, _: usize) -> Result<usize> {
        pending().await
    }
}

impl Scan for Silent {
    async fn scan(&self, _: Option<&Cursor>, _: usize) -> Result<Page> {
        pending().await
    }
}

#[tokio::test]
async fn every_call_ends_after_the_limit() {
    let slept = Arc::new(Mutex::new(Vec::new()));
    let times = slept.clone();
    let store = TimeLimit::new(Silent, LIMIT, move |time| {
        times.lock().unwrap().push(time);
        ready(())
    });
    let (first, its) = (Revision::from_u64(1), record(2, None, 5));
    let errors = [
        store.load(&key(1)).await.unwrap_err(),
        store.insert(&key(1), &its).await.unwrap_err(),
        store.replace(&key(1), first, &its).await.unwrap_err(),
        store.touch(&key(1), first, at(9)).await.unwrap_err(),
        store.end(&key(1), &tombstone(9)).await.unwrap_err(),
        store.sessions_of(&"alice".into(), None, 9).await.unwrap_err(),
        store.remove_expired(at(9), 9).await.unwrap_err(),
        store.scan(None, 9).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "no answer within 5s");
    }
    assert_eq!(*slept.lock().unwrap(), [LIMIT; 8]);
}

#[cfg(feature = "testing")]
#[test]
fn a_store_that_answers_in_time_keeps_the_contract() {
    use typed_session::testing::{Yielding, Yields, conformance, schedule};
    let never = |_| pending();
    schedule::run(conformance::run(async || {
        TimeLimit::new(Yielding::new(MemoryStore::new(), Yields::Around), LIMIT, never)
    }));
}

#[tokio::test]
async fn an_answer_that_is_there_counts_although_the_time_is_over() {
    let store = TimeLimit::new(MemoryStore::new(), LIMIT, |_| ready(()));
    assert_eq!(store.load(&key(1)).await.unwrap(), None);
}

#[tokio::test]
async fn the_store_behind_is_there_without_the_limit() {
    let store = TimeLimit::new(MemoryStore::with_capacity_limit(1), LIMIT, |_| ready(()));
    assert_eq!(store.insert(&key(1), &record(1, None, 9)).await.unwrap(), Inserted::Created);
    assert_eq!(store.store().len(), 1);
}
