//! What happens to sessions from outside of a request: ending and clean-up.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_executor::block_on;
use serde::{Deserialize, Serialize};
use typed_session::store::{ErrorKind, Inserted, MemoryStore, Store};
use typed_session::testing::{Faulty, ManualClock, Spy, Verb, When};
use typed_session::{
    Body, Clock, EndReason, Event, Exchange, Lifetime, Observer, Record, Revision, Session,
    SessionData, SessionKey, SessionLayer, Subject, Timestamp, Verdict,
};

#[derive(Default, Deserialize, Serialize)]
struct Shop {
    user: Option<u64>,
    visits: u64,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.map(Subject::from)
    }
}

type Rows = Arc<Faulty<Spy<MemoryStore>>>;
type Layer = SessionLayer<Shop, Rows>;

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

struct World {
    layer: Layer,
    rows: Rows,
    clock: ManualClock,
    notes: Notes,
}

fn world() -> World {
    let rows = Arc::new(Faulty::new(Spy::new(MemoryStore::new())));
    let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let notes = Notes::default();
    let layer = SessionLayer::new(Arc::clone(&rows)).clock(clock.clone()).observer(notes.clone());
    World { layer, rows, clock, notes }
}

impl World {
    fn open(&self, cookie: &str) -> (Exchange<Shop, Rows>, Session<Shop>) {
        let exchange = self.layer.open([cookie.as_bytes()]);
        let session = block_on(exchange.session()).unwrap();
        (exchange, session)
    }

    /// A session of this user.
    fn login(&self, user: u64) -> (String, SessionKey) {
        let (exchange, session) = self.open("");
        session.update(|shop| shop.user = Some(user));
        let outcome = block_on(exchange.finish());
        let line = outcome.effects.set_cookie().unwrap();
        (line.split(';').next().unwrap().to_owned(), session.key().unwrap())
    }

    fn verdict(&self, cookie: &str) -> Verdict {
        self.open(cookie).1.verdict()
    }
}

#[test]
fn a_session_that_is_ended_by_its_key_is_ended_for_requests_in_flight_too() {
    let world = world();
    let (cookie, key) = world.login(1);
    let (writer, writing) = world.open(&cookie);
    let (reader, reading) = world.open(&cookie);
    block_on(world.layer.end(&key, EndReason::Revoked)).unwrap();

    writing.update(|shop| shop.visits += 1);
    let outcome = block_on(writer.finish());
    assert_eq!(outcome.error.unwrap().status(), 409);
    assert!(outcome.effects.set_cookie().is_none());
    assert_eq!(reading.read(|shop| shop.user), Some(1), "what was loaded stays loaded");
    assert!(block_on(reader.finish()).error.is_none());
    assert_eq!(world.verdict(&cookie), Verdict::Ended(EndReason::Revoked));
}

#[test]
fn to_log_out_everywhere_ends_every_session_of_the_subject_and_no_other() {
    let world = world();
    let mine = (0..250).map(|_| world.login(1).0).collect::<Vec<_>>();
    let others = (0..5).map(|_| world.login(2).0).collect::<Vec<_>>();
    let ended = block_on(world.layer.end_all(Subject::from(1u64), EndReason::Revoked)).unwrap();
    assert_eq!(ended, 250);
    for cookie in &mine {
        assert_eq!(world.verdict(cookie), Verdict::Ended(EndReason::Revoked));
    }
    for cookie in &others {
        assert_eq!(world.verdict(cookie), Verdict::Resumed);
    }
    assert_eq!(block_on(world.layer.end_all(Subject::from(1u64), EndReason::Revoked)).unwrap(), 0);
}

#[test]
fn a_session_that_became_the_users_after_it_was_created_is_logged_out_too() {
    let world = world();
    let (exchange, session) = world.open("");
    session.update(|shop| shop.visits = 1);
    let created = block_on(exchange.finish());
    let visitor = created.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned();
    let (exchange, session) = world.open(&visitor);
    session.update(|shop| shop.user = Some(1));
    let login = block_on(exchange.finish());
    let user = login.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned();

    assert_eq!(block_on(world.layer.end_all(Subject::from(1u64), EndReason::Revoked)).unwrap(), 1);
    assert_eq!(world.verdict(&user), Verdict::Ended(EndReason::Revoked));
}

#[test]
fn a_key_that_the_index_names_before_its_record_is_there_is_ended_beforehand() {
    /// Names a key that is not there yet, as a store does which writes its index
    /// first.
    struct Early(MemoryStore, SessionKey);

    impl Store for Early {
        async fn load(&self, key: &SessionKey) -> typed_session::store::Result<Option<Record>> {
            self.0.load(key).await
        }

        async fn insert(
            &self,
            key: &SessionKey,
            record: &Record,
        ) -> typed_session::store::Result<Inserted> {
            self.0.insert(key, record).await
        }

        async fn replace(
            &self,
            key: &SessionKey,
            expected: Revision,
            record: &Record,
        ) -> typed_session::store::Result<typed_session::store::Replaced> {
            self.0.replace(key, expected, record).await
        }

        async fn touch(
            &self,
            key: &SessionKey,
            at: Revision,
            expires_at: Timestamp,
        ) -> typed_session::store::Result<()> {
            self.0.touch(key, at, expires_at).await
        }

        async fn end(&self, key: &SessionKey, tomb: &Record) -> typed_session::store::Result<()> {
            self.0.end(key, tomb).await
        }

        async fn sessions_of(
            &self,
            _: &Subject,
            _: Option<&SessionKey>,
            _: usize,
        ) -> typed_session::store::Result<Vec<SessionKey>> {
            Ok(vec![self.1])
        }

        async fn remove_expired(
            &self,
            _: Timestamp,
            _: usize,
        ) -> typed_session::store::Result<usize> {
            Ok(0)
        }
    }

    let key = SessionKey::from_bytes([7; 32]);
    let subject = Subject::from(1u64);
    let layer = SessionLayer::<Shop, _>::new(Early(MemoryStore::new(), key));
    assert_eq!(block_on(layer.end_all(subject, EndReason::Revoked)).unwrap(), 0);
    let late = Record {
        revision: Revision::from_u64(1),
        subject: Some(subject),
        expires_at: Timestamp::MAX,
        body: Body::default(),
    };
    assert_eq!(block_on(layer.store().insert(&key, &late)).unwrap(), Inserted::Exists);
}

#[test]
fn a_session_that_is_another_subjects_by_now_is_left_alone() {
    let world = world();
    let (cookie, _) = world.login(1);
    let (exchange, session) = world.open(&cookie);
    session.update(|shop| shop.user = Some(2));
    let switched = block_on(exchange.finish());
    let cookie = switched.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(block_on(world.layer.end_all(Subject::from(1u64), EndReason::Revoked)).unwrap(), 0);
    assert_eq!(world.verdict(&cookie), Verdict::Resumed);
}

#[test]
fn a_store_that_fails_in_the_middle_says_so_and_the_next_call_finishes() {
    let world = world();
    for _ in 0..5 {
        world.login(1);
    }
    world.rows.faults().nth(2, Verb::Replace, ErrorKind::Unavailable, When::Before);
    let subject = Subject::from(1u64);
    assert!(block_on(world.layer.end_all(subject, EndReason::Revoked)).is_err());
    assert!(block_on(world.layer.end_all(subject, EndReason::Revoked)).unwrap() >= 3);
    assert_eq!(block_on(world.rows.sessions_of(&subject, None, 9)).unwrap(), []);
}

#[test]
fn a_sweep_removes_what_has_expired_in_batches_and_nothing_else() {
    let world = world();
    for user in 0..2500 {
        world.login(user);
    }
    world.clock.advance(Lifetime::default().idle() - Duration::from_millis(1));
    let (kept, _) = world.login(1);
    assert_eq!(block_on(world.layer.sweep()).unwrap(), 0);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(block_on(world.layer.sweep()).unwrap(), 2500);
    assert_eq!(world.verdict(&kept), Verdict::Resumed);
}

#[test]
fn the_clean_up_loop_leaves_others_as_much_time_as_it_takes() {
    /// A batch takes this long by it.
    struct Ticking(AtomicI64, Duration);

    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            let tick = self.1.as_millis() as i64;
            Timestamp::from_millis(self.0.fetch_add(tick, Ordering::SeqCst) + tick)
        }
    }

    let (millisecond, second, hour) =
        (Duration::from_millis(1), Duration::from_secs(1), Duration::from_secs(3600));
    for (takes, pause) in
        [(Duration::ZERO, millisecond), (40 * millisecond, 40 * millisecond), (9 * second, second)]
    {
        let world = world();
        for user in 0..2500 {
            world.login(user);
        }
        world.clock.advance(24 * hour);
        let start = AtomicI64::new(world.clock.now().as_millis());
        let layer = world.layer.clone().clock(Ticking(start, takes));
        let mut slept = Vec::new();
        let forever = layer.sweep_every(hour, |time| {
            slept.push(time);
            let over = time == hour;
            async move {
                if over {
                    std::future::pending::<()>().await;
                }
            }
        });
        let mut forever = Box::pin(forever);
        assert!(block_on(async { futures_util::poll!(&mut forever) }).is_pending());
        drop(forever);
        assert_eq!(slept, [pause, pause, hour]);
    }
}

#[test]
fn the_clean_up_loop_survives_errors_and_says_so() {
    let world = world();
    world.login(1);
    world.clock.advance(Duration::from_secs(60 * 60 * 24));
    let faults = world.rows.faults();
    faults.every(Verb::RemoveExpired, ErrorKind::Unavailable, When::Before);
    let (mut rounds, rows) = (0, Arc::clone(&world.rows));
    let mut slept = Vec::new();
    let forever = world.layer.clone().sweep_every(Duration::from_secs(9), |interval| {
        slept.push(interval);
        rounds += 1;
        if rounds == 2 {
            faults.clear();
        }
        let over = rounds == 4;
        async move {
            if over {
                std::future::pending::<()>().await;
            }
        }
    });
    let mut forever = Box::pin(forever);
    assert!(block_on(async { futures_util::poll!(&mut forever) }).is_pending());
    drop(forever);
    assert_eq!(slept, [Duration::from_secs(9); 4]);
    let failures = world.notes.0.lock().unwrap().iter().filter(|n| n.contains("Failed")).count();
    assert_eq!(failures, 2);
    assert_eq!(block_on(rows.remove_expired(Timestamp::MAX, 9)).unwrap(), 0);
}
