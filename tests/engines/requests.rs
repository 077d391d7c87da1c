//! What a whole request costs each engine, as the engine counts it: commands, and round trips.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redis::aio::ConnectionLike;
use serde::{Deserialize, Serialize};
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Executor, Row};
use tempfile::TempDir;
use typed_session::store::{MySqlStore, PostgresStore, RedisStore, SqliteStore, Store};
use typed_session::testing::proxy::Proxy;
use typed_session::{SessionData, SessionLayer, Subject};

use self::Request::{Bare, Create, Login, Read, Untouched, Write};
use crate::redis_wire::Wire;
use crate::server::{Kind, Server, shared};

/// What a request does with its session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Request {
    /// No cookie, and the handler leaves the session alone.
    Bare,
    /// A good cookie, and the handler leaves the session alone.
    Untouched,
    Read,
    Write,
    /// No cookie; a session with a user is created.
    Create,
    /// Data is written, and the id changes.
    Login,
}

/// How many commands each request sends, and how often it waits for the engine: exactly so many.
const BUDGET: [(Request, u64); 6] =
    [(Bare, 0), (Untouched, 0), (Read, 1), (Write, 2), (Create, 1), (Login, 2)];

/// In a Redis cluster the index of a subject is on another server than the record: one more
/// where it changes.
const BUDGET_APART: [(Request, u64); 6] =
    [(Bare, 0), (Untouched, 0), (Read, 1), (Write, 2), (Create, 2), (Login, 3)];

/// How often each request is made.
const TIMES: u64 = 20;

/// What an engine has counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Spent {
    commands: u64,
    round_trips: u64,
}

impl Spent {
    fn times(self, count: u64) -> Self {
        Self { commands: self.commands * count, round_trips: self.round_trips * count }
    }
}

trait Meter {
    async fn start(&mut self);

    /// What was spent since the start.
    async fn stop(&mut self) -> Spent;

    /// What one command costs that is sent without the library, in the same way.
    fn command(&self) -> Spent {
        Spent { commands: 1, round_trips: 1 }
    }
}

async fn each_request_keeps_to(
    budget: &[(Request, u64)],
    store: impl Store,
    meter: &mut impl Meter,
) {
    let layer = SessionLayer::<Profile, _>::new(store);
    // What a connection or a server has to be told once. A cluster has several servers.
    for _ in 0..TIMES {
        for (request, _) in budget {
            answer(&layer, *request, prepared(&layer, *request).await).await;
        }
    }
    let mut seen = Vec::new();
    for (request, wanted) in budget {
        let mut cookies = Vec::new();
        for _ in 0..TIMES {
            cookies.push(prepared(&layer, *request).await);
        }
        meter.start().await;
        for cookie in cookies {
            answer(&layer, *request, cookie).await;
        }
        let spent = meter.stop().await;
        seen.push((request, spent));
        assert_eq!(spent, meter.command().times(wanted * TIMES), "{request:?} of {seen:?}");
    }
}

/// The cookie that the request will bring.
async fn prepared<S: Store>(layer: &SessionLayer<Profile, S>, request: Request) -> Option<String> {
    match request {
        Bare | Create => None,
        Untouched | Read | Write => answer(layer, Create, None).await,
        Login => {
            let exchange = layer.open([]);
            drop(exchange.session().await.unwrap().replace(Profile::visitor()));
            finish(exchange.finish().await)
        }
    }
}

/// Serves a request, and returns the cookie that it sets.
async fn answer<S: Store>(
    layer: &SessionLayer<Profile, S>,
    request: Request,
    cookie: Option<String>,
) -> Option<String> {
    let exchange = layer.open(cookie.as_deref().map(str::as_bytes));
    match request {
        Bare | Untouched => {}
        Read => {
            let counter = exchange.session().await.unwrap().read(|profile| profile.counter);
            assert_eq!(counter, 1);
        }
        Write => exchange.session().await.unwrap().update(|profile| profile.counter += 1),
        Create => drop(exchange.session().await.unwrap().replace(Profile::user())),
        Login => exchange.session().await.unwrap().update(Profile::log_in),
    }
    let set = finish(exchange.finish().await);
    assert_eq!(set.is_some(), matches!(request, Create | Login), "{request:?}");
    assert!(set.is_none() || set != cookie, "{request:?}");
    set
}

#[track_caller]
fn finish(outcome: typed_session::Outcome) -> Option<String> {
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    Some(outcome.effects.set_cookie()?.split(';').next().unwrap().to_owned())
}

#[derive(Default, Deserialize, Serialize)]
struct Profile {
    user_id: u64,
    name: String,
    roles: Vec<String>,
    counter: u64,
    theme: String,
}

impl Profile {
    fn visitor() -> Self {
        Self { counter: 1, theme: "dark".into(), ..Self::default() }
    }

    fn user() -> Self {
        let mut profile = Self::visitor();
        profile.log_in();
        profile
    }

    fn log_in(&mut self) {
        static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
        self.user_id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.name = "ann.o.nymous".into();
        self.roles = vec!["reader".into(), "editor".into()];
    }
}

impl SessionData for Profile {
    fn subject(&self) -> Option<Subject> {
        (self.user_id != 0).then(|| Subject::from(self.user_id))
    }
}

/// `INFO commandstats` of all servers, and the connection that counts.
struct RedisMeter<C> {
    servers: Vec<redis::aio::MultiplexedConnection>,
    wire: Wire<C>,
    before: u64,
}

impl<C> RedisMeter<C> {
    async fn new(server: &Server, wire: Wire<C>) -> Self {
        let mut servers = Vec::new();
        for url in server.urls() {
            let client = redis::Client::open(url).unwrap();
            servers.push(client.get_multiplexed_async_connection().await.unwrap());
        }
        Self { servers, wire, before: 0 }
    }

    /// Calls of what the store sends; not of what its scripts do, which is no command of a
    /// client's. Anything else that it might send is a round trip too many.
    async fn commands(&mut self) -> u64 {
        let mut commands = 0;
        for server in &mut self.servers {
            let text: String =
                redis::cmd("INFO").arg("commandstats").query_async(server).await.unwrap();
            for line in text.lines() {
                let Some((name, rest)) = line.split_once(":calls=") else { continue };
                if ["cmdstat_get", "cmdstat_evalsha", "cmdstat_eval"].contains(&name) {
                    commands += rest.split(',').next().unwrap().parse::<u64>().unwrap();
                }
            }
        }
        commands
    }
}

impl<C: ConnectionLike> Meter for RedisMeter<C> {
    async fn start(&mut self) {
        self.before = self.commands().await;
        self.wire.trips();
    }

    async fn stop(&mut self) -> Spent {
        let round_trips = self.wire.trips().len() as u64;
        Spent { commands: self.commands().await - self.before, round_trips }
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_request_costs_redis_what_the_table_says() {
    let server = Server::start(Kind::Redis);
    let client = redis::Client::open(server.url()).unwrap();
    let wire = Wire::new(client.get_multiplexed_async_connection().await.unwrap());
    let store = RedisStore::new(wire.clone());
    let mut meter = RedisMeter::new(&server, wire).await;
    each_request_keeps_to(&BUDGET, store, &mut meter).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_request_costs_a_redis_cluster_what_the_table_says() {
    let server = Server::start(Kind::RedisCluster);
    let client = redis::cluster::ClusterClient::new(server.urls().collect::<Vec<_>>()).unwrap();
    let wire = Wire::new(client.get_async_connection().await.unwrap());
    let store = RedisStore::cluster(wire.clone());
    let mut meter = RedisMeter::new(&server, wire).await;
    each_request_keeps_to(&BUDGET_APART, store, &mut meter).await;
}

/// What sqlx adds of its own to each statement on a pool: an empty round trip when the connection
/// comes back, which the request does not wait for, and one when it is taken, unless it is
/// told not to.
const fn pool_asks(test_before_acquire: bool) -> u64 {
    if test_before_acquire { 2 } else { 1 }
}

/// The statistics of a database of its own, and a proxy.
struct PostgresMeter {
    /// Past the proxy, and on another database.
    statistics: PgPool,
    database: String,
    pool: PgPool,
    proxy: Proxy,
    asks: u64,
    before: Spent,
}

impl PostgresMeter {
    /// Begin and commit are counted like any other.
    async fn statements(&self) -> u64 {
        let sql = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
            JOIN pg_database ON pg_database.oid = dbid WHERE datname = $1";
        let count = sqlx::query_scalar::<_, i64>(sql).bind(&self.database);
        count.fetch_one(&self.statistics).await.unwrap().unsigned_abs()
    }
}

impl Meter for PostgresMeter {
    async fn start(&mut self) {
        self.before.commands = self.statements().await;
        // The pool has one, and who gets it sees all that was sent on it.
        let held = self.pool.acquire().await.unwrap();
        self.before.round_trips = self.proxy.round_trips();
        drop(held);
    }

    async fn stop(&mut self) -> Spent {
        let held = self.pool.acquire().await.unwrap();
        let round_trips = self.proxy.round_trips() - self.before.round_trips - self.asks;
        drop(held);
        Spent { commands: self.statements().await - self.before.commands, round_trips }
    }

    fn command(&self) -> Spent {
        Spent { commands: 1, round_trips: 1 + self.asks }
    }
}

/// The proxy before a server, and the URL by way of it.
fn by_proxy(url: &str) -> (Proxy, String) {
    let address = url.split_once('@').unwrap().1.split_once('/').unwrap().0;
    let proxy = Proxy::start(address).unwrap();
    let url = url.replace(address, &proxy.address().to_string());
    (proxy, url)
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_request_costs_postgresql_what_the_table_says() {
    let url = shared(Kind::Postgres);
    let statistics = PgPool::connect(&url).await.unwrap();
    for test_before_acquire in [false, true] {
        let database = format!("requests_{}_{test_before_acquire}", std::process::id());
        statistics.execute(AssertSqlSafe(format!("CREATE DATABASE {database}"))).await.unwrap();
        let (proxy, url) = by_proxy(&url);
        let url = format!("{}/{database}", url.rsplit_once('/').unwrap().0);
        let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(test_before_acquire);
        let pool = pool.connect(&url).await.unwrap();
        let store = PostgresStore::new(pool.clone());
        store.migrate().await.unwrap();
        let asks = pool_asks(test_before_acquire);
        let before = Spent { commands: 0, round_trips: 0 };
        let statistics = statistics.clone();
        let mut meter = PostgresMeter { statistics, database, pool, proxy, asks, before };
        // The pool's own minimum, by a statement that is none of the store's.
        for _ in 0..2 {
            meter.start().await;
            sqlx::query("SELECT 1").execute(&meter.pool).await.unwrap();
            let spent = meter.stop().await;
            if spent != meter.command() {
                assert_eq!(spent.round_trips, 1 + meter.command().round_trips, "it is prepared");
            }
        }
        each_request_keeps_to(&BUDGET, store, &mut meter).await;
        meter.pool.close().await;
        let drop = format!("DROP DATABASE {}", meter.database);
        meter.statistics.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

/// What the one connection has counted, and a proxy.
struct MySqlMeter {
    pool: MySqlPool,
    proxy: Proxy,
    asks: u64,
    before: BTreeMap<String, u64>,
    trips_before: u64,
}

/// Of one connection: how often it was asked, and for what.
async fn status(connection: &mut sqlx::MySqlConnection) -> BTreeMap<String, u64> {
    let sql =
        "SHOW SESSION STATUS WHERE variable_name = 'Questions' OR variable_name LIKE 'Com\\_%'";
    let rows = sqlx::raw_sql(sql).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get::<String, _>(1).parse().unwrap())).collect()
}

impl Meter for MySqlMeter {
    async fn start(&mut self) {
        let mut held = self.pool.acquire().await.unwrap();
        self.before = status(&mut held).await;
        self.trips_before = self.proxy.round_trips();
    }

    async fn stop(&mut self) -> Spent {
        let mut held = self.pool.acquire().await.unwrap();
        let round_trips = self.proxy.round_trips() - self.trips_before - self.asks;
        let mut done = status(&mut held).await;
        done.iter_mut().for_each(|(name, count)| *count -= self.before[name]);
        // The question for the status is counted as well.
        let commands = done["Questions"] - 1;
        assert_eq!(done["Com_stmt_execute"], commands, "{done:?}");
        assert_eq!(done["Com_stmt_prepare"], 0, "{done:?}");
        Spent { commands, round_trips }
    }

    fn command(&self) -> Spent {
        Spent { commands: 1, round_trips: 1 + self.asks }
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_request_costs_mysql_what_the_table_says() {
    for test_before_acquire in [false, true] {
        let (proxy, url) = by_proxy(&shared(Kind::MySql));
        let pool =
            MySqlPoolOptions::new().max_connections(1).test_before_acquire(test_before_acquire);
        let pool = pool.connect(&url).await.unwrap();
        let table = format!("requests_{}", std::process::id());
        let store = MySqlStore::new(pool.clone()).table(&table).unwrap();
        store.migrate().await.unwrap();
        let (asks, before) = (pool_asks(test_before_acquire), BTreeMap::new());
        let mut meter = MySqlMeter { pool, proxy, asks, before, trips_before: 0 };
        // The pool's own minimum, by a statement that is none of the store's.
        sqlx::query("SELECT 1").execute(&meter.pool).await.unwrap();
        meter.start().await;
        sqlx::query("SELECT 1").execute(&meter.pool).await.unwrap();
        assert_eq!(meter.stop().await, meter.command());
        each_request_keeps_to(&BUDGET, store, &mut meter).await;
        meter.pool.execute(AssertSqlSafe(format!("DROP TABLE {table}"))).await.unwrap();
    }
}

/// What sqlx tells of the statements that it runs. No trip leaves the process.
struct SqliteMeter {
    pool: SqlitePool,
}

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static STATEMENTS: AtomicU64 = AtomicU64::new(0);

/// For the whole program, since a connection to SQLite is a thread of sqlx's own.
struct Subscriber;

/// What the statements of this test alone have in them.
const TABLE: &str = "counted_requests";

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query" && IS_COUNTING.load(Ordering::SeqCst)
    }

    fn register_callsite(&self, metadata: &tracing::Metadata<'_>) -> tracing::subscriber::Interest {
        match metadata.target() {
            "sqlx::query" => tracing::subscriber::Interest::sometimes(),
            _ => tracing::subscriber::Interest::never(),
        }
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Names(bool);
        impl tracing::field::Visit for Names {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 |= format!("{value:?}").contains(TABLE);
            }
        }
        let mut names = Names(false);
        event.record(&mut names);
        STATEMENTS.fetch_add(u64::from(names.0), Ordering::SeqCst);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

impl Meter for SqliteMeter {
    async fn start(&mut self) {
        STATEMENTS.store(0, Ordering::SeqCst);
        IS_COUNTING.store(true, Ordering::SeqCst);
    }

    async fn stop(&mut self) -> Spent {
        // The one connection tells of a statement before it begins the next.
        sqlx::query("SELECT 1").execute(&self.pool).await.unwrap();
        IS_COUNTING.store(false, Ordering::SeqCst);
        let commands = STATEMENTS.load(Ordering::SeqCst);
        Spent { commands, round_trips: commands }
    }
}

#[tokio::test]
#[ignore = "beside the servers' own: ./tests/run engines"]
async fn a_request_costs_sqlite_what_the_table_says() {
    tracing::subscriber::set_global_default(Subscriber).unwrap();
    let dir = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("sessions.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = SqliteStore::new(pool.clone()).table(TABLE).unwrap();
    store.migrate().await.unwrap();
    each_request_keeps_to(&BUDGET, store, &mut SqliteMeter { pool }).await;
}
