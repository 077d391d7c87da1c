//! What holds for the SurrealDB store, on two engines in the process.
#![allow(clippy::unwrap_used)]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use surrealdb::Surreal;
use surrealdb::engine::any::{Any, connect};
use surrealdb::types::{ToSql, Value};
use tempfile::TempDir;
use typed_session::store::{Body, ErrorKind, Inserted, Replaced, Revision, Scan, Store};
use typed_session::testing::conformance::Suite;
use typed_session::testing::history::Workload;
use typed_session::{Record, SessionKey, Subject, Timestamp};
use typed_session_surrealdb::SurrealStore;

async fn open(url: &str) -> Surreal<Any> {
    let connection = connect(url).await.unwrap();
    connection.use_ns("test").use_db("test").await.unwrap();
    connection
}

async fn store() -> (SurrealStore<Any>, Surreal<Any>) {
    let connection = open("mem://").await;
    let store = SurrealStore::new(connection.clone());
    store.migrate().await.unwrap();
    (store, connection)
}

async fn in_files(dir: &Path) -> SurrealStore<Any> {
    let store = SurrealStore::new(open(&format!("surrealkv://{}", dir.display())).await);
    store.migrate().await.unwrap();
    store
}

async fn sql(connection: &Surreal<Any>, text: &str) -> String {
    connection.query(text).await.unwrap().take::<Value>(0).unwrap().to_sql()
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

/// In the year 2100.
const LATER: i64 = 4_102_444_800_000;

/// The whole contract, races included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_in_memory() {
    let (store, _) = store().await;
    Suite::new().run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_when_tasks_run_on_threads() {
    let (store, _) = store().await;
    let suite = Suite::new().runs(3).spawn(|task| drop(tokio::spawn(task)));
    suite.run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_in_files() {
    let dir = TempDir::new().unwrap();
    let store = in_files(dir.path()).await;
    Suite::new().runs(2).run(async || store.clone()).await;
}

#[tokio::test]
async fn a_table_name_is_letters_digits_and_underscores() {
    let (store, connection) = store().await;
    let long = "x".repeat(49);
    for wrong in ["", "1st", "a b", "a`b", "a;b", "a.b", "a:b", "é", "a-b", &long] {
        assert!(store.clone().table(wrong).is_err(), "{wrong}");
    }
    for right in ["a", "_1", "Order", "select", "table", "none", &long[1..]] {
        let other = store.clone().table(right).unwrap();
        other.migrate().await.unwrap();
        let alice = Subject::from("alice");
        let due = record(1, Some("alice"), 5);
        assert_eq!(other.insert(&key(1), &due).await.unwrap(), Inserted::Created, "{right}");
        assert_eq!(other.sessions_of(&alice, None, 9).await.unwrap(), [key(1)], "{right}");
        assert_eq!(other.scan(None, 9).await.unwrap().rows.len(), 1, "{right}");
        let count = format!("SELECT count() FROM `{right}` GROUP ALL");
        assert_eq!(sql(&connection, &count).await, "[{ count: 1 }]", "{right}");
        assert_eq!(other.remove_expired(at(5), 9).await.unwrap(), 1, "{right}");
    }
    assert_eq!(store.load(&key(1)).await.unwrap(), None);
    assert_eq!(format!("{store:?}"), r#"SurrealStore { table: "typed_sessions", .. }"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_number_migrate_at_once() {
    let connection = open("mem://").await;
    for round in 0..10 {
        let store = SurrealStore::new(connection.clone()).table(&format!("round_{round}")).unwrap();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    store.migrate().await.unwrap();
                    store.migrate().await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let info = sql(&connection, &format!("INFO FOR TABLE round_{round}")).await;
        for index in ["_expires_at ON", "_subject ON"] {
            let define = format!("DEFINE INDEX round_{round}{index} round_{round} FIELDS");
            assert!(info.contains(&define), "{info}");
        }
    }
}

#[tokio::test]
async fn the_index_names_nobody_elses_and_a_tombstone_yields_to_nothing() {
    let (store, _) = store().await;
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
}

#[tokio::test]
async fn the_schema_is_this_one() {
    let (store, _) = store().await;
    assert_eq!(
        store.table("visits").unwrap().schema(),
        "DEFINE TABLE IF NOT EXISTS `visits` TYPE NORMAL SCHEMAFULL PERMISSIONS NONE;
DEFINE FIELD IF NOT EXISTS revision ON `visits` TYPE int;
DEFINE FIELD IF NOT EXISTS subject ON `visits` TYPE option<string>;
DEFINE FIELD IF NOT EXISTS expires_at ON `visits` TYPE int;
DEFINE FIELD IF NOT EXISTS body ON `visits` TYPE bytes;
DEFINE INDEX IF NOT EXISTS visits_expires_at ON `visits` FIELDS expires_at;
DEFINE INDEX IF NOT EXISTS visits_subject ON `visits` FIELDS subject;
"
    );
}

#[tokio::test]
async fn no_statement_scans_the_table_or_sorts() {
    let (_, connection) = store().await;
    // The queries of `src/lib.rs`, as it says them.
    let source = include_str!("../src/lib.rs");
    let query = |begins: &str| {
        let start = source.find(begins).unwrap_or_else(|| panic!("{begins}"));
        let end = source[start..].find(['"', ';']).unwrap();
        source[start..start + end].to_owned()
    };
    for (text, wanted) in [
        (query("SELECT * FROM ONLY $id"), "RecordIdScan"),
        (query("SELECT id FROM `typed_sessions`"), "IndexScan"),
        (query("SELECT VALUE id FROM `typed_sessions`"), "IndexScan"),
        (query("SELECT id, revision, subject, expires_at FROM $range"), "RecordIdScan"),
    ] {
        // Plans are made for values, not for their names.
        let text = text
            .replace("$id", "typed_sessions:a")
            .replace("$range", "typed_sessions:a..")
            .replace("$after", "typed_sessions:a")
            .replace("$subject", "'aa'")
            .replace("$now", "5")
            .replace("$limit", "7");
        let plan = sql(&connection, &format!("EXPLAIN {text}")).await;
        assert!(plan.contains(wanted), "{plan}");
        assert!(!plan.contains("TableScan") && !plan.contains("Sort"), "{plan}");
    }
}

#[tokio::test]
async fn a_senseless_row_is_corrupt_and_not_absent() {
    let connection = open("mem://").await;
    let store = SurrealStore::new(connection.clone());
    // A table of somebody else's making.
    sql(&connection, "DEFINE TABLE typed_sessions SCHEMALESS").await;
    for spoil in [
        "revision = -1",
        "revision = 1.5",
        "revision = NONE",
        "subject = b\"00\"",
        "subject = 'short'",
        "subject = 'AB00000000000000000000000000000000000000000000000000000000000000'",
        "expires_at = '5'",
        "body = 'text'",
        "body = NONE",
    ] {
        sql(&connection, "DELETE typed_sessions").await;
        let inserted = store.insert(&key(1), &record(1, None, 5)).await.unwrap();
        assert_eq!(inserted, Inserted::Created);
        sql(&connection, &format!("UPDATE typed_sessions SET {spoil}")).await;
        let error = store.load(&key(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{spoil}");
        let error = store.replace(&key(1), Revision::from_u64(9), &record(10, None, 5)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt, "{spoil}");
        if !spoil.starts_with("body") {
            let page = store.scan(None, 9).await.unwrap();
            assert_eq!((page.rows, page.corrupt), (vec![], vec![key(1)]));
        }
    }
    sql(&connection, "DELETE typed_sessions").await;
    sql(&connection, "CREATE typed_sessions:5 CONTENT {subject: 'x', expires_at: 5}").await;
    let alice = Subject::from("alice");
    let of_alice = alice.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    sql(&connection, &format!("CREATE typed_sessions:zz CONTENT {{subject: '{of_alice}'}}")).await;
    let error = store.sessions_of(&alice, None, 9).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_table_that_is_missing_is_no_absence() {
    let store = SurrealStore::new(open("mem://").await);
    let error = store.load(&key(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    let nowhere = SurrealStore::new(connect("mem://").await.unwrap());
    let error = nowhere.load(&key(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "no namespace is in use");
}

#[tokio::test]
async fn a_sweep_goes_on_until_its_limit_or_until_nothing_is_due() {
    let (store, _) = store().await;
    for number in 0..350 {
        let _ = store.insert(&key(number), &record(1, None, -5)).await.unwrap();
    }
    let _ = store.insert(&key(9999), &record(1, None, 5)).await.unwrap();
    assert_eq!(store.remove_expired(at(-6), 9999).await.unwrap(), 0);
    assert_eq!(store.remove_expired(at(-5), 250).await.unwrap(), 250);
    assert_eq!(store.remove_expired(at(-5), usize::MAX).await.unwrap(), 100);
    assert!(store.load(&key(9999)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_walk_sees_every_record_once() {
    let (store, _) = store().await;
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
}

#[tokio::test]
async fn a_verb_that_takes_too_long_is_unavailable() {
    let dir = TempDir::new().unwrap();
    let hasty = in_files(dir.path()).await.timeout(Duration::ZERO);
    // It takes the engine many times as long as the clock's smallest step.
    let large = Record { body: vec![7; 8 << 20].into(), ..record(1, None, 5) };
    let error = hasty.insert(&key(1), &large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "no answer within 0ns");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_writer_who_is_in_everybodys_way_is_tried_again() {
    let (store, _) = store().await;
    let _ = store.insert(&key(1), &record(1, None, 0)).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for step in 0..20 {
                    let later = at(step * 16 + task + 1);
                    store.touch(&key(1), Revision::from_u64(1), later).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let there = store.load(&key(1)).await.unwrap().unwrap();
    assert_eq!(there.expires_at, at(19 * 16 + 16));
}

const CHILD: &str = "TYPED_SESSION_KILLED_CHILD";

/// The process writes to files and says what was acknowledged, until it is killed with -9.
#[tokio::test]
async fn what_is_acknowledged_outlives_a_process_that_is_killed() {
    if let Some(dir) = env::var_os(CHILD) {
        let store = in_files(Path::new(&dir)).await;
        for number in 0_u64.. {
            let _ = store.insert(&key(number), &record(1, Some("alice"), 5)).await.unwrap();
            if number % 3 == 0 {
                store.end(&key(number), &tombstone(9)).await.unwrap();
            }
            println!("\nacknowledged {number}");
        }
    }
    let dir = TempDir::new().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "what_is_acknowledged_outlives_a_process_that_is_killed", "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged =
        lines.by_ref().filter_map(|line| line.unwrap().strip_prefix("acknowledged ")?.parse().ok());
    let seen: Vec<u64> = acknowledged.by_ref().take(100).collect();
    assert_eq!(seen.len(), 100);
    child.kill().unwrap();
    // What it said before it died.
    let last = acknowledged.last().unwrap_or(99);
    child.wait().unwrap();

    let store = in_files(dir.path()).await;
    for number in 0..=last {
        let there = store.load(&key(number)).await.unwrap().unwrap();
        let ended = there.revision == Revision::ENDED;
        assert_eq!(ended, number % 3 == 0, "{number}");
        let again = store.insert(&key(number), &record(1, None, 5)).await.unwrap();
        assert_eq!(again, Inserted::Exists);
    }
    let replaced = store.replace(&key(1), Revision::from_u64(1), &record(2, None, 5)).await;
    assert_eq!(replaced.unwrap(), Replaced::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_minute_of_histories_has_an_explanation() {
    let (store, _connection) = store().await;
    let seconds = std::env::var("HISTORY_SECONDS").map_or(60, |text| text.parse().unwrap());
    let workload = Workload::new().lasting(Duration::from_secs(seconds));
    println!("{workload:?}");
    let run = workload.begin();
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(run.client(store.clone()))).collect();
    for client in clients {
        client.await.unwrap();
    }
    let report = run.finish(store).await.unwrap();
    println!("{report:?}");
    assert_eq!(report.undecided, 0);
    assert!(report.keys > 0);
}
