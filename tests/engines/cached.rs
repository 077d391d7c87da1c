//! The cache in front of real engines: two machines, what they tell each other, and faults.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};
use typed_session::store::{Cached, Changes, PostgresStore, RedisStore, Store};
use typed_session::testing::conformance::Suite;
use typed_session::testing::{ManualClock, Recalling};
use typed_session::{SessionData, SessionLayer, Subject, Timestamp, Verdict};

use crate::server::{Kind, shared};
use crate::{histories, postgres, redis as redis_tests};

#[derive(Default, Deserialize, Serialize)]
struct Shop {
    user: Option<u64>,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.map(Subject::from)
    }
}

const MAX_AGE: Duration = Duration::from_secs(3);

/// One of several machines. The clock is that of its cache alone, and stands still.
struct Machine<S> {
    cache: Arc<Cached<S>>,
    sessions: SessionLayer<Shop, Arc<Cached<S>>>,
    clock: ManualClock,
}

impl<S: Store> Machine<S> {
    fn new(store: S) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let cache = Arc::new(Cached::new(store).max_age(MAX_AGE).clock(clock.clone()));
        Self { sessions: SessionLayer::new(Arc::clone(&cache)), cache, clock }
    }

    /// Logs in and returns the cookie.
    async fn log_in(&self) -> String {
        let exchange = self.sessions.open([]);
        exchange.session().await.unwrap().update(|shop| shop.user = Some(7));
        let outcome = exchange.finish().await;
        assert!(outcome.error.is_none());
        outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
    }

    async fn log_out(&self, cookie: &str) {
        let exchange = self.sessions.open([cookie.as_bytes()]);
        exchange.session().await.unwrap().end();
        assert!(exchange.finish().await.error.is_none());
    }

    async fn verdict(&self, cookie: &str) -> Verdict {
        let session = self.sessions.open([cookie.as_bytes()]).session().await.unwrap();
        session.verdict()
    }
}

/// Without a word between the machines, a logout is late by the stated time at most.
async fn the_window(here: impl Store, there: impl Store) {
    let (here, there) = (Machine::new(here), Machine::new(there));
    let cookie = here.log_in().await;
    assert_eq!(there.verdict(&cookie).await, Verdict::Resumed, "at once, on every machine");
    here.log_out(&cookie).await;
    assert!(matches!(here.verdict(&cookie).await, Verdict::Ended(_)), "at once, where it was");
    there.clock.advance(MAX_AGE - Duration::from_millis(1));
    assert_eq!(there.verdict(&cookie).await, Verdict::Resumed, "within the window");
    there.clock.advance(Duration::from_millis(1));
    assert!(matches!(there.verdict(&cookie).await, Verdict::Ended(_)), "after it");
}

/// With the engine's word, a logout is known as soon as that arrives: no clock moves here.
async fn the_word<S: Store, C: Changes + 'static>(here: S, there: S, changes: C) {
    let (here, there) = (Machine::new(here), Machine::new(there));
    let cache = Arc::clone(&there.cache);
    let following = tokio::spawn(async move { cache.follow(changes).await });
    // What is remembered before the word of the beginning comes is forgotten by it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..20 {
        let cookie = here.log_in().await;
        assert_eq!(there.verdict(&cookie).await, Verdict::Resumed);
        here.log_out(&cookie).await;
        let refused = async {
            while !matches!(there.verdict(&cookie).await, Verdict::Ended(_)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), refused).await.expect("it is told");
    }
    assert!(!following.is_finished());
    following.abort();
}

async fn postgres_pair(table: &str) -> (PostgresStore, PostgresStore) {
    let (store, pool) = postgres::store(table).await;
    let other = PostgresStore::new(pool).table(table).unwrap();
    (store, other)
}

pub(crate) async fn manager() -> ConnectionManager {
    let client = redis::Client::open(shared(Kind::Redis)).unwrap();
    client.get_connection_manager().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_logout_is_late_by_the_stated_time_at_most_on_postgres() {
    let (here, there) = postgres_pair("cached_window").await;
    the_window(here, there).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_logout_is_late_by_the_stated_time_at_most_on_redis() {
    let store = RedisStore::new(manager().await).prefix(redis_tests::fresh_prefix());
    the_window(store.clone(), store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn postgres_tells_the_other_machine_of_a_logout() {
    let (here, there) = postgres_pair("cached_word").await;
    let here = here.notify_changes("cached_word").unwrap();
    let changes = there.changes("cached_word").await.unwrap();
    the_word(here, there, changes).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn redis_tells_the_other_machine_of_a_logout() {
    let client = redis::Client::open(shared(Kind::Redis)).unwrap();
    let store = RedisStore::new(manager().await).prefix(redis_tests::fresh_prefix());
    let changes = store.changes(&client).await.unwrap();
    the_word(store.clone(), store, changes).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_cache_before_postgres_keeps_the_contract() {
    let (store, _) = postgres::store("cached_contract").await;
    let suite = Suite::new().spawn(|task| {
        tokio::spawn(task);
    });
    suite.run(async || Recalling::new(Cached::new(store.clone()))).await;
}

/// All clients share one cache, so that it may never be late.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_minute_of_histories_through_one_cache_has_an_explanation() {
    let (store, _) = postgres::store("cached_histories").await;
    let cache = Cached::new(store).max_age(Duration::from_secs(3600));
    let cache = Arc::new(Recalling::new(cache));
    histories::calm_minute(async || Arc::clone(&cache)).await;
}
