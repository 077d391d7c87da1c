//! What is the same for all SQL databases.

use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database, Pool};

use super::ConnectError;
use crate::store::erased::Connected;
use crate::store::{DynStore, Scan, TableNameError};

/// How long a request waits for a connection, before it is answered with a 503.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn pool<DB: Database>(
    options: <DB::Connection as Connection>::Options,
) -> Result<Pool<DB>, ConnectError> {
    let pool = PoolOptions::new().acquire_timeout(PATIENCE);
    pool.connect_with(options).await.map_err(|error| ConnectError::Failed(error.into()))
}

/// A store with the pool that was opened for it.
pub(super) struct Opened<S, DB: Database> {
    pub(super) store: S,
    pub(super) pool: Pool<DB>,
}

/// Hides a store whose table has a name of its own, or not.
pub(super) fn named<S: Scan + Clone, DB: Database>(
    pool: Pool<DB>,
    store: S,
    name: Option<&str>,
    table: impl FnOnce(S, &str) -> Result<S, TableNameError>,
) -> Result<DynStore, ConnectError>
where
    Opened<S, DB>: Connected,
{
    let store = match name {
        Some(name) => table(store, name).map_err(ConnectError::invalid)?,
        None => store,
    };
    Ok(DynStore::connected(store.clone(), Opened { store, pool }))
}
