//! Loads that are shared.

use std::sync::{Arc, Barrier, Mutex};

use futures_util::future::join_all;
use futures_util::{FutureExt as _, poll};
use typed_session::store::{Cached, ErrorKind, MemoryStore, Recalled, Store};
use typed_session::testing::schedule::run;
use typed_session::testing::{Faulty, ManualClock, Spied, Spy, Verb, When, Yielding, Yields};
use typed_session::{Clock, Timestamp};

use super::{MAX_AGE, clock, current, recall, remember, remembered};
use crate::{key, numbered, record};

type Slow<S> = Cached<Yielding<Spy<S>>>;

fn slow<S: Store>(rows: S) -> (Slow<S>, Spied) {
    let spy = Spy::new(rows);
    let spied = spy.handle();
    let slow = Yielding::new(spy, Yields::Around);
    (Cached::new(slow).max_age(MAX_AGE).clock(clock()), spied)
}

fn rows() -> MemoryStore {
    let rows = MemoryStore::new();
    let _ = run(rows.insert(&key(1), &record(1, None, 9))).unwrap();
    rows
}

#[test]
fn many_misses_of_one_key_make_one_load() {
    let (store, spied) = slow(rows());
    let key = key(1);
    let answers = run(join_all((0..10).map(|_| store.recall(&key))));
    let mut answers = answers.into_iter().map(Result::unwrap);
    // Who did the load knows that it is as new as the request, and the others do not.
    assert_eq!(answers.next(), Some(current(&record(1, None, 9))));
    assert!(answers.all(|answer| answer == remembered(&record(1, None, 9))));
    assert_eq!(spied.calls().load, 1);
    assert_eq!(recall(&store, 1), remembered(&record(1, None, 9)));
    assert_eq!(spied.take(), [Verb::Load]);
}

#[test]
fn misses_of_several_keys_do_not_wait_for_each_other() {
    let (store, spied) = slow(rows());
    let keys = [key(1), key(2), key(3)];
    run(join_all(keys.iter().map(|key| store.recall(key))));
    assert_eq!(spied.calls().load, 3);
}

#[test]
fn misses_on_many_threads_make_one_load() {
    let rows = Arc::new(MemoryStore::new());
    let spy = Spy::new(Arc::clone(&rows));
    let spied = spy.handle();
    let store = Cached::new(spy).max_age(MAX_AGE).clock(clock());
    let (threads, keys) = (4, 2_000);
    for number in 0..keys {
        let _ = run(rows.insert(&numbered(number), &record(1, None, 9))).unwrap();
    }
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for number in 0..keys {
                    barrier.wait();
                    let answer = futures_executor::block_on(store.recall(&numbered(number)));
                    let (Recalled::Current(answer) | Recalled::Remembered(answer)) =
                        answer.unwrap();
                    assert_eq!(answer, Some(record(1, None, 9)));
                }
            });
        }
    });
    assert_eq!(spied.calls().load, keys as usize);
}

#[test]
fn who_looks_just_before_a_load_is_done_does_not_load_again() {
    /// A clock that does something the next time it is asked.
    struct Hooked(ManualClock, Arc<Mutex<Option<Hook>>>);
    type Hook = Box<dyn FnOnce() + Send>;

    impl Clock for Hooked {
        fn now(&self) -> Timestamp {
            let now = self.0.now();
            let hook = self.1.lock().unwrap().take();
            hook.into_iter().for_each(|hook| hook());
            now
        }
    }

    let spy = Spy::new(rows());
    let spied = spy.handle();
    let (clock, hook) = (clock(), Arc::default());
    let hooked = Hooked(clock.clone(), Arc::clone(&hook));
    let store = Arc::new(Cached::new(spy).max_age(MAX_AGE).clock(hooked));
    remember(&*store, 1);
    clock.advance(MAX_AGE);
    // Asked whether what is there is too old; and another request brings it anew.
    let other = Arc::clone(&store);
    *hook.lock().unwrap() = Some(Box::new(move || remember(&*other, 1)));
    assert_eq!(recall(&*store, 1), remembered(&record(1, None, 9)));
    assert_eq!(spied.calls().load, 2);
}

#[test]
fn if_who_loads_is_dropped_another_one_loads_and_it_is_remembered() {
    let (store, spied) = slow(rows());
    let key = key(1);
    run(async {
        let mut leader = Box::pin(store.recall(&key));
        let mut second = Box::pin(store.recall(&key));
        let mut third = Box::pin(store.recall(&key));
        assert!(poll!(&mut leader).is_pending());
        assert!(poll!(&mut leader).is_pending());
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        assert_eq!(spied.calls().load, 1);
        drop(leader);
        let (second, third) = futures_util::join!(second, third);
        assert_eq!(second.unwrap(), current(&record(1, None, 9)));
        assert_eq!(third.unwrap(), remembered(&record(1, None, 9)));
    });
    assert_eq!(spied.calls().load, 2);
    assert_eq!(recall(&store, 1), remembered(&record(1, None, 9)));
    assert_eq!(spied.calls().load, 2);
    assert!(format!("{store:?}").contains("under_way: 0"));
}

#[test]
fn a_flight_that_all_have_left_is_gone() {
    let (store, spied) = slow(rows());
    let key = key(1);
    run(async {
        let mut leader = Box::pin(store.recall(&key));
        let mut second = Box::pin(store.recall(&key));
        assert!(poll!(&mut leader).is_pending() && poll!(&mut second).is_pending());
        drop((second, leader));
    });
    assert!(format!("{store:?}").contains("under_way: 0"));
    assert_eq!(recall(&store, 1), current(&record(1, None, 9)));
    assert_eq!(spied.calls().load, 1, "the first came not as far as the store");
}

#[test]
fn a_load_that_fails_fails_for_all_who_waited_and_is_not_remembered() {
    let faulty = Faulty::new(rows());
    let faults = faulty.faults();
    let (store, spied) = slow(faulty);
    faults.nth(1, Verb::Load, ErrorKind::Unavailable, When::Before);
    let key = key(1);
    for answer in run(join_all((0..5).map(|_| store.recall(&key)))) {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let mut cause = std::error::Error::source(&error);
        let mut words = Vec::new();
        while let Some(error) = cause {
            words.push(error.to_string());
            cause = error.source();
        }
        assert_eq!(words.last().unwrap(), "load was told to fail");
    }
    assert_eq!(spied.calls().load, 1);
    assert_eq!(recall(&store, 1), current(&record(1, None, 9)));
    assert_eq!(spied.calls().load, 2);
}

#[test]
fn who_asks_after_a_failure_does_not_get_it() {
    let faulty = Faulty::new(rows());
    let faults = faulty.faults();
    let (store, spied) = slow(faulty);
    faults.nth(1, Verb::Load, ErrorKind::Unavailable, When::Before);
    let key = key(1);
    run(async {
        let leader = store.recall(&key);
        let mut leader = Box::pin(leader);
        let mut waits = Box::pin(store.recall(&key));
        assert!(poll!(&mut leader).is_pending() && poll!(&mut waits).is_pending());
        assert!(leader.await.is_err());
        assert_eq!(store.recall(&key).await.unwrap(), current(&record(1, None, 9)));
        assert!(waits.await.is_err());
    });
    assert_eq!(spied.calls().load, 2);
}

#[test]
fn a_load_does_not_join_a_flight_and_who_recalls_joins_the_load() {
    let (store, spied) = slow(rows());
    let key = key(1);
    run(async {
        let mut early = Box::pin(store.recall(&key));
        assert!(poll!(&mut early).is_pending());
        let mut load = Box::pin(store.load(&key));
        assert!(poll!(&mut load).is_pending());
        let mut late = Box::pin(store.recall(&key));
        assert!(poll!(&mut late).is_pending());
        let (early, load, late) = futures_util::join!(early, load, late);
        assert_eq!(early.unwrap(), current(&record(1, None, 9)));
        assert_eq!(load.unwrap(), Some(record(1, None, 9)));
        assert_eq!(late.unwrap(), remembered(&record(1, None, 9)));
    });
    assert_eq!(spied.calls().load, 2);
}

#[test]
fn a_load_brings_what_is_recalled_up_to_date() {
    let rows = Arc::new(rows());
    let (store, spied) = slow(Arc::clone(&rows));
    remember(&store, 1);
    let new = record(2, None, 9);
    let _ = run(rows.replace(&key(1), record(1, None, 9).revision, &new)).unwrap();
    assert_eq!(recall(&store, 1), remembered(&record(1, None, 9)));
    assert_eq!(run(store.load(&key(1))).unwrap(), Some(new.clone()));
    assert_eq!(recall(&store, 1), remembered(&new));
    // And if it finds nothing, nothing is remembered.
    assert_eq!(run(rows.remove_expired(crate::at(9), 1)).unwrap(), 1);
    assert_eq!(run(store.load(&key(1))).unwrap(), None);
    assert_eq!(store.len(), 0);
    assert_eq!(recall(&store, 1).clone(), Recalled::Current(None));
    assert_eq!(spied.calls().load, 4);
}

#[test]
fn a_future_that_is_never_polled_does_nothing() {
    let (store, spied) = slow(rows());
    let key = key(1);
    drop((store.recall(&key), store.load(&key), store.end(&key, &record(1, None, 9))));
    assert!(store.recall(&key).now_or_never().is_none());
    assert_eq!(spied.calls().total(), 0);
    assert!(format!("{store:?}").contains("under_way: 0"));
}

#[test]
fn a_load_of_before_a_write_that_has_no_answer_yet_is_not_joined() {
    let rows = Arc::new(rows());
    let (store, _) = slow(Arc::clone(&rows));
    let (key, second) = (key(1), record(2, None, 9));
    run(async {
        // It has read, and does not know it yet.
        let mut load = Box::pin(store.recall(&key));
        assert!(poll!(&mut load).is_pending() && poll!(&mut load).is_pending());
        // So it is with the write, which others may see past the cache.
        let mut write = Box::pin(store.replace(&key, record(1, None, 9).revision, &second));
        assert!(poll!(&mut write).is_pending() && poll!(&mut write).is_pending());
        assert_eq!(rows.load(&key).await.unwrap().as_ref(), Some(&second));
        assert_eq!(store.recall(&key).await.unwrap(), current(&second));
        assert_eq!(load.await.unwrap(), current(&record(1, None, 9)));
        let _ = write.await.unwrap();
        assert_eq!(store.recall(&key).await.unwrap(), remembered(&second));
    });
}
