//! Sessions in Redis or Valkey.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;

pub use self::changes::RedisChanges;
use self::loaded::Loaded;
use self::script::{Replicas, Scripts};
use crate::id::SessionKey;
use crate::subject::Subject;

mod changes;
mod error;
mod loaded;
mod row;
mod scan;
mod script;
mod verbs;

/// A store in Redis or Valkey, on a connection of yours.
///
/// It needs Redis 7.0 or later, or Valkey, and nothing to be set up there; but
/// see [Memory](#memory) and [Durability](#durability).
///
/// ```no_run
/// use typed_session::store::RedisStore;
///
/// # async fn example() -> Result<(), redis::RedisError> {
/// let client = redis::Client::open("redis://127.0.0.1/")?;
/// let store = RedisStore::new(client.get_multiplexed_async_connection().await?);
/// # drop(store);
/// # Ok(())
/// # }
/// ```
///
/// # The connection
///
/// Anything of redis-rs that is an asynchronous `ConnectionLike` and can be
/// cloned; all requests share it, and none waits for the answer of another. The one
/// above does not come back once it breaks. These do; the first is built in, the
/// others are features of redis-rs:
///
/// ```ignore
/// // One server: `connection-manager`.
/// let store = RedisStore::new(client.get_connection_manager().await?);
///
/// // A cluster: `cluster-async`.
/// let client = ClusterClientBuilder::new(["redis://10.0.0.1/", "redis://10.0.0.2/"])
///     .response_timeout(Duration::from_millis(500)) // there is none by default
///     .build()?;
/// let store = RedisStore::cluster(client.get_async_connection().await?);
///
/// // Sentinels: `sentinel`. They say where the primary is; make a new store when
/// // its errors last.
/// let mut client =
///     SentinelClient::build(sentinels, "mymaster".into(), None, SentinelServerType::Master)?;
/// let store = RedisStore::new(client.get_async_connection().await?);
/// ```
///
/// - **Time limits** are the connection's. Half a second for an answer and a second to
///   connect are the driver's defaults, but in a cluster a call waits **for ever**
///   unless `response_timeout` is set. Past it, the error is [`Unavailable`].
/// - **Reading from replicas** (`read_from_replicas` and the like) must stay off: a
///   replica may not know yet that a session has ended.
/// - **Retries.** The cluster's client repeats a call whose answer was lost. A `replace`
///   or `insert` that had been done is then refused, and the layer sees that what is
///   there is its own; the other verbs are the same when done twice.
/// - **TLS** and its roots are features of redis-rs, as `tokio-rustls-comp`.
///
/// # Round trips
///
/// Each verb is one `EVALSHA`, [`load`](super::Store::load) a `GET`, `sessions_of` a `ZRANGE`; one
/// more where the server does not know the script yet. In a cluster, index and record are
/// on different servers, and where a verb changes both it takes
///
/// | | round trips |
/// | --- | --- |
/// | a login that makes a session; a logout | 2 |
/// | a login into a session that this store has loaded; into any other | 2; 3 |
/// | a switch from one subject to another, likewise | 3; 4 |
/// | a touch, about once in 50 minutes of a session with a user | 4 |
///
/// and all others 1. The index is written first and cleaned last, so that it never
/// misses, wherever a process dies. For this the clocks of the servers may differ by
/// up to ten minutes. If the prefix has a part in braces, as `{session}:`, everything is in
/// one slot, and [`new`](Self::new) does for a cluster too, on one of its servers.
///
/// # Memory
///
/// A session with a body of 200 bytes takes about 460 bytes, the index of a user with
/// one session 200, and a tombstone 170; with what the server keeps beside, such a
/// user costs 800 bytes (Redis 7.0). The engine removes a record when its `expires_at`
/// has passed, by the clock of the server, so keep that right. An index goes an hour
/// after the last session in it.
///
/// **Set `maxmemory-policy noeviction`.** An evicted session is a logout. An evicted
/// index is worse: "log out everywhere" misses the sessions that were in it. Every
/// key here has a time to live, so the `volatile-` policies evict them like
/// the `allkeys-` ones. (Without its tombstone, a session comes back only if it was
/// being made at the moment when it was revoked.) Without eviction, a full server answers
/// writes by [`Unavailable`], except logouts, which are let through.
///
/// # Durability
///
/// | what happens | what may be lost |
/// | --- | --- |
/// | the process dies, `appendonly yes` | nothing |
/// | the machine dies, `appendfsync everysec` | the last second or two |
/// | the machine dies, `appendfsync always` | nothing |
/// | either, snapshots only | all since the last snapshot |
/// | a replica takes over | what it had not received yet |
///
/// What may be lost are writes that were acknowledged. A lost logout means
/// that **the session lives again**, until its deadline; a lost login that
/// the user logs in again; a lost entry of an index, in a cluster whose servers fail one
/// by one, that "log out everywhere" misses a session that logged in just before.
/// [`wait_for_replicas`](Self::wait_for_replicas) narrows it: a write that no replica has
/// is not acknowledged.
///
/// # Access
///
/// A user of the server needs
/// `~typed-session:* +get +getrange +setrange +set +exists +pexpireat +zadd +zrem +zrange +time
/// +eval +evalsha`, to [walk](super::Scan) `+scan +info +cluster|slots` and keys of the form
/// `~{*}`, to wait for replicas `+wait`, for [`changes`](Self::changes) `+client|tracking`, and
/// for [`DynStore::connect`](super::DynStore::connect) `+info`; what the driver asks of a
/// connection or a cluster comes on top.
///
/// [`Unavailable`]: super::ErrorKind::Unavailable
#[derive(Clone)]
pub struct RedisStore<C> {
    connection: C,
    prefix: Arc<str>,
    /// What the names of all indexes begin with.
    indexes: Arc<str>,
    layout: Layout,
    /// Where it is of use: apart.
    loaded: Option<Arc<Loaded>>,
    replicas: Option<Replicas>,
    scripts: Arc<Scripts>,
}

/// Where the index of a subject may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Layout {
    /// On the server of the record: one script changes both.
    Together,
    /// On any server of a cluster: first the one, then the other.
    Apart,
}

impl<C> RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    /// Makes a store on one server, be it with replicas and sentinels.
    ///
    /// Record and index are written in one step, by a script that also writes to
    /// the index of the subject before, which it is not called with.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self::with(connection, Layout::Together)
    }

    /// Makes a store on a cluster.
    ///
    /// It does on one server as well, if that lets scripts touch no key but those
    /// they are called with, as some hosted ones do.
    #[must_use]
    pub fn cluster(connection: C) -> Self {
        Self::with(connection, Layout::Apart)
    }

    fn with(connection: C, layout: Layout) -> Self {
        Self {
            connection,
            prefix: DEFAULT_PREFIX.into(),
            indexes: indexes(DEFAULT_PREFIX),
            layout,
            loaded: (layout == Layout::Apart).then(|| Arc::new(Loaded::new())),
            replicas: None,
            scripts: Arc::new(Scripts::new()),
        }
    }

    /// Sets what all keys begin with; `typed-session:` if not set.
    ///
    /// Then comes the [`SessionKey`] in hexadecimal, as it is logged, or `subject:` and
    /// the same of a [`Subject`].
    #[must_use]
    pub fn prefix(mut self, prefix: impl AsRef<str>) -> Self {
        self.prefix = prefix.as_ref().into();
        self.indexes = indexes(&self.prefix);
        self
    }

    /// Has every writing verb wait until so many replicas have what it wrote.
    ///
    /// It is a `WAIT` in the packet of the verb, so still one round trip. If fewer
    /// have it after `timeout`, the verb is [`Unavailable`], and the write
    /// may last or not. `timeout` is in whole milliseconds and must be shorter than
    /// the connection's own time limit.
    ///
    /// It is not consensus: a replica that has not received a write may still be
    /// chosen before one that has; the engine prefers the one that is further. And
    /// as long as too few replicas are up, also after one of two has taken over, no
    /// write is acknowledged: have more replicas than you wait for.
    ///
    /// A server does nothing else on a connection that waits, so the others who share
    /// it wait too, also who only loads: about as long as the way to a replica and back, or
    /// `timeout` for each write if there is none.
    ///
    /// [`Unavailable`]: super::ErrorKind::Unavailable
    #[must_use]
    pub fn wait_for_replicas(mut self, count: usize, timeout: Duration) -> Self {
        self.replicas = Some(Replicas { count, timeout });
        self
    }
}

impl<C> RedisStore<C> {
    fn record(&self, key: &SessionKey) -> String {
        named(&self.prefix, key.as_bytes())
    }

    fn index(&self, subject: &Subject) -> String {
        named(&self.indexes, subject.as_bytes())
    }
}

fn indexes(prefix: &str) -> Arc<str> {
    format!("{prefix}{INDEX}").into()
}

/// A name that ends as a key is written: with 64 hexadecimal digits.
fn named(beginning: &str, hash: &[u8; 32]) -> String {
    // Not by `format!`, which allocates three times, since it does not know the length.
    let mut name = String::with_capacity(beginning.len() + 2 * hash.len());
    name.push_str(beginning);
    name.push_str(&blake3::Hash::from_bytes(*hash).to_hex());
    name
}

/// The key of a record's name; an index's is none.
fn key_of(name: &[u8], prefix: &str) -> Option<SessionKey> {
    std::str::from_utf8(name.strip_prefix(prefix.as_bytes())?).ok()?.parse().ok()
}

const DEFAULT_PREFIX: &str = "typed-session:";

const INDEX: &str = "subject:";

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("layout", &self.layout)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}
