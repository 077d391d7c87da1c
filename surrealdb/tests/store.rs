//! What holds for the SurrealDB store, on two engines in the process.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use surrealdb::Surreal;
use surrealdb::engine::any::{Any, connect};
use surrealdb::types::Value;
use tempfile::TempDir;
use typed_session::store::{Body, ErrorKind, Inserted, Replaced, Revision, Scan, Store};
use typed_session::testing::conformance::Suite;
use typed_session::{Record, SessionKey, Subject, Timestamp};
use typed_session_surrealdb::SurrealStore;

async fn open(url: &str) -> Surreal<Any> {
    let connection = connect(url).await.unwrap();
    connection.use_ns("test").use_db("test").await.unwrap();
    connection
}

async fn store() -> (SurrealStore<Any>, Surreal<Any>) {
    let connection = open("mem://").await;
    let store = SurrealStore::new(connection.clone());
    store.migrate().await.unwrap();
    (store, connection)
}

fn key(number: u64) -> SessionKey {
    SessionKey::from_bytes(*Subject::from(number).as_bytes())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn record(revision: u64, subject: Option<&str>, millis: i64) -> Record {
    Record {
        revision: Revision::from_u64(revision),
        subject: subject.map(Subject::from),
        expires_at: at(millis),
        body: Body(format!("body {revision}").into_bytes()),
    }
}

fn tombstone(millis: i64) -> Record {
    Record { revision: Revision::ENDED, ..record(7, None, millis) }
}

/// The whole contract, races included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_in_memory() {
    let (store, _) = store().await;
    Suite::new().run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_when_tasks_run_on_threads() {
    let (store, _) = store().await;
    let suite = Suite::new().runs(3).spawn(|task| drop(tokio::spawn(task)));
    suite.run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_in_files() {
    let dir = TempDir::new().unwrap();
    let url = format!("surrealkv://{}?sync=every", dir.path().display());
    let store = SurrealStore::new(open(&url).await);
    store.migrate().await.unwrap();
    Suite::new().runs(3).run(async || store.clone()).await;
}
