//! What the tests of the SQL stores share.

use typed_session::store::{Revision, Scan};

use crate::{at, numbered, record, tombstone};

/// The statements of a store's source, as it says them, under their names.
pub(crate) fn statements(source: &'static str) -> Vec<(&'static str, &'static str)> {
    let all: Vec<_> = source
        .split("const ")
        .filter_map(|rest| {
            let (name, text) = rest.split_once(": &str = r#\"")?;
            Some((name, text.split_once("\"#;")?.0))
        })
        .collect();
    assert_eq!(all.len(), 8, "{all:?}");
    all
}

/// Each verb `times` over, a refused replace among them.
pub(crate) async fn every_verb(store: &impl Scan, times: u64) {
    let far = i64::MAX / 2;
    for number in 0..times {
        let key = numbered(number);
        let _ = store.insert(&key, &record(1, Some("alice"), far)).await.unwrap();
        store.load(&key).await.unwrap();
        store.touch(&key, Revision::from_u64(1), at(far + 1)).await.unwrap();
        let _ = store.replace(&key, Revision::from_u64(1), &record(2, None, far)).await.unwrap();
        store.end(&key, &tombstone(far)).await.unwrap();
        store.sessions_of(&"alice".into(), None, 10).await.unwrap();
        store.remove_expired(at(5), 10).await.unwrap();
        store.scan(None, 10).await.unwrap();
    }
}
