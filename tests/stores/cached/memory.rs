//! What it takes, and who cannot fill it.

use std::sync::Arc;

use typed_session::Record;
use typed_session::store::{Body, Cached, MemoryStore, Recalled, Store};
use typed_session::testing::schedule::run;

use super::{MAX_AGE, clock, node, recall, remember};
use crate::{key, numbered, record};

#[test]
fn a_hundred_thousand_records_take_no_more_than_was_set() {
    let capacity = 1024 * 1024;
    let store = Cached::new(MemoryStore::new()).capacity(capacity).max_age(MAX_AGE).clock(clock());
    for number in 0..100_000 {
        let _ = run(store.insert(&numbered(number), &record(1, None, 9))).unwrap();
        assert!(store.bytes() <= capacity);
    }
    // Nearly all of it is used, by what counts 256 bytes and the body.
    let each = 256 + record(1, None, 9).body.len() as u64;
    assert_eq!(store.bytes(), store.len() as u64 * each);
    assert!(store.bytes() > capacity * 8 / 10, "{}", store.bytes());
}

#[test]
fn ids_that_nobody_has_leave_nothing_behind() {
    let (rows, clock) = (Arc::default(), clock());
    let (store, spied) = node(&rows, &clock);
    for number in 0..10_000u64 {
        assert_eq!(run(store.recall(&numbered(number))).unwrap(), Recalled::Current(None));
    }
    assert!(store.is_empty());
    assert_eq!(store.bytes(), 0);
    assert!(format!("{store:?}").contains("under_way: 0"));
    assert_eq!(spied.calls().load, 10_000);
}

#[test]
fn a_record_too_large_to_keep_takes_the_one_before_it_away() {
    let (rows, clock) = (Arc::new(MemoryStore::new()), clock());
    let (store, _) = node(&rows, &clock);
    let store = store.capacity(10_000);
    let small = record(1, None, 9);
    let large = Record { body: Body(vec![7; 20_000]), ..record(2, None, 9) };
    let _ = run(rows.insert(&key(1), &small)).unwrap();
    remember(&store, 1);
    assert_eq!(store.len(), 1);
    let _ = run(rows.replace(&key(1), small.revision, &large)).unwrap();
    assert_eq!(run(store.load(&key(1))).unwrap(), Some(large.clone()));
    assert_eq!(recall(&store, 1), Recalled::Current(Some(large)));
    assert_eq!(store.len(), 0);
}

#[test]
fn a_cache_without_room_asks_the_store() {
    let (rows, clock) = (Arc::default(), clock());
    let (store, spied) = node(&rows, &clock);
    let store = store.capacity(0);
    let _ = run(store.insert(&key(1), &record(1, None, 9))).unwrap();
    remember(&store, 1);
    remember(&store, 1);
    assert_eq!(spied.calls().load, 2);
}
