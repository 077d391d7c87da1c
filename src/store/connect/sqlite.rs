//! `sqlite:`

use std::str::FromStr;

use async_trait::async_trait;
use sqlx::Sqlite;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use super::ConnectError;
use super::sql::{self, Opened};
use crate::store::erased::Connected;
use crate::store::{DynStore, Error, ErrorKind, Result, SqliteStore};

pub(super) async fn connect(
    url: &str,
    name: Option<&str>,
) -> std::result::Result<DynStore, ConnectError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|_| ConnectError::unreadable())?;
    let pool = sql::pool::<Sqlite>(options).await?;
    sql::named(pool.clone(), SqliteStore::new(pool), name, SqliteStore::table)
}

#[async_trait]
impl Connected for Opened<SqliteStore, Sqlite> {
    async fn migrate(&self) -> Result<()> {
        log_ahead(&self.pool).await.map_err(|error| match is_busy(&error) {
            true => Error::new(ErrorKind::Unavailable, error),
            false => Error::new(ErrorKind::Other, error),
        })?;
        self.store.migrate().await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// How often a file is taken that others take at once.
const TRIES: usize = 100;

/// Puts the file into WAL mode, where loads go on while a session is written.
async fn log_ahead(pool: &SqlitePool) -> sqlx::Result<()> {
    for _ in 1..TRIES {
        match sqlx::raw_sql(WAL).execute(pool).await {
            // Unlike any other statement this one does not wait for others.
            Err(error) if is_busy(&error) => {
                pool.begin_with("BEGIN EXCLUSIVE").await?.commit().await?
            }
            done => return done.map(drop),
        }
    }
    sqlx::raw_sql(WAL).execute(pool).await.map(drop)
}

const WAL: &str = "PRAGMA journal_mode = WAL";

// https://www.sqlite.org/rescode.html#busy
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| code & 0xff == 5)
}
