//! Every order of loads and writes of one key on one machine, with futures that
//! are dropped: what a recall answers is never older than what was acknowledged
//! before it began.
//!
//! `TYPED_SESSION_SCHEDULES` sets how many orders of each three verbs are tried;
//! the default takes seconds, and ten thousand sees all of three verbs alone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use typed_session::Record;
use typed_session::store::{Cached, Inserted, MemoryStore, Recalled, Replaced, Revision, Store};
use typed_session::testing::schedule::{Choice, Explorer, Scenario, run};
use typed_session::testing::{Yielding, Yields};

use super::clock;
use crate::{at, key, record, tombstone};

/// What a task does before it recalls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Recall,
    Load,
    Insert,
    Replace,
    Touch,
    End,
    Sweep,
    Forget,
}

use Kind::{End, Forget, Insert, Load, Recall, Replace, Sweep, Touch};

const KINDS: [Kind; 8] = [Recall, Load, Insert, Replace, Touch, End, Sweep, Forget];

/// When the record is over that all begin with; a touch moves it beyond that, and
/// a sweep takes what has not been touched.
const DUE: i64 = 1000;

type Store1 = Cached<Yielding<Arc<MemoryStore>>>;

struct Stage {
    rows: Arc<MemoryStore>,
    store: Arc<Store1>,
    /// The least that may be answered from now on.
    floor: Arc<Mutex<Rank>>,
}

/// How late in a record's life an answer is. Revisions grow, a touch moves the
/// deadline of one, and what was swept is gone.
type Rank = (u8, u64, i64);

fn rank(record: Option<&Record>) -> Rank {
    record.map_or((1, 0, 0), |record| (0, record.revision.as_u64(), record.expires_at.as_millis()))
}

impl Stage {
    fn set(choice: &Choice) -> Self {
        let rows = Arc::new(MemoryStore::new());
        let yielding = Yielding::new(Arc::clone(&rows), Yields::Around);
        let store = Cached::new(yielding).max_age(Duration::from_secs(3600)).clock(clock());
        let _ = run(rows.insert(&key(1), &record(1, None, DUE))).unwrap();
        if choice.of(2) == 1 {
            let _ = run(store.recall(&key(1))).unwrap();
        }
        Self { rows, store: Arc::new(store), floor: Arc::default() }
    }

    /// A verb, and then what is recalled after it.
    fn task(&self, number: usize, kind: Kind, then: bool) -> impl Future<Output = ()> + use<> {
        let (store, floor) = (Arc::clone(&self.store), Arc::clone(&self.floor));
        async move {
            let number = number as u64;
            let acknowledged = match kind {
                Recall => recall(&store, &floor, kind).await,
                Load => {
                    let least = *floor.lock().unwrap();
                    let answer = store.load(&key(1)).await.unwrap();
                    at_least(least, answer.as_ref(), kind)
                }
                Insert => {
                    let new = record(10 + number, None, DUE + 1);
                    match store.insert(&key(1), &new).await.unwrap() {
                        // After a sweep all begins anew.
                        Inserted::Created => (2, 10 + number, DUE + 1),
                        Inserted::Exists => Rank::default(),
                    }
                }
                Replace => {
                    let (old, new) = (Revision::from_u64(1), record(2 + number, None, DUE + 1));
                    match store.replace(&key(1), old, &new).await.unwrap() {
                        Replaced::Done => rank(Some(&new)),
                        Replaced::Conflict(answer) => rank(answer.as_ref()),
                    }
                }
                Touch => {
                    store.touch(&key(1), Revision::from_u64(1), at(DUE + 2)).await.unwrap();
                    // Of the first revision: whatever is not that is later.
                    (0, 1, DUE + 2)
                }
                End => {
                    store.end(&key(1), &tombstone(DUE + 3)).await.unwrap();
                    (0, Revision::ENDED.as_u64(), 0)
                }
                Sweep => match store.remove_expired(at(DUE), 10).await.unwrap() {
                    0 => Rank::default(),
                    _ => (1, 0, 0),
                },
                Forget => {
                    store.forget(&key(1));
                    Rank::default()
                }
            };
            {
                let mut floor = floor.lock().unwrap();
                *floor = (*floor).max(acknowledged);
            }
            if then {
                recall(&store, &floor, kind).await;
            }
        }
    }

    /// Once everything has come to rest, what is recalled is what is there.
    fn check(&self) -> Result<(), String> {
        let there = run(self.rows.load(&key(1))).unwrap();
        let (Recalled::Current(answer) | Recalled::Remembered(answer)) =
            run(self.store.recall(&key(1))).unwrap();
        if answer != there {
            return Err(format!("recalled {answer:?}, and there is {there:?}"));
        }
        let text = format!("{:?}", self.store);
        if !text.contains("under_way: 0") {
            return Err(format!("something is left under way: {text}"));
        }
        Ok(())
    }
}

async fn recall(store: &Store1, floor: &Mutex<Rank>, kind: Kind) -> Rank {
    let least = *floor.lock().unwrap();
    let (Recalled::Current(answer) | Recalled::Remembered(answer)) =
        store.recall(&key(1)).await.unwrap();
    at_least(least, answer.as_ref(), kind)
}

#[track_caller]
fn at_least(least: Rank, answer: Option<&Record>, kind: Kind) -> Rank {
    let (mut rank, mut least) = (rank(answer), least);
    if least.0 > 0 {
        // It was swept: nothing of before may come back.
        assert!(rank.0 > 0 || rank.1 >= 10, "{kind:?}: back from the sweep: {answer:?}");
        (rank.0, least.0) = (2, 2);
    }
    // A tombstone's or a new record's deadline is its own affair.
    if rank.1 != 1 {
        (rank.2, least.2) = (0, 0);
    }
    if least.1 < 10 || rank.1 != 0 {
        assert!(rank >= least, "{kind:?}: {answer:?} is older than {least:?}");
    }
    rank
}

fn explore(kinds: &[Kind], then: bool, drops: usize, max_runs: usize) -> (usize, bool) {
    let explored = Explorer::new()
        .drops(drops)
        .max_runs(max_runs)
        .explore(|choice| {
            let stage = Stage::set(choice);
            let tasks = kinds.iter().enumerate().map(|(at, kind)| stage.task(at, *kind, then));
            let scenario = tasks.fold(Scenario::new(), Scenario::task);
            scenario.check(move || stage.check())
        })
        .unwrap_or_else(|failure| panic!("{kinds:?}, drops: {drops}\n{failure}"));
    (explored.runs, explored.complete)
}

fn all(kinds: usize) -> Vec<Vec<Kind>> {
    let mut sets = vec![vec![]];
    for _ in 0..kinds {
        sets = sets
            .into_iter()
            .flat_map(|set: Vec<Kind>| {
                let from =
                    set.last().map_or(0, |last| KINDS.iter().position(|k| k == last).unwrap());
                KINDS[from..].iter().map(move |kind| [&set[..], &[*kind]].concat())
            })
            .collect();
    }
    sets
}

#[test]
fn two_verbs_and_what_is_recalled_after_each_are_never_late_in_any_order() {
    let mut runs = 0;
    for kinds in all(2) {
        let (more, complete) = explore(&kinds, true, 0, 1_000_000);
        assert!(complete);
        runs += more;
    }
    println!("{runs} orders of two verbs: all there are");
}

#[test]
fn two_verbs_are_never_late_if_one_is_dropped_anywhere() {
    let mut runs = 0;
    for kinds in all(2) {
        let (more, complete) = explore(&kinds, false, 2, 1_000_000);
        assert!(complete);
        runs += more;
    }
    println!("{runs} orders of two verbs, dropped or not: all there are");
}

fn max_runs() -> usize {
    let asked = std::env::var("TYPED_SESSION_SCHEDULES");
    asked.ok().and_then(|runs| runs.parse().ok()).unwrap_or(60)
}

/// Runs all sets of three and tells how many orders those were, and of how many
/// sets these are all.
fn explore_threes(then: bool, drops: usize) -> String {
    let (mut runs, mut complete) = (0, 0);
    let sets = all(3);
    for kinds in &sets {
        let (more, all) = explore(kinds, then, drops, max_runs());
        runs += more;
        complete += usize::from(all);
    }
    format!("{runs} orders of three verbs: all there are for {complete} of {} sets", sets.len())
}

#[test]
fn three_verbs_are_never_late_in_many_orders() {
    println!("{}", explore_threes(false, 0));
}

#[test]
fn three_verbs_and_what_is_recalled_after_each_are_never_late_if_one_is_dropped() {
    println!("{}", explore_threes(true, 1));
}
