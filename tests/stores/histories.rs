//! Random histories: those of the right stores have an explanation, those of the wrong
//! ones none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::poll;
use typed_session::store::{DynStore, ErrorKind, MemoryStore, Store};
use typed_session::testing::history::{self, Report, Violation, Workload};
use typed_session::testing::schedule::{run, yield_now};
use typed_session::testing::wrong::{Mistake, WrongStore};
use typed_session::testing::{Faults, Faulty, Verb, When, Yielding, Yields};
use typed_session::{Clock, SystemClock, Timestamp};

/// The mistakes that a history cannot show, and why.
const UNSEEN: [(Mistake, &str); 8] = [
    (Mistake::LargeBodiesAreCut, "no body is above 64 KiB, as an engine may refuse it"),
    (Mistake::InsertOverwritesExpired, "as if the record had been removed before"),
    (Mistake::SweepForgets, "to remove what is due is no duty of a moment"),
    (Mistake::SweepMissesNow, "the same"),
    (Mistake::SweepTakesNext, "by the time that anybody looks, the record is due"),
    (Mistake::SweepSaysZero, "an engine that removes by itself may say so"),
    (Mistake::SweepStopsEarly, "the same"),
    (Mistake::SweepKeepsTombstones, "to remove what is due is no duty of a moment"),
];

/// A clock that goes on a quarter of a millisecond whenever it is asked, so that a run does
/// not depend on the machine.
struct Ticking(AtomicI64);

impl Ticking {
    fn new() -> Self {
        Self(AtomicI64::new(SystemClock.now().as_millis() * 4))
    }
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::SeqCst) / 4)
    }
}

/// A store whose calls overlap, in a crowd.
fn crowd<S: Store>(store: S, seed: u64, operations: u64) -> Result<Report, Violation> {
    crowd_at(Ticking::new(), store, seed, operations)
}

fn crowd_at<S: Store>(
    clock: impl Clock,
    store: S,
    seed: u64,
    operations: u64,
) -> Result<Report, Violation> {
    let store = Arc::new(store);
    let connect = async || Yielding::new(Arc::clone(&store), Yields::Around);
    run(Workload::new().seed(seed).operations(operations).clock(clock).check(connect))
}

#[test]
fn a_history_shows_every_mistake_but_those_that_leave_no_trace() {
    let mut wrong = Vec::new();
    for mistake in Mistake::ALL {
        let unseen = UNSEEN.iter().any(|(unseen, _)| *unseen == mistake);
        let seeds = if unseen { 6 } else { 60 };
        let is_seen = (0..seeds).any(|seed| {
            let store = WrongStore::new(mistake);
            let outcome = match mistake {
                // They ask the system's clock, so it must be that.
                Mistake::LoadHidesExpired
                | Mistake::InsertOverwritesExpired
                | Mistake::ReplaceHidesExpired
                | Mistake::IndexHidesExpired => crowd_at(SystemClock, store, seed, 6000),
                _ => crowd(store, seed, 6000),
            };
            outcome.is_err()
        });
        if is_seen == unseen {
            wrong.push(format!("{mistake:?} is {}seen", if is_seen { "" } else { "not " }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_line_has_a_crowd_at_work() {
    let store = DynStore::new(MemoryStore::new());
    run(history::run(async || store.clone()));
}

#[test]
fn right_stores_have_an_explanation_whatever_the_seed() {
    for seed in 0..60 {
        for report in [
            crowd(MemoryStore::new(), seed, 3000),
            crowd(WrongStore::new(Mistake::None), seed, 3000),
        ] {
            let report = report.unwrap();
            assert_eq!((report.operations, report.undecided), (3000, 0));
            assert!(report.keys > 3 && report.dropped > 0, "{report:?}");
        }
    }
}

/// Makes calls fail while clients are at work, before or after they happened.
async fn chaos(faults: Faults, seed: u64) {
    for round in 0..400 {
        let pick = seed.wrapping_mul(31).wrapping_add(round * 7919) >> 2;
        let verb = Verb::ALL[(pick % 7) as usize];
        let when = if pick.is_multiple_of(3) { When::Before } else { When::After };
        if round % 40 == 39 {
            // An outage of all verbs, and not only the next call.
            faults.outage();
            for _ in 0..60 {
                yield_now().await;
            }
            faults.clear();
        }
        faults.nth(1 + (pick % 5) as usize, verb, ErrorKind::Unavailable, when);
        for _ in 0..pick % 12 {
            yield_now().await;
        }
    }
    faults.clear();
}

#[test]
fn failures_and_lost_answers_have_an_explanation() {
    let mut unknown = 0;
    for seed in 0..40 {
        let store = Faulty::new(MemoryStore::new());
        let faults = store.faults();
        let store = Arc::new(Yielding::new(store, Yields::Around));
        let workload = Workload::new().seed(seed).operations(4000);
        let report = run(async {
            let check = workload.check(async || Arc::clone(&store));
            futures_util::join!(check, chaos(faults, seed)).0
        });
        let report = report.unwrap();
        assert_eq!(report.undecided, 0);
        unknown += report.unknown;
    }
    assert!(unknown > 4000, "{unknown}");
}

#[test]
fn failures_do_not_hide_a_mistake() {
    for mistake in [
        Mistake::ReplaceInTwoSteps,
        Mistake::EndDeletes,
        Mistake::ReplaceUpserts,
        Mistake::CacheIsFilledLate,
        Mistake::InsertOverwritesTombstones,
        Mistake::IndexDroppedFirst,
    ] {
        let is_seen = (0..10).any(|seed| {
            let store = Faulty::new(WrongStore::new(mistake));
            let faults = store.faults();
            let store = Arc::new(Yielding::new(store, Yields::Around));
            let workload = Workload::new().seed(seed).operations(4000);
            run(async {
                let check = workload.check(async || Arc::clone(&store));
                futures_util::join!(check, chaos(faults, seed)).0
            })
            .is_err()
        });
        assert!(is_seen, "{mistake:?}");
    }
}

#[test]
fn a_violation_shows_the_calls_and_the_seed() {
    let violation = crowd(WrongStore::new(Mistake::ReplaceInTwoSteps), 1, 4000).unwrap_err();
    let text = violation.to_string();
    assert_eq!(violation.seed(), 1);
    assert!(
        text.starts_with("the store breaks its contract:\n  no order of these calls"),
        "{text}"
    );
    assert!(text.ends_with("\n  seed 1"), "{text}");
    assert!(text.matches(" -> done").count() >= 2, "two replaces that were both done: {text}");
    assert!(text.lines().count() < 30, "no more than is needed: {text}");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let store = Arc::new(WrongStore::new(Mistake::EndDeletes));
        run(history::run(async || Arc::clone(&store)));
    }));
    let text = panicked.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("the store breaks its contract"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_run_on_threads_if_they_are_given() {
    let store = Arc::new(MemoryStore::new());
    let report = Workload::new()
        .operations(40_000)
        .clients(4)
        .keys(2)
        .patience(|| tokio::time::sleep(Duration::from_secs(5)))
        .spawn(|client| drop(tokio::spawn(client)))
        .check(async || Arc::clone(&store))
        .await
        .unwrap();
    assert_eq!((report.operations, report.undecided), (40_000, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_stopped_is_explained_as_far_as_it_went() {
    let store = Arc::new(MemoryStore::new());
    let run = Workload::new().lasting(Duration::from_secs(3600)).begin();
    let clients: Vec<_> = (0..3).map(|_| tokio::spawn(run.client(Arc::clone(&store)))).collect();
    tokio::time::sleep(Duration::from_millis(30)).await;
    run.stop();
    for client in clients {
        client.await.unwrap();
    }
    assert!(run.finish(store).await.unwrap().operations > 0);
}

#[test]
fn a_run_may_be_finished_while_clients_are_at_work() {
    let store = Arc::new(Yielding::new(MemoryStore::new(), Yields::Around));
    let workload = Workload::new().seed(1).lasting(Duration::from_secs(3600)).begin();
    let mut client = Box::pin(workload.client(Arc::clone(&store)));
    run(async {
        for _ in 0..50 {
            assert!(poll!(&mut client).is_pending());
        }
        let report = workload.finish(store).await.unwrap();
        assert!(report.operations > 0 && report.keys > 0, "{report:?}");
        // It ends its call, and begins no other.
        client.await;
    });
}

/// How fast histories are explained; a minute of eight clients, or what
/// `HISTORY_SECONDS` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn a_minute_in_memory() {
    let seconds = std::env::var("HISTORY_SECONDS").map_or(60, |text| text.parse().unwrap());
    let store = Arc::new(MemoryStore::new());
    let report = Workload::new()
        .lasting(Duration::from_secs(seconds))
        .spawn(|client| drop(tokio::spawn(client)))
        .check(async || Arc::clone(&store))
        .await
        .unwrap();
    println!("{report:?}");
}
