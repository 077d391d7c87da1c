//! A store by its URL, for programs that choose it in their configuration.

use super::erased::Connected;
use super::{DynStore, MemoryStore};

#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

impl DynStore {
    /// Opens the store that a URL names.
    ///
    /// | URL | store | feature |
    /// | --- | --- | --- |
    /// | `memory:` | [`MemoryStore`] | |
    /// | `sqlite:sessions.db?mode=rwc` (`rwc`: make the file if it is not there) | `SqliteStore` | `sqlite` |
    /// | `postgres://user:password@host/database` (or `postgresql:`) | `PostgresStore` | `postgres` |
    /// | `mysql://user:password@host/database` (or `mariadb:`) | `MySqlStore` | `mysql` |
    /// | `redis://:password@host:6379/0` (or `valkey:`; with TLS, if `redis/tokio-rustls-comp` is on, `rediss:` or `valkeys:`), not a cluster | `RedisStore` | `redis` |
    /// | `mongodb://host/database` (or, if `mongodb/dns-resolver` is on, `mongodb+srv:`) | `MongoStore` | `mongodb` |
    ///
    /// The connection is made here, so a server that is not there is an error now. What
    /// else the URL may say is the driver's affair.
    ///
    /// Past a limit a call is [`ErrorKind::Unavailable`](super::ErrorKind): five seconds
    /// for a connection of an SQL pool, five for an answer of Redis, ten for a command to
    /// MongoDB. An SQL server that takes a statement and never answers has none: put a
    /// [`TimeLimit`](super::TimeLimit) around the store.
    ///
    /// [`migrate`](Self::migrate) makes the tables. It also puts an SQLite file into WAL
    /// mode, for good, so that loads go on while a session is written; opening leaves the
    /// file's mode as it is.
    ///
    /// The drivers run on the runtime, and have the TLS, that they are built for: choose
    /// both by their own features, as `sqlx/runtime-tokio`,
    /// `sqlx/tls-rustls-ring-native-roots` and `redis/tokio-rustls-comp`. For
    /// anything but these defaults make the store by its own type, and hide that by
    /// [`new`](Self::new).
    ///
    /// ```
    /// use typed_session::store::DynStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let url = std::env::var("SESSIONS_URL").unwrap_or("memory:".to_owned());
    /// let store = DynStore::connect(&url).await?;
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If no store has that scheme, if the feature is not built in, if the URL makes no
    /// sense, or if the engine cannot be reached. The URL is never part of the message,
    /// because it may hold a password.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::connect_as(url, None).await
    }

    /// Opens the store that a URL names, under a name of its own there.
    ///
    /// The name is that of the table or collection, or the prefix of the keys:
    /// what the stores' `table`, `collection` or `prefix` takes.
    ///
    /// # Errors
    ///
    /// Like [`connect`](Self::connect), and if the name cannot be one.
    pub async fn connect_as(url: &str, name: Option<&str>) -> Result<Self, ConnectError> {
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        match scheme.as_str() {
            "memory" if url.len() == "memory:".len() && name.is_none() => {
                Ok(Self::connected(MemoryStore::new(), NothingToDo))
            }
            "memory" => Err(ConnectError::invalid("memory: takes neither a path nor a name")),
            #[cfg(feature = "sqlite")]
            "sqlite" => sqlite::connect(url, name).await,
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => Err(ConnectError::NotBuiltIn("sqlite")),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => postgres::connect(url, name).await,
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => Err(ConnectError::NotBuiltIn("postgres")),
            #[cfg(feature = "mysql")]
            "mysql" | "mariadb" => mysql::connect(url, name).await,
            #[cfg(not(feature = "mysql"))]
            "mysql" | "mariadb" => Err(ConnectError::NotBuiltIn("mysql")),
            #[cfg(feature = "redis")]
            "redis" | "rediss" | "valkey" | "valkeys" => redis::connect(url, name).await,
            #[cfg(not(feature = "redis"))]
            "redis" | "rediss" | "valkey" | "valkeys" => Err(ConnectError::NotBuiltIn("redis")),
            #[cfg(feature = "mongodb")]
            "mongodb" | "mongodb+srv" => mongodb::connect(url, name).await,
            #[cfg(not(feature = "mongodb"))]
            "mongodb" | "mongodb+srv" => Err(ConnectError::NotBuiltIn("mongodb")),
            _ => Err(ConnectError::UnknownScheme),
        }
    }
}

/// A store that needs no tables and no farewell.
struct NothingToDo;

impl Connected for NothingToDo {}

/// No store could be opened by a URL.
///
/// The URL is not in the message: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No store of this library has such a URL.
    #[error(
        "a store's URL begins with memory:, sqlite:, postgres: or postgresql:, mysql: or mariadb:, \
         redis:, rediss:, valkey: or valkeys:, mongodb: or mongodb+srv:"
    )]
    UnknownScheme,
    /// The store is there, and this program was built without it.
    #[error("this program was built without the feature `{0}` of typed-session")]
    NotBuiltIn(&'static str),
    /// The URL, or the name, makes no sense to the engine's driver.
    #[error("the store's URL makes no sense")]
    Invalid(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine cannot be reached, or lets nobody in.
    #[error("the store cannot be opened")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ConnectError {
    /// For a URL that the driver refuses. What the driver says of it is dropped: that
    /// may show a piece of the password.
    #[cfg(any(
        feature = "mongodb",
        feature = "mysql",
        feature = "postgres",
        feature = "redis",
        feature = "sqlite"
    ))]
    fn unreadable() -> Self {
        Self::invalid(
            "the driver cannot read it; in a password, all but letters and digits is written `%..`",
        )
    }

    fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Invalid(reason.into())
    }
}
