//! `redis:` and `valkey:`, `rediss:` and `valkeys:`

use std::time::Duration;

use redis::aio::ConnectionManagerConfig;

use super::{ConnectError, NothingToDo};
use crate::store::{DynStore, RedisStore};

/// How long a verb waits for its answer, before the request is answered with a 503.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn connect(url: &str, name: Option<&str>) -> Result<DynStore, ConnectError> {
    let client = redis::Client::open(url).map_err(|error| match error.detail() {
        // Words that are always the same, as that TLS is not built in.
        None => ConnectError::invalid(error),
        Some(_) => ConnectError::unreadable(),
    })?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        // The next request tries again, anyway.
        .set_number_of_retries(1);
    let connecting = client.get_connection_manager_with_config(config);
    let mut connection = connecting.await.map_err(|error| ConnectError::Failed(error.into()))?;
    let about: String = redis::cmd("INFO")
        .arg("cluster")
        .query_async(&mut connection)
        .await
        .map_err(|error| ConnectError::Failed(error.into()))?;
    if about.contains("cluster_enabled:1") {
        return Err(ConnectError::invalid(
            "this is a cluster, which no URL names; make a RedisStore::cluster of a cluster client",
        ));
    }
    let store = RedisStore::new(connection);
    let store = match name {
        Some(prefix) => store.prefix(prefix),
        None => store,
    };
    Ok(DynStore::connected(store, NothingToDo))
}
