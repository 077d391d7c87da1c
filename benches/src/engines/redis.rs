//! Redis: one multiplexed connection for all.

use std::future::ready;
use std::hint::black_box;
use std::sync::{Arc, Mutex};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Arg, AsyncConnectionConfig, Client, Cmd, Pipeline, RedisFuture, Value};
use typed_session::store::{RedisStore, Store};

use super::{Call, Engine};

#[derive(Clone)]
pub struct Redis {
    connection: MultiplexedConnection,
    /// What it takes up without sessions.
    idle: u64,
    /// A store that is listened to, by one at a time.
    heard: Arc<Mutex<(RedisStore<Listener>, Listener)>>,
}

impl Redis {
    pub async fn connect(url: &str) -> Self {
        // Many at once on a busy machine may wait for longer than the half second of the driver.
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let client = Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let listener = Listener::default();
        let heard = Arc::new(Mutex::new((RedisStore::new(listener.clone()), listener)));
        let mut redis = Self { connection: connection.await.unwrap(), idle: 0, heard };
        redis.idle = redis.info("memory", "used_memory").await.parse().unwrap();
        redis
    }

    async fn info(&self, section: &str, field: &str) -> String {
        let mut command = redis::cmd("INFO");
        let text: String =
            command.arg(section).query_async(&mut self.connection.clone()).await.unwrap();
        let value = |line: &str| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned);
        text.lines().find_map(value).unwrap_or_default().trim().to_owned()
    }

    async fn setting(&self, name: &str) -> String {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(name);
        let answer: Vec<String> = command.query_async(&mut self.connection.clone()).await.unwrap();
        answer.join(" ")
    }
}

/// The words of a command, and what is answered when it is done.
pub struct Raw {
    words: Vec<Vec<u8>>,
    answer: Option<Value>,
}

impl Raw {
    fn command(&self) -> Cmd {
        let mut command = Cmd::with_capacity(self.words.len(), 0);
        for word in &self.words {
            command.arg(&word[..]);
        }
        command
    }

    fn check(&self, answer: &Value) {
        match &self.answer {
            Some(wanted) => assert_eq!(answer, wanted),
            None => assert!(matches!(answer, Value::BulkString(_)), "{answer:?}"),
        }
    }
}

impl Engine for Redis {
    const NAME: &str = "Redis";

    type Store = RedisStore<MultiplexedConnection>;
    type Raw = Raw;

    fn store(&self) -> Self::Store {
        RedisStore::new(self.connection.clone())
    }

    /// The store says it itself, to a connection that leads nowhere.
    fn raw(&self, call: &Call) -> Raw {
        let answer = match call {
            Call::Load(_) => None,
            Call::Insert(..) => Some(Value::Int(1)),
            Call::Replace(..) => Some(Value::Array(Vec::new())),
        };
        let heard = self.heard.lock().unwrap();
        let (store, listener) = &*heard;
        *listener.answer.lock().unwrap() = answer.clone().unwrap_or(Value::Nil);
        now(async {
            match call {
                Call::Load(key) => drop(store.load(key).await.unwrap()),
                Call::Insert(key, record) => drop(store.insert(key, record).await.unwrap()),
                Call::Replace(key, expected, record) => {
                    drop(store.replace(key, *expected, record).await.unwrap());
                }
            }
        });
        let words = std::mem::take(&mut *listener.words.lock().unwrap());
        Raw { words, answer }
    }

    async fn send(&self, raw: &Raw) {
        let answer: Value = raw.command().query_async(&mut self.connection.clone()).await.unwrap();
        raw.check(black_box(&answer));
    }

    async fn batch(&self, raw: &[Raw]) {
        let mut pipeline = Pipeline::with_capacity(raw.len());
        for raw in raw {
            pipeline.add_command(raw.command());
        }
        let answers: Vec<Value> = pipeline.query_async(&mut self.connection.clone()).await.unwrap();
        for (raw, answer) in raw.iter().zip(&answers) {
            raw.check(answer);
        }
    }

    async fn clear(&self) {
        redis::cmd("FLUSHDB").exec_async(&mut self.connection.clone()).await.unwrap();
    }

    async fn settle(&self) {
        redis::cmd("BGREWRITEAOF").exec_async(&mut self.connection.clone()).await.unwrap();
        while self.info("persistence", "aof_rewrite_in_progress").await != "0"
            || self.info("persistence", "aof_rewrite_scheduled").await != "0"
        {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// In memory; the file is beside it.
    async fn bytes(&self) -> Vec<(String, u64)> {
        let used: u64 = self.info("memory", "used_memory").await.parse().unwrap();
        let mut sizes = vec![("memory".to_owned(), used - self.idle)];
        for (what, names) in
            [("one record", "typed-session:????????*"), ("one index", "typed-session:subject:*")]
        {
            let mut sample = 0;
            let mut count = 0;
            let mut cursor = 0_u64;
            // Names of records have no second colon.
            while count < 1000 {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(names).arg("COUNT").arg(1000);
                let (next, keys): (u64, Vec<String>) =
                    scan.query_async(&mut self.connection.clone()).await.unwrap();
                let is_index = what == "one index";
                for key in keys.iter().filter(|key| key.contains(":subject:") == is_index) {
                    let mut usage = redis::cmd("MEMORY");
                    usage.arg("USAGE").arg(key);
                    let bytes: Option<u64> =
                        usage.query_async(&mut self.connection.clone()).await.unwrap();
                    sample += bytes.unwrap_or_default();
                    count += 1;
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
            // A mean of some, told as if of all, like the other parts.
            let rows: u64 =
                redis::cmd("DBSIZE").query_async(&mut self.connection.clone()).await.unwrap();
            sizes.push((what.to_owned(), sample * (rows / 2) / u64::max(count, 1)));
        }
        let file: u64 =
            self.info("persistence", "aof_current_size").await.parse().unwrap_or_default();
        sizes.push(("append-only file".to_owned(), file));
        sizes
    }

    async fn about(&self) -> String {
        format!(
            "Redis {}, {}, {}, one multiplexed connection",
            self.info("server", "redis_version").await,
            self.setting("appendonly").await,
            self.setting("appendfsync").await
        )
    }
}

/// Hears what a store sends, and has it done at once.
#[derive(Clone)]
struct Listener {
    words: Arc<Mutex<Vec<Vec<u8>>>>,
    answer: Arc<Mutex<Value>>,
}

impl Default for Listener {
    fn default() -> Self {
        Self { words: Arc::default(), answer: Arc::new(Mutex::new(Value::Nil)) }
    }
}

impl ConnectionLike for Listener {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let words = command.args_iter().map(|word| match word {
            Arg::Simple(word) => word.to_vec(),
            _ => panic!("a store sends words"),
        });
        *self.words.lock().unwrap() = words.collect();
        Box::pin(ready(Ok(self.answer.lock().unwrap().clone())))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        panic!("a store sends one command at a time")
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// Runs what never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("nothing here waits"),
    }
}
