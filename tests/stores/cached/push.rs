//! What others tell of their changes.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::poll;
use typed_session::store::{
    Cached, Change, Changes, ErrorKind, MemoryStore, Result, Revision, Store,
};
use typed_session::testing::schedule::{run, yield_now};
use typed_session::testing::{Yielding, Yields};

use super::{MAX_AGE, clock, current, node, recall, remember, remembered};
use crate::{key, record, tombstone};

/// Tells what it is given, one at a time, and then fails.
struct Told(VecDeque<Change>);

impl Changes for Told {
    async fn next(&mut self) -> Result<Change> {
        yield_now().await;
        self.0.pop_front().ok_or_else(|| ErrorKind::Unavailable.into())
    }
}

#[test]
fn what_another_machine_ends_is_refused_as_soon_as_it_is_told() {
    let (rows, clock) = (Arc::default(), clock());
    let ((here, _), (there, _)) = (node(&rows, &clock), node(&rows, &clock));
    for first in [1, 2] {
        let _ = run(here.insert(&key(first), &record(1, None, 9))).unwrap();
    }
    run(async {
        let mut follow = Box::pin(there.follow(Told([Change::Key(key(1))].into())));
        assert!(poll!(&mut follow).is_pending());
        remember(&there, 1);
        remember(&there, 2);
        here.end(&key(1), &tombstone(9)).await.unwrap();
        assert_eq!(recall(&there, 1), remembered(&record(1, None, 9)));
        assert!(poll!(&mut follow).is_pending());
        assert_eq!(recall(&there, 1), current(&tombstone(9)));
        assert_eq!(recall(&there, 2), remembered(&record(1, None, 9)), "the others stay");
    });
}

#[test]
fn if_changes_may_have_been_missed_everything_is_forgotten() {
    let (rows, clock) = (Arc::default(), clock());
    let (store, _) = node(&rows, &clock);
    let fill = || {
        for first in [1, 2, 3] {
            let _ = run(rows.insert(&key(first), &record(1, None, 9))).unwrap();
            remember(&store, first);
        }
        assert_eq!(store.len(), 3);
    };
    fill();
    run(async {
        let mut follow = Box::pin(store.follow(Told([Change::Missed].into())));
        assert!(poll!(&mut follow).is_pending());
        assert!(store.is_empty(), "before it began");
        fill();
        assert!(poll!(&mut follow).is_pending());
        assert!(store.is_empty(), "when it was said");
        fill();
        assert_eq!(follow.await.kind(), ErrorKind::Unavailable);
        assert!(store.is_empty(), "when it came to its end");
    });
}

/// A load that has read, or a write that is done, and does not know it yet.
fn told_meanwhile(tell: impl Fn(&Cached<Yielding<Arc<MemoryStore>>>)) {
    let rows = Arc::new(MemoryStore::new());
    let slow = Yielding::new(Arc::clone(&rows), Yields::Around);
    let store = Cached::new(slow).max_age(MAX_AGE).clock(clock());
    let (first, second) = (record(1, None, 9), record(2, None, 9));
    let _ = run(rows.insert(&key(1), &first)).unwrap();
    let key = key(1);
    run(async {
        let mut load = Box::pin(store.recall(&key));
        assert!(poll!(&mut load).is_pending() && poll!(&mut load).is_pending());
        let _ = rows.replace(&key, first.revision, &second).await.unwrap();
        tell(&store);
        // Nobody joins it any more,
        assert_eq!(store.recall(&key).await.unwrap(), current(&second));
        // and what it brings is not remembered.
        assert_eq!(load.await.unwrap(), current(&first));
        assert_eq!(store.recall(&key).await.unwrap(), remembered(&second));

        let third = record(3, None, 9);
        let mut write = Box::pin(store.replace(&key, second.revision, &third));
        assert!(poll!(&mut write).is_pending() && poll!(&mut write).is_pending());
        rows.end(&key, &tombstone(9)).await.unwrap();
        tell(&store);
        let _ = write.await.unwrap();
        assert_eq!(store.recall(&key).await.unwrap(), current(&tombstone(9)));
    });
}

#[test]
fn what_began_before_a_change_was_told_is_not_remembered_after_it() {
    told_meanwhile(|store| store.forget(&key(1)));
    told_meanwhile(Cached::forget_all);
}

#[test]
fn forgetting_what_is_not_there_does_nothing() {
    let (rows, clock) = (Arc::default(), clock());
    let (store, spied) = node(&rows, &clock);
    store.forget(&key(1));
    store.forget_all();
    run(store.touch(&key(1), Revision::from_u64(1), crate::at(9))).unwrap();
    assert_eq!(spied.calls().total(), 1);
    assert!(format!("{store:?}").contains("under_way: 0"));
}
