//! `sqlite:`

use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

use super::ConnectError;
use crate::store::{DynStore, SqliteStore};

pub(super) async fn connect(url: &str, name: Option<&str>) -> Result<DynStore, ConnectError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(ConnectError::invalid)?
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options)
        .await
        .map_err(ConnectError::failed)?;
    let store = SqliteStore::new(pool);
    let store = match name {
        Some(name) => store.table(name).map_err(ConnectError::invalid)?,
        None => store,
    };
    Ok(DynStore::connected(store.clone(), move || {
        let store = store.clone();
        async move { store.migrate().await }
    }))
}
