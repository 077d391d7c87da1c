//! The operator's command, as a process, on a store with known sessions.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use typed_session::store::{DynStore, Inserted, Revision, Store};
use typed_session::{Body, Clock, Record, SessionKey, Subject, SystemClock, Timestamp};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// A database in a folder of its own, and the command on it.
struct Shop {
    folder: tempfile::TempDir,
    store: DynStore,
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = url(folder.path());
        assert!(said(&run(&url, &["migrate"])).contains("ready"));
        let store = DynStore::connect(&url).await.unwrap();
        Self { folder, store }
    }

    fn run(&self, args: &[&str]) -> Output {
        run(&url(self.folder.path()), args)
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [&["--json"], args].concat();
        serde_json::from_str(&said(&self.run(&args))).unwrap()
    }

    async fn put(&self, number: u8, subject: Option<&str>, expires_at: Timestamp) -> SessionKey {
        let key = SessionKey::from_bytes([number; 32]);
        let record = Record {
            revision: Revision::from_u64(1),
            subject: subject.map(Subject::from),
            expires_at,
            body: Body(vec![number]),
        };
        assert_eq!(self.store.insert(&key, &record).await.unwrap(), Inserted::Created);
        key
    }

    /// Two of alice, one of 42, one of nobody, one of alice that has expired.
    async fn furnished() -> Self {
        let shop = Self::new().await;
        let now = SystemClock.now();
        for (number, subject) in
            [(1, Some("alice")), (2, Some("alice")), (3, Some("42")), (4, None)]
        {
            shop.put(number, subject, now.plus(HOUR)).await;
        }
        shop.put(5, Some("alice"), now.minus(HOUR)).await;
        shop
    }

    async fn is_ended(&self, number: u8) -> bool {
        let key = SessionKey::from_bytes([number; 32]);
        self.store.load(&key).await.unwrap().is_some_and(|there| there.revision == Revision::ENDED)
    }
}

fn url(folder: &Path) -> String {
    format!("sqlite:{}?mode=rwc", folder.join("sessions.db").display())
}

fn run(url: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_typed-session"))
        .args(args)
        .env("SESSIONS_URL", url)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", complaint(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn stats_tell_the_live_from_the_expired_and_the_ended() {
    let shop = Shop::furnished().await;
    said(&shop.run(&["end", &SessionKey::from_bytes([4; 32]).to_string()]));
    let stats = shop.json(&["stats", "--top", "1"]);
    let alice = typed_session::SessionKey::from_bytes(*Subject::from("alice").as_bytes());
    assert_eq!(
        stats,
        json!({
            "live": 3, "expired": 1, "ended": 1, "corrupt": 0, "without_subject": 0, "subjects": 2,
            "top": [{ "subject": alice.to_string(), "live": 2 }],
        })
    );
    let text = said(&shop.run(&["stats"]));
    assert!(text.starts_with("3 live, of 2 subjects and 0 without one\n1 expired"), "{text}");
    assert!(text.contains(&format!("       2  {alice}\n       1  ")), "{text}");
}

#[tokio::test]
async fn a_sweep_removes_the_expired_in_batches() {
    let shop = Shop::furnished().await;
    for number in 10..15 {
        shop.put(number, None, SystemClock.now().minus(HOUR)).await;
    }
    let swept = shop.json(&["sweep", "--batch", "4", "--count"]);
    assert_eq!((&swept["removed"], &swept["batches"]), (&json!(6), &json!(2)));
    assert!(said(&shop.run(&["sweep"])).starts_with("removed 0 in 1 batches"));
    assert_eq!(shop.json(&["stats"])["live"], 4);
}

#[tokio::test]
async fn the_sessions_of_a_subject_are_listed_and_ended_by_name_or_hash() {
    let shop = Shop::furnished().await;
    let hash = SessionKey::from_bytes(*Subject::from("alice").as_bytes()).to_string();
    for whose in [["--subject", "alice"], ["--subject-hash", &hash]] {
        let text = said(&shop.run(&["list", whose[0], whose[1]]));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with(&"01".repeat(32)) && lines[0].contains("  live "), "{text}");
        assert!(lines[2].starts_with(&"05".repeat(32)) && lines[2].contains("expired"), "{text}");
    }
    let lines = said(&shop.run(&["--json", "list", "--subject", "42"]));
    let line: Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!((&line["key"], &line["state"]), (&json!("03".repeat(32)), &json!("live")));
    assert_eq!(line["bytes"], 1);

    assert_eq!(shop.json(&["end", "--subject-hash", &hash])["ended"], 3);
    assert_eq!(shop.json(&["end", "--subject", "42"])["ended"], 1);
    for number in [1, 2, 3, 5] {
        assert!(shop.is_ended(number).await, "{number}");
    }
    assert!(!shop.is_ended(4).await);
}

#[tokio::test]
async fn one_session_is_ended_by_its_key_also_if_it_is_not_there_yet() {
    let shop = Shop::furnished().await;
    let key = |number: u8| SessionKey::from_bytes([number; 32]).to_string();
    assert_eq!(shop.json(&["end", &key(1)])["was"], "live");
    assert_eq!(shop.json(&["end", &key(1)])["was"], "ended");
    assert_eq!(shop.json(&["end", &key(5)])["was"], "expired");
    assert_eq!(shop.json(&["end", &key(9)])["was"], "absent");
    assert!(shop.is_ended(1).await && shop.is_ended(9).await && !shop.is_ended(2).await);
}

#[tokio::test]
async fn everybody_is_logged_out_only_if_asked_for_twice() {
    let shop = Shop::furnished().await;
    let refused = shop.run(&["end", "--all"]);
    assert!(!refused.status.success());
    assert!(complaint(&refused).contains("say --yes"), "{}", complaint(&refused));
    assert!(!shop.is_ended(1).await);

    // Also what has expired by this machine's clock.
    assert_eq!(shop.json(&["end", "--all", "--yes"])["ended"], 5);
    for number in 1..=5 {
        assert!(shop.is_ended(number).await, "{number}");
    }
    assert_eq!(shop.json(&["stats"])["live"], 0);
}

#[tokio::test]
async fn one_bad_row_keeps_nobody_from_the_others() {
    let shop = Shop::furnished().await;
    let file = format!("sqlite:{}", shop.folder.path().join("sessions.db").display());
    let pool = sqlx::SqlitePool::connect(&file).await.unwrap();
    let spoil = "UPDATE typed_sessions SET revision = -1 WHERE key = ?1";
    let spoilt = sqlx::query(spoil).bind(&[2; 32][..]).execute(&pool).await.unwrap();
    assert_eq!(spoilt.rows_affected(), 1);

    assert_eq!(shop.json(&["stats"])["corrupt"], 1);
    let listed = said(&shop.run(&["list", "--subject", "alice"]));
    assert!(listed.contains("corrupt") && listed.contains("live"), "{listed}");
    assert_eq!(shop.json(&["end", &"02".repeat(32)])["was"], "corrupt");
    assert!(shop.is_ended(2).await);

    sqlx::query(spoil).bind(&[3; 32][..]).execute(&pool).await.unwrap();
    assert_eq!(shop.json(&["end", "--all", "--yes"])["ended"], 4);
    for number in 1..=5 {
        assert!(shop.is_ended(number).await, "{number}");
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_shows_no_password() {
    for (url, words) in [
        ("ftp://ann:hunter2@127.0.0.1/", "a store's URL begins with"),
        ("hunter2", "a store's URL begins with"),
        ("sqlite:/no/such/folder/sessions.db", "cannot be opened"),
        ("memory:hunter2", "makes no sense"),
        ("postgres://ann:hunter2@127.0.0.1:1/db", "cannot be opened"),
        ("mysql://ann:hunter2@127.0.0.1:1/db", "cannot be opened"),
        ("redis://:hunter2@127.0.0.1:1/0", "cannot be opened"),
        ("mongodb://ann:hunter2@127.0.0.1:1/db", "cannot be opened"),
    ] {
        let output = run(url, &["stats"]);
        let text = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{url}: {text}");
        assert!(text.contains(words), "{url}: {text}");
        assert!(!text.contains("hunter2"), "{url}: {text}");
    }
    // Without a table it is the operator who is to make it.
    let folder = tempfile::tempdir().unwrap();
    let output = run(&url(folder.path()), &["stats"]);
    assert!(complaint(&output).contains("no such table"), "{}", complaint(&output));
}

#[test]
fn a_key_is_made_without_a_store_and_is_another_each_time() {
    let key = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_typed-session"))
            .args(args)
            .env_remove("SESSIONS_URL")
            .output()
            .unwrap();
        said(&output)
    };
    let keys = [key(&["key"]), key(&["key"])];
    assert_ne!(keys[0], keys[1]);
    for key in &keys {
        assert_eq!(key.trim_end().len(), 64);
        assert_eq!(typed_session::KeyRing::from_text(key).unwrap().key_ids().count(), 1);
    }
    let json: Value = serde_json::from_str(&key(&["key", "--json"])).unwrap();
    let ring = typed_session::KeyRing::from_text(json["key"].as_str().unwrap()).unwrap();
    assert_eq!(json["id"], ring.key_ids().next().unwrap().to_string());
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(folder.path());
    for args in [
        &["end"][..],
        &["end", "abc"],
        &["end", "--subject", "a", "--all"],
        &["end", "--yes"],
        &["list"],
        &["list", "--subject-hash", "12"],
        &["sweep", "--batch", "0"],
        &["explode"],
    ] {
        let output = run(&url, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", complaint(&output));
        assert!(output.stdout.is_empty());
    }
    let output = Command::new(env!("CARGO_BIN_EXE_typed-session"))
        .arg("stats")
        .env_remove("SESSIONS_URL")
        .output()
        .unwrap();
    assert!(complaint(&output).contains("SESSIONS_URL"), "{}", complaint(&output));
}
