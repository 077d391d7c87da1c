//! What holds for the MongoDB store, against a real server.
//!
//! `./tests/run engines` says which: a `mongod`, or SecantusDB, which speaks
//! MongoDB's protocol and is another program. Where they differ, the tests say so.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection, Database};
use typed_session::store::{
    Body, ErrorKind, Inserted, MongoStore, Replaced, Revision, Scan, Store,
};
use typed_session::testing::conformance::Suite;
use typed_session::{Record, SessionKey, Subject, Timestamp};

use crate::faults::{LIMIT, at_last};
use crate::server::{Kind, Server, shared};

/// A database of its own for one test, gone with its runtime's end if nothing failed.
struct Bench {
    database: Database,
    sent: Sent,
}

type Sent = Arc<Mutex<Vec<(String, Document)>>>;

async fn client(url: &str) -> (Client, Sent) {
    let mut options = ClientOptions::parse(url).await.unwrap();
    let sent = Sent::default();
    let log = Arc::clone(&sent);
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(started) = event {
            log.lock().unwrap().push((started.command_name, started.command));
        }
    }));
    options.server_selection_timeout = Some(Duration::from_secs(5));
    (Client::with_options(options).unwrap(), sent)
}

impl Bench {
    async fn new(test: &str) -> Self {
        let (client, sent) = client(&shared(Kind::MongoDb)).await;
        let database = client.database(&format!("typed_session_{test}"));
        database.drop().await.unwrap();
        Self { database, sent }
    }

    /// A store whose server removes nothing by itself: its TTL index is a plain one.
    async fn store(&self) -> MongoStore {
        let store = self.store_with_ttl().await;
        self.documents().drop_index("remove_at_1").await.unwrap();
        let plain = mongodb::IndexModel::builder().keys(doc! { "remove_at": 1 }).build();
        self.documents().create_index(plain).await.unwrap();
        self.commands();
        store
    }

    async fn store_with_ttl(&self) -> MongoStore {
        let store = MongoStore::new(self.database.clone());
        self.commands();
        store.migrate().await.unwrap();
        assert_eq!(self.commands(), ["createIndexes"]);
        store
    }

    fn documents(&self) -> Collection<Document> {
        self.database.collection("typed_sessions")
    }

    /// The names of the commands that were sent since the last call.
    fn commands(&self) -> Vec<String> {
        self.sent.lock().unwrap().drain(..).map(|(name, _)| name).collect()
    }

    /// Whether this is MongoDB itself.
    async fn is_mongod(&self) -> bool {
        let admin = self.database.client().database("admin");
        // A command that only the other has.
        admin.run_command(doc! { "secantusAdmin.pruneTtl": 1 }).await.is_err()
    }

    async fn done(self) {
        self.database.drop().await.unwrap();
    }
}

fn key(number: u64) -> SessionKey {
    SessionKey::from_bytes(*Subject::from(number).as_bytes())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn record(revision: u64, subject: Option<&str>, millis: i64) -> Record {
    Record {
        revision: Revision::from_u64(revision),
        subject: subject.map(Subject::from),
        expires_at: at(millis),
        body: Body(format!("body {revision}").into_bytes()),
    }
}

fn tombstone(millis: i64) -> Record {
    Record { revision: Revision::ENDED, ..record(7, None, millis) }
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// In the year 2100.
const LATER: i64 = 4_102_444_800_000;

/// The whole contract, races included. Without the TTL index, which would remove what the suite
/// lets expire while it looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds() {
    let bench = Bench::new("contract").await;
    let store = bench.store().await;
    // SecantusDB takes milliseconds for each command, and its clients wait for each other.
    let runs = if bench.is_mongod().await { 30 } else { 2 };
    Suite::new().runs(runs).run(async || store.clone()).await;
    let suite = Suite::new().runs(1).spawn(|task| drop(tokio::spawn(task)));
    suite.run(async || store.clone()).await;
    bench.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_while_the_server_removes_what_has_expired() {
    let bench = Bench::new("contract_ttl").await;
    let store = bench.store_with_ttl().await;
    Suite::new().native_expiry().runs(1).run(async || store.clone()).await;
    bench.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_contract_holds_for_linearizable_loads() {
    let bench = Bench::new("linearizable").await;
    let store = bench.store_with_ttl().await.linearizable();
    Suite::new().native_expiry().runs(1).run(async || store.clone()).await;
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn every_verb_is_one_command() {
    let bench = Bench::new("commands").await;
    let store = bench.store().await;
    let alice = Subject::from("alice");
    let first = record(1, Some("alice"), LATER);
    assert_eq!(store.insert(&key(1), &first).await.unwrap(), Inserted::Created);
    assert_eq!(bench.commands(), ["insert"]);
    assert_eq!(store.insert(&key(1), &first).await.unwrap(), Inserted::Exists);
    assert_eq!(bench.commands(), ["insert"]);
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(first.clone()));
    assert_eq!(bench.commands(), ["find"]);
    let second = record(2, Some("alice"), LATER);
    let done = store.replace(&key(1), first.revision, &second).await.unwrap();
    assert_eq!((done, bench.commands()), (Replaced::Done, vec!["update".to_owned()]));
    let refused = store.replace(&key(1), first.revision, &second).await.unwrap();
    assert_eq!(refused, Replaced::Conflict(Some(second.clone())));
    assert_eq!(bench.commands(), ["update", "find"]);
    store.touch(&key(1), second.revision, at(LATER + 1)).await.unwrap();
    assert_eq!(bench.commands(), ["update"]);
    store.end(&key(2), &tombstone(5)).await.unwrap();
    assert_eq!(bench.commands(), ["update"]);
    for limit in [1, 2, 100] {
        assert_eq!(store.sessions_of(&alice, None, limit).await.unwrap(), [key(1)]);
        assert_eq!(bench.commands(), ["find"], "{limit}");
    }
    assert_eq!(store.sessions_of(&alice, None, 0).await.unwrap(), []);
    assert_eq!(bench.commands(), [""; 0]);
    assert_eq!(store.remove_expired(at(5), 1).await.unwrap(), 1);
    assert_eq!(bench.commands(), ["find", "delete"]);
    assert_eq!(store.remove_expired(at(5), 1).await.unwrap(), 0);
    assert_eq!(bench.commands(), ["find"]);
    assert_eq!(store.scan(None, 10).await.unwrap().rows.len(), 1);
    assert_eq!(bench.commands(), ["find"]);
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn writes_ask_for_the_majority_and_its_journal_whatever_the_client_was_told() {
    let weak = "w=1&journal=false&readConcernLevel=available&readPreference=nearest";
    let url = shared(Kind::MongoDb);
    let url = format!("{url}{}{weak}", if url.contains('?') { "&" } else { "/?" });
    let (client, sent) = client(&url).await;
    let store = MongoStore::new(client.database("typed_session_concerns"));
    store.migrate().await.unwrap();
    assert_eq!(store.remove_expired(Timestamp::MAX, 100).await.unwrap(), 0);
    sent.lock().unwrap().clear();
    let concern = |command: &Document, name: &str| command.get_document(name).cloned().unwrap();

    let _ = store.insert(&key(1), &record(1, None, LATER)).await.unwrap();
    let _ = store.replace(&key(1), Revision::from_u64(1), &record(2, None, 5)).await.unwrap();
    store.touch(&key(1), Revision::from_u64(2), at(6)).await.unwrap();
    store.end(&key(1), &tombstone(6)).await.unwrap();
    assert_eq!(store.remove_expired(at(6), 10).await.unwrap(), 1);
    let commands = std::mem::take(&mut *sent.lock().unwrap());
    let wanted = doc! { "w": "majority", "j": true, "wtimeout": 10_000 };
    for (name, command) in commands.iter().filter(|(name, _)| name != "find") {
        let got = concern(command, "writeConcern");
        assert_eq!(got.get_str("w").unwrap(), "majority", "{name}");
        assert!(got.get_bool("j").unwrap(), "{name}");
        assert_eq!(got.len(), wanted.len(), "{got}");
    }
    let read = concern(&commands.iter().find(|(name, _)| name == "find").unwrap().1, "readConcern");
    assert_eq!(read.get_str("level").unwrap(), "local");

    store.clone().linearizable().load(&key(1)).await.unwrap();
    let (_, command) = sent.lock().unwrap().pop().unwrap();
    assert_eq!(concern(&command, "readConcern").get_str("level").unwrap(), "linearizable");
    assert!(command.contains_key("maxTimeMS"), "{command}");
    client.database("typed_session_concerns").drop().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_document_is_this_one() {
    let bench = Bench::new("document").await;
    let store = bench.store().await;
    let mut session = record(3, Some("alice"), LATER);
    let _ = store.insert(&key(1), &session).await.unwrap();
    let wanted = |millis: i64, date: i64| {
        doc! {
            "_id": binary(key(1).as_bytes()),
            "revision": 3_i64,
            "subject": binary(Subject::from("alice").as_bytes()),
            "expires_at": millis,
            "remove_at": DateTime::from_millis(date),
            "body": binary(b"body 3"),
        }
    };
    let there = async || bench.documents().find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(there().await, wanted(LATER, LATER));
    store.touch(&key(1), session.revision, at(LATER + 7)).await.unwrap();
    assert_eq!(there().await, wanted(LATER + 7, LATER + 7));

    // No date is earlier than the deadline, or one that a calendar has not.
    let last = 253_402_300_799_999;
    for (millis, date) in [(i64::MAX, last), (last + 1, last), (i64::MIN, 0), (-1, 0), (1, 1)] {
        bench.documents().delete_many(doc! {}).await.unwrap();
        session.expires_at = at(millis);
        let _ = store.insert(&key(1), &session).await.unwrap();
        assert_eq!(there().await, wanted(millis, date));
    }
    let ended = |millis: i64| {
        doc! {
            "_id": binary(key(1).as_bytes()),
            "revision": i64::MAX,
            "expires_at": millis,
            "remove_at": DateTime::from_millis(millis),
            "body": binary(b"body 7"),
        }
    };
    for (tombstone_at, deadline) in [(50, 50), (40, 50), (60, 60)] {
        store.end(&key(1), &tombstone(tombstone_at)).await.unwrap();
        assert_eq!(there().await, ended(deadline));
    }
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn any_number_of_clients_migrate_at_once() {
    let bench = Bench::new("migrate").await;
    let start = Arc::new(tokio::sync::Barrier::new(8));
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (client, _) = client(&shared(Kind::MongoDb)).await;
        let store = MongoStore::new(client.database(bench.database.name()));
        let start = Arc::clone(&start);
        tasks.push(tokio::spawn(async move {
            start.wait().await;
            store.migrate().await.unwrap();
            store.migrate().await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut indexes = Vec::new();
    let mut listed = bench.documents().list_indexes().await.unwrap();
    while listed.advance().await.unwrap() {
        let index = listed.deserialize_current().unwrap();
        let options = index.options.unwrap();
        let name = options.name.unwrap();
        indexes.push((name, index.keys, options.expire_after, options.partial_filter_expression));
    }
    indexes.sort_by(|one, other| one.0.cmp(&other.0));
    let subject = doc! { "subject": { "$exists": true } };
    assert_eq!(
        indexes,
        [
            ("_id_".into(), doc! { "_id": 1 }, None, None),
            ("remove_at_1".into(), doc! { "remove_at": 1 }, Some(Duration::from_secs(300)), None),
            ("subject_1__id_1".into(), doc! { "subject": 1, "_id": 1 }, None, Some(subject)),
        ]
    );
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_index_names_nobody_elses_and_a_tombstone_yields_to_nothing() {
    let bench = Bench::new("strict").await;
    let store = bench.store().await;
    for number in 0..6 {
        let name = if number % 2 == 0 { "alice" } else { "bob" };
        let _ = store.insert(&key(number), &record(1, Some(name), LATER)).await.unwrap();
    }
    let mut of_alice = vec![key(0), key(2), key(4)];
    of_alice.sort();
    assert_eq!(store.sessions_of(&"alice".into(), None, 9).await.unwrap(), of_alice);

    store.end(&key(0), &tombstone(LATER)).await.unwrap();
    // Against the contract, by whoever takes a tombstone for a record.
    let replaced = store.replace(&key(0), Revision::ENDED, &record(2, None, LATER)).await.unwrap();
    assert_eq!(replaced, Replaced::Conflict(Some(tombstone(LATER))));
    bench.done().await;
}

/// All stages of a plan, outermost first.
fn stages(plan: &Document) -> Vec<String> {
    let mut stages = vec![plan.get_str("stage").unwrap().to_owned()];
    if let Some(index) = plan.get("indexName").and_then(Bson::as_str) {
        stages.push(index.to_owned());
    }
    if let Ok(inner) = plan.get_document("inputStage") {
        stages.extend(self::stages(inner));
    }
    stages
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn no_command_scans_the_collection_or_sorts() {
    let bench = Bench::new("plans").await;
    let store = bench.store().await;
    for number in 0..50 {
        let _ = store.insert(&key(number), &record(1, Some("alice"), 5)).await.unwrap();
    }
    bench.commands();
    store.load(&key(1)).await.unwrap();
    store.scan(Some(&store.scan(None, 5).await.unwrap().next.unwrap()), 5).await.unwrap();
    store.remove_expired(at(0), 5).await.unwrap();
    store.sessions_of(&"alice".into(), Some(&key(1)), 5).await.unwrap();
    let finds: Vec<Document> = bench.sent.lock().unwrap().drain(..).map(|(_, sent)| sent).collect();
    let mut plans = Vec::new();
    for find in &finds {
        // The command as it was sent, without what belongs to its session.
        let mut explained = Document::new();
        for field in ["find", "filter", "projection", "sort", "limit"] {
            if let Some(value) = find.get(field) {
                explained.insert(field, value.clone());
            }
        }
        let answer = bench.database.run_command(doc! { "explain": explained }).await.unwrap();
        let plan = answer.get_document("queryPlanner").unwrap();
        plans.push(stages(plan.get_document("winningPlan").unwrap()));
    }
    let [load, first, next, sweep, subject] = &plans[..] else { panic!("{plans:?}") };
    let uses = |plan: &[String], index: &str| plan.iter().any(|stage| stage == index);
    let fast = |plan: &[String]| !uses(plan, "COLLSCAN") && !uses(plan, "SORT");
    // Newer servers have a stage of its own for one key.
    let by_id = |plan: &[String]| uses(plan, "_id_") || plan[0].contains("IDHACK");
    assert!(fast(load) && by_id(load), "{load:?}");
    let others = [(first, "_id_"), (next, "_id_"), (sweep, "remove_at_1")];
    for (plan, index) in others.into_iter().chain([(subject, "subject_1__id_1")]) {
        if bench.is_mongod().await {
            assert!(fast(plan) && uses(plan, index), "{index}: {plan:?}");
        } else {
            // SecantusDB uses an index for conditions on one field, and a partial one of one field.
            println!("{index}: {plan:?}");
        }
    }
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn the_server_removes_what_has_expired_five_minutes_after_its_time() {
    let bench = Bench::new("ttl").await;
    if bench.is_mongod().await {
        // Its monitor runs once a minute, and nothing can call it: the index is looked at above.
        return;
    }
    let store = bench.store_with_ttl().await;
    let now = DateTime::now().timestamp_millis();
    let deadlines = [
        (now - 600_000, false),
        (now - 1000, true),
        (now + 1000, true),
        (i64::MIN, false),
        (i64::MAX, true),
    ];
    for (number, (deadline, _)) in (0..).zip(deadlines) {
        let _ = store.insert(&key(number), &record(1, None, deadline)).await.unwrap();
        store.end(&key(100 + number), &tombstone(deadline)).await.unwrap();
    }
    let admin = bench.database.client().database("admin");
    admin.run_command(doc! { "secantusAdmin.pruneTtl": 1 }).await.unwrap();
    for (number, (deadline, stays)) in (0..).zip(deadlines) {
        for key in [key(number), key(100 + number)] {
            assert_eq!(store.load(&key).await.unwrap().is_some(), stays, "{deadline}");
        }
    }
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_sweep_goes_on_until_its_limit_or_until_nothing_is_due() {
    let bench = Bench::new("sweep").await;
    let store = bench.store().await;
    let documents = |count: u64| {
        (0..count).map(|number| {
            doc! {
                "_id": binary(key(number).as_bytes()),
                "revision": 1_i64,
                "expires_at": -5_i64,
                "remove_at": DateTime::from_millis(0),
                "body": binary(b""),
            }
        })
    };
    bench.documents().insert_many(documents(2500)).await.unwrap();
    let _ = store.insert(&key(9999), &record(1, None, LATER)).await.unwrap();
    bench.commands();
    // SecantusDB takes seconds for what MongoDB does in milliseconds.
    let store = store.timeout(Duration::from_secs(120));
    assert_eq!(store.remove_expired(at(-6), 9999).await.unwrap(), 0);
    assert_eq!(bench.commands(), ["find"]);
    assert_eq!(store.remove_expired(at(-5), 1500).await.unwrap(), 1500);
    assert_eq!(bench.commands(), ["find", "delete", "find", "delete"]);
    assert_eq!(store.remove_expired(at(-5), usize::MAX).await.unwrap(), 1000);
    assert_eq!(bench.commands(), ["find", "delete", "find"]);
    assert!(store.load(&key(9999)).await.unwrap().is_some());
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_walk_sees_every_record_once() {
    let bench = Bench::new("scan").await;
    let store = bench.store().await;
    for number in 0..25 {
        let record = record(number + 1, (number % 2 == 0).then_some("alice"), 5);
        let _ = store.insert(&key(number), &record).await.unwrap();
    }
    store.end(&key(99), &tombstone(5)).await.unwrap();
    for limit in [0, 1, 5, 13, 26, 1000, usize::MAX] {
        let (mut rows, mut page) = (Vec::new(), store.scan(None, limit).await.unwrap());
        loop {
            assert!(page.rows.len() <= limit.max(1));
            rows.extend(page.rows);
            match page.next {
                Some(next) => page = store.scan(Some(&next), limit).await.unwrap(),
                None => break,
            }
        }
        assert_eq!(rows.len(), 26, "{limit}");
        assert!(rows.is_sorted_by(|one, other| one.key < other.key));
        for row in rows {
            let there = store.load(&row.key).await.unwrap().unwrap();
            assert_eq!(
                (row.revision, row.subject, row.expires_at),
                (there.revision, there.subject, there.expires_at)
            );
        }
    }
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_senseless_document_is_corrupt_and_not_absent() {
    let bench = Bench::new("corrupt").await;
    let store = bench.store().await;
    let of_alice = binary(Subject::from("alice").as_bytes());
    for (field, value) in [
        ("revision", Bson::Int64(-1)),
        ("revision", Bson::Double(1.0)),
        ("revision", Bson::Int32(1)),
        ("subject", binary(b"short").into()),
        ("subject", "alice's password".into()),
        ("expires_at", DateTime::from_millis(5).into()),
        ("body", "text".into()),
        ("body", Bson::Null),
    ] {
        bench.documents().delete_many(doc! {}).await.unwrap();
        let _ = store.insert(&key(1), &record(1, None, LATER)).await.unwrap();
        let spoil = doc! { "$set": { field: value.clone() } };
        bench.documents().update_one(doc! {}, spoil).await.unwrap();
        let error = store.load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{field}: {value}");
        assert!(!format!("{error:?}").contains("password"), "{error:?}");
        let error = store.replace(&key(1), Revision::from_u64(9), &record(10, None, 5)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt, "{field}: {value}");
        if field != "body" {
            let page = store.scan(None, 9).await.unwrap();
            assert_eq!((page.rows, page.corrupt), (vec![], vec![key(1)]));
        }
    }
    bench.documents().delete_many(doc! {}).await.unwrap();
    let foreign = doc! { "_id": 5, "subject": of_alice, "remove_at": DateTime::from_millis(0), "expires_at": 0_i64 };
    bench.documents().insert_one(foreign).await.unwrap();
    let error = store.sessions_of(&"alice".into(), None, 9).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(store.remove_expired(at(0), 9).await.unwrap(), 1, "it goes like any other");
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_body_that_fits_no_document_is_too_large_and_the_last_that_fits_is_kept() {
    let bench = Bench::new("large").await;
    let store = bench.store().await;
    let largest = 16 * 1024 * 1024 - 1024;
    let mut session = record(1, Some("alice"), LATER);
    session.body = Body(vec![7; largest]);
    assert_eq!(store.insert(&key(1), &session).await.unwrap(), Inserted::Created);
    assert_eq!(store.load(&key(1)).await.unwrap().as_ref(), Some(&session));
    let next = Record { revision: Revision::from_u64(2), ..session.clone() };
    assert_eq!(store.replace(&key(1), session.revision, &next).await.unwrap(), Replaced::Done);
    let ended = Record { revision: Revision::ENDED, subject: None, ..session.clone() };
    store.end(&key(1), &ended).await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(ended));

    bench.commands();
    session.body = Body(vec![7; largest + 1]);
    let kinds = [
        store.insert(&key(2), &session).await.unwrap_err().kind(),
        store.replace(&key(2), Revision::from_u64(0), &session).await.unwrap_err().kind(),
        store
            .end(&key(2), &Record { revision: Revision::ENDED, ..session })
            .await
            .unwrap_err()
            .kind(),
    ];
    assert_eq!(kinds, [ErrorKind::TooLarge; 3]);
    assert_eq!(bench.commands(), [""; 0]);
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_command_that_the_server_refuses_is_an_error_of_its_own_words() {
    let bench = Bench::new("refused").await;
    let store = MongoStore::new(bench.database.clone()).collection("system.views.$");
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(
        format!("{store:?}"),
        r#"MongoStore { collection: "typed_session_refused.system.views.$", .. }"#
    );
    // An index of the same keys that would remove sessions at once.
    let store = MongoStore::new(bench.database.clone());
    let other = mongodb::options::IndexOptions::builder().expire_after(Duration::ZERO).build();
    let other = mongodb::IndexModel::builder().keys(doc! { "remove_at": 1 }).options(other).build();
    bench.documents().create_index(other).await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    bench.done().await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn where_nobody_listens_the_store_is_unavailable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (client, _) = client(&format!("mongodb://{free}/?directConnection=true")).await;
    let store = MongoStore::new(client.database("nowhere")).timeout(Duration::from_millis(300));
    unavailable(&store).await;
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_accepts_and_never_answers_is_unavailable_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let (client, _) = client(&format!("mongodb://{address}/?directConnection=true")).await;
    let store = MongoStore::new(client.database("nowhere")).timeout(Duration::from_millis(300));
    unavailable(&store).await;
}

/// Every verb fails, each within its limit and some.
async fn unavailable(store: &MongoStore) {
    let (key, record) = (key(1), record(1, None, LATER));
    let limit = Duration::from_secs(3);
    let kind = async |verb: &str, answer: typed_session::store::Result<()>| {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable, "{verb}");
    };
    let all = async {
        kind("load", store.load(&key).await.map(drop)).await;
        kind("insert", store.insert(&key, &record).await.map(|_| ())).await;
        let replaced = store.replace(&key, Revision::from_u64(0), &record).await;
        kind("replace", replaced.map(|_| ())).await;
        kind("touch", store.touch(&key, record.revision, at(LATER)).await).await;
        kind("end", store.end(&key, &tombstone(5)).await).await;
        kind("sessions_of", store.sessions_of(&"alice".into(), None, 1).await.map(drop)).await;
        kind("remove_expired", store.remove_expired(at(5), 1).await.map(drop)).await;
        kind("scan", store.scan(None, 1).await.map(drop)).await;
    };
    tokio::time::timeout(8 * limit, all).await.expect("no verb waits for ever");
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn no_time_limit_is_too_long() {
    let bench = Bench::new("patience").await;
    let store = bench.store().await.timeout(Duration::MAX);
    let session = record(1, Some("alice"), LATER);
    assert_eq!(store.insert(&key(1), &session).await.unwrap(), Inserted::Created);
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(session));
    assert_eq!(store.sessions_of(&"alice".into(), None, 9).await.unwrap(), [key(1)]);
    bench.done().await;
}

/// Of two that end an absent key at once, a server may tell one that the other's document is in its
/// way. Here by an index that two tombstones always break.
#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn an_end_that_meets_another_is_tried_again_and_not_for_ever() {
    let bench = Bench::new("upserts").await;
    let store = bench.store().await;
    let unique = mongodb::options::IndexOptions::builder().unique(true).build();
    let unique =
        mongodb::IndexModel::builder().keys(doc! { "revision": 1 }).options(unique).build();
    bench.documents().create_index(unique).await.unwrap();
    store.end(&key(1), &tombstone(LATER)).await.unwrap();
    bench.commands();
    let error = store.end(&key(2), &tombstone(LATER)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(bench.commands(), ["update"; 5]);
    bench.done().await;
}

/// A store on a server of the test's own.
async fn private(server: &Server) -> MongoStore {
    let (client, _) = client(server.url()).await;
    let store = MongoStore::new(client.database("private"));
    store.migrate().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: ./tests/run engines"]
async fn what_is_acknowledged_outlives_a_server_that_is_killed() {
    let server = Server::start(Kind::MongoDb);
    let store = private(&server).await;
    for number in 0..60 {
        let session = record(1, Some("alice"), LATER);
        assert_eq!(store.insert(&key(number), &session).await.unwrap(), Inserted::Created);
        if number % 3 == 0 {
            store.end(&key(number), &tombstone(LATER)).await.unwrap();
        }
    }
    server.kill();
    unavailable(&store.clone().timeout(Duration::from_millis(300))).await;
    server.restart();
    for number in 0..60 {
        let there = store.load(&key(number)).await.unwrap().unwrap();
        assert_eq!(there.revision == Revision::ENDED, number % 3 == 0, "{number}");
    }
    let of_alice = store.sessions_of(&"alice".into(), None, 99).await.unwrap();
    assert_eq!(of_alice.len(), 40);
    let replaced = store.replace(&key(0), Revision::from_u64(1), &record(2, None, LATER)).await;
    assert_eq!(replaced.unwrap(), Replaced::Conflict(Some(tombstone(LATER))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: ./tests/run engines"]
async fn a_server_that_stops_answering_is_unavailable_in_time_and_then_there_again() {
    let server = Server::start(Kind::MongoDb);
    let store = private(&server).await;
    let session = record(1, None, LATER);
    let _ = store.insert(&key(7), &session).await.unwrap();
    server.pause();
    let hasty = store.clone().timeout(Duration::from_millis(300));
    // A thread of its that runs takes a moment to stop.
    let mut answers = 0;
    while hasty.load(&key(7)).await.is_ok() {
        answers += 1;
        assert!(answers < 1000, "it does not stop");
    }
    // Over connections that were good a moment ago.
    unavailable(&hasty).await;
    server.resume();
    assert_eq!(store.load(&key(7)).await.unwrap(), Some(session));
    let again = store.insert(&key(7), &record(1, None, LATER)).await.unwrap();
    assert_eq!(again, Inserted::Exists);
}

#[tokio::test]
#[ignore = "needs a server: ./tests/run engines"]
async fn eight_processes_migrate_at_once() {
    let database = client(&shared(Kind::MongoDb)).await.0.database("typed_session_processes");
    crate::processes::migrate_at_once(
        "mongodb::eight_processes_migrate_at_once",
        async |name| MongoStore::new(database.clone()).collection(name).migrate().await,
        async |name| database.collection::<Document>(name).drop().await.unwrap(),
    )
    .await;
}

/// A store that does not wait for long, in a database for the tests of faults.
async fn impatient(url: String) -> MongoStore {
    let mut options = ClientOptions::parse(url).await.unwrap();
    options.server_selection_timeout = Some(LIMIT);
    options.connect_timeout = Some(LIMIT);
    // A write that the driver sends twice by itself, and that the server does not know again, is
    // refused by its own first try: the layer sees through that, a history does not.
    options.retry_writes = Some(false);
    let client = Client::with_options(options).unwrap();
    let store = MongoStore::new(client.database("typed_session_under_fire")).timeout(LIMIT);
    at_last(|| store.migrate()).await;
    store
}

under_fire!(Kind::MongoDb, crate::mongodb::impatient);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: ./tests/run engines"]
async fn users_see_and_end_their_sessions_and_have_so_many() {
    let bench = Bench::new("devices").await;
    crate::devices::all(bench.store().await).await;
    bench.done().await;
}
