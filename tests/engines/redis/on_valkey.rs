//! Valkey.

use crate::url;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn valkey_keeps_the_contract() {
    super::keeps_the_contract(&url("VALKEY_URL")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn valkey_keeps_the_contract_key_by_key() {
    super::keeps_the_contract_key_by_key(&url("VALKEY_URL")).await;
}
