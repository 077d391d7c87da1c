//! Clean-up beside requests: how long it takes, and how long it holds them up.
//!
//! `CLEANUP_ROWS`, 40,000 if not set, is how many rows there are; half of them are
//! due. `CLEANUP_BATCH` is how many go at once. The figures are printed:
//! `--nocapture` shows them.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use typed_session::store::{Cursor, Replaced, Scan, Store};
use typed_session::{Record, SessionKey};

use crate::at;

/// Rows are due up to this, and live after it.
pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) fn rows() -> usize {
    number("CLEANUP_ROWS", 40_000)
}

fn number(variable: &str, default: usize) -> usize {
    env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Sweeps a store with [`rows`] rows of which every other is due.
pub(crate) async fn run<S: Scan + Clone>(engine: &str, store: S) {
    let (rows, batch) = (rows(), number("CLEANUP_BATCH", 1000));
    let keys: Arc<[SessionKey]> = live_keys(&store).await.into();
    assert!(!keys.is_empty());

    let quiet = Requests::start(&store, &keys);
    tokio::time::sleep(Duration::from_millis(if rows > 100_000 { 10_000 } else { 500 })).await;
    let quiet = quiet.stop().await;

    let (start, mut removed, mut batches, mut longest) = (Instant::now(), 0, 0, Duration::ZERO);
    let requests = Requests::start(&store, &keys);
    loop {
        let began = Instant::now();
        let count = store.remove_expired(at(NOW), batch).await.unwrap();
        let its = began.elapsed();
        longest = longest.max(its);
        assert!(count <= batch);
        (removed, batches) = (removed + count, batches + 1);
        if count < batch {
            break;
        }
        // As `SessionLayer::sweep_every` does.
        tokio::time::sleep(its.clamp(Duration::from_millis(1), Duration::from_secs(1))).await;
    }
    let took = start.elapsed();
    let beside = requests.stop().await;

    assert_eq!(removed, rows / 2);
    assert_eq!(count(&store).await, rows - rows / 2);
    println!(
        "figure: {engine}: {removed} of {rows} rows in {took:.1?}, {:.0} rows/s, {batches} batches of {batch}, \
         the longest {longest:.1?}\n\
         figure: {engine}: requests beside it {beside}\n\
         figure: {engine}: requests alone     {quiet}",
        removed as f64 / took.as_secs_f64(),
    );
}

/// Some keys whose time is not over, from all over the table.
async fn live_keys(store: &impl Scan) -> Vec<SessionKey> {
    let mut keys = Vec::new();
    for first in 0..=255 {
        let page = store.scan(Some(&Cursor::from_bytes([first])), 20).await.unwrap();
        let live = page.rows.iter().filter(|row| row.expires_at > at(NOW));
        keys.extend(live.map(|row| row.key));
    }
    keys
}

async fn count(store: &impl Scan) -> usize {
    let (mut count, mut page) = (0, store.scan(None, 10_000).await.unwrap());
    loop {
        count += page.rows.len();
        match page.next {
            Some(next) => page = store.scan(Some(&next), 10_000).await.unwrap(),
            None => return count,
        }
    }
}

/// Four clients that load a session and replace it, again and again.
struct Requests {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Vec<Duration>>>,
}

impl Requests {
    fn start<S: Store + Clone>(store: &S, keys: &Arc<[SessionKey]>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |client: usize| {
            let (store, keys, stop) = (store.clone(), keys.clone(), stop.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                // Each its own keys: every replace is done.
                for key in keys.iter().skip(client).step_by(4).cycle() {
                    let began = Instant::now();
                    request(&store, key).await;
                    took.push(began.elapsed());
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                took
            })
        };
        let clients = (0..4).map(client).collect();
        Self { stop, clients }
    }

    /// How many there were, the median, 99 of 100, and the longest.
    async fn stop(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = Vec::new();
        for client in self.clients {
            took.extend(client.await.unwrap());
        }
        took.sort();
        let longest = took[took.len() - 1];
        assert!(longest < Duration::from_secs(30), "a request took {longest:?}");
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        format!("{}, median {half:.1?}, p99 {most:.1?}, longest {longest:.1?}", took.len())
    }
}

async fn request(store: &impl Store, key: &SessionKey) {
    let there = store.load(key).await.unwrap().unwrap();
    let next = typed_session::store::Revision::from_u64(there.revision.as_u64() + 1);
    let replacement = Record { revision: next, ..there.clone() };
    let replaced = store.replace(key, there.revision, &replacement).await.unwrap();
    assert_eq!(replaced, Replaced::Done);
}
