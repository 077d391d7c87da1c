//! The cache in front of real engines: two machines, what they tell each other, and faults.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};
use typed_session::store::{Cached, Changes, PostgresStore, RedisStore, Store};
use typed_session::testing::conformance::Suite;
use typed_session::testing::{ManualClock, Recalling};
use typed_session::{SessionData, SessionLayer, Subject, Timestamp, Verdict};

use crate::server::{Kind, Server, shared};
use crate::{histories, postgres, redis as redis_tests};

#[derive(Default, Deserialize, Serialize)]
struct Shop {
    user: Option<u64>,
    #[serde(default)]
    visits: u64,
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
        self.create(|shop| shop.user = Some(7)).await
    }

    /// Creates a session and returns the cookie.
    async fn create(&self, f: impl FnOnce(&mut Shop)) -> String {
        self.request(None, f).await.unwrap()
    }

    /// Changes a session, and returns the new cookie, if there is one.
    async fn change(&self, cookie: &str, f: impl FnOnce(&mut Shop)) -> Option<String> {
        self.request(Some(cookie), f).await
    }

    async fn write(&self, cookie: &str) -> Option<String> {
        self.change(cookie, |shop| shop.visits += 1).await
    }

    async fn request(&self, cookie: Option<&str>, f: impl FnOnce(&mut Shop)) -> Option<String> {
        let exchange = self.sessions.open(cookie.map(str::as_bytes));
        exchange.session().await.unwrap().update(f);
        let outcome = exchange.finish().await;
        assert!(outcome.error.is_none());
        Some(outcome.effects.set_cookie()?.split(';').next().unwrap().to_owned())
    }

    /// A request whose handler leaves the session alone.
    async fn alone(&self, cookie: Option<&str>) {
        let exchange = self.sessions.open(cookie.map(str::as_bytes));
        assert!(exchange.finish().await.error.is_none());
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

/// What was asked of an engine since it was last looked at, by the engine's own statistics.
trait Asked {
    async fn commands(&mut self) -> i64;
}

/// Within the window, a request costs the engine its write and nothing else.
async fn each_request_costs_its_write(store: impl Store, mut asked: impl Asked) {
    const TIMES: i64 = 20;
    let machine = Machine::new(store);
    // What a server or a connection has to be told once.
    for _ in 0..2 {
        machine.write(&machine.log_in().await).await;
    }
    let mut cookies = Vec::new();
    asked.commands().await;
    for _ in 0..TIMES {
        machine.alone(None).await;
    }
    assert_eq!(asked.commands().await, 0, "W0");
    for _ in 0..TIMES {
        cookies.push(machine.log_in().await);
    }
    assert_eq!(asked.commands().await, TIMES, "W4");
    for cookie in &cookies {
        machine.alone(Some(cookie)).await;
    }
    assert_eq!(asked.commands().await, 0, "W1");
    for cookie in &cookies {
        assert_eq!(machine.verdict(cookie).await, Verdict::Resumed);
    }
    assert_eq!(asked.commands().await, 0, "W2");
    for cookie in &cookies {
        assert_eq!(machine.write(cookie).await, None);
    }
    assert_eq!(asked.commands().await, TIMES, "W3");
    let mut visitors = Vec::new();
    for _ in 0..TIMES {
        visitors.push(machine.create(|shop| shop.visits = 1).await);
    }
    assert_eq!(asked.commands().await, TIMES, "W4, of visitors");
    for cookie in &visitors {
        assert!(machine.change(cookie, |shop| shop.user = Some(8)).await.is_some());
    }
    assert_eq!(asked.commands().await, TIMES, "W5");
    // After it, the first request for a session reads, and that is for all.
    machine.clock.advance(MAX_AGE);
    for _ in 0..3 {
        for cookie in &cookies {
            assert_eq!(machine.verdict(cookie).await, Verdict::Resumed);
        }
    }
    assert_eq!(asked.commands().await, TIMES, "W2, once a window");
}

/// The commands that a server of its own was sent by the store.
struct OfRedis(redis::aio::MultiplexedConnection, i64);

impl Asked for OfRedis {
    async fn commands(&mut self) -> i64 {
        let info: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut self.0).await.unwrap();
        let calls = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            // Commands of the store's: a write is a script, what that calls is none.
            if !["get", "evalsha", "eval"].contains(&name) {
                return None;
            }
            rest.split(',').next()?.parse::<i64>().ok()
        };
        let count = info.lines().filter_map(calls).sum();
        count - std::mem::replace(&mut self.1, count)
    }
}

/// All statements on a table, but for what is asked here.
struct OfPostgres(sqlx::PgPool, String, i64);

impl Asked for OfPostgres {
    async fn commands(&mut self) -> i64 {
        let sql = format!(
            "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
             WHERE query LIKE '%\"{}\"%' AND query !~ '^(DROP|CREATE|SELECT coalesce)'",
            self.1
        );
        let (count,): (i64,) =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(&self.0).await.unwrap();
        count - std::mem::replace(&mut self.2, count)
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn each_request_costs_its_write_within_the_window_on_redis() {
    let server = Server::start(Kind::Redis);
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let store = RedisStore::new(connection.clone());
    each_request_costs_its_write(store, OfRedis(connection, 0)).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn each_request_costs_its_write_within_the_window_on_postgres() {
    // The server counts for ever: a table that no other run had.
    let table = format!("cached_cost_{}", std::process::id());
    let (store, pool) = postgres::store(&table).await;
    each_request_costs_its_write(store, OfPostgres(pool.clone(), table.clone(), 0)).await;
    sqlx::query(sqlx::AssertSqlSafe(format!("DROP TABLE {table}"))).execute(&pool).await.unwrap();
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
