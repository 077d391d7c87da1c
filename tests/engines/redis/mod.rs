//! Redis and Valkey: what holds for one server of either.

use std::sync::atomic::{AtomicU32, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use typed_session::store::RedisStore;
use typed_session::testing::conformance::Suite;

mod on_redis;
mod on_valkey;

/// A prefix that no other test has, nor one before on the same server.
pub(crate) fn fresh_prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}:", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn connect(url: &str) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let client = Client::open(url).unwrap();
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

async fn store(url: &str) -> RedisStore<MultiplexedConnection> {
    RedisStore::new(connect(url).await).prefix(fresh_prefix())
}

fn suite() -> Suite {
    Suite::new().native_expiry().spawn(|task| {
        tokio::spawn(task);
    })
}

async fn keeps_the_contract(url: &str) {
    suite().run(async || store(url).await).await;
}

/// As on a server that lets scripts touch no key but those they are called with.
async fn keeps_the_contract_key_by_key(url: &str) {
    suite().run(async || RedisStore::cluster(connect(url).await).prefix(fresh_prefix())).await;
}
