//! One server: Redis, or Valkey if `REDIS_KIND` says so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client};
use typed_session::store::{
    Body, Change, Changes, ErrorKind, Inserted, RedisStore, Replaced, Revision, Row, Scan, Store,
};
use typed_session::testing::conformance::Suite;
use typed_session::{Clock, EndReason, Record, SessionKey, Subject, SystemClock, Timestamp};

use crate::faults::LIMIT;
use crate::redis_wire::{Loss, Wire};
use crate::server::{Kind, Server, shared};

const MINUTE: Duration = Duration::from_secs(60);

/// A prefix that no other test has, nor one before on the same server.
pub(crate) fn fresh_prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}:", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn connect(url: &str) -> MultiplexedConnection {
    connect_within(url, None).await
}

async fn connect_within(url: &str, limit: Option<Duration>) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(limit);
    // A busy machine may take its time.
    let config = config.set_connection_timeout(None);
    let client = Client::open(url).unwrap();
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

/// A store on the shared server, and a connection to look behind it.
async fn store() -> (RedisStore<MultiplexedConnection>, MultiplexedConnection, String) {
    let connection = connect(&shared(Kind::Redis)).await;
    let prefix = fresh_prefix();
    (RedisStore::new(connection.clone()).prefix(&prefix), connection, prefix)
}

pub(crate) fn suite() -> Suite {
    Suite::new().native_expiry().spawn(|task| {
        tokio::spawn(task);
    })
}

/// The key of a number, as random as a real one.
pub(crate) fn key(number: u64) -> SessionKey {
    SessionKey::from_bytes(*Subject::from(number).as_bytes())
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn record(revision: u64, subject: Option<Subject>, expires_at: Timestamp) -> Record {
    let body = Body(format!("body {revision}").into_bytes());
    Record { revision: Revision::from_u64(revision), subject, expires_at, body }
}

pub(crate) fn live(revision: u64, subject: Option<Subject>) -> Record {
    record(revision, subject, now().plus(60 * MINUTE))
}

pub(crate) fn tombstone(expires_at: Timestamp) -> Record {
    Record { revision: Revision::ENDED, ..record(0, None, expires_at) }
}

pub(crate) fn alice() -> Subject {
    Subject::from("alice")
}

pub(crate) fn bob() -> Subject {
    Subject::from("bob")
}

async fn ask<T: redis::FromRedisValue>(connection: &MultiplexedConnection, command: &str) -> T {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command.query_async(&mut connection.clone()).await.unwrap()
}

pub(crate) fn hex(subject: Subject) -> String {
    SessionKey::from_bytes(*subject.as_bytes()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_is_kept() {
    suite().run(async || store().await.0).await;
}

/// As on a server that lets scripts touch no key but those they are called with.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_is_kept_key_by_key() {
    let connection = connect(&shared(Kind::Redis)).await;
    suite().run(async || RedisStore::cluster(connection.clone()).prefix(fresh_prefix())).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_is_kept_with_wait_behind_each_write() {
    let connection = connect(&shared(Kind::Redis)).await;
    let limit = Duration::from_millis(10);
    let fresh = || RedisStore::new(connection.clone()).wait_for_replicas(0, limit);
    suite().run(async || fresh().prefix(fresh_prefix())).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_is_kept_in_both_of_the_engines_protocols() {
    let url = format!("{}?protocol=resp3", shared(Kind::Redis));
    let connection = connect(&url).await;
    for layout in [RedisStore::new, RedisStore::cluster] {
        suite().runs(3).run(async || layout(connection.clone()).prefix(fresh_prefix())).await;
    }
}

/// How often each command was called, within scripts as well.
async fn counts(connection: &MultiplexedConnection) -> BTreeMap<String, i64> {
    let text: String = ask(connection, "INFO commandstats").await;
    let count = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    text.lines().filter_map(count).filter(|(name, _)| name != "info").collect()
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn each_verb_is_one_command_and_one_round_trip() {
    let server = Server::start(Kind::Redis);
    let connection = connect(server.url()).await;
    let wire = Wire::new(connection.clone());
    let store = RedisStore::new(wire.clone());
    // The scripts become known.
    let (a, n) = (key(0), Timestamp::MAX);
    let _ = store.insert(&a, &live(1, None)).await.unwrap();
    let _ = store.replace(&a, Revision::from_u64(1), &live(2, None)).await.unwrap();
    store.touch(&a, Revision::from_u64(2), n).await.unwrap();
    store.end(&a, &tombstone(now().plus(MINUTE))).await.unwrap();
    wire.trips();

    let key = key(1);
    let expect = async |verb: &str, wanted: &[(&str, i64)], before: BTreeMap<String, i64>| {
        let after = counts(&connection).await;
        let called: BTreeMap<&str, i64> = after
            .iter()
            .map(|(name, count)| (&name[..], count - before.get(name).unwrap_or(&0)))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(called, wanted.iter().copied().collect(), "{verb}");
        let trips = wire.trips();
        assert_eq!(trips.len(), 1, "{verb}: {trips:?}");
    };
    let first = Revision::from_u64(1);

    let before = counts(&connection).await;
    assert_eq!(store.load(&key).await.unwrap(), None);
    expect("load", &[("get", 1)], before).await;

    let before = counts(&connection).await;
    let _ = store.insert(&key, &live(1, None)).await.unwrap();
    expect("insert", &[("evalsha", 1), ("exists", 1), ("set", 1)], before).await;

    let before = counts(&connection).await;
    let _ = store.insert(&key, &live(1, None)).await.unwrap();
    expect("refused insert", &[("evalsha", 1), ("exists", 1)], before).await;

    let before = counts(&connection).await;
    let _ = store.replace(&key, first, &live(2, Some(alice()))).await.unwrap();
    let login =
        [("evalsha", 1), ("getrange", 1), ("set", 1), ("exists", 1), ("zadd", 1), ("pexpireat", 1)];
    expect("login", &login, before).await;

    let before = counts(&connection).await;
    let refused = store.replace(&key, first, &live(3, None)).await.unwrap();
    assert!(matches!(refused, Replaced::Conflict(Some(_))));
    expect("refused replace", &[("evalsha", 1), ("getrange", 1), ("get", 1)], before).await;

    let before = counts(&connection).await;
    let second = Revision::from_u64(2);
    let _ = store.replace(&key, second, &live(3, Some(alice()))).await.unwrap();
    expect("replace", &[("evalsha", 1), ("getrange", 1), ("set", 1)], before).await;

    let before = counts(&connection).await;
    store.touch(&key, Revision::from_u64(3), now().plus(61 * MINUTE)).await.unwrap();
    let touch = [("evalsha", 1), ("getrange", 1), ("setrange", 1), ("pexpireat", 1)];
    expect("touch", &touch, before).await;

    let before = counts(&connection).await;
    assert_eq!(store.sessions_of(&alice(), None, 10).await.unwrap(), [key]);
    expect("sessions_of", &[("zrange", 1)], before).await;

    let before = counts(&connection).await;
    store.end(&key, &tombstone(now().plus(MINUTE))).await.unwrap();
    expect("end", &[("evalsha", 1), ("getrange", 1), ("set", 1), ("zrem", 1)], before).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let server = Server::start(Kind::Redis);
    let connection = connect(server.url()).await;
    for layout in [RedisStore::new, RedisStore::cluster] {
        let wire = Wire::new(connection.clone());
        let store = layout(wire.clone()).prefix(fresh_prefix());
        let forget = async || ask::<String>(&connection, "SCRIPT FLUSH").await;
        let key = key(1);
        forget().await;
        let created = store.insert(&key, &live(1, None)).await.unwrap();
        assert_eq!(created, Inserted::Created);
        assert_eq!(wire.trips(), ["EVALSHA", "EVAL"]);
        forget().await;
        let done = store.replace(&key, Revision::from_u64(1), &live(2, None)).await.unwrap();
        assert_eq!(done, Replaced::Done);
        forget().await;
        let later = now().plus(90 * MINUTE);
        store.touch(&key, Revision::from_u64(2), later).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap().unwrap().expires_at, later);
        forget().await;
        store.end(&key, &tombstone(later)).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap().unwrap().revision, Revision::ENDED);
        forget().await;
        assert_eq!(store.scan(None, 10).await.unwrap().rows.len(), 1);
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_engine_expires_a_record_at_its_deadline() {
    let (store, connection, prefix) = store().await;
    let key = key(1);
    let of_engine = async || ask::<i64>(&connection, &format!("PEXPIRETIME {prefix}{key}")).await;
    for (revision, expires_at) in [(1, now().plus(MINUTE)), (10, Timestamp::MAX)] {
        let first = record(revision, Some(alice()), expires_at);
        match revision {
            1 => assert_eq!(store.insert(&key, &first).await.unwrap(), Inserted::Created),
            _ => {
                let done = store.replace(&key, Revision::from_u64(2), &first).await.unwrap();
                assert_eq!(done, Replaced::Done);
            }
        }
        assert_eq!(of_engine().await, expires_at.as_millis());
        let later = expires_at.plus(MINUTE);
        store.touch(&key, first.revision, later).await.unwrap();
        assert_eq!(of_engine().await, later.as_millis());
        let sooner = record(revision + 1, None, now().plus(MINUTE / 2));
        let done = store.replace(&key, first.revision, &sooner).await.unwrap();
        assert_eq!(done, Replaced::Done);
        assert_eq!(of_engine().await, sooner.expires_at.as_millis());
    }
    let ended = tombstone(now().plus(5 * MINUTE));
    store.end(&key, &ended).await.unwrap();
    assert_eq!(of_engine().await, ended.expires_at.as_millis());
    store.end(&key, &tombstone(now())).await.unwrap();
    assert_eq!(of_engine().await, ended.expires_at.as_millis());
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn what_is_past_its_deadline_is_gone() {
    let (store, ..) = store().await;
    for (number, millis) in (0..).zip([i64::MIN, -1, 0, 1, now().as_millis() - 1]) {
        let key = key(number);
        let past = record(1, Some(alice()), Timestamp::from_millis(millis));
        assert_eq!(store.insert(&key, &past).await.unwrap(), Inserted::Created, "{millis}");
        assert_eq!(store.load(&key).await.unwrap(), None, "{millis}");
        let first = live(1, Some(alice()));
        assert_eq!(store.insert(&key, &first).await.unwrap(), Inserted::Created, "{millis}");
        let past = Record { revision: Revision::from_u64(2), ..past };
        let done = store.replace(&key, first.revision, &past).await.unwrap();
        assert_eq!(done, Replaced::Done, "{millis}");
        assert_eq!(store.load(&key).await.unwrap(), None, "{millis}");
        store.end(&key, &tombstone(past.expires_at)).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap(), None, "{millis}");
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn an_index_lives_as_long_as_the_sessions_in_it() {
    let (connection, url) = (connect(&shared(Kind::Redis)).await, shared(Kind::Redis));
    for layout in [RedisStore::new, RedisStore::cluster] {
        let prefix = fresh_prefix();
        let store = layout(connect(&url).await).prefix(&prefix);
        let index = format!("{prefix}subject:{}", hex(alice()));
        let end = async || ask::<i64>(&connection, &format!("PEXPIRETIME {index}")).await;
        let long = record(1, Some(alice()), now().plus(300 * MINUTE));
        assert_eq!(store.insert(&key(1), &long).await.unwrap(), Inserted::Created);
        let short = record(1, Some(alice()), now().plus(MINUTE));
        assert_eq!(store.insert(&key(2), &short).await.unwrap(), Inserted::Created);
        assert!(end().await >= long.expires_at.as_millis(), "a shorter one shortened it");
        // A session that is touched for a day, once a minute.
        let mut deadline = short.expires_at;
        for _ in 0..24 * 60 {
            deadline = deadline.plus(MINUTE);
            store.touch(&key(2), short.revision, deadline).await.unwrap();
            assert!(end().await >= deadline.as_millis(), "the session outlives its index");
        }
        // A write that moves the deadline does the same.
        let far = record(2, Some(alice()), deadline.plus(300 * MINUTE));
        let done = store.replace(&key(2), short.revision, &far).await.unwrap();
        assert_eq!(done, Replaced::Done);
        assert!(end().await >= far.expires_at.as_millis(), "the session outlives its index");
        // Of each session the last entry is left.
        assert_eq!(ask::<i64>(&connection, &format!("ZCARD {index}")).await, 2);
        // The index knows the last entry, not only the first.
        store.end(&key(1), &tombstone(now().plus(MINUTE))).await.unwrap();
        let none = record(3, None, now().plus(MINUTE));
        let done = store.replace(&key(2), far.revision, &none).await.unwrap();
        assert_eq!(done, Replaced::Done);
        assert_eq!(ask::<i64>(&connection, &format!("EXISTS {index}")).await, 0);
    }
}

/// Time is moved by deadlines that are past already: their entries count no more.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_index_of_a_subject_that_logs_in_for_years_stays_small() {
    let (connection, url) = (connect(&shared(Kind::Redis)).await, shared(Kind::Redis));
    for layout in [RedisStore::new, RedisStore::cluster] {
        let prefix = fresh_prefix();
        let store = layout(connect(&url).await).prefix(&prefix);
        let index = format!("{prefix}subject:{}", hex(alice()));
        let live: Vec<_> = (0..20).map(key).collect();
        for key in &live {
            let _ = store.insert(key, &self::live(1, Some(alice()))).await.unwrap();
        }
        let mut most = 0;
        for number in 0..10_000 {
            let past = record(1, Some(alice()), now().minus(70 * MINUTE));
            let _ = store.insert(&key(1000 + number), &past).await.unwrap();
            if number % 100 == 0 {
                most = most.max(ask::<i64>(&connection, &format!("ZCARD {index}")).await);
            }
        }
        println!("after 10,000 logins beside 20 that live, the index had at most {most} entries");
        assert!(most < 60, "{most} entries");
        let mut wanted = live.clone();
        wanted.sort();
        let named = store.sessions_of(&alice(), None, 1000).await.unwrap();
        assert!(wanted.iter().all(|key| named.contains(key)), "a session that lives was dropped");
    }
}

/// By an hour after its deadline, and not a moment earlier, an entry may be dropped.
#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn an_entry_counts_for_a_while_beyond_its_deadline() {
    let (store, ..) = store().await;
    let deadline = now().minus(59 * MINUTE);
    let _ = store.insert(&key(1), &record(1, Some(alice()), deadline)).await.unwrap();
    for number in 2..50 {
        let past = record(1, Some(alice()), now().minus(70 * MINUTE));
        let _ = store.insert(&key(number), &past).await.unwrap();
    }
    assert!(store.sessions_of(&alice(), None, 100).await.unwrap().contains(&key(1)));
}

/// As a verb leaves it that is dropped before it has taken out the old entry.
#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_session_with_several_entries_is_named_once() {
    let (url, prefix) = (shared(Kind::Redis), fresh_prefix());
    let connection = connect(&url).await;
    let store = RedisStore::cluster(connection.clone()).prefix(&prefix);
    let mut keys: Vec<_> = (0..3).map(key).collect();
    keys.sort();
    for key in &keys {
        let _ = store.insert(key, &live(1, Some(alice()))).await.unwrap();
        for hours in 2..5 {
            let wire = Wire::new(connection.clone());
            let dying = RedisStore::cluster(wire.clone()).prefix(&prefix);
            wire.lose(3, Loss::OfRequest);
            let touch = dying.touch(key, Revision::from_u64(1), now().plus(60 * hours * MINUTE));
            assert!(wire.until_lost(touch).await.is_none());
        }
    }
    let index = format!("{prefix}subject:{}", hex(alice()));
    assert_eq!(ask::<i64>(&connection, &format!("ZCARD {index}")).await, 12);
    for limit in 1..15 {
        let mut named: Vec<SessionKey> = Vec::new();
        loop {
            let page = store.sessions_of(&alice(), named.last(), limit).await.unwrap();
            named.extend(&page);
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(named, keys, "pages of {limit}");
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn what_is_no_record_is_corrupt_and_can_be_ended() {
    let (store, connection, prefix) = store().await;
    let ended = tombstone(now().plus(MINUTE));
    for junk in ["SET {} x", "SET {} ", "LPUSH {} x", "SADD {} x"] {
        let key = key(1);
        let name = format!("{prefix}{key}");
        let _: redis::Value = ask(&connection, &junk.replace("{}", &name)).await;
        assert_eq!(store.load(&key).await.unwrap_err().kind(), ErrorKind::Corrupt, "{junk}");
        let exists = store.insert(&key, &live(1, None)).await.unwrap();
        assert_eq!(exists, Inserted::Exists, "{junk}");
        let replaced = store.replace(&key, Revision::from_u64(1), &live(2, None)).await;
        assert_eq!(replaced.unwrap_err().kind(), ErrorKind::Corrupt, "{junk}");
        // Says nothing, or that; and changes nothing.
        let _ = store.touch(&key, Revision::from_u64(1), Timestamp::MAX).await;
        assert_eq!(store.load(&key).await.unwrap_err().kind(), ErrorKind::Corrupt, "{junk}");
        store.end(&key, &ended).await.unwrap();
        assert_eq!(store.load(&key).await.unwrap(), Some(ended.clone()), "{junk}");
        let _: i64 = ask(&connection, &format!("DEL {name}")).await;
    }
}

/// All rows, by pages.
pub(crate) async fn walk(store: &impl Scan, limit: usize) -> BTreeMap<SessionKey, Row> {
    let mut rows = BTreeMap::new();
    let mut page = store.scan(None, limit).await.unwrap();
    loop {
        rows.extend(page.rows.iter().map(|row| (row.key, *row)));
        match page.next {
            Some(next) => page = store.scan(Some(&next), limit).await.unwrap(),
            None => return rows,
        }
    }
}

pub(crate) async fn a_walk_finds_all(store: &impl Scan) {
    let mut wanted = BTreeMap::new();
    for number in 0..500 {
        let key = key(number);
        let subject = Some(Subject::from(number % 7)).filter(|_| number % 3 > 0);
        let record = live(number + 1, subject);
        let _ = store.insert(&key, &record).await.unwrap();
        wanted.insert(key, Row::new(key, record.revision, record.subject, record.expires_at));
        if number % 10 == 0 {
            let ended = tombstone(now().plus(60 * MINUTE));
            store.end(&key, &ended).await.unwrap();
            wanted.insert(key, Row::new(key, Revision::ENDED, None, ended.expires_at));
        }
    }
    for limit in [0, 1, 100, 1000] {
        let rows = walk(store, limit).await;
        assert!(rows == wanted, "pages of {limit}: {} of {}", rows.len(), wanted.len());
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_walk_finds_every_record_and_nobody_elses() {
    let server = Server::start(Kind::Redis);
    let connection = connect(server.url()).await;
    let name = fresh_prefix();
    let others = ["a", "", "a?", "a*:b:"].map(|prefix| format!("{prefix}{name}"));
    for prefix in others.iter().map(String::as_str).chain(["*", "[a-z]*", "t?st"]) {
        let store = RedisStore::new(connection.clone()).prefix(prefix);
        let _ = store.insert(&key(9999), &live(1, Some(alice()))).await.unwrap();
        store.end(&key(9999), &tombstone(now().plus(MINUTE))).await.unwrap();
    }
    let odd = format!("a*:{name}");
    a_walk_finds_all(&RedisStore::new(connection.clone()).prefix(&odd)).await;
    // On one server as it would be in a cluster, too.
    a_walk_finds_all(&RedisStore::cluster(connection).prefix(fresh_prefix())).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_walk_goes_on_where_the_server_was_restarted() {
    let server = Server::start(Kind::Redis);
    let store = RedisStore::new(connect(server.url()).await);
    for number in 0..300 {
        let _ = store.insert(&key(number), &live(1, None)).await.unwrap();
    }
    let first = store.scan(None, 50).await.unwrap();
    server.stop();
    server.restart();
    let store = RedisStore::new(connect(server.url()).await);
    let mut keys: Vec<_> = first.rows.iter().map(|row| row.key).collect();
    let mut next = first.next;
    while let Some(from) = next {
        let page = store.scan(Some(&from), 50).await.unwrap();
        keys.extend(page.rows.iter().map(|row| row.key));
        next = page.next;
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 300);
}

async fn kinds(store: &impl Store) -> Vec<ErrorKind> {
    let (key, first) = (key(1), Revision::from_u64(1));
    vec![
        store.load(&key).await.unwrap_err().kind(),
        store.insert(&key, &live(1, Some(alice()))).await.unwrap_err().kind(),
        store.replace(&key, first, &live(2, None)).await.unwrap_err().kind(),
        store.touch(&key, first, now().plus(90 * MINUTE)).await.unwrap_err().kind(),
        store.end(&key, &tombstone(now().plus(MINUTE))).await.unwrap_err().kind(),
        store.sessions_of(&alice(), None, 10).await.unwrap_err().kind(),
    ]
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_does_not_answer_is_unavailable() {
    let server = Server::start(Kind::Redis);
    let store = RedisStore::new(connect_within(server.url(), Some(MINUTE / 300)).await);
    let _ = store.insert(&key(1), &live(1, None)).await.unwrap();
    server.pause();
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 6]);
    server.resume();
    server.kill();
    assert_eq!(kinds(&store).await, [ErrorKind::Unavailable; 6]);
}

/// Without a word on time limits.
#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_drivers_own_time_limits_are_there() {
    let server = Server::start(Kind::Redis);
    let client = Client::open(server.url()).unwrap();
    let multiplexed = client.get_multiplexed_async_connection().await.unwrap();
    let managed = client.get_connection_manager().await.unwrap();
    server.pause();
    let began = tokio::time::Instant::now();
    assert_eq!(kinds(&RedisStore::new(multiplexed)).await, [ErrorKind::Unavailable; 6]);
    println!("six verbs on a multiplexed connection: {:?}", began.elapsed());
    let began = tokio::time::Instant::now();
    assert_eq!(kinds(&RedisStore::new(managed)).await, [ErrorKind::Unavailable; 6]);
    println!("six verbs on a connection manager: {:?}", began.elapsed());
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_manager_finds_the_server_again() {
    let server = Server::start(Kind::Redis);
    let client = Client::open(server.url()).unwrap();
    let store = RedisStore::new(client.get_connection_manager().await.unwrap());
    let _ = store.insert(&key(1), &live(1, None)).await.unwrap();
    server.stop();
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.restart();
    let mut tries = 0;
    let there = loop {
        match store.load(&key(1)).await {
            Ok(there) => break there,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
        tries += 1;
        assert!(tries < 1000, "not found again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(there.is_some());
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_cannot_write_is_unavailable() {
    let server = Server::start(Kind::Redis);
    let connection = connect(server.url()).await;
    let store = RedisStore::new(connection.clone());
    let kind = async |number| match store.insert(&key(number), &live(1, None)).await {
        Ok(done) => panic!("{done:?}"),
        Err(error) => error.kind(),
    };
    let _ = store.insert(&key(1), &live(1, Some(alice()))).await.unwrap();
    let _: String = ask(&connection, "CONFIG SET maxmemory 1").await;
    assert_eq!(kind(2).await, ErrorKind::Unavailable, "no memory");
    assert_eq!(store.load(&key(2)).await.unwrap(), None);
    let _: String = ask(&connection, "CONFIG SET maxmemory 0").await;
    let _: String = ask(&connection, "REPLICAOF 127.0.0.1 1").await;
    assert_eq!(kind(2).await, ErrorKind::Unavailable, "a replica");
    let _: String = ask(&connection, "CONFIG SET replica-serve-stale-data no").await;
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Unavailable, "stale");
    let _: String = ask(&connection, "REPLICAOF NO ONE").await;
    let _: String = ask(&connection, "CONFIG SET min-replicas-to-write 1").await;
    assert_eq!(kind(2).await, ErrorKind::Unavailable, "too few replicas");
    let _: String = ask(&connection, "CONFIG SET min-replicas-to-write 0").await;
    // A script of somebody else that runs too long.
    let _: String = ask(&connection, "CONFIG SET lua-time-limit 1").await;
    let other = connect(server.url()).await;
    let endless = tokio::spawn(async move {
        let script = redis::Script::new("while true do end");
        script.invoke_async::<_, redis::Value>(&mut other.clone()).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(store.load(&key(1)).await.unwrap_err().kind(), ErrorKind::Unavailable, "busy");
    let _: String = ask(&connection, "SCRIPT KILL").await;
    assert!(endless.await.unwrap().is_err());
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn logging_out_needs_no_memory() {
    let server = Server::start(Kind::Redis);
    let connection = connect(server.url()).await;
    for layout in [RedisStore::new, RedisStore::cluster] {
        let store = layout(connection.clone()).prefix(fresh_prefix());
        for number in 1..=2 {
            let _ = store.insert(&key(number), &live(1, Some(alice()))).await.unwrap();
        }
        let _: String = ask(&connection, "CONFIG SET maxmemory 1").await;
        let ended = tombstone(now().plus(MINUTE));
        store.end(&key(1), &ended).await.unwrap();
        let replaced = store.replace(&key(2), Revision::from_u64(1), &ended).await.unwrap();
        assert_eq!(replaced, Replaced::Done);
        for number in 1..=2 {
            assert_eq!(store.load(&key(number)).await.unwrap(), Some(ended.clone()));
        }
        let _: String = ask(&connection, "CONFIG SET maxmemory 0").await;
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_body_that_the_server_does_not_take_is_too_large() {
    let server = Server::start(Kind::Redis);
    let connection = connect(server.url()).await;
    let _: String = ask(&connection, "CONFIG SET proto-max-bulk-len 1mb").await;
    let large = Record { body: Body(vec![7; 2 << 20]), ..live(2, None) };
    let first = live(1, None);
    let _ = RedisStore::new(connection.clone()).insert(&key(1), &first).await.unwrap();
    // The server says why and closes the connection, which may be noticed before what it said.
    let mut kinds = Vec::new();
    while kinds.len() < 20 && !kinds.contains(&ErrorKind::TooLarge) {
        let store = RedisStore::new(connect(server.url()).await);
        let refused = store.replace(&key(1), Revision::from_u64(1), &large).await;
        kinds.push(refused.unwrap_err().kind());
    }
    assert_eq!(kinds.pop(), Some(ErrorKind::TooLarge));
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::Unavailable), "{kinds:?}");
    assert_eq!(RedisStore::new(connection).load(&key(1)).await.unwrap(), Some(first));
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_session_takes_little_memory() {
    let server = Server::start(Kind::Redis);
    let connection = connect(server.url()).await;
    let store = RedisStore::new(connection.clone());
    let body = Body(vec![b'x'; 200]);
    let usage = async |name: String| ask::<i64>(&connection, &format!("MEMORY USAGE {name}")).await;
    let (with, without) = (key(1), key(2));
    let of_alice = Record { body: body.clone(), ..live(1, Some(alice())) };
    let _ = store.insert(&with, &of_alice).await.unwrap();
    let _ = store.insert(&without, &Record { body, ..live(1, None) }).await.unwrap();
    let with = usage(format!("typed-session:{with}")).await;
    let without = usage(format!("typed-session:{without}")).await;
    let index = usage(format!("typed-session:subject:{}", hex(alice()))).await;
    println!(
        "a body of 200 bytes: {with} bytes with a subject and {index} of its index, {without} without"
    );
    assert!(with < 500 && without < 450 && index < 300, "{with} {without} {index}");
    let key = key(3);
    store.end(&key, &tombstone(now().plus(MINUTE))).await.unwrap();
    println!("a tombstone: {} bytes", usage(format!("typed-session:{key}")).await);
    let used = async || {
        let text: String = ask(&connection, "INFO memory").await;
        let line = text.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
        line.parse::<i64>().unwrap()
    };
    let before = used().await;
    for number in 0..20_000 {
        let record = Record { body: Body(vec![b'x'; 200]), ..live(1, Some(Subject::from(number))) };
        let _ = store.insert(&self::key(100_000 + number), &record).await.unwrap();
    }
    println!(
        "20,000 users with one session each: {} bytes a session",
        (used().await - before) / 20_000
    );
}

/// The next change, or nothing if there is none for a while.
async fn heard(changes: &mut impl Changes) -> Option<Change> {
    let next = tokio::time::timeout(Duration::from_millis(300), changes.next());
    next.await.ok().map(Result::unwrap)
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn changes_are_heard_of_whoever_makes_them() {
    let server = Server::start(Kind::Redis);
    let client = Client::open(server.url()).unwrap();
    let store = RedisStore::new(connect(server.url()).await).prefix("ours:");
    let mut changes = store.changes(&client).await.unwrap();
    assert_eq!(heard(&mut changes).await, Some(Change::Missed), "what was before");
    let key = key(1);
    let it = Some(Change::Key(key));
    let _ = store.insert(&key, &live(1, Some(alice()))).await.unwrap();
    assert_eq!(heard(&mut changes).await, it);
    let _ = store.replace(&key, Revision::from_u64(1), &live(2, Some(bob()))).await.unwrap();
    assert_eq!(heard(&mut changes).await, it);
    store.touch(&key, Revision::from_u64(2), now().plus(80 * MINUTE)).await.unwrap();
    assert_eq!(heard(&mut changes).await, it);
    store.end(&key, &tombstone(now().plus(MINUTE))).await.unwrap();
    assert_eq!(heard(&mut changes).await, it);
    // Not of another store, and not of what changes nothing.
    let other = RedisStore::new(connect(server.url()).await).prefix("theirs:");
    let _ = other.insert(&key, &live(1, None)).await.unwrap();
    let _ = store.load(&key).await.unwrap();
    let _ = store.insert(&key, &live(1, None)).await.unwrap();
    assert_eq!(heard(&mut changes).await, None);
    // Of expiry.
    let soon = record(1, None, now().plus(Duration::from_millis(50)));
    let _ = store.insert(&self::key(2), &soon).await.unwrap();
    assert_eq!(heard(&mut changes).await, Some(Change::Key(self::key(2))), "written");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(store.load(&self::key(2)).await.unwrap(), None);
    assert_eq!(heard(&mut changes).await, Some(Change::Key(self::key(2))), "expired");
    let _: String = ask(&connect(server.url()).await, "FLUSHALL").await;
    assert_eq!(heard(&mut changes).await, Some(Change::Missed));
    // More than anybody wants to hear one by one.
    for number in 100..10_200 {
        let _ = store.insert(&self::key(number), &live(1, None)).await.unwrap();
    }
    assert_eq!(heard(&mut changes).await, Some(Change::Missed));
    server.kill();
    let lost = loop {
        match changes.next().await {
            Ok(Change::Key(_) | Change::Missed) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(lost.kind(), ErrorKind::Unavailable);
    assert_eq!(store.changes(&client).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// The rights that the documentation of the store names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn few_rights_are_enough() {
    let server = Server::start(Kind::Redis);
    let connection = connect(server.url()).await;
    let rights = "ACL SETUSER app on nopass ~typed-session:* ~{*} \
        +get +getrange +setrange +set +exists +pexpireat +zadd +zrem +zrange +time +eval +evalsha \
        +scan +info +cluster|slots +wait +client|tracking";
    let rights = rights.split_whitespace().collect::<Vec<_>>().join(" ");
    let _: String = ask(&connection, &rights).await;
    let url = server.url().replace("redis://", "redis://app:any@");
    for layout in [RedisStore::new, RedisStore::cluster] {
        let limit = Duration::from_millis(10);
        let store = layout(connect(&url).await).wait_for_replicas(0, limit);
        suite().runs(3).run(async || store.clone()).await;
        a_walk_finds_some(&store).await;
        let client = Client::open(&*url).unwrap();
        let mut changes = store.changes(&client).await.unwrap();
        assert_eq!(heard(&mut changes).await, Some(Change::Missed));
    }
    let refused = redis::cmd("DBSIZE").exec_async(&mut connect(&url).await).await;
    assert!(refused.is_err(), "the rights are not limited");
}

async fn a_walk_finds_some(store: &impl Scan) {
    let _ = store.insert(&key(1), &live(1, Some(alice()))).await.unwrap();
    assert!(walk(store, 1000).await.contains_key(&key(1)));
}

/// A store that connects again and does not wait for long.
async fn impatient(url: String) -> RedisStore<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(LIMIT))
        .set_response_timeout(Some(LIMIT))
        .set_min_delay(Duration::from_millis(10))
        .set_max_delay(Duration::from_millis(50))
        .set_number_of_retries(1);
    let manager = Client::open(url).unwrap().get_connection_manager_lazy(config).unwrap();
    RedisStore::new(manager).prefix("under-fire:")
}

under_fire!(Kind::Redis, crate::redis::impatient);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn users_see_and_end_their_sessions_and_have_so_many() {
    let (store, ..) = store().await;
    crate::devices::all(store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn an_index_with_garbage_in_it_ends_what_it_should() {
    let (store, connection, prefix) = store().await;
    let layer = crate::devices::Layer::new(store.clone());
    let mut anns = Vec::new();
    for _ in 0..5 {
        anns.push(crate::devices::log_in(&layer, "ann").await);
    }
    anns.sort();
    let bob = crate::devices::log_in(&layer, "bob").await;
    let ann = Subject::from("ann");
    let names: Vec<String> = redis::cmd("KEYS")
        .arg(format!("{prefix}*"))
        .query_async(&mut connection.clone())
        .await
        .unwrap();
    let mut indexes = Vec::new();
    for name in names {
        let kind: String =
            redis::cmd("TYPE").arg(&name).query_async(&mut connection.clone()).await.unwrap();
        indexes.extend((kind == "zset").then_some(name));
    }
    assert_eq!(indexes.len(), 2, "ann's and bob's");
    let ticket = [0xff_u8; 16];
    let entry = |key: &[u8]| [key, &ticket[..]].concat();
    for index in &indexes {
        let garbage: [Vec<u8>; 7] = [
            Vec::new(),
            b"garbage".to_vec(),
            vec![0xff; 100],
            anns[2].as_bytes().to_vec(),
            entry(bob.as_bytes()),
            entry(anns[0].as_bytes()),
            entry(&[7; 32]),
        ];
        for member in garbage {
            let _: i64 = redis::cmd("ZADD")
                .arg(index)
                .arg(0)
                .arg(member)
                .query_async(&mut connection.clone())
                .await
                .unwrap();
        }
    }
    for limit in [1, 2, 3, 100] {
        let mut named = Vec::new();
        let mut after = None;
        loop {
            let page = store.sessions_of(&ann, after.as_ref(), limit).await.unwrap();
            named.extend(&page);
            match page.last() {
                Some(last) if page.len() == limit => after = Some(*last),
                _ => break,
            }
        }
        assert!(named.is_sorted_by(|a, b| a < b), "{limit}");
        assert!(anns.iter().all(|key| named.contains(key)), "{limit}");
    }
    assert_eq!(crate::devices::keys_of(&layer, "ann").await, anns);
    assert_eq!(layer.end_all(ann, EndReason::Revoked).await.unwrap(), 5);
    assert_eq!(crate::devices::keys_of(&layer, "bob").await, [bob]);
    crate::devices::log_in(&layer, "ann").await;
    assert_eq!(crate::devices::keys_of(&layer, "ann").await.len(), 1, "and life goes on");
}
