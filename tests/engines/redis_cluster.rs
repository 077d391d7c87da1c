//! A Redis cluster: three primaries, each with a replica.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use tokio::time::{Instant, sleep};
use typed_session::store::{
    Body, ErrorKind, Inserted, RedisStore, Replaced, Result, Revision, Store,
};
use typed_session::{Record, SessionKey, Subject};

use crate::redis::{
    a_walk_finds_all, alice, bob, fresh_prefix, key, live, now, record, suite, tombstone,
};
use crate::redis_wire::{Loss, Wire};
use crate::server::{Kind, Server, shared};

const MINUTE: Duration = Duration::from_secs(60);

async fn connect(urls: &str) -> ClusterConnection {
    let client = ClusterClientBuilder::new(urls.split(',')).build().unwrap();
    client.get_async_connection().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_is_kept() {
    let connection = connect(&shared(Kind::RedisCluster)).await;
    suite().run(async || RedisStore::cluster(connection.clone()).prefix(fresh_prefix())).await;
}

/// All in one slot, where one script may write record and index.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_is_kept_in_one_slot() {
    let connection = connect(&shared(Kind::RedisCluster)).await;
    let fresh = || RedisStore::new(connection.clone()).prefix(format!("{{{}}}", fresh_prefix()));
    suite().run(async || fresh()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_is_kept_with_a_replica_to_wait_for() {
    let connection = connect(&shared(Kind::RedisCluster)).await;
    let store = || RedisStore::cluster(connection.clone()).prefix(fresh_prefix());
    let fresh = || store().wait_for_replicas(1, MINUTE / 6);
    suite().runs(5).run(async || fresh()).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_walk_finds_every_record_of_all_primaries() {
    let connection = connect(&shared(Kind::RedisCluster)).await;
    a_walk_finds_all(&RedisStore::cluster(connection).prefix(fresh_prefix())).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_verb_is_one_round_trip_unless_the_index_changes() {
    let wire = Wire::new(connect(&shared(Kind::RedisCluster)).await);
    let store = RedisStore::cluster(wire.clone()).prefix(fresh_prefix());
    // Every script becomes known to every server.
    for number in 0..100 {
        everything(&wire, &store, 1000 + number).await;
    }
    wire.trips();
    let mut seen = Vec::new();
    for (verb, wanted) in everything(&wire, &store, 1).await.into_iter().zip([
        ("load", 1),
        ("insert", 1),
        ("update", 1),
        ("login", 3),
        ("load", 1),
        ("update of the same subject", 1),
        ("touch", 1),
        ("touch by an hour", 4),
        ("switch to another subject", 4),
        ("load", 1),
        ("switch to another subject that was loaded", 3),
        ("logout", 2),
        ("end", 1),
        ("insert with a subject", 2),
        ("end with a subject", 2),
        ("sessions_of", 1),
    ]) {
        seen.push(format!("{}: {verb}", wanted.0));
        assert_eq!(verb, wanted.1, "{seen:#?}");
    }

    /// Runs every verb and counts its round trips.
    async fn everything<C>(wire: &Wire<C>, store: &impl Store, number: u64) -> Vec<usize> {
        let key = key(number);
        let mut counts = Vec::new();
        let mut count = || counts.push(wire.trips().len());
        let of = |number| Revision::from_u64(number);
        wire.trips();
        let _ = store.load(&key).await.unwrap();
        count();
        let _ = store.insert(&key, &live(1, None)).await.unwrap();
        count();
        let _ = store.replace(&key, of(1), &live(2, None)).await.unwrap();
        count();
        let _ = store.replace(&key, of(2), &live(3, Some(alice()))).await.unwrap();
        count();
        let _ = store.load(&key).await.unwrap();
        count();
        let _ = store.replace(&key, of(3), &live(4, Some(alice()))).await.unwrap();
        count();
        store.touch(&key, of(4), now().plus(80 * MINUTE)).await.unwrap();
        count();
        store.touch(&key, of(4), now().plus(140 * MINUTE)).await.unwrap();
        count();
        let _ = store.replace(&key, of(4), &live(5, Some(bob()))).await.unwrap();
        count();
        let _ = store.load(&key).await.unwrap();
        count();
        let _ = store.replace(&key, of(5), &live(6, Some(alice()))).await.unwrap();
        count();
        let _ = store.replace(&key, of(6), &live(7, None)).await.unwrap();
        count();
        store.end(&key, &tombstone(now().plus(MINUTE))).await.unwrap();
        count();
        let other = crate::redis::key(number + 70_000);
        let _ = store.insert(&other, &live(1, Some(alice()))).await.unwrap();
        count();
        store.end(&other, &tombstone(now().plus(MINUTE))).await.unwrap();
        count();
        let _ = store.sessions_of(&alice(), None, 10).await.unwrap();
        count();
        counts
    }
}

/// A change of the index, from what is there to what will be.
#[derive(Clone, Copy, Debug)]
enum Change {
    Insert,
    Login,
    Switch,
    Update,
    Touch,
    Logout,
    End,
}

const CHANGES: [Change; 7] = [
    Change::Insert,
    Change::Login,
    Change::Switch,
    Change::Update,
    Change::Touch,
    Change::Logout,
    Change::End,
];

impl Change {
    fn begins_with(self) -> Option<Record> {
        match self {
            Self::Insert => None,
            Self::Login => Some(live(1, None)),
            _ => Some(live(1, Some(alice()))),
        }
    }

    async fn perform(self, store: &impl Store, key: &SessionKey) -> Result<()> {
        let first = Revision::from_u64(1);
        let far = now().plus(300 * MINUTE);
        let next = match self {
            Self::Insert => return store.insert(key, &live(1, Some(bob()))).await.map(drop),
            Self::End => return store.end(key, &tombstone(far)).await,
            Self::Touch => return store.touch(key, first, far).await,
            Self::Login | Self::Switch => live(2, Some(bob())),
            Self::Update => record(2, Some(alice()), far),
            Self::Logout => record(2, None, far),
        };
        store.replace(key, first, &next).await.map(drop)
    }
}

/// Others of the subject come, so that all entries have their turn of being dropped.
async fn others_come(store: &impl Store, subject: Subject, seed: u64) {
    for number in 0..60 {
        let past = record(1, Some(subject), now().minus(70 * MINUTE));
        let _ = store.insert(&key(seed * 1000 + number), &past).await.unwrap();
    }
}

/// The verb is dropped at each of its round trips, before and after the server acts.
#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_index_never_misses_whatever_is_lost_between_its_write_and_the_records() {
    let connection = connect(&shared(Kind::RedisCluster)).await;
    let mut seed = 0;
    let mut dropped = 0;
    for change in CHANGES {
        // Who has loaded the record knows whose it was.
        for (loss, loads) in [
            (Loss::OfRequest, false),
            (Loss::OfReply, false),
            (Loss::OfRequest, true),
            (Loss::OfReply, true),
        ] {
            for trip in 0.. {
                seed += 1;
                let prefix = fresh_prefix();
                let store = RedisStore::cluster(connection.clone()).prefix(&prefix);
                let key = key(seed);
                if let Some(start) = change.begins_with() {
                    let _ = store.insert(&key, &start).await.unwrap();
                }
                let wire = Wire::new(connection.clone());
                let dying = RedisStore::cluster(wire.clone()).prefix(&prefix);
                if loads {
                    dying.load(&key).await.unwrap();
                }
                wire.lose(trip, loss);
                let done = wire.until_lost(change.perform(&dying, &key)).await;
                for subject in [alice(), bob()] {
                    others_come(&store, subject, seed).await;
                }
                let there = store.load(&key).await.unwrap();
                if let Some(subject) = there.as_ref().and_then(|there| there.subject) {
                    let named = store.sessions_of(&subject, None, 1000).await.unwrap();
                    assert!(named.contains(&key), "{change:?} {loss:?} {loads} {trip}");
                }
                // And it goes on from there.
                let again = change.perform(&store, &key).await;
                again.unwrap();
                let there = store.load(&key).await.unwrap();
                if let Some(subject) = there.as_ref().and_then(|there| there.subject) {
                    let named = store.sessions_of(&subject, None, 1000).await.unwrap();
                    assert!(named.contains(&key), "{change:?} {loss:?} {loads} {trip}, again");
                }
                match done {
                    None => dropped += 1,
                    Some(done) => {
                        done.unwrap();
                        break;
                    }
                }
            }
        }
    }
    println!("{dropped} verbs were dropped halfway");
    assert!(dropped > 20);
}

/// A session that leaves a subject and comes back while its old entry is being taken out.
#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn an_old_entry_that_is_taken_out_late_takes_no_new_one_with_it() {
    let connection = connect(&shared(Kind::RedisCluster)).await;
    let (prefix, key) = (fresh_prefix(), key(1));
    let store = RedisStore::cluster(connection.clone()).prefix(&prefix);
    let first = live(1, Some(alice()));
    let _ = store.insert(&key, &first).await.unwrap();
    // It is refused, and the server knows the script.
    let _ = store.replace(&key, Revision::from_u64(7), &first).await.unwrap();
    let late = Wire::new(connection.clone());
    let logout = RedisStore::cluster(late.clone()).prefix(&prefix);
    // The record is written; the entry is not yet taken out.
    late.lose(1, Loss::OfRequest);
    let logged_out = Record { subject: None, revision: Revision::from_u64(2), ..first.clone() };
    let verb = logout.replace(&key, first.revision, &logged_out);
    assert!(late.until_lost(verb).await.is_none());
    // The same deadline, so that but for the revision the entries were equal.
    let back = Record { revision: Revision::from_u64(3), ..first.clone() };
    assert_eq!(store.replace(&key, logged_out.revision, &back).await.unwrap(), Replaced::Done);
    let stale = redis_entry(&prefix, alice(), &key, &first);
    let mut command = redis::cmd("ZREM");
    command.arg(stale.0).arg(stale.1);
    let taken: i64 = command.query_async(&mut connection.clone()).await.unwrap();
    assert_eq!(taken, 1, "the test takes out what the verb would have");
    assert_eq!(store.sessions_of(&alice(), None, 10).await.unwrap(), [key]);
}

/// The name of an index, and the entry of a record in it.
fn redis_entry(
    prefix: &str,
    subject: Subject,
    key: &SessionKey,
    record: &Record,
) -> (String, Vec<u8>) {
    let till = record.expires_at.plus(60 * MINUTE).as_millis() ^ i64::MIN;
    let entry = [&key.as_bytes()[..], &till.to_be_bytes(), &record.revision.as_u64().to_be_bytes()];
    (format!("{prefix}subject:{}", crate::redis::hex(subject)), entry.concat())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_write_that_no_replica_has_is_unavailable_and_may_have_happened() {
    let (server, connection) = replicated().await;
    let wire = Wire::new(connection.clone());
    let limit = Duration::from_millis(200);
    let store = RedisStore::cluster(wire.clone()).wait_for_replicas(1, limit);
    for number in 1000..1050 {
        let created = store.insert(&key(number), &live(1, None)).await.unwrap();
        assert_eq!(created, Inserted::Created);
    }
    wire.trips();
    let _ = store.insert(&key(100), &live(1, None)).await.unwrap();
    assert_eq!(wire.trips(), ["EVALSHA WAIT"], "one round trip");
    // The replicas alone.
    for node in 4..=6 {
        server.pause_node(node);
    }
    let (key, first) = (key(200), Revision::from_u64(1));
    let insert = store.insert(&key, &live(1, None)).await.unwrap_err();
    assert_eq!(insert.kind(), ErrorKind::Unavailable);
    assert!(store.load(&key).await.unwrap().is_some(), "it happened all the same");
    let replace = store.replace(&key, first, &live(2, None)).await.unwrap_err();
    assert_eq!(replace.kind(), ErrorKind::Unavailable);
    let touch = store.touch(&key, Revision::from_u64(2), now().plus(90 * MINUTE)).await;
    assert_eq!(touch.unwrap_err().kind(), ErrorKind::Unavailable);
    let end = store.end(&key, &tombstone(now().plus(MINUTE))).await.unwrap_err();
    assert_eq!(end.kind(), ErrorKind::Unavailable);
    println!("{end}: {}", std::error::Error::source(&end).unwrap());
    for node in 4..=6 {
        server.resume_node(node);
    }
}

/// A cluster whose replicas have all that is there.
async fn replicated() -> (Server, ClusterConnection) {
    let server = tokio::task::block_in_place(|| Server::start(Kind::RedisCluster));
    let connection = connect(server.url()).await;
    let limit = Duration::from_millis(200);
    let store = RedisStore::cluster(connection.clone()).wait_for_replicas(1, limit);
    // Enough to be in the slots of all primaries.
    for number in 0..30 {
        let mut tries = 0;
        while store.end(&key(number), &tombstone(now().plus(MINUTE))).await.is_err() {
            tries += 1;
            assert!(tries < 600, "no replica has come up");
            sleep(Duration::from_millis(20)).await;
        }
    }
    (server, connection)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_cluster_that_does_not_answer_is_unavailable_within_the_time_limit() {
    let server = tokio::task::block_in_place(|| Server::start(Kind::RedisCluster));
    let limit = Duration::from_millis(500);
    let client = ClusterClientBuilder::new(server.urls()).response_timeout(limit).build().unwrap();
    let store = RedisStore::cluster(client.get_async_connection().await.unwrap());
    let _ = store.insert(&key(1), &live(1, None)).await.unwrap();
    tokio::task::block_in_place(|| server.pause());
    for number in 0..6 {
        let began = Instant::now();
        let error = store.load(&key(number)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(began.elapsed() < 4 * limit, "{:?}", began.elapsed());
    }
}

/// What the writers of a failover saw.
#[derive(Default)]
struct Seen {
    acknowledged: BTreeMap<SessionKey, Record>,
    ended: Vec<SessionKey>,
    errors: usize,
    slowest: Duration,
}

/// Each writer has sessions of its own, which it counts up, and ends now and then.
async fn write(
    store: RedisStore<ClusterConnection>,
    writer: u64,
    is_over: Arc<AtomicBool>,
) -> Seen {
    let mut seen = Seen::default();
    let mut number = writer * 1_000_000;
    while !is_over.load(Ordering::SeqCst) {
        number += 1;
        let key = key(number);
        let mut there = live(1, None);
        let began = Instant::now();
        match store.insert(&key, &there).await {
            Ok(Inserted::Created) => {}
            // A retry of the driver, or an earlier try of this session that was lost.
            Ok(Inserted::Exists) => continue,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                seen.errors += 1;
                continue;
            }
        }
        seen.slowest = seen.slowest.max(began.elapsed());
        let mut is_known = true;
        for revision in 2..6 {
            let began = Instant::now();
            let next = Record { body: Body(vec![revision as u8]), ..live(revision, None) };
            match store.replace(&key, there.revision, &next).await {
                Ok(Replaced::Done) => there = next,
                // A retry of the driver whose first try was done.
                Ok(Replaced::Conflict(Some(ours))) if ours == next => there = next,
                // The failover lost what was acknowledged: counted at the end.
                Ok(Replaced::Conflict(_)) => break,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                    seen.errors += 1;
                    // It happened or not.
                    is_known = false;
                    break;
                }
            }
            seen.slowest = seen.slowest.max(began.elapsed());
        }
        if number.is_multiple_of(2) {
            match store.end(&key, &tombstone(now().plus(10 * MINUTE))).await {
                Ok(()) => seen.ended.push(key),
                Err(_) => seen.errors += 1,
            }
        } else if is_known {
            seen.acknowledged.insert(key, there);
        }
    }
    seen
}

/// Waits for the failover, on a connection on which nobody else waits for replicas.
async fn until_all_answer(server: &Server, killed: Instant) -> Duration {
    let probe = RedisStore::cluster(connect(server.url()).await);
    loop {
        let mut answers = 0;
        for number in 0..30 {
            answers += usize::from(probe.load(&key(number)).await.is_ok());
        }
        if answers == 30 && killed.elapsed() > Duration::from_secs(1) {
            return killed.elapsed();
        }
        assert!(killed.elapsed() < Duration::from_secs(60), "no failover");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn failover(replicas: usize) -> (usize, usize) {
    let (server, connection) = replicated().await;
    let mut store = RedisStore::cluster(connection);
    if replicas > 0 {
        store = store.wait_for_replicas(replicas, Duration::from_millis(400));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..=8)
        .map(|writer| tokio::spawn(write(store.clone(), writer, Arc::clone(&is_over))))
        .collect();
    sleep(Duration::from_secs(2)).await;
    let killed = Instant::now();
    tokio::task::block_in_place(|| server.kill_node(1));
    let outage = until_all_answer(&server, killed).await;
    sleep(Duration::from_secs(2)).await;
    is_over.store(true, Ordering::SeqCst);
    let (mut writes, mut lost, mut alive, mut ended, mut errors) = (0, 0, 0, 0, 0);
    let mut slowest = Duration::ZERO;
    for writer in writers {
        let seen = writer.await.unwrap();
        errors += seen.errors;
        slowest = slowest.max(seen.slowest);
        writes += seen.acknowledged.len();
        for (key, record) in seen.acknowledged {
            let there = store.load(&key).await.unwrap();
            lost += usize::from(there.is_none_or(|there| there.revision < record.revision));
        }
        ended += seen.ended.len();
        for key in seen.ended {
            let there = store.load(&key).await.unwrap();
            alive += usize::from(there.is_none_or(|there| there.revision != Revision::ENDED));
        }
    }
    println!(
        "failover, waiting for {replicas} replicas: out for {outage:?}, slowest call {slowest:?}, \
         {errors} errors; {lost} of {writes} acknowledged writes and {alive} of {ended} ends lost"
    );
    (lost, alive)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_failover_loses_no_more_than_what_was_not_yet_replicated() {
    let (lost, alive) = failover(0).await;
    // What was on its way when the primary died.
    assert!(lost <= 16 && alive <= 16, "{lost} {alive}");
    let (lost, alive) = failover(1).await;
    assert_eq!((lost, alive), (0, 0));
}

/// The replicas are behind by more than what is on its way in sockets.
async fn failover_of_a_primary_that_is_ahead(replicas: usize) -> (usize, usize) {
    let (server, connection) = replicated().await;
    let plain = RedisStore::cluster(connection.clone());
    let store = match replicas {
        0 => plain.clone(),
        _ => plain.clone().wait_for_replicas(replicas, Duration::from_millis(50)),
    };
    let sessions: Vec<_> = (1000..1030).map(key).collect();
    for session in &sessions {
        let _ = store.insert(session, &live(1, None)).await.unwrap();
    }
    let replicas = [4, 5, 6];
    tokio::task::block_in_place(|| replicas.iter().for_each(|node| server.pause_node(*node)));
    for number in 2000..2120 {
        let large = Record { body: Body(vec![7; 512 * 1024]), ..live(1, None) };
        let _ = plain.insert(&key(number), &large).await.unwrap();
    }
    let ended = tombstone(now().plus(30 * MINUTE));
    let mut acknowledged = Vec::new();
    for session in &sessions {
        match store.end(session, &ended).await {
            Ok(()) => acknowledged.push(*session),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    }
    let killed = Instant::now();
    tokio::task::block_in_place(|| {
        server.kill_node(1);
        replicas.iter().for_each(|node| server.resume_node(*node));
    });
    until_all_answer(&server, killed).await;
    let probe = RedisStore::cluster(connect(server.url()).await);
    let mut alive = 0;
    for session in &acknowledged {
        let there = probe.load(session).await.unwrap();
        alive += usize::from(there.is_none_or(|there| there.revision != Revision::ENDED));
    }
    (acknowledged.len(), alive)
}

/// What the documentation warns of, and that it can be had otherwise.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn an_acknowledged_logout_is_lost_with_the_primary_unless_a_replica_has_it() {
    let (acknowledged, alive) = failover_of_a_primary_that_is_ahead(0).await;
    println!("not waiting: {alive} of {acknowledged} sessions that had ended live again");
    assert!(alive > 0 && acknowledged == 30, "the test shows nothing");
    let (acknowledged, alive) = failover_of_a_primary_that_is_ahead(1).await;
    println!("waiting: {alive} of {acknowledged}");
    assert_eq!(alive, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_minute_of_histories_has_an_explanation() {
    let connection = connect(&shared(Kind::RedisCluster)).await;
    let store = RedisStore::cluster(connection).prefix(fresh_prefix());
    crate::histories::calm_minute(async || store.clone()).await;
}
