//! How late a machine is of what another one does, and how it is not late of
//! what it does itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use typed_session::store::{
    Cached, ErrorKind, Inserted, MemoryStore, Recalled, Replaced, Revision, Store,
};
use typed_session::testing::schedule::run;
use typed_session::testing::{Faulty, Spy, Verb, When, Yielding, Yields};

use super::{MAX_AGE, clock, current, node, recall, remember, remembered};
use crate::{at, key, record, tombstone};

const MS: Duration = Duration::from_millis(1);

#[test]
fn what_another_machine_ends_is_served_for_the_maximum_age_and_not_a_millisecond_longer() {
    let (rows, clock) = (Arc::default(), clock());
    let ((here, _), (there, _)) = (node(&rows, &clock), node(&rows, &clock));
    let live = record(1, None, i64::MAX / 2000);
    let _ = run(here.insert(&key(1), &live)).unwrap();
    assert_eq!(recall(&there, 1), current(&live));
    run(here.end(&key(1), &tombstone(i64::MAX / 2000))).unwrap();
    assert_eq!(recall(&here, 1), current(&tombstone(i64::MAX / 2000)), "never late here");
    clock.advance(MAX_AGE - MS);
    assert_eq!(recall(&there, 1), remembered(&live));
    clock.advance(MS);
    assert_eq!(recall(&there, 1), current(&tombstone(i64::MAX / 2000)));
}

#[test]
fn the_age_is_counted_from_before_the_load_began() {
    let (rows, clock) = (Arc::new(MemoryStore::new()), clock());
    let slow = Yielding::new(Arc::clone(&rows), Yields::Around);
    let store = Cached::new(slow).max_age(MAX_AGE).clock(clock.clone());
    let _ = run(rows.insert(&key(1), &record(1, None, 9))).unwrap();
    let key = key(1);
    run(async {
        let mut load = Box::pin(store.recall(&key));
        assert!(poll!(&mut load).is_pending() && poll!(&mut load).is_pending());
        // It has been read, and its answer is on its way.
        run(rows.end(&key, &tombstone(9))).unwrap();
        clock.advance(MAX_AGE - MS);
        assert_eq!(load.await.unwrap(), current(&record(1, None, 9)));
        assert_eq!(recall(&store, 1), remembered(&record(1, None, 9)));
        clock.advance(MS);
        assert_eq!(recall(&store, 1), current(&tombstone(9)));
    });
}

/// What a request gets that begins `later` than a load which is slow and has read
/// before another machine ended the session.
fn recalled_beside_a_slow_load(max_age: Duration, later: Duration) -> Recalled {
    let (rows, clock) = (Arc::new(MemoryStore::new()), clock());
    let slow = Yielding::new(Arc::clone(&rows), Yields::Around);
    let store = Cached::new(slow).max_age(max_age).clock(clock.clone());
    let live = record(1, None, 9);
    let _ = run(rows.insert(&key(1), &live)).unwrap();
    let key = key(1);
    run(async {
        let mut first = Box::pin(store.recall(&key));
        assert!(poll!(&mut first).is_pending() && poll!(&mut first).is_pending());
        run(rows.end(&key, &tombstone(9))).unwrap();
        clock.advance(later);
        let mut second = Box::pin(store.recall(&key));
        assert!(poll!(&mut second).is_pending());
        assert_eq!(first.await.unwrap(), current(&live));
        second.await.unwrap()
    })
}

#[test]
fn who_begins_the_maximum_age_after_a_slow_load_does_not_join_it() {
    let live = record(1, None, 9);
    assert_eq!(recalled_beside_a_slow_load(MAX_AGE, MAX_AGE - MS), remembered(&live));
    assert_eq!(recalled_beside_a_slow_load(MAX_AGE, MAX_AGE), current(&tombstone(9)));
    assert_eq!(recalled_beside_a_slow_load(MAX_AGE, 1000 * MAX_AGE), current(&tombstone(9)));
    let zero = Duration::ZERO;
    assert_eq!(recalled_beside_a_slow_load(zero, zero), current(&tombstone(9)));
    assert_eq!(recalled_beside_a_slow_load(zero, MAX_AGE), current(&tombstone(9)));
}

#[test]
fn the_flight_of_who_did_not_join_is_the_one_that_others_join() {
    let (rows, clock) = (Arc::new(MemoryStore::new()), clock());
    let spy = Spy::new(Arc::clone(&rows));
    let spied = spy.handle();
    let slow = Yielding::new(spy, Yields::Around);
    let store = Cached::new(slow).max_age(MAX_AGE).clock(clock.clone());
    let live = record(1, None, 9);
    let _ = run(rows.insert(&key(1), &live)).unwrap();
    let key = key(1);
    run(async {
        let mut first = Box::pin(store.recall(&key));
        assert!(poll!(&mut first).is_pending() && poll!(&mut first).is_pending());
        run(rows.end(&key, &tombstone(9))).unwrap();
        clock.advance(MAX_AGE);
        let mut second = Box::pin(store.recall(&key));
        let mut third = Box::pin(store.recall(&key));
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        // The old one lands, and nobody remembers it.
        assert_eq!(first.await.unwrap(), current(&live));
        let (second, third) = futures_util::join!(second, third);
        assert_eq!(second.unwrap(), current(&tombstone(9)));
        assert_eq!(third.unwrap(), remembered(&tombstone(9)));
    });
    assert_eq!(spied.calls().load, 2);
    assert_eq!(recall(&store, 1), remembered(&tombstone(9)));
    assert!(format!("{store:?}").contains("under_way: 0"));
}

#[test]
fn the_age_of_what_was_written_is_counted_from_before_the_write_began() {
    for insert in [true, false] {
        let (rows, clock) = (Arc::new(MemoryStore::new()), clock());
        let slow = Yielding::new(Arc::clone(&rows), Yields::Around);
        let store = Cached::new(slow).max_age(MAX_AGE).clock(clock.clone());
        let (old, new) = (record(1, None, 9), record(2, None, 9));
        if !insert {
            let _ = run(rows.insert(&key(1), &old)).unwrap();
        }
        run(async {
            let key = key(1);
            let mut write = Box::pin(async {
                if insert {
                    assert_eq!(store.insert(&key, &new).await.unwrap(), Inserted::Created);
                } else {
                    let replaced = store.replace(&key, old.revision, &new).await.unwrap();
                    assert_eq!(replaced, Replaced::Done);
                }
            });
            assert!(poll!(&mut write).is_pending() && poll!(&mut write).is_pending());
            run(rows.end(&key, &tombstone(9))).unwrap();
            clock.advance(MAX_AGE - MS);
            write.await;
            assert_eq!(recall(&store, 1), remembered(&new));
            clock.advance(MS);
            assert_eq!(recall(&store, 1), current(&tombstone(9)));
        });
    }
}

#[test]
fn what_was_remembered_before_the_clock_was_set_back_is_not_served() {
    let (rows, clock) = (Arc::default(), clock());
    let (store, _) = node(&rows, &clock);
    let _ = run(store.insert(&key(1), &record(1, None, 9))).unwrap();
    let then = typed_session::Clock::now(&clock);
    assert_eq!(recall(&store, 1), remembered(&record(1, None, 9)));
    clock.set(then.minus(MS));
    assert_eq!(recall(&store, 1), current(&record(1, None, 9)));
}

#[test]
fn with_no_age_at_all_nothing_is_served_from_memory() {
    let store = Cached::new(MemoryStore::new()).max_age(Duration::ZERO);
    let _ = run(store.insert(&key(1), &record(1, None, 9))).unwrap();
    assert_eq!(recall(&store, 1), current(&record(1, None, 9)));
    assert_eq!(recall(&store, 1), current(&record(1, None, 9)));
}

#[test]
fn by_default_the_systems_clocks_let_a_record_be_served() {
    let store = Cached::new(MemoryStore::new()).max_age(Duration::from_secs(3600));
    let _ = run(store.insert(&key(1), &record(1, None, 9))).unwrap();
    assert_eq!(recall(&store, 1), remembered(&record(1, None, 9)));
}

#[test]
fn what_was_written_is_recalled_without_a_load() {
    let (rows, clock) = (Arc::default(), clock());
    let (store, spied) = node(&rows, &clock);
    let (first, second) = (record(1, None, 9), record(2, Some("ann"), 8));
    let _ = run(store.insert(&key(1), &first)).unwrap();
    assert_eq!(recall(&store, 1), remembered(&first));
    let _ = run(store.replace(&key(1), first.revision, &second)).unwrap();
    assert_eq!(recall(&store, 1), remembered(&second));
    let _ = run(store.replace(&key(1), second.revision, &tombstone(9))).unwrap();
    assert_eq!(recall(&store, 1), remembered(&tombstone(9)));
    assert_eq!(spied.take(), [Verb::Insert, Verb::Replace, Verb::Replace]);
}

#[test]
fn a_refused_write_says_what_the_store_says_and_remembers_nothing() {
    let (rows, clock) = (Arc::default(), clock());
    let ((here, _), (there, _)) = (node(&rows, &clock), node(&rows, &clock));
    let (first, second) = (record(1, None, 9), record(2, None, 9));
    let _ = run(here.insert(&key(1), &first)).unwrap();
    remember(&there, 1);
    let _ = run(here.replace(&key(1), first.revision, &second)).unwrap();
    let mine = record(3, None, 9);
    let replaced = run(there.replace(&key(1), first.revision, &mine)).unwrap();
    assert_eq!(replaced, Replaced::Conflict(Some(second.clone())));
    assert_eq!(recall(&there, 1), current(&second));
    assert_eq!(run(there.insert(&key(1), &mine)).unwrap(), Inserted::Exists);
    assert_eq!(recall(&there, 1), current(&second));
}

#[test]
fn a_touch_moves_the_remembered_deadline_and_not_its_age() {
    let (rows, clock) = (Arc::default(), clock());
    let ((here, spied), (there, _)) = (node(&rows, &clock), node(&rows, &clock));
    let _ = run(here.insert(&key(1), &record(1, None, 9))).unwrap();
    clock.advance(MAX_AGE / 2);
    let touch = |store: &super::Node, revision, millis| {
        run(store.touch(&key(1), Revision::from_u64(revision), at(millis))).unwrap();
    };
    touch(&here, 1, 12);
    assert_eq!(recall(&here, 1), remembered(&record(1, None, 12)));
    touch(&here, 1, 10);
    assert_eq!(recall(&here, 1), remembered(&record(1, None, 12)), "never back");
    assert_eq!(spied.take(), [Verb::Insert, Verb::Touch, Verb::Touch]);
    // Of another revision nothing is known then.
    touch(&here, 7, 15);
    assert_eq!(recall(&here, 1), current(&record(1, None, 12)));
    // Somebody else replaces it, and a touch of what is no more is in vain.
    let _ = run(there.replace(&key(1), Revision::from_u64(1), &record(2, None, 13))).unwrap();
    touch(&here, 1, 14);
    assert_eq!(recall(&here, 1), remembered(&record(1, None, 14)));
    clock.advance(MAX_AGE);
    assert_eq!(recall(&here, 1), current(&record(2, None, 13)));
}

#[test]
fn a_touch_does_not_make_a_record_young() {
    let (rows, clock) = (Arc::default(), clock());
    let (store, _) = node(&rows, &clock);
    let _ = run(store.insert(&key(1), &record(1, None, 9))).unwrap();
    clock.advance(MAX_AGE - MS);
    run(store.touch(&key(1), Revision::from_u64(1), at(12))).unwrap();
    assert_eq!(recall(&store, 1), remembered(&record(1, None, 12)));
    clock.advance(MS);
    assert_eq!(recall(&store, 1), current(&record(1, None, 12)));
}

#[test]
fn a_write_of_unknown_outcome_leaves_nothing_to_be_remembered() {
    for when in [When::Before, When::After] {
        for verb in [Verb::Replace, Verb::Touch, Verb::End] {
            let faulty = Faulty::new(MemoryStore::new());
            let faults = faulty.faults();
            let store = Cached::new(faulty).max_age(MAX_AGE).clock(clock());
            let first = record(1, None, 9);
            let _ = run(store.insert(&key(1), &first)).unwrap();
            faults.nth(1, verb, ErrorKind::Unavailable, when);
            let failed = match verb {
                Verb::Replace => {
                    run(store.replace(&key(1), first.revision, &record(2, None, 9))).is_err()
                }
                Verb::Touch => run(store.touch(&key(1), first.revision, at(10))).is_err(),
                _ => run(store.end(&key(1), &tombstone(9))).is_err(),
            };
            assert!(failed && store.is_empty(), "{verb}, {when:?}");
            let there = run(store.store().load(&key(1))).unwrap();
            assert_eq!(recall(&store, 1), Recalled::Current(there));
        }
    }
}

#[test]
fn a_write_that_is_dropped_and_done_later_is_seen_after_the_maximum_age() {
    let (rows, clock) = (Arc::new(MemoryStore::new()), clock());
    let slow = Yielding::new(Arc::clone(&rows), Yields::Around);
    let store = Cached::new(slow).max_age(MAX_AGE).clock(clock.clone());
    let live = record(1, None, 9);
    let _ = run(store.insert(&key(1), &live)).unwrap();
    run(async {
        let (key, tombstone) = (key(1), tombstone(9));
        let mut end = Box::pin(store.end(&key, &tombstone));
        assert!(poll!(&mut end).is_pending());
        drop(end);
        assert_eq!(store.recall(&key).await.unwrap(), current(&live));
        // The engine had it all the same.
        rows.end(&key, &tombstone).await.unwrap();
        clock.advance(MAX_AGE);
        assert_eq!(store.recall(&key).await.unwrap(), current(&tombstone));
    });
}

#[test]
fn what_a_sweep_may_have_removed_is_not_served() {
    let rows = Arc::new(MemoryStore::new());
    let spy = Spy::new(Arc::clone(&rows));
    let store = Cached::new(spy).max_age(MAX_AGE).clock(clock());
    for (first, millis) in [(1, 5), (2, 6)] {
        let _ = run(store.insert(&key(first), &record(1, None, millis))).unwrap();
    }
    assert_eq!(run(store.remove_expired(at(5), 10)).unwrap(), 1);
    assert_eq!(recall(&store, 1), Recalled::Current(None));
    assert_eq!(recall(&store, 2), remembered(&record(1, None, 6)));
}

#[test]
fn after_a_sweep_of_the_future_what_is_due_before_it_is_right_and_not_remembered() {
    let (rows, clock) = (Arc::default(), clock());
    let (store, spied) = node(&rows, &clock);
    assert_eq!(run(store.remove_expired(at(1000), 10)).unwrap(), 0);
    let (early, late) = (record(1, None, 1000), record(1, None, 1001));
    let _ = run(store.insert(&key(1), &early)).unwrap();
    let _ = run(store.insert(&key(2), &late)).unwrap();
    for _ in 0..2 {
        assert_eq!(recall(&store, 1), current(&early));
        assert_eq!(recall(&store, 2), remembered(&late));
    }
    assert_eq!(spied.calls().load, 2);
}

#[test]
fn a_touch_does_not_bring_back_what_is_swept_meanwhile() {
    let rows = Arc::new(MemoryStore::new());
    let slow = Yielding::new(Arc::clone(&rows), Yields::Around);
    let store = Cached::new(slow).max_age(MAX_AGE).clock(clock());
    let _ = run(store.insert(&key(1), &record(1, None, 5))).unwrap();
    run(async {
        let key = key(1);
        let mut sweep = Box::pin(store.remove_expired(at(5), 10));
        assert!(poll!(&mut sweep).is_pending() && poll!(&mut sweep).is_pending());
        // It is gone, and the sweep does not know yet that it was done.
        store.touch(&key, Revision::from_u64(1), at(100)).await.unwrap();
        assert_eq!(sweep.await.unwrap(), 1);
        assert_eq!(store.recall(&key).await.unwrap(), Recalled::Current(None));
    });
}
