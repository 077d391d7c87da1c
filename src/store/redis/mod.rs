//! Sessions in Redis or Valkey.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;

use self::script::{Replicas, Scripts};
use crate::id::SessionKey;
use crate::subject::Subject;

mod error;
mod row;
mod scan;
mod script;
mod verbs;

/// A store in Redis or Valkey, on a connection of yours.
#[derive(Clone)]
pub struct RedisStore<C> {
    connection: C,
    prefix: Arc<str>,
    layout: Layout,
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
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self::with(connection, Layout::Together)
    }

    /// Makes a store on a cluster.
    ///
    /// It may also be used on one server whose scripts may touch no key but those
    /// they are called with, as some hosted ones have it.
    #[must_use]
    pub fn cluster(connection: C) -> Self {
        Self::with(connection, Layout::Apart)
    }

    fn with(connection: C, layout: Layout) -> Self {
        Self {
            connection,
            prefix: DEFAULT_PREFIX.into(),
            layout,
            replicas: None,
            scripts: Arc::new(Scripts::new()),
        }
    }

    /// Sets what all keys begin with; `typed-session:` if not set.
    #[must_use]
    pub fn prefix(mut self, prefix: impl AsRef<str>) -> Self {
        self.prefix = prefix.as_ref().into();
        self
    }

    /// Has every writing verb wait until so many replicas have what it wrote.
    ///
    /// Past `timeout` it is [`ErrorKind::Unavailable`](super::ErrorKind::Unavailable).
    #[must_use]
    pub fn wait_for_replicas(mut self, count: usize, timeout: Duration) -> Self {
        self.replicas = Some(Replicas { count, timeout });
        self
    }
}

impl<C> RedisStore<C> {
    fn record(&self, key: &SessionKey) -> String {
        format!("{}{key}", self.prefix)
    }

    /// What the names of all indexes begin with.
    fn indexes(&self) -> String {
        format!("{}{INDEX}", self.prefix)
    }

    fn index(&self, subject: &Subject) -> String {
        // As a key is written: 64 hexadecimal digits.
        format!("{}{INDEX}{}", self.prefix, SessionKey::from_bytes(*subject.as_bytes()))
    }
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
