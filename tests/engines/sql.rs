//! What the tests of the SQL stores share.

use typed_session::store::{ErrorKind, Inserted, Replaced, Revision, Scan};
use typed_session::{Record, SessionKey};

use crate::{at, key, numbered, record, tombstone};

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

/// What each verb's failure is of.
pub(crate) async fn kinds(store: &impl Scan) -> Vec<ErrorKind> {
    let (first, its) = (Revision::from_u64(1), record(2, None, 5));
    [
        store.load(&key(1)).await.map(drop),
        store.insert(&key(1), &its).await.map(drop),
        store.replace(&key(1), first, &its).await.map(drop),
        store.touch(&key(1), first, at(9)).await,
        store.end(&key(1), &tombstone(9)).await,
        store.sessions_of(&"alice".into(), None, 9).await.map(drop),
        store.remove_expired(at(9), 9).await.map(drop),
        store.scan(None, 9).await.map(drop),
    ]
    .into_iter()
    .map(|outcome| outcome.unwrap_err().kind())
    .collect()
}

/// Keys and bodies that text, padding or signs would spoil.
pub(crate) async fn bytes_are_as_they_are(store: &impl Scan) {
    let keys = [[0; 32], [b' '; 32], *b"'\\\"%_\0\r\n\x1a;--/* */ ?1 $1 :a @b \0\xff", [0xff; 32]];
    let bodies = [vec![], (0..=255).collect(), vec![0; 70_000], b"\xff\xfe'; --".to_vec()];
    let deadlines = [i64::MIN, -1, 0, i64::MAX];
    let mut written = Vec::new();
    for ((key, body), deadline) in keys.into_iter().zip(bodies).zip(deadlines) {
        let key = SessionKey::from_bytes(key);
        let its = Record { body: body.into(), ..record(1, Some("alice"), deadline) };
        assert_eq!(store.insert(&key, &its).await.unwrap(), Inserted::Created);
        assert_eq!(store.insert(&key, &its).await.unwrap(), Inserted::Exists);
        assert_eq!(store.load(&key).await.unwrap(), Some(its.clone()));
        // The same again, but for the revision, is a change like any other.
        let next = Record { revision: Revision::from_u64(2), ..its.clone() };
        assert_eq!(store.replace(&key, its.revision, &next).await.unwrap(), Replaced::Done);
        assert_eq!(store.load(&key).await.unwrap(), Some(next));
        written.push(key);
    }
    written.sort();
    let alice = "alice".into();
    assert_eq!(store.sessions_of(&alice, None, 9).await.unwrap(), written);
    for (index, key) in written.iter().enumerate() {
        let rest = store.sessions_of(&alice, Some(key), 9).await.unwrap();
        assert_eq!(rest, written[index + 1..]);
    }
    let (mut walked, mut page) = (Vec::new(), store.scan(None, 1).await.unwrap());
    loop {
        walked.extend(page.rows.iter().map(|row| row.key));
        match page.next {
            Some(next) => page = store.scan(Some(&next), 1).await.unwrap(),
            None => break,
        }
    }
    assert_eq!(walked, written);
}
