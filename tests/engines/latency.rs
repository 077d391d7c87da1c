//! How long a verb takes on each engine, one after the other on loopback. The figures are
//! printed: `--nocapture` shows them.

use std::time::Duration;

use tokio::time::Instant;
use typed_session::store::{DynStore, Inserted, Replaced, Revision, Store};
use typed_session::{Clock, Record, SystemClock};

use crate::server::{Kind, shared};
use crate::{numbered, record};

const ROUNDS: u64 = 300;

async fn measure(engine: &str, store: DynStore) {
    store.migrate().await.unwrap();
    let base = SystemClock.now().as_millis().unsigned_abs();
    let expires_at = SystemClock.now().plus(Duration::from_secs(3600));
    let its = |revision| Record {
        expires_at,
        body: vec![7; 200].into(),
        ..record(revision, Some("ann"), 0)
    };
    let mut times = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        let key = numbered(base + round);
        let start = Instant::now();
        assert_eq!(store.insert(&key, &its(1)).await.unwrap(), Inserted::Created);
        let inserted = Instant::now();
        assert!(store.load(&key).await.unwrap().is_some());
        let loaded = Instant::now();
        let done = store.replace(&key, Revision::from_u64(1), &its(2)).await.unwrap();
        assert_eq!(done, Replaced::Done);
        let replaced = Instant::now();
        store.end(&key, &Record { subject: None, ..its(Revision::ENDED.as_u64()) }).await.unwrap();
        let ended = Instant::now();
        for (times, took) in times.iter_mut().zip([
            inserted - start,
            loaded - inserted,
            replaced - loaded,
            ended - replaced,
        ]) {
            times.push(took);
        }
    }
    let medians = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!(
        "figure: {engine}: insert {:.2?}, load {:.2?}, replace {:.2?}, end {:.2?}",
        medians[0], medians[1], medians[2], medians[3]
    );
    store.close().await;
}

#[tokio::test]
#[ignore = "needs the servers: ./tests/run engines"]
async fn a_verb_takes_so_long() {
    measure("memory", DynStore::connect("memory:").await.unwrap()).await;
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", dir.path().join("sessions.db").display());
    measure("SQLite", DynStore::connect(&url).await.unwrap()).await;
    for (engine, kind) in [
        ("PostgreSQL", Kind::Postgres),
        ("MariaDB", Kind::MySql),
        ("Redis", Kind::Redis),
        ("MongoDB", Kind::MongoDb),
    ] {
        measure(engine, DynStore::connect(&shared(kind)).await.unwrap()).await;
    }
}
