//! What holds for the memory store alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use typed_session::store::{Body, ErrorKind, Inserted, MemoryStore, Replaced, Revision, Store};
use typed_session::{Clock, Record, Subject, Timestamp};

use crate::{at, key, numbered, record, tombstone};

#[tokio::test]
async fn a_full_store_refuses_new_sessions_and_keeps_the_others() {
    let store = MemoryStore::with_capacity_limit(3);
    for number in 0..3 {
        let inserted = store.insert(&numbered(number), &record(1, None, 5)).await.unwrap();
        assert_eq!(inserted, Inserted::Created);
    }
    let refused = store.insert(&numbered(3), &record(1, None, 5)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(store.len(), 3);
    assert_eq!(store.load(&numbered(3)).await.unwrap(), None);

    // Everything but a new session goes on.
    let exists = store.insert(&numbered(0), &record(1, None, 5)).await.unwrap();
    assert_eq!(exists, Inserted::Exists);
    let first = Revision::from_u64(1);
    let done = store.replace(&numbered(0), first, &record(2, None, 9)).await.unwrap();
    assert_eq!(done, Replaced::Done);
    store.touch(&numbered(1), first, at(9)).await.unwrap();
    store.end(&numbered(2), &tombstone(9)).await.unwrap();
    assert_eq!(store.len(), 3);
    store.end(&numbered(4), &tombstone(5)).await.unwrap();
    assert_eq!(store.len(), 4);

    // The tombstone above the limit goes first.
    assert_eq!(store.remove_expired(at(5), 9).await.unwrap(), 1);
    assert!(store.insert(&numbered(3), &record(1, None, 5)).await.is_err());
    assert_eq!(store.remove_expired(at(9), 1).await.unwrap(), 1);
    let inserted = store.insert(&numbered(3), &record(1, None, 5)).await.unwrap();
    assert_eq!(inserted, Inserted::Created);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_is_exact_when_many_insert_at_once() {
    let store = Arc::new(MemoryStore::with_capacity_limit(100));
    let insert = |writer: u64| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..50 {
                let _ = store.insert(&numbered(100 * writer + number), &record(1, None, 5)).await;
            }
        })
    };
    for task in (0..4).map(insert).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(store.len(), 100);
    assert_eq!(store.remove_expired(at(5), 1000).await.unwrap(), 100);
    assert!(store.is_empty());
}

fn of_bytes(revision: u64, bytes: usize, expires_at: i64) -> Record {
    let mut record = record(revision, None, expires_at);
    record.body = Body(vec![0; bytes]);
    record
}

#[tokio::test]
async fn a_store_full_of_bytes_creates_nothing_grows_nothing_and_ends_whatever_is_asked() {
    let one = MemoryStore::new();
    let _ = one.insert(&numbered(0), &of_bytes(1, 100, 5)).await.unwrap();
    let weight = one.bytes();
    assert_eq!(weight, 244);

    let store = MemoryStore::new().byte_limit(3 * weight);
    for number in 0..3 {
        let inserted = store.insert(&numbered(number), &of_bytes(1, 100, 5)).await.unwrap();
        assert_eq!(inserted, Inserted::Created);
    }
    let refused = store.insert(&numbered(3), &of_bytes(1, 0, 5)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!((store.len(), store.bytes()), (3, 3 * weight));

    // What is there goes on, as long as it takes no more room.
    let at_revision = Revision::from_u64;
    let grown = store.replace(&numbered(0), at_revision(1), &of_bytes(2, 101, 5)).await;
    assert_eq!(grown.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.load(&numbered(0)).await.unwrap(), Some(of_bytes(1, 100, 5)));
    for (revision, bytes) in [(1, 100), (2, 99), (3, 100)] {
        let record = of_bytes(revision + 1, bytes, 5);
        let done = store.replace(&numbered(0), at_revision(revision), &record).await.unwrap();
        assert_eq!(done, Replaced::Done);
    }
    let stale = store.replace(&numbered(0), at_revision(1), &of_bytes(9, 1, 5)).await.unwrap();
    assert_eq!(stale, Replaced::Conflict(Some(of_bytes(4, 100, 5))));
    assert_eq!(store.bytes(), 3 * weight);

    // An end is never refused, also one that takes more room.
    let mut large = tombstone(9);
    large.body = Body(vec![0; 1000]);
    let ended = store.replace(&numbered(1), at_revision(1), &large).await.unwrap();
    assert_eq!(ended, Replaced::Done);
    store.end(&numbered(2), &large).await.unwrap();
    store.end(&numbered(4), &tombstone(5)).await.unwrap();
    assert_eq!(store.len(), 4);

    // Whatever was done, nothing is left over.
    assert_eq!(store.remove_expired(at(9), 99).await.unwrap(), 4);
    assert_eq!((store.len(), store.bytes()), (0, 0));
}

#[tokio::test]
async fn a_full_store_with_a_clock_lets_the_expired_go_and_nobody_else() {
    for by_bytes in [false, true] {
        let clock = Arc::new(Hands(AtomicI64::new(4)));
        let store = match by_bytes {
            false => MemoryStore::with_capacity_limit(3),
            true => MemoryStore::new().byte_limit(3 * 244),
        };
        let store = store.clock(Arc::clone(&clock));
        for (number, deadline) in [(0, 5), (1, 6), (2, 7)] {
            let _ = store.insert(&numbered(number), &of_bytes(1, 100, deadline)).await.unwrap();
        }
        store.end(&numbered(1), &tombstone(6)).await.unwrap();
        let insert = async || store.insert(&numbered(3), &of_bytes(1, 100, 99)).await;
        assert_eq!(insert().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(store.len(), 3, "nobody has expired");
        clock.0.store(5, Ordering::Relaxed);
        assert_eq!(insert().await.unwrap(), Inserted::Created);
        assert_eq!(store.load(&numbered(0)).await.unwrap(), None, "it had expired");
        assert!(store.load(&numbered(1)).await.unwrap().is_some(), "the tombstone is needed");
        assert!(store.load(&numbered(2)).await.unwrap().is_some());
    }
}

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_of_bytes_is_exact_whatever_is_done_at_once() {
    let limit = 100 * 244;
    let store = Arc::new(MemoryStore::new().byte_limit(limit));
    let work = |writer: u64| {
        let store = store.clone();
        tokio::spawn(async move {
            for step in 0..5_000_u64 {
                let key = numbered(step.wrapping_mul(writer + 7) % 300);
                let size = (step * 31 % 200) as usize;
                match step % 5 {
                    0 | 1 => drop(store.insert(&key, &of_bytes(step, size, 5)).await),
                    2 | 3 => {
                        let Ok(Some(there)) = store.load(&key).await else { continue };
                        if there.revision != Revision::ENDED {
                            let next = of_bytes(there.revision.as_u64() + 1, size, 5);
                            drop(store.replace(&key, there.revision, &next).await);
                        }
                    }
                    _ => drop(store.remove_expired(at(5), 1).await),
                }
                assert!(store.bytes() <= limit, "{} bytes", store.bytes());
            }
        })
    };
    for task in (0..4).map(work).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut weight = 0;
    for number in 0..300 {
        let record = store.load(&numbered(number)).await.unwrap();
        weight += record.map_or(0, |record| 144 + record.body.len());
    }
    assert_eq!(store.bytes(), weight);
    assert!(weight > limit / 2, "it was filled: {weight}");
}

#[tokio::test]
async fn keys_alike_in_many_bytes_are_told_apart() {
    let store = MemoryStore::new();
    let alike = |n: u32, place: usize| {
        let mut bytes = [0; 32];
        bytes[place..place + 4].copy_from_slice(&n.to_be_bytes());
        typed_session::SessionKey::from_bytes(bytes)
    };
    let alice = Subject::from("alice");
    for place in [0, 5, 28] {
        for n in 1..3000 {
            let its = record(n.into(), Some("alice"), n.into());
            assert_eq!(store.insert(&alike(n, place), &its).await.unwrap(), Inserted::Created);
        }
        for n in 1..3000 {
            let its = record(n.into(), Some("alice"), n.into());
            assert_eq!(store.load(&alike(n, place)).await.unwrap(), Some(its));
        }
        let keys = store.sessions_of(&alice, None, usize::MAX).await.unwrap();
        assert_eq!(keys.len(), 2999);
        assert!(keys.is_sorted());
        assert_eq!(store.remove_expired(at(i64::MAX), usize::MAX).await.unwrap(), 2999);
    }
}

#[tokio::test]
async fn rows_removed_are_used_again() {
    let store = MemoryStore::new();
    for round in 0..20 {
        for number in 0..1000 {
            // One in three outlives its round.
            let deadline = round + i64::from(number % 3 == 0);
            let its = record(1, Some("alice"), deadline << 20);
            let key = numbered(10_000 * round.unsigned_abs() + number);
            assert_eq!(store.insert(&key, &its).await.unwrap(), Inserted::Created);
        }
        store.remove_expired(at(round << 20), usize::MAX).await.unwrap();
        assert_eq!(store.len(), 334);
        let keys = store.sessions_of(&"alice".into(), None, usize::MAX).await.unwrap();
        assert_eq!(keys.len(), 334);
        for key in keys {
            assert!(store.load(&key).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn a_store_debugs_without_data() {
    let store = MemoryStore::new();
    assert_eq!(
        store.insert(&key(1), &record(1, Some("alice"), 0)).await.unwrap(),
        Inserted::Created
    );
    assert_eq!(format!("{store:?}"), "MemoryStore { len: 1, .. }");
}

#[tokio::test]
async fn a_walk_meets_every_record_that_is_there_all_the_time() {
    use std::collections::BTreeSet;
    use typed_session::store::{Cursor, Scan};

    let store = MemoryStore::new();
    for number in 0..3000 {
        let its = if number % 3 == 0 { tombstone(7) } else { record(1, Some("alice"), 7) };
        match number % 3 {
            0 => store.end(&numbered(number), &its).await.unwrap(),
            _ => {
                assert_eq!(store.insert(&numbered(number), &its).await.unwrap(), Inserted::Created)
            }
        }
    }
    for limit in [0, 1, 10, 1000, usize::MAX] {
        let (mut met, mut from, mut more) = (BTreeSet::new(), None::<Cursor>, 10_000_u64);
        loop {
            let page = store.scan(from.as_ref(), limit).await.unwrap();
            for row in page.rows {
                let is_ended = row.revision == Revision::ENDED;
                assert_eq!(row.subject, (!is_ended).then(|| Subject::from("alice")));
                assert_eq!(row.expires_at, at(7));
                met.insert(row.key);
            }
            // The tables grow in the middle of the walk.
            let key = numbered(more);
            let _ = store.insert(&key, &record(1, Some("alice"), 7)).await.unwrap();
            more += 1;
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        assert!((0..3000).all(|number| met.contains(&numbered(number))), "limit {limit}");
    }
    for cursor in [&b""[..], b"x", &[0xff; 16], &[0; 40]] {
        let cursor = Cursor::from_bytes(cursor);
        assert_eq!(store.scan(Some(&cursor), 1).await.unwrap().rows, []);
    }
}
