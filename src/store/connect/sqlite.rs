//! `sqlite:`

use std::str::FromStr;

use async_trait::async_trait;
use sqlx::Sqlite;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

use super::ConnectError;
use super::sql::{self, Opened};
use crate::store::erased::Connected;
use crate::store::{DynStore, Result, SqliteStore};

pub(super) async fn connect(
    url: &str,
    name: Option<&str>,
) -> std::result::Result<DynStore, ConnectError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(ConnectError::invalid)?
        // Loads go on while a session is written.
        .journal_mode(SqliteJournalMode::Wal);
    let pool = sql::pool::<Sqlite>(options).await?;
    sql::named(pool.clone(), SqliteStore::new(pool), name, SqliteStore::table)
}

#[async_trait]
impl Connected for Opened<SqliteStore, Sqlite> {
    async fn migrate(&self) -> Result<()> {
        self.store.migrate().await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
