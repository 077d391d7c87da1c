//! A Redis cluster: three primaries, each with a replica.

use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use typed_session::store::RedisStore;
use typed_session::testing::conformance::Suite;

use crate::server::{Kind, shared};

async fn connect(urls: &str) -> ClusterConnection {
    let client = ClusterClientBuilder::new(urls.split(',')).build().unwrap();
    client.get_async_connection().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_cluster_keeps_the_contract() {
    let connection = connect(&shared(Kind::RedisCluster)).await;
    let suite = Suite::new().native_expiry().spawn(|task| {
        tokio::spawn(task);
    });
    let fresh =
        async || RedisStore::cluster(connection.clone()).prefix(crate::redis::fresh_prefix());
    suite.run(fresh).await;
}
