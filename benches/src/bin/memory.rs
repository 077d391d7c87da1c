//! What the memory store takes: bytes a session, time a request as it grows, and how long it
//! ever holds a lock.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml --bin memory
//! ... --bin memory -- bytes growth        some of: bytes, growth, millions, removal
//! ... --bin memory -- --save              for the pages, see `results`
//! ```
//!
//! It needs 8 GiB and some minutes: `growth` and `millions` each fill a store with ten million
//! sessions.
//!
//! Bytes are those of the counting allocator, and so exact; what the allocator itself wastes is
//! in the resident bytes that `millions` prints. Times are of this thread on a processor. So is
//! the longest verb: it holds one lock at a time and does little else, so that no lock was held
//! for longer. That the system takes the processor away from who holds a lock, is not in it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::json;
use typed_session::store::{Inserted, MemoryStore, Replaced, Revision, Scan, Store};
use typed_session::{Clock, Record, SessionKey, SessionLayer, Subject, Timestamp};
use typed_session_benches::app::App;
use typed_session_benches::axum::{self, library_with, served};
use typed_session_benches::results::{self, Shown, Table};
use typed_session_benches::workload::{Profile, Workload};
use typed_session_benches::{alloc, stopwatch};

const MILLION: usize = 1_000_000;

/// For ten million sessions, which do not fit into the default.
const BYTE_LIMIT: usize = 16 << 30;

type Part = fn() -> Table;

fn main() {
    let wanted = results::arguments();
    let parts: [(&str, Part); 4] =
        [("bytes", bytes), ("growth", growth), ("millions", millions), ("removal", removal)];
    let mut tables = Vec::new();
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|it| it == name) {
            let table = part();
            print(&table);
            tables.push(table);
        }
    }
    let shown = Shown {
        title: "The memory store".into(),
        place: 30,
        about: vec![
            "Bytes are counted by the allocator. Times are of one thread on a processor, medians \
             over rounds in which the sizes take turns."
                .into(),
        ],
        crates: vec!["axum".into()],
        tables,
        ..Shown::default()
    };
    results::save("memory", &json!(shown));
}

/// Live bytes a session, from a thousand to a million.
fn bytes() -> Table {
    let mut rows = Vec::new();
    let kinds = [("created at once", 0), ("created within an hour", 3_600_000)];
    for (kind, span) in kinds {
        let mut clock = Arc::new(Hands::now());
        let sizes = [1_000, 10_000, 100_000, MILLION];
        for (at, size) in sizes.into_iter().enumerate() {
            let end = sizes.get(at + 1).map_or(2 * size, |next| *next);
            clock = Arc::new(Hands(clock.0.load(Ordering::Relaxed).into()));
            let started = clock.0.load(Ordering::Relaxed);
            let layer = SessionLayer::<Profile, _>::new(MemoryStore::new().byte_limit(BYTE_LIMIT));
            let mut app = served(library_with(layer.clock(Arc::clone(&clock))));
            let before = alloc::live_bytes();
            let of = |len: usize| (alloc::live_bytes() - before) as f64 / len as f64;
            let (mut here, mut worst) = (0.0, (0, 0.0));
            for len in 1..=end {
                if len <= size {
                    let passed = len as i64 * span / size as i64;
                    clock.0.store(started + passed, Ordering::Relaxed);
                }
                drop(app.visit(Workload::Create.path(), None));
                if len == size {
                    here = of(len);
                }
                if len >= size && of(len) > worst.1 {
                    worst = (len, of(len));
                }
            }
            rows.push(vec![
                format!("{size}, {kind}"),
                format!("{here:.1}"),
                format!("{:.1}", worst.1),
                worst.0.to_string(),
            ]);
        }
    }
    Table {
        title: "Live heap bytes a session".into(),
        columns: ["sessions", "bytes", "worst from there to the next size", "at"]
            .map(Into::into)
            .into(),
        rows,
        note: "Of the data of all the workloads, with a user.".into(),
    }
}

/// Requests in a round.
const REQUESTS: usize = 2000;

const ROUNDS: usize = 60;

/// Time a request with a thousand, a hundred thousand and ten million sessions stored.
fn growth() -> Table {
    let mut floor = (axum::FLOOR.make)();
    let sizes = [1_000, 100_000, 10 * MILLION];
    let mut stores: Vec<_> = sizes.into_iter().map(Filled::new).collect();
    let mut rows = Vec::new();
    for workload in [Workload::Untouched, Workload::Read, Workload::Write] {
        let mut times = vec![Vec::new(); stores.len() + 1];
        for _ in 0..ROUNDS {
            for (filled, times) in stores.iter_mut().zip(&mut times[1..]) {
                times.push(filled.round(workload, None));
            }
            times[0].push(stores[0].round(workload, Some(&mut *floor)));
        }
        let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
        let mut row = vec![workload.describe().to_owned()];
        row.extend(medians.iter().map(|ns| format!("{ns:.0}")));
        row.push(format!("{:.2}", medians[3] / medians[1]));
        row.push(format!("{:.2}", medians[2] / medians[1]));
        rows.push(row);
    }
    Table {
        title: "Time a request by the number of sessions stored, ns".into(),
        columns: [
            "",
            "floor",
            "1 thousand",
            "100 thousand",
            "10 million",
            "10 M / 1 k",
            "100 k / 1 k",
        ]
        .map(Into::into)
        .into(),
        rows,
        note: "Requests are for sessions at random; none is asked for twice while others of ten \
               million are left. The floor is the application without sessions."
            .into(),
    }
}

/// An application with many sessions.
struct Filled {
    app: Box<dyn App>,
    /// Of sessions all over the store, in no order.
    cookies: Vec<String>,
    next: usize,
}

impl Filled {
    fn new(sessions: usize) -> Self {
        let store = MemoryStore::new().byte_limit(BYTE_LIMIT);
        let mut app = served(library_with(SessionLayer::new(store)));
        let mut random = Random(sessions as u64);
        let mut cookies = Vec::new();
        for _ in 0..sessions {
            let cookie = app.visit(Workload::Create.path(), None).cookie;
            if random.below(sessions) < MILLION {
                cookies.push(cookie.expect("the store has room"));
            }
        }
        for at in 1..cookies.len() {
            cookies.swap(at, random.below(at + 1));
        }
        Self { app, cookies, next: 0 }
    }

    /// Measures a request, in ns.
    fn round(&mut self, workload: Workload, instead: Option<&mut (dyn App + 'static)>) -> f64 {
        let len = self.cookies.len();
        let requests: Vec<_> = (self.next..self.next + REQUESTS)
            .map(|at| (workload.path(), Some(self.cookies[at % len].as_str())))
            .collect();
        self.next = (self.next + REQUESTS) % len;
        let app = instead.unwrap_or(&mut *self.app);
        app.prepare(&requests);
        let start = stopwatch::thread_time();
        app.serve();
        (stopwatch::thread_time() - start).as_nanos() as f64 / REQUESTS as f64
    }
}

/// Ten million sessions come, are read and written, and go.
fn millions() -> Table {
    let sessions = 10 * MILLION;
    let store = MemoryStore::new().byte_limit(BYTE_LIMIT);
    let sample = sample();
    let deadline = |n: usize| at(1_000_000 + (n as i64 * 7919) % 3_600_000);
    let (live, resident) = (alloc::live_bytes(), resident_bytes());
    let mut rows = Vec::new();
    let mut done = |what: &str, verbs: Verbs| {
        rows.push(vec![
            what.to_owned(),
            verbs.count.to_string(),
            format!("{:.0}", verbs.total.as_nanos() as f64 / verbs.count as f64),
            format!("{:.0}", verbs.longest.as_nanos() as f64 / 1000.0),
        ]);
    };

    let mut verbs = Verbs::default();
    for n in 0..sessions {
        let record =
            Record { subject: Some(subject(n)), expires_at: deadline(n), ..sample.clone() };
        let inserted = verbs.time(|| now(store.insert(&key(n), &record)));
        assert_eq!(inserted.expect("there is room"), Inserted::Created);
    }
    let live = (alloc::live_bytes() - live) as f64 / sessions as f64;
    let resident = resident_bytes().saturating_sub(resident) as f64 / sessions as f64;
    done("insert", verbs);

    let mut random = Random(1);
    let mut verbs = Verbs::default();
    for _ in 0..MILLION {
        let key = key(random.below(sessions));
        let loaded = verbs.time(|| now(store.load(&key)));
        assert!(loaded.expect("it works").is_some());
    }
    done("load", verbs);

    let mut verbs = Verbs::default();
    for _ in 0..MILLION {
        let n = random.below(sessions);
        let there = now(store.load(&key(n))).unwrap().expect("it was inserted");
        let revision = Revision::from_u64(there.revision.as_u64() + 1);
        let record = Record { revision, ..there.clone() };
        let replaced = verbs.time(|| now(store.replace(&key(n), there.revision, &record)));
        assert_eq!(replaced.unwrap(), Replaced::Done);
    }
    done("replace, just loaded", verbs);

    let mut verbs = Verbs::default();
    for _ in 0..MILLION {
        let subject = subject(random.below(sessions));
        let keys = verbs.time(|| now(store.sessions_of(&subject, None, 10)));
        assert_eq!(keys.unwrap().len(), 1);
    }
    done("sessions_of", verbs);

    let mut verbs = Verbs::default();
    for n in 0..MILLION {
        let (n, end) = (n * 10, at(1_000_000));
        let tombstone = Record { revision: Revision::ENDED, expires_at: end, ..sample.clone() };
        verbs.time(|| now(store.end(&key(n), &tombstone))).expect("it is never refused");
    }
    done("end", verbs);

    let mut verbs = Verbs::default();
    let mut removed = 0;
    while removed < sessions {
        let batch = verbs.time(|| now(store.remove_expired(at(5_000_000), BATCH))).unwrap();
        assert!(batch > 0, "all have expired");
        removed += batch;
    }
    verbs.count = removed;
    done("remove_expired, a session; longest: of 1000", verbs);
    assert!(store.is_empty());

    Table {
        title: "Ten million sessions".into(),
        columns: ["verb", "times", "ns", "longest, µs"].map(Into::into).into(),
        rows,
        note: format!("{live:.0} live heap bytes a session, {resident:.0} resident."),
    }
}

/// As many as [`SessionLayer::sweep`] removes with one call.
const BATCH: usize = 1000;

/// A hundred thousand expired sessions go, of few and of many.
fn removal() -> Table {
    let mut rows = Vec::new();
    let expired = 100_000;
    for (sessions, times) in [(200_000, 9), (MILLION, 5), (10 * MILLION, 1)] {
        let mut totals = Vec::new();
        let mut longest = Duration::ZERO;
        for _ in 0..times {
            let store = MemoryStore::new().byte_limit(BYTE_LIMIT);
            let sample = sample();
            let mut random = Random(7);
            for n in 0..sessions {
                let deadline = match n % (sessions / expired) {
                    // In the last hour, and in the next one.
                    0 => 3_600_000 + random.below(3_600_000) as i64,
                    _ => 7_200_001 + random.below(3_600_000) as i64,
                };
                let record = Record {
                    subject: Some(subject(n)),
                    expires_at: at(deadline),
                    ..sample.clone()
                };
                assert_eq!(now(store.insert(&key(n), &record)).unwrap(), Inserted::Created);
            }
            let mut verbs = Verbs::default();
            let mut removed = 0;
            loop {
                let batch = verbs.time(|| now(store.remove_expired(at(7_200_000), BATCH))).unwrap();
                removed += batch;
                if batch < BATCH {
                    break;
                }
            }
            assert_eq!(removed, expired);
            totals.push(verbs.total.as_secs_f64() * 1000.0);
            longest = longest.max(verbs.longest);
        }
        rows.push(vec![
            format!("{expired} of {sessions}"),
            format!("{:.1}", median(&mut totals)),
            format!("{:.2}", longest.as_secs_f64() * 1000.0),
        ]);
    }
    Table {
        title: "Time to remove what has expired, ms".into(),
        columns: ["expired", "in all", "longest call, of 1000"].map(Into::into).into(),
        rows,
        note: "A call takes a lock for 128 sessions at most, and then again.".into(),
    }
}

/// How long a verb takes.
#[derive(Default)]
struct Verbs {
    count: usize,
    total: Duration,
    longest: Duration,
}

impl Verbs {
    fn time<R>(&mut self, verb: impl FnOnce() -> R) -> R {
        let start = stopwatch::thread_time();
        let answer = verb();
        let time = stopwatch::thread_time() - start;
        self.count += 1;
        self.total += time;
        self.longest = self.longest.max(time);
        answer
    }
}

/// A record as the layer makes it.
fn sample() -> Record {
    let store = Arc::new(MemoryStore::new());
    let mut app = served(library_with(SessionLayer::new(Arc::clone(&store))));
    drop(app.visit(Workload::Create.path(), None));
    let page = now(store.scan(None, 1)).expect("it can be walked through");
    now(store.load(&page.rows[0].key)).expect("it works").expect("it is there")
}

/// As random as a real one.
fn key(n: usize) -> SessionKey {
    let mut bytes = [0; 32];
    let mut random = Random((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for word in bytes.chunks_exact_mut(8) {
        word.copy_from_slice(&random.next().to_le_bytes());
    }
    SessionKey::from_bytes(bytes)
}

fn subject(n: usize) -> Subject {
    Subject::from_hash(*key(!n).as_bytes())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// The answer of a store that never waits.
fn now<T>(verb: impl Future<Output = T>) -> T {
    match pin!(verb).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("this store never waits"),
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}

/// A clock that is set.
struct Hands(AtomicI64);

impl Hands {
    fn now() -> Self {
        Self(typed_session::SystemClock.now().as_millis().into())
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::Relaxed))
    }
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(table: &Table) {
    println!("\n{}", table.title);
    let lines = || std::iter::once(&table.columns).chain(&table.rows);
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|at| lines().map(|line| line[at].chars().count()).max().unwrap_or_default())
        .collect();
    for line in lines() {
        let cells = line.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| match at {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        println!("{}", cells.collect::<Vec<_>>().join("  "));
    }
    println!("{}", table.note);
}
