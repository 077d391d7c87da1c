//! Session data that changes its type, its version and its encoding while
//! sessions of it are alive.

use std::sync::Arc;

use futures_executor::block_on;
use serde::{Deserialize, Serialize};
use typed_session::data::Value;
use typed_session::store::{MemoryStore, Store};
use typed_session::{SessionData, SessionKey, SessionLayer, Verdict};

type Rows = Arc<MemoryStore>;

/// What one request makes of a session.
struct Visit<R> {
    verdict: Verdict,
    result: R,
    key: Option<SessionKey>,
    /// As the next request carries it.
    cookie: String,
}

/// One request of a program whose sessions have data of type `T`.
fn visit<T: SessionData, R>(
    sessions: &SessionLayer<T, Rows>,
    cookie: &str,
    change: impl FnOnce(&mut T) -> R,
) -> Visit<R> {
    block_on(async {
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = exchange.session().await.unwrap();
        let (verdict, result) = (session.verdict(), session.update(change));
        let outcome = exchange.finish().await;
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        let set = outcome.effects.set_cookie();
        let cookie = set.and_then(|line| line.split(';').next()).unwrap_or(cookie).to_owned();
        Visit { verdict, result, key: session.key(), cookie }
    })
}

fn body(rows: &Rows, key: SessionKey) -> Vec<u8> {
    block_on(rows.load(&key)).unwrap().unwrap().body.to_vec()
}

#[derive(Default, Deserialize, Serialize)]
struct First {
    name: String,
    dropped: u8,
}

impl SessionData for First {}

/// The same version: a field is new, and another is gone.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Grown {
    name: String,
    added: Option<u32>,
}

impl SessionData for Grown {}

/// Another version, which knows how to read the first.
#[derive(Default, Deserialize, Serialize)]
struct Second {
    names: Vec<String>,
}

impl SessionData for Second {
    const VERSION: u32 = 2;

    fn migrate(from: u32, value: Value) -> Option<Self> {
        let name = value.get("name")?.as_str()?;
        (from == 0).then(|| Self { names: vec![name.to_owned()] })
    }
}

/// Another version, which does not know.
#[derive(Default, Deserialize, Serialize)]
struct Foreign {
    name: u64,
}

impl SessionData for Foreign {
    const VERSION: u32 = 3;
}

fn first(rows: &Rows) -> Visit<()> {
    let sessions = SessionLayer::<First, _>::new(Arc::clone(rows));
    visit(&sessions, "", |data| *data = First { name: "ann".into(), dropped: 1 })
}

#[test]
fn a_field_more_or_less_is_no_migration() {
    let rows = Rows::default();
    let created = first(&rows);
    let sessions = SessionLayer::<Grown, _>::new(Arc::clone(&rows));
    let next = visit(&sessions, &created.cookie, |data| {
        data.added = Some(7);
        data.name.clone()
    });
    assert_eq!((next.verdict, &*next.result), (Verdict::Resumed, "ann"));
    let last = visit(&sessions, &created.cookie, |data| data.added);
    assert_eq!(last.result, Some(7));
}

#[test]
fn data_of_an_older_version_is_migrated_and_written_as_the_new_one() {
    let rows = Rows::default();
    let created = first(&rows);
    let sessions = SessionLayer::<Second, _>::new(Arc::clone(&rows));
    let next = visit(&sessions, &created.cookie, |data| data.names.push("bob".into()));
    assert_eq!(next.verdict, Verdict::Resumed);
    let last = visit(&sessions, &created.cookie, |data| data.names.clone());
    assert_eq!(last.result, ["ann", "bob"]);
    let body = body(&rows, created.key.unwrap());
    assert!(body.ends_with(br#"{"names":["ann","bob"]}"#));
}

#[test]
fn data_of_an_older_version_that_is_only_read_stays_as_it_is() {
    let rows = Rows::default();
    let created = first(&rows);
    let before = body(&rows, created.key.unwrap());
    let sessions = SessionLayer::<Second, _>::new(Arc::clone(&rows));
    block_on(async {
        let exchange = sessions.open([created.cookie.as_bytes()]);
        let session = exchange.session().await.unwrap();
        assert_eq!(session.read(|data| data.names.clone()), ["ann"]);
        assert!(exchange.finish().await.effects.set_cookie().is_none());
    });
    assert_eq!(body(&rows, created.key.unwrap()), before);
}

#[test]
fn data_of_an_unknown_version_is_kept_and_the_user_gets_a_fresh_session() {
    let rows = Rows::default();
    let created = first(&rows);
    let before = body(&rows, created.key.unwrap());
    let sessions = SessionLayer::<Foreign, _>::new(Arc::clone(&rows));
    let next = visit(&sessions, &created.cookie, |data| data.name = 5);
    assert_eq!(next.verdict, Verdict::Undecodable);
    assert_ne!(next.cookie, created.cookie);
    assert_eq!(body(&rows, created.key.unwrap()), before);

    // Back at the first version, nothing was lost.
    let sessions = SessionLayer::<First, _>::new(Arc::clone(&rows));
    assert_eq!(visit(&sessions, &created.cookie, |data| data.name.clone()).result, "ann");
}

#[cfg(feature = "messagepack")]
mod messagepack {
    use super::*;
    use typed_session::Encoding;

    fn packed(rows: &Rows) -> SessionLayer<First, Rows> {
        SessionLayer::new(Arc::clone(rows)).encoding(Encoding::MessagePack)
    }

    #[test]
    fn a_running_system_changes_its_encoding_there_and_back() {
        let rows = Rows::default();
        let created = first(&rows);
        let key = created.key.unwrap();
        let json = body(&rows, key);

        let next = visit(&packed(&rows), &created.cookie, |data| data.name.clone());
        assert_eq!((next.verdict, &*next.result), (Verdict::Resumed, "ann"));
        assert_eq!(body(&rows, key), json, "an update that changes nothing writes nothing");

        visit(&packed(&rows), &created.cookie, |data| data.dropped = 2);
        // A map of two, with the names of its fields.
        assert!(body(&rows, key).ends_with(b"\x82\xa4name\xa3ann\xa7dropped\x02"));
        visit(&packed(&rows), &created.cookie, |data| data.dropped = 2);

        let sessions = SessionLayer::<First, _>::new(Arc::clone(&rows));
        let last =
            visit(&sessions, &created.cookie, |data| std::mem::replace(&mut data.dropped, 1));
        assert_eq!((last.verdict, last.result), (Verdict::Resumed, 2));
        assert!(body(&rows, key).ends_with(br#"{"name":"ann","dropped":1}"#));
    }

    #[test]
    fn packed_data_is_migrated_as_json_is() {
        let rows = Rows::default();
        let created = visit(&packed(&rows), "", |data| data.name = "ann".into());
        let sessions = SessionLayer::<Second, _>::new(Arc::clone(&rows));
        assert_eq!(visit(&sessions, &created.cookie, |data| data.names.clone()).result, ["ann"]);
    }

    #[test]
    fn packed_data_with_something_after_it_is_undecodable() {
        let rows = Rows::default();
        let created = visit(&packed(&rows), "", |data| data.name = "ann".into());
        let key = created.key.unwrap();
        block_on(async {
            let mut record = rows.load(&key).await.unwrap().unwrap();
            let before = record.revision;
            record.body.0.push(0);
            record.revision = typed_session::Revision::from_u64(before.as_u64() + 1);
            let replaced = rows.replace(&key, before, &record).await.unwrap();
            assert_eq!(replaced, typed_session::store::Replaced::Done);
        });
        let next = visit(&packed(&rows), &created.cookie, |_| ());
        assert_eq!(next.verdict, Verdict::Undecodable);
    }
}
