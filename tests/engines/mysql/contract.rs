//! The contract, at every isolation and in every mode that a pool may have.

use sqlx::mysql::MySqlPoolOptions;
use typed_session::testing::conformance::{self, Suite};

use super::{on, options, pool_with, store};

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds() {
    let (store, _) = store("contract").await;
    conformance::run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_when_tasks_run_on_threads() {
    let (store, _) = store("contract_on_threads").await;
    let suite = Suite::new().spawn(|task| drop(tokio::spawn(task)));
    suite.run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_at_every_isolation() {
    for isolation in [
        "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    ] {
        let store = on(&pool_with(isolation).await, "contract_isolation").await;
        let suite = Suite::new().spawn(|task| drop(tokio::spawn(task)));
        suite.run(async || store.clone()).await;
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_without_strict_mode() {
    let store = on(&pool_with("SET SESSION sql_mode = ''").await, "contract_not_strict").await;
    conformance::run(async || store.clone()).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_on_one_connection() {
    let pool = MySqlPoolOptions::new().max_connections(1).connect_with(options()).await.unwrap();
    let store = on(&pool, "contract_one").await;
    conformance::run(async || store.clone()).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn bytes_are_as_they_are() {
    let (store, _) = store("bytes").await;
    crate::sql::bytes_are_as_they_are(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn users_see_and_end_their_sessions_and_have_so_many() {
    let (store, _) = store("devices").await;
    crate::devices::all(store).await;
}
