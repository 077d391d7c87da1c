//! The contract, where the cache answers and where it asks.

use std::sync::Arc;
use std::time::Duration;

use typed_session::store::{Cached, DynStore, MemoryStore, Row, Scan, Store};
use typed_session::testing::conformance::{self, Suite};
use typed_session::testing::history::Workload;
use typed_session::testing::schedule::run;
use typed_session::testing::{Recalling, Yielding, Yields};

use super::clock;
use crate::{key, record};

/// A cache that nothing grows too old for.
fn cached<S: Store>(store: S) -> Cached<S> {
    Cached::new(store).max_age(Duration::from_secs(3600)).clock(clock())
}

#[test]
fn the_contract_holds() {
    run(conformance::run(async || cached(MemoryStore::new())));
}

#[test]
fn the_contract_holds_for_what_is_recalled() {
    run(conformance::run(async || Recalling::new(cached(MemoryStore::new()))));
}

#[test]
fn the_contract_holds_for_what_is_recalled_while_the_store_takes_its_time() {
    let store = || Yielding::new(MemoryStore::new(), Yields::Around);
    run(Suite::new().runs(300).run(async || Recalling::new(cached(store()))));
}

#[test]
fn histories_of_what_is_recalled_have_an_explanation() {
    for seed in 0..10 {
        let cache = Arc::new(cached(Yielding::new(MemoryStore::new(), Yields::Around)));
        let connect = async || Recalling::new(Arc::clone(&cache));
        let report = run(Workload::new().seed(seed).operations(3000).check(connect));
        report.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

#[test]
fn an_operator_walks_through_the_store_behind() {
    let store = cached(MemoryStore::new());
    for first in 1..=3 {
        let _ = run(store.store().insert(&key(first), &record(1, None, 9))).unwrap();
    }
    assert_eq!(run(store.scan(None, 10)).unwrap().rows.len(), 3);
}

#[test]
fn a_cache_of_which_a_handle_is_kept_is_walked_through_whatever_its_type() {
    let cache = Arc::new(Cached::new(MemoryStore::new()));
    let store = DynStore::scannable(Arc::clone(&cache));
    let _ = run(store.insert(&key(1), &record(1, Some("ann"), 9))).unwrap();
    let page = run(store.scan(None, 10)).unwrap();
    let row = Row::new(key(1), record(1, None, 9).revision, Some("ann".into()), crate::at(9));
    assert_eq!((page.rows, page.next), (vec![row], None));
    assert_eq!(cache.len(), 1);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};
    use tempfile::TempDir;
    use typed_session::store::SqliteStore;

    use super::*;

    async fn store(dir: &TempDir) -> SqliteStore {
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("sessions.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let store = SqliteStore::new(SqlitePool::connect_with(options).await.unwrap());
        store.migrate().await.unwrap();
        store
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_contract_holds_for_what_is_recalled_in_front_of_a_file() {
        let dir = TempDir::new().unwrap();
        let store = store(&dir).await;
        conformance::run(async || Recalling::new(cached(store.clone()))).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_contract_holds_for_what_is_recalled_when_tasks_run_on_threads() {
        let dir = TempDir::new().unwrap();
        let store = store(&dir).await;
        let suite = Suite::new().spawn(|task| drop(tokio::spawn(task)));
        suite.run(async || Recalling::new(cached(store.clone()))).await;
    }
}
