//! Transactions.

use futures_executor::block_on;
use serde::{Deserialize, Serialize};
use typed_session::store::MemoryStore;
use typed_session::{Error, SessionData, SessionLayer, Verdict};

/// Data that loses its own encoding.
#[derive(Default, Deserialize, Serialize)]
struct Forgetful {
    #[serde(skip_serializing_if = "is_seven")]
    number: u32,
}

fn is_seven(number: &u32) -> bool {
    *number == 7
}

impl SessionData for Forgetful {}

#[test]
fn a_transaction_on_data_that_does_not_decode_is_an_error_and_no_endless_loop() {
    let sessions = SessionLayer::<Forgetful, _>::new(MemoryStore::new());
    let exchange = sessions.open([]);
    let error = block_on(async {
        let session = exchange.session().await.unwrap();
        session.update(|data| data.number = 7);
        session.transact(|data| data.number += 1).await.unwrap_err()
    });
    assert!(matches!(error, Error::Lost(Verdict::Undecodable)), "{error}");
}
