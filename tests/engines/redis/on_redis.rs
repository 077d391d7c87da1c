//! Redis.

use crate::url;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn redis_keeps_the_contract() {
    super::keeps_the_contract(&url("REDIS_URL")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn redis_keeps_the_contract_key_by_key() {
    super::keeps_the_contract_key_by_key(&url("REDIS_URL")).await;
}
