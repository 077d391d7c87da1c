//! The contract of a store, as far as one page says it.

use std::sync::Arc;

use typed_session::store::{Inserted, Replaced, Revision, Store};
use typed_session::{Record, Subject};

use crate::{at, key, numbered, record, tombstone};

/// Holds an empty store to the contract, and leaves it empty.
pub async fn holds<S: Store>(store: Arc<S>) {
    bytes_come_back_as_they_were(&*store).await;
    only_an_absent_key_is_inserted(&*store).await;
    a_replace_compares_and_never_creates(&*store).await;
    a_touch_moves_forward_and_never_creates(&*store).await;
    an_ended_session_stays_ended(&*store).await;
    the_index_is_in_order_and_complete(&*store).await;
    clean_up_takes_what_is_expired(&*store).await;
    one_of_many_inserts_wins(store.clone()).await;
    no_update_is_lost(store.clone()).await;
    pages_are_complete_while_others_write(store).await;
}

async fn clear(store: &impl Store) {
    store.remove_expired(at(i64::MAX), usize::MAX).await.unwrap();
}

async fn bytes_come_back_as_they_were(store: &impl Store) {
    let mut records = vec![
        Record { body: Vec::new().into(), ..record(0, None, 0) },
        Record { body: vec![0; 1].into(), ..record(1, Some("alice"), -1) },
        Record { body: vec![255; 64 << 10].into(), ..record(u64::MAX >> 2, None, i64::MAX) },
        record(i64::MAX as u64 - 1, Some("bob"), i64::MIN),
        record(5, Some(""), 1_700_000_000_123),
    ];
    records
        .extend((0..=255).map(|byte| Record { body: vec![byte; 3].into(), ..record(1, None, 5) }));
    for (number, record) in (0..).zip(&records) {
        assert_eq!(store.insert(&numbered(number), record).await.unwrap(), Inserted::Created);
    }
    for (number, record) in (0..).zip(&records) {
        assert_eq!(store.load(&numbered(number)).await.unwrap().as_ref(), Some(record));
    }
    clear(store).await;
}

async fn only_an_absent_key_is_inserted(store: &impl Store) {
    for there in [record(1, None, 0), tombstone(0)] {
        assert_eq!(store.load(&key(1)).await.unwrap(), None);
        if there.revision == Revision::ENDED {
            store.end(&key(1), &there).await.unwrap();
        } else {
            assert_eq!(store.insert(&key(1), &there).await.unwrap(), Inserted::Created);
        }
        let other = record(2, Some("alice"), 9);
        assert_eq!(store.insert(&key(1), &other).await.unwrap(), Inserted::Exists);
        assert_eq!(store.load(&key(1)).await.unwrap(), Some(there));
        assert_eq!(store.sessions_of(&"alice".into(), None, 9).await.unwrap(), []);
        clear(store).await;
    }
}

async fn a_replace_compares_and_never_creates(store: &impl Store) {
    let (first, second) = (record(10, Some("alice"), 900), record(20, Some("bob"), 100));
    let replace = |expected, to| store.replace(&KEY, Revision::from_u64(expected), to);
    assert_eq!(replace(10, &second).await.unwrap(), Replaced::Conflict(None));
    assert_eq!(store.load(&KEY).await.unwrap(), None);

    assert_eq!(store.insert(&KEY, &first).await.unwrap(), Inserted::Created);
    for wrong in [0, 9, 11, i64::MAX as u64] {
        let there = Replaced::Conflict(Some(first.clone()));
        assert_eq!(replace(wrong, &second).await.unwrap(), there);
    }
    assert_eq!(replace(10, &second).await.unwrap(), Replaced::Done);
    assert_eq!(store.load(&KEY).await.unwrap(), Some(second.clone()));
    let there = Replaced::Conflict(Some(second.clone()));
    assert_eq!(replace(10, &first).await.unwrap(), there);
    assert_eq!(store.sessions_of(&"alice".into(), None, 9).await.unwrap(), []);
    assert_eq!(store.sessions_of(&"bob".into(), None, 9).await.unwrap(), [KEY]);
    // The deadline is the new one, which is the earlier.
    assert_eq!(store.remove_expired(at(99), 9).await.unwrap(), 0);
    assert_eq!(store.remove_expired(at(100), 9).await.unwrap(), 1);
    assert_eq!(store.sessions_of(&"bob".into(), None, 9).await.unwrap(), []);
}

const KEY: typed_session::SessionKey = typed_session::SessionKey::from_bytes([200; 32]);

async fn a_touch_moves_forward_and_never_creates(store: &impl Store) {
    store.touch(&KEY, at(1)).await.unwrap();
    assert_eq!(store.load(&KEY).await.unwrap(), None);
    let first = record(1, Some("alice"), 1000);
    assert_eq!(store.insert(&KEY, &first).await.unwrap(), Inserted::Created);
    for (to, becomes) in [(999, 1000), (i64::MIN, 1000), (1001, 1001), (50_000, 50_000)] {
        store.touch(&KEY, at(to)).await.unwrap();
        let expected = Record { expires_at: at(becomes), ..first.clone() };
        assert_eq!(store.load(&KEY).await.unwrap(), Some(expected));
    }
    assert_eq!(store.remove_expired(at(49_999), 9).await.unwrap(), 0);
    assert_eq!(store.remove_expired(at(50_000), 9).await.unwrap(), 1);
}

async fn an_ended_session_stays_ended(store: &impl Store) {
    // Ended before it is there, and while it is there.
    store.end(&key(1), &tombstone(100)).await.unwrap();
    let first = record(1, Some("alice"), 1_000_000);
    assert_eq!(store.insert(&key(2), &first).await.unwrap(), Inserted::Created);
    store.end(&key(2), &tombstone(100)).await.unwrap();
    assert_eq!(store.sessions_of(&"alice".into(), None, 9).await.unwrap(), []);
    for key in [key(1), key(2)] {
        let there = Some(tombstone(100));
        assert_eq!(store.load(&key).await.unwrap(), there);
        assert_eq!(store.insert(&key, &first).await.unwrap(), Inserted::Exists);
        for expected in [Revision::from_u64(1), Revision::ENDED] {
            let answer = store.replace(&key, expected, &first).await.unwrap();
            assert_eq!(answer, Replaced::Conflict(there.clone()));
        }
    }
    // The later deadline of two.
    store.end(&key(1), &tombstone(50)).await.unwrap();
    store.end(&key(2), &tombstone(150)).await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(tombstone(100)));
    assert_eq!(store.load(&key(2)).await.unwrap(), Some(tombstone(150)));
    assert_eq!(store.remove_expired(at(99), 9).await.unwrap(), 0);
    assert_eq!(store.remove_expired(at(149), 9).await.unwrap(), 1);
    assert_eq!(store.remove_expired(at(150), 9).await.unwrap(), 1);

    // What is no tombstone becomes one.
    store.end(&key(3), &first).await.unwrap();
    let there = store.load(&key(3)).await.unwrap().unwrap();
    assert_eq!((there.revision, there.subject), (Revision::ENDED, None));
    clear(store).await;
}

async fn the_index_is_in_order_and_complete(store: &impl Store) {
    let alice = Subject::from("alice");
    let mut expected = Vec::new();
    for number in 0..300 {
        let owner = ["alice", "bob", "carol"][number as usize % 3];
        let inserted = store.insert(&numbered(number), &record(1, Some(owner), 0)).await.unwrap();
        assert_eq!(inserted, Inserted::Created);
        if owner == "alice" {
            expected.push(numbered(number));
        }
    }
    expected.sort();
    assert_eq!(store.sessions_of(&alice, None, usize::MAX).await.unwrap(), expected);
    assert_eq!(store.sessions_of(&alice, None, 0).await.unwrap(), []);
    for limit in [1, 7, 99, 100, 101] {
        let mut walked = Vec::new();
        loop {
            let page = store.sessions_of(&alice, walked.last(), limit).await.unwrap();
            walked.extend(&page);
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(walked, expected);
    }
    clear(store).await;
}

async fn clean_up_takes_what_is_expired(store: &impl Store) {
    // Close to each other, across the boundaries of any bucket, and far away.
    let deadlines: Vec<i64> = (-3..3)
        .chain((1..60).map(|n| n << 14))
        .chain((1..60).map(|n| (n << 14) - 1))
        .chain([i64::MIN, i64::MAX, 1 << 46, (1 << 46) - 1, (1 << 46) + 1])
        .collect();
    for (number, deadline) in (0..).zip(&deadlines) {
        // A third is filed elsewhere first: earlier, then later.
        let first = [*deadline, *deadline - 20_000 * i64::from(*deadline > 0), i64::MAX];
        let first = record(1, None, first[number as usize % 3]);
        assert_eq!(store.insert(&numbered(number), &first).await.unwrap(), Inserted::Created);
        if number % 3 != 0 {
            let then = record(2, None, *deadline);
            let done = store.replace(&numbered(number), first.revision, &then).await.unwrap();
            assert_eq!(done, Replaced::Done);
        }
    }
    let mut left = deadlines.len();
    let mut moments = deadlines.clone();
    moments.sort();
    for now in moments {
        let due = deadlines.iter().filter(|deadline| **deadline > now).count();
        let mut removed = 0;
        loop {
            let piece = store.remove_expired(at(now), 2).await.unwrap();
            removed += piece;
            if piece < 2 {
                break;
            }
        }
        assert_eq!(left - removed, due, "at {now}");
        left = due;
    }
    assert_eq!(left, 0);
}

async fn one_of_many_inserts_wins<S: Store>(store: Arc<S>) {
    let insert = |writer| {
        let store = store.clone();
        async move { store.insert(&KEY, &record(writer, None, 0)).await.unwrap() }
    };
    let answers = at_once((0..8).map(insert)).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Inserted::Created).count(), 1);
    let winner = answers.iter().position(|answer| *answer == Inserted::Created).unwrap();
    assert_eq!(store.load(&KEY).await.unwrap(), Some(record(winner as u64, None, 0)));
    clear(&*store).await;
}

async fn no_update_is_lost<S: Store>(store: Arc<S>) {
    let first = record(0, None, 0);
    assert_eq!(store.insert(&KEY, &first).await.unwrap(), Inserted::Created);
    let add_25 = |_| {
        let (store, mut there) = (store.clone(), first.clone());
        async move {
            let mut added = 0;
            while added < 25 {
                let next = record(there.revision.as_u64() + 1, None, 0);
                match store.replace(&KEY, there.revision, &next).await.unwrap() {
                    Replaced::Done => (there, added) = (next, added + 1),
                    Replaced::Conflict(now) => there = now.unwrap(),
                }
            }
        }
    };
    at_once((0..8).map(add_25)).await;
    assert_eq!(store.load(&KEY).await.unwrap(), Some(record(200, None, 0)));
    clear(&*store).await;
}

async fn pages_are_complete_while_others_write<S: Store>(store: Arc<S>) {
    let alice = Subject::from("alice");
    for number in 0..50 {
        let inserted = store.insert(&numbered(number), &record(1, Some("alice"), 9)).await.unwrap();
        assert_eq!(inserted, Inserted::Created);
    }
    let churn = |writer: u64| {
        let store = store.clone();
        async move {
            for round in 0..40 {
                let (other, its) = (numbered(1000 + writer), &record(1, Some("alice"), 0));
                let _ = store.insert(&other, its).await.unwrap();
                let mine = numbered(writer);
                let next = record(round + 2, Some("alice"), 9);
                let done = store.replace(&mine, Revision::from_u64(round + 1), &next).await;
                assert_eq!(done.unwrap(), Replaced::Done);
                store.remove_expired(at(0), 1).await.unwrap();
            }
        }
    };
    let walk = |_| {
        let store = store.clone();
        async move {
            for _ in 0..10 {
                let mut walked: Vec<typed_session::SessionKey> = Vec::new();
                loop {
                    let page = store.sessions_of(&alice, walked.last(), 7).await.unwrap();
                    walked.extend(&page);
                    if page.len() < 7 {
                        break;
                    }
                }
                assert!(walked.is_sorted());
                assert!((0..50).all(|number| walked.contains(&numbered(number))));
            }
        }
    };
    tokio::join!(at_once((0..4).map(churn)), at_once((0..2).map(walk)));
    clear(&*store).await;
}

/// Runs futures on all threads and returns what they give.
async fn at_once<F>(futures: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let tasks: Vec<_> = futures.map(tokio::spawn).collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.unwrap());
    }
    outputs
}
