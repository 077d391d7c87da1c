//! The contract, at every isolation that a pool may have.

use sqlx::postgres::PgPoolOptions;
use typed_session::testing::conformance::{self, Suite};

use super::{on, options, store};

/// The contract is not about the disk: no commit waits for it.
const QUICK: (&str, &str) = ("synchronous_commit", "off");

fn many() -> PgPoolOptions {
    PgPoolOptions::new().max_connections(12)
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds() {
    let pool = many().connect_with(options().options([QUICK])).await.unwrap();
    let store = on(&pool, "contract").await;
    conformance::run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_when_tasks_run_on_threads() {
    let pool = many().connect_with(options().options([QUICK])).await.unwrap();
    let store = on(&pool, "contract_on_threads").await;
    let suite = Suite::new().spawn(|task| drop(tokio::spawn(task)));
    suite.run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_at_every_isolation() {
    for isolation in ["read uncommitted", "repeatable read", "serializable"] {
        let options = options().options([QUICK, ("default_transaction_isolation", isolation)]);
        let pool = many().connect_with(options).await.unwrap();
        let store = on(&pool, "contract_isolation").await;
        let suite = Suite::new().spawn(|task| drop(tokio::spawn(task)));
        suite.run(async || store.clone()).await;
    }
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_on_one_connection() {
    let options = options().options([QUICK]);
    let pool = many().max_connections(1).connect_with(options).await.unwrap();
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
