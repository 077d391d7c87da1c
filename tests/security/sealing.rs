//! Data at rest: what a store, a dump of it and whoever writes to it can do with encrypted data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use typed_session::store::{ErrorKind, MemoryStore, Replaced, Scan, Store};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::testing::{ManualClock, SeededEntropy, Verb, When};
use typed_session::{
    Encoding, EndReason, Entropy, EntropyError, Lifetime, Record, Revision, Rotation, SessionData,
    SessionKey, SessionLayer, Subject, Unsealed, Verdict,
};

use super::world::{Answer, DAY, HOUR, MINUTE, START, Shop, URL, World};

/// What nobody is to find in the store.
const SECRET: &str = "a note that is nobody's business";

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

fn sealed(unsealed: Unsealed) -> World {
    World::with(|sessions| sessions.seal_data(unsealed))
}

fn clear() -> World {
    World::new()
}

/// A server of another release, on the same store and at the same time.
fn beside(
    world: &World,
    set_up: impl FnOnce(SessionLayer<Shop, Rows>) -> SessionLayer<Shop, Rows>,
) -> Beside {
    let sessions = SessionLayer::new(Arc::clone(&world.rows)).clock(world.clock.clone());
    Beside(set_up(sessions))
}

type Rows = Arc<MemoryStore>;

struct Beside(SessionLayer<Shop, Rows>);

impl Beside {
    #[track_caller]
    fn visit(&self, browser: &Browser, change: impl FnOnce(&mut Shop)) -> (Verdict, Shop) {
        run(async {
            let cookie = browser.cookie_header(URL);
            let exchange = self.0.open(cookie.as_deref().map(str::as_bytes));
            let session = exchange.session().await.unwrap();
            session.update(change);
            let read = (session.verdict(), session.read(Shop::clone));
            let outcome = exchange.finish().await;
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
            for taken in browser.receive(URL, outcome.effects.set_cookie()) {
                taken.unwrap();
            }
            read
        })
    }
}

/// A session whose note is the secret, and its key.
fn noted(world: &World, browser: &Browser, user: &str) -> SessionKey {
    let (key, answer) = world.visit(browser, async |session| {
        session.update(|shop| {
            shop.user = Some(user.to_owned());
            shop.note = SECRET.to_owned();
        });
        session.commit().await.unwrap();
        session.key().unwrap()
    });
    answer.is_fine();
    key
}

fn row(world: &World, key: SessionKey) -> Record {
    run(world.rows.load(&key)).unwrap().unwrap()
}

/// Writes to the store, past every server.
fn put(world: &World, key: SessionKey, mut record: Record) {
    let there = row(world, key).revision;
    record.revision = Revision::from_u64(there.as_u64() + 1);
    assert_eq!(run(world.rows.replace(&key, there, &record)).unwrap(), Replaced::Done);
}

fn contains(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

fn is_sealed(record: &Record) -> bool {
    record.body[2] & 64 != 0
}

#[track_caller]
fn reads(world: &World, browser: &Browser) -> (Verdict, String, Answer) {
    let (shop, answer) = world.read(browser);
    (answer.verdict, shop.note, answer)
}

// ---- What a dump shows.

#[test]
fn a_dump_of_a_store_shows_no_data_and_would_without_sealing() {
    for encoding in ENCODINGS {
        for seals in [false, true] {
            let world = World::with(|sessions| match seals {
                true => sessions.seal_data(Unsealed::Refuse).encoding(encoding),
                false => sessions.encoding(encoding),
            });
            let browser = world.browser();
            noted(&world, &browser, "ann");
            world.change(&browser, |shop| shop.visits += 1);
            let rows = run(world.rows.scan(None, 100)).unwrap().rows;
            assert_eq!(rows.len(), 1);
            let body = row(&world, rows[0].key).body;
            // The data, the names of its fields, and who it is about.
            for what in [SECRET, "note", "visits", "ann"] {
                assert_eq!(contains(&body, what), !seals, "{what:?}, {encoding:?}");
            }
            assert_eq!(reads(&world, &browser).1, SECRET);
        }
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_database_file_shows_no_data_and_would_without_sealing() {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
    use typed_session::store::SqliteStore;

    for seals in [false, true] {
        let dir = tempfile::TempDir::new().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("sessions.db"))
            .create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let store = SqliteStore::new(pool.clone());
        store.migrate().await.unwrap();
        let sessions = SessionLayer::<Shop, _>::new(store);
        let sessions = if seals { sessions.seal_data(Unsealed::Refuse) } else { sessions };
        let exchange = sessions.open([]);
        exchange.session().await.unwrap().update(|shop| shop.note = SECRET.to_owned());
        assert!(exchange.finish().await.error.is_none());
        pool.close().await;

        let mut files = 0;
        let mut found = false;
        for file in std::fs::read_dir(dir.path()).unwrap() {
            found |= contains(&std::fs::read(file.unwrap().path()).unwrap(), SECRET);
            files += 1;
        }
        assert!(files > 0);
        assert_eq!(found, !seals);
    }
}

#[test]
fn no_two_writes_of_one_data_are_alike() {
    let world = sealed(Unsealed::Refuse);
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let first = row(&world, key).body;
    world.change(&browser, |shop| shop.visits = 1);
    world.change(&browser, |shop| shop.visits = 0);
    let second = row(&world, key).body;
    assert_eq!(first.len(), second.len());
    let same = first.iter().zip(second.iter()).rev().take_while(|(a, b)| a == b).count();
    assert!(same < 8, "{same} bytes at the end are the same");
}

// ---- What who writes to the store can do, and cannot.

#[test]
fn a_row_that_was_moved_to_another_session_does_not_open_and_would_without_sealing() {
    for (world, moves) in [(clear(), true), (sealed(Unsealed::Refuse), false)] {
        let (ann, bob) = (world.browser(), world.browser());
        let (anns, bobs) = (noted(&world, &ann, "ann"), noted(&world, &bob, "bob"));
        world.change(&bob, |shop| shop.note = "bob's own".to_owned());
        // Bob's id, and all the rest of it ann's.
        let mut moved = row(&world, anns);
        moved.body.0[VERIFIER].copy_from_slice(&row(&world, bobs).body[VERIFIER]);
        put(&world, bobs, moved);
        let (verdict, note, _) = reads(&world, &bob);
        if moves {
            assert_eq!((verdict, &*note), (Verdict::Resumed, SECRET), "the attack is one");
        } else {
            assert_eq!((verdict, &*note), (Verdict::Undecodable, ""));
            assert_eq!(reads(&world, &ann).1, SECRET, "the other one's is as it was");
        }
    }
}

/// Where the verifier of the id stands in a body.
const VERIFIER: std::ops::Range<usize> = 3..35;

#[test]
fn no_byte_of_a_sealed_row_can_be_changed_and_the_row_is_kept() {
    let world = sealed(Unsealed::Accept);
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let good = row(&world, key);
    let cookie = browser.cookie_header(URL);
    for at in 0..good.body.len() {
        for bit in [0, 3, 7] {
            let mut bad = good.clone();
            bad.body.0[at] ^= 1 << bit;
            put(&world, key, bad.clone());
            let (note, answer) = world.ask(cookie.as_deref(), async |session| {
                session.update(|shop| shop.visits += 1);
                session.read(|shop| shop.note.clone())
            });
            assert_eq!(note, "", "byte {at}");
            assert_ne!(answer.verdict, Verdict::Resumed, "byte {at}");
            assert_eq!(row(&world, key).body, bad.body, "it is kept");
        }
    }
    put(&world, key, good);
    assert_eq!(reads(&world, &browser).1, SECRET, "and back");
}

#[test]
fn the_subject_the_times_and_the_limits_are_authenticated_with_the_data() {
    let world = sealed(Unsealed::Refuse);
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let good = row(&world, key);
    for subject in [None, Some(Subject::from("bob"))] {
        put(&world, key, Record { subject, ..good.clone() });
        assert_eq!(reads(&world, &browser).0, Verdict::Undecodable);
    }
    // A touch moves this one, so it is not; how far it moves is bounded by what is.
    let expires_at = START.plus(1000 * DAY);
    put(&world, key, Record { expires_at, ..good });
    world.clock.advance(DAY);
    assert_eq!(reads(&world, &browser).0, Verdict::AbsoluteExpired);
}

#[test]
fn a_row_that_is_put_back_as_it_was_is_read_as_it_was() {
    // What is not defended, so that nobody thinks it is.
    let world = sealed(Unsealed::Refuse);
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let earlier = row(&world, key);
    world.change(&browser, |shop| shop.note = "later".to_owned());
    put(&world, key, earlier);
    let (verdict, note, _) = reads(&world, &browser);
    assert_eq!((verdict, &*note), (Verdict::Resumed, SECRET));
}

#[test]
fn a_row_in_clear_can_be_planted_unless_it_is_refused() {
    for (unsealed, verdict) in
        [(Unsealed::Accept, Verdict::Resumed), (Unsealed::Refuse, Verdict::Undecodable)]
    {
        // A row as a layer that does not seal writes it, with the verifier of the victim's id.
        let (other, world) = (clear(), sealed(unsealed));
        let (anybody, victim) = (other.browser(), world.browser());
        let mut planted = row(&other, noted(&other, &anybody, "mallory"));
        let key = noted(&world, &victim, "ann");
        planted.body.0[VERIFIER].copy_from_slice(&row(&world, key).body[VERIFIER]);
        put(&world, key, planted.clone());
        assert_eq!(reads(&world, &victim).0, verdict);
        assert_eq!(row(&world, key).body, planted.body, "nothing was written");
    }
}

// ---- What stays as it is without sealing.

#[test]
fn an_unchanged_session_is_not_written_although_other_bytes_would_come_of_it() {
    for encoding in ENCODINGS {
        let world = World::with(|s| s.seal_data(Unsealed::Refuse).encoding(encoding));
        let browser = world.browser();
        let key = noted(&world, &browser, "ann");
        let before = row(&world, key);
        let answer = world.change(&browser, |shop| shop.note = SECRET.to_owned());
        assert_eq!((answer.calls.load, answer.calls.total()), (1, 1));
        world.clock.advance(MINUTE);
        let answer = world.change(&browser, |shop| shop.note = SECRET.to_owned());
        assert_eq!((answer.calls.touch, answer.calls.total()), (1, 2));
        assert_eq!(row(&world, key).body, before.body);
    }
}

#[test]
fn upkeep_keeps_the_data_readable_and_sealed() {
    let world = World::with(|sessions| {
        sessions
            .seal_data(Unsealed::Refuse)
            .rotation(Rotation::default().every(15 * MINUTE))
            .lifetime(Lifetime::new(14 * DAY, 90 * DAY).persistent())
    });
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let mut bodies = vec![row(&world, key).body];
    for _ in 0..8 {
        // Offered, shown, renewed and so on.
        world.clock.advance(8 * MINUTE);
        let (verdict, note, _) = reads(&world, &browser);
        assert_eq!((verdict, &*note), (Verdict::Resumed, SECRET));
        let row = row(&world, key);
        assert!(is_sealed(&row) && !contains(&row.body, SECRET));
        bodies.push(row.body);
    }
    bodies.dedup();
    assert!(bodies.len() > 5, "{} writes", bodies.len());
}

#[test]
fn parallel_changes_are_merged_and_lost_answers_are_known_again() {
    let world = sealed(Unsealed::Refuse);
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let cookie = browser.cookie_header(URL);
    let ((), answer) = world.ask(cookie.as_deref(), async |session| {
        session.update(|shop| shop.basket.push("tea".to_owned()));
        world.change(&browser.clone(), |shop| shop.basket.push("milk".to_owned()));
    });
    answer.is_fine();
    world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, When::After);
    let (visits, answer) = world.ask(cookie.as_deref(), async |session| {
        let lost = session.transact(|shop| shop.visits += 1).await.unwrap_err();
        assert_eq!(lost.status(), 503);
        session
            .transact(|shop| {
                shop.visits += 1;
                shop.visits
            })
            .await
            .unwrap()
    });
    answer.is_fine();
    assert_eq!(visits, 2);
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.basket.len(), shop.visits, &*shop.note), (2, 2, SECRET));
    assert!(is_sealed(&row(&world, key)));
}

// ---- From clear to sealed and back.

#[test]
fn rows_in_clear_are_read_and_sealed_when_they_are_next_written() {
    let world = clear();
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let before = row(&world, key);
    let sealing = beside(&world, |sessions| sessions.seal_data(Unsealed::Accept));
    let (verdict, shop) = sealing.visit(&browser, |_| ());
    assert_eq!((verdict, &*shop.note), (Verdict::Resumed, SECRET));
    assert_eq!(row(&world, key), before, "reading writes nothing");
    sealing.visit(&browser, |shop| shop.visits += 1);
    assert!(is_sealed(&row(&world, key)) && !contains(&row(&world, key).body, SECRET));
    // One machine is not there yet, and the other encoding is as good.
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.visits, &*shop.note), (1, SECRET));
    let packing = beside(&world, |sessions| {
        sessions.seal_data(Unsealed::Refuse).encoding(Encoding::MessagePack)
    });
    packing.visit(&browser, |shop| shop.visits += 1);
    world.change(&browser, |shop| shop.visits += 1);
    assert!(!is_sealed(&row(&world, key)), "as this one is set");
    assert_eq!(world.read(&browser).0.visits, 3);
}

#[test]
fn a_refused_row_is_kept_and_its_user_gets_a_fresh_session() {
    let world = clear();
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let before = row(&world, key);
    let refusing = beside(&world, |sessions| sessions.seal_data(Unsealed::Refuse));
    let (verdict, shop) = refusing.visit(&browser.clone(), |_| ());
    assert_eq!((verdict, &*shop.note), (Verdict::Undecodable, ""));
    let other = world.browser();
    other.receive(URL, [set_cookie(&browser)]);
    let (verdict, _) = refusing.visit(&other, |shop| shop.visits = 1);
    assert_eq!(verdict, Verdict::Undecodable);
    assert_ne!(other.cookie_header(URL), browser.cookie_header(URL), "a session of its own");
    assert_eq!(row(&world, key), before);
}

fn set_cookie(browser: &Browser) -> String {
    format!("{}; Path=/; Secure", browser.cookie_header(URL).unwrap())
}

#[test]
fn a_session_whose_data_does_not_open_can_be_ended() {
    let world = sealed(Unsealed::Refuse);
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let mut bad = row(&world, key);
    *bad.body.0.last_mut().unwrap() ^= 1;
    put(&world, key, bad);
    let cookie = browser.cookie_header(URL);
    let ((), answer) = world.visit(&browser, async |session| session.end());
    answer.is_fine();
    let ((), again) = world.ask(cookie.as_deref(), async |_| ());
    assert_eq!(again.verdict, Verdict::Ended(EndReason::Logout));
}

// ---- Without randomness.

/// Fails as soon as it is told to.
#[derive(Clone)]
struct Failing(Arc<AtomicBool>, Arc<SeededEntropy>);

impl Entropy for Failing {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(EntropyError::new("no randomness")),
            false => self.1.fill(buffer),
        }
    }
}

#[test]
fn without_randomness_a_change_is_a_503_and_nothing_is_stored_in_clear() {
    let entropy = Failing(Arc::default(), Arc::new(SeededEntropy::new(1)));
    let world = World::with(|sessions| {
        sessions
            .seal_data(Unsealed::Accept)
            .dangerous_entropy(entropy.clone())
            .lifetime(Lifetime::new(HOUR, DAY).persistent())
    });
    let browser = world.browser();
    let key = noted(&world, &browser, "ann");
    let before = row(&world, key);
    entropy.0.store(true, Ordering::Relaxed);
    let ((), answer) =
        world.visit(&browser, async |session| session.update(|shop| shop.note.push('!')));
    assert_eq!((answer.status(), answer.set_cookie()), (503, None));
    let ((), answer) = world.ask(None, async |session| session.update(|shop| shop.visits = 1));
    assert_eq!((answer.status(), answer.set_cookie()), (503, None));
    // Mere upkeep, here the renewal of the cookie, is left to a later request.
    world.clock.advance(MINUTE);
    world.events.take();
    let (verdict, note, answer) = reads(&world, &browser);
    assert_eq!((verdict, &*note, answer.status()), (Verdict::Resumed, SECRET, 200));
    assert_eq!(world.events.names(), ["Resumed", "Failed"]);
    let after = row(&world, key);
    assert_eq!((after.revision, &after.body), (before.revision, &before.body));
    assert!(after.expires_at > before.expires_at, "a touch needs no randomness");
    assert_eq!(run(world.rows.scan(None, 10)).unwrap().rows.len(), 1);
    entropy.0.store(false, Ordering::Relaxed);
    world.clock.advance(MINUTE);
    let (_, note, answer) = reads(&world, &browser);
    assert_eq!((&*note, answer.set_cookie().is_some()), (SECRET, true));
}

// ---- The format.

#[derive(Default, Deserialize, Serialize)]
struct Small {
    user: Option<String>,
}

impl SessionData for Small {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

#[test]
fn a_row_that_lies_in_a_store_already_is_read_as_it_was_written() {
    let golden = include_str!("../golden/sealed_rows.txt");
    let vectors: Vec<Vec<&str>> = golden
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(vectors.len(), ENCODINGS.len());
    for (vector, encoding) in vectors.into_iter().zip(ENCODINGS) {
        let [id, body] = vector[..] else { panic!("two values: {vector:?}") };
        // Written again, with the same randomness.
        let rows = Arc::new(MemoryStore::new());
        let sessions = SessionLayer::<Small, _>::new(Arc::clone(&rows))
            .clock(ManualClock::at(START))
            .dangerous_entropy(SeededEntropy::new(7))
            .encoding(encoding)
            .seal_data(Unsealed::Refuse);
        let exchange = sessions.open([]);
        let (key, cookie) = run(async {
            let session = exchange.session().await.unwrap();
            session.update(|data| data.user = Some("ann".to_owned()));
            session.commit().await.unwrap();
            let outcome = exchange.finish().await;
            let cookie = outcome.effects.set_cookie().unwrap().split(';').next().unwrap();
            (session.key().unwrap(), cookie.to_owned())
        });
        let written = run(rows.load(&key)).unwrap().unwrap();
        let written = [cookie.trim_start_matches("__Host-session="), &hex(&written.body)].join(" ");
        assert_eq!(written, [id, body].join(" "));
        // And read.
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = run(exchange.session()).unwrap();
        assert_eq!(session.read(|data| data.user.clone()).as_deref(), Some("ann"));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
