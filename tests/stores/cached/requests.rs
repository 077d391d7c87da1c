//! Two machines with a cache each, one store, and a browser that goes to both.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use serde::{Deserialize, Serialize};
use typed_session::store::{Cached, Change, Changes, DynStore, MemoryStore, Result, Store};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::{run, yield_now};
use typed_session::testing::{
    Faulty, ManualClock, SeededEntropy, Spied, Spy, Verb, Yielding, Yields,
};
use typed_session::{
    EndReason, Lifetime, Outcome, Reuse, Rotation, Session, SessionData, SessionKey, SessionLayer,
    Subject, Verdict,
};

use super::{MAX_AGE, Node, clock, node, recall, remembered};
use crate::{key, record};

const URL: &str = "https://shop.example/";
const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Shop {
    user: Option<u64>,
    visits: u64,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.map(Subject::from)
    }
}

struct Machine {
    sessions: SessionLayer<Shop, Arc<Node>>,
    cache: Arc<Node>,
    spied: Spied,
}

struct World {
    a: Machine,
    b: Machine,
    rows: Arc<MemoryStore>,
    clock: ManualClock,
    browser: Browser,
}

type Layer = SessionLayer<Shop, Arc<Node>>;

impl World {
    fn new() -> Self {
        Self::with(MAX_AGE, |sessions| sessions)
    }

    fn with(max_age: Duration, set_up: impl Fn(Layer) -> Layer) -> Self {
        let (rows, clock) = (Arc::default(), clock());
        let machine = |seed| {
            let (cache, spied) = node(&rows, &clock);
            let cache = Arc::new(cache.max_age(max_age));
            let sessions = SessionLayer::new(Arc::clone(&cache))
                .clock(clock.clone())
                .dangerous_entropy(SeededEntropy::new(seed));
            Machine { sessions: set_up(sessions), cache, spied }
        };
        let (a, b) = (machine(1), machine(2));
        let browser = Browser::new(clock.clone());
        Self { a, b, rows, clock, browser }
    }

    /// A request of the browser, whose answer it gets.
    #[track_caller]
    fn visit(&self, machine: &Machine, f: impl FnOnce(&Session<Shop>)) -> Answer {
        let answer = machine.ask(self.browser.cookie_header(URL).as_deref(), f);
        if let Some(line) = answer.outcome.effects.set_cookie() {
            assert!(self.browser.receive(URL, [line])[0].is_ok());
        }
        answer
    }

    fn key(&self) -> SessionKey {
        self.visit(&self.a, |_| ()).key.unwrap()
    }
}

struct Answer {
    verdict: Verdict,
    shop: Shop,
    key: Option<SessionKey>,
    outcome: Outcome,
    /// What the store behind was asked.
    calls: Vec<Verb>,
}

impl Machine {
    #[track_caller]
    fn ask(&self, cookie: Option<&str>, f: impl FnOnce(&Session<Shop>)) -> Answer {
        self.spied.take();
        let exchange = self.sessions.open(cookie.map(str::as_bytes));
        run(async {
            let session = exchange.session().await.unwrap();
            let (verdict, shop, key) =
                (session.verdict(), session.read(Shop::clone), session.key());
            f(&session);
            let outcome = exchange.finish().await;
            Answer { verdict, shop, key, outcome, calls: self.spied.take() }
        })
    }
}

fn count(session: &Session<Shop>) {
    session.update(|shop| shop.visits += 1);
}

fn log_in(session: &Session<Shop>) {
    session.update(|shop| shop.user = Some(7));
}

#[test]
fn a_request_that_reads_costs_nothing_and_one_that_writes_the_write() {
    let world = World::new();
    assert_eq!(world.visit(&world.a, count).calls, [Verb::Insert]);
    for visits in 1..4 {
        let read = world.visit(&world.a, |_| ());
        assert_eq!((read.shop.visits, read.calls), (visits, vec![]));
        assert_eq!(world.visit(&world.a, count).calls, [Verb::Replace]);
    }
    assert_eq!(world.visit(&world.a, log_in).calls, [Verb::Replace]);
    assert_eq!(world.visit(&world.a, |_| ()).calls, []);
    world.clock.advance(MAX_AGE - MS);
    assert_eq!(world.visit(&world.a, |_| ()).calls, []);
    world.clock.advance(MS);
    assert_eq!(world.visit(&world.a, |_| ()).calls, [Verb::Load]);
    assert_eq!(world.visit(&world.a, Session::end).calls, [Verb::Replace]);
}

/// What the six requests of the budget ask the store behind the cache, and what they ask it
/// without one.
#[test]
fn each_request_costs_its_write_and_nothing_else_within_the_window() {
    let world = World::new();
    let nothing = |sessions: &Layer, cookie: Option<&str>| {
        let outcome = run(sessions.open(cookie.map(str::as_bytes)).finish());
        assert!(outcome.error.is_none());
        assert_eq!(outcome.effects.set_cookie(), None);
    };
    let alone = |cookie: Option<&str>| {
        world.a.spied.take();
        nothing(&world.a.sessions, cookie);
        world.a.spied.take()
    };
    for _ in 0..10 {
        assert_eq!(alone(None), [], "W0");
        // W4 makes a session, of a user, and each of the others finds one.
        let created = world.a.ask(None, log_in);
        assert_eq!(created.calls, [Verb::Insert], "W4");
        let line = created.outcome.effects.set_cookie().unwrap();
        let cookie = line.split(';').next();
        assert_eq!(alone(cookie), [], "W1");
        assert_eq!(world.a.ask(cookie, |_| ()).calls, [], "W2");
        for _ in 0..3 {
            assert_eq!(world.a.ask(cookie, count).calls, [Verb::Replace], "W3");
        }
        let visitor = world.a.ask(None, count);
        let line = visitor.outcome.effects.set_cookie().unwrap();
        let old = line.split(';').next();
        let login = world.a.ask(old, log_in);
        assert_eq!(login.calls, [Verb::Replace], "W5");
        let line = login.outcome.effects.set_cookie().unwrap();
        assert_eq!(
            world.a.ask(line.split(';').next(), |_| ()).calls,
            [],
            "and what it made is known"
        );

        // After the window each costs what it costs without a cache, and the first reads for all.
        world.clock.advance(MAX_AGE);
        assert_eq!(world.a.ask(cookie, |_| ()).calls, [Verb::Load]);
        assert_eq!(world.a.ask(cookie, |_| ()).calls, []);
        world.clock.advance(MAX_AGE);
        assert_eq!(world.a.ask(cookie, count).calls, [Verb::Load, Verb::Replace]);
    }
}

#[test]
fn what_is_dead_costs_one_load_as_without_a_cache() {
    let world = World::new();
    let unknown = format!("__Host-session={}", "A".repeat(43));
    for _ in 0..2 {
        let answer = world.a.ask(Some(&unknown), |_| ());
        assert_eq!((answer.verdict, answer.calls), (Verdict::Unknown, vec![Verb::Load]));
    }
    world.visit(&world.a, count);
    let cookie = world.browser.cookie_header(URL);
    world.clock.advance(60 * MINUTE);
    let answer = world.b.ask(cookie.as_deref(), |_| ());
    assert_eq!((answer.verdict, answer.calls), (Verdict::IdleExpired, vec![Verb::Load]));

    world.visit(&world.a, count);
    let cookie = world.browser.cookie_header(URL);
    world.visit(&world.a, Session::end);
    // A tombstone is believed.
    let ended = Verdict::Ended(EndReason::Logout);
    let answer = world.a.ask(cookie.as_deref(), |_| ());
    assert_eq!((answer.verdict, answer.calls), (ended, vec![]));
    let answer = world.b.ask(cookie.as_deref(), |_| ());
    assert_eq!((answer.verdict, answer.calls), (ended, vec![Verb::Load]));
}

#[test]
fn who_logs_in_on_one_machine_is_logged_in_on_the_other_at_once() {
    for policy in [None, Some(Reuse::Reject), Some(Reuse::EndSession)] {
        let world = World::with(MAX_AGE, |sessions| match policy {
            Some(reuse) => sessions.rotation(Rotation::default().on_reuse(reuse)),
            None => sessions,
        });
        world.visit(&world.a, count);
        // The other one remembers the visitor.
        assert_eq!(world.visit(&world.b, |_| ()).verdict, Verdict::Resumed);
        let visitor = world.browser.cookie_header(URL);
        world.visit(&world.a, log_in);
        let answer = world.visit(&world.b, |_| ());
        assert_eq!((answer.verdict, answer.shop.user), (Verdict::Resumed, Some(7)));
        assert_eq!(answer.calls, [Verb::Load]);
        assert_eq!(world.visit(&world.b, |_| ()).calls, [], "once");
        // The id from before is dead there from then on.
        let answer = world.b.ask(visitor.as_deref(), |_| ());
        assert_eq!(answer.verdict, Verdict::Superseded);
        assert_eq!(world.visit(&world.b, |_| ()).verdict, Verdict::Resumed);
    }
}

#[test]
fn an_id_from_before_a_login_elsewhere_reads_the_old_data_for_a_while_and_writes_nothing() {
    let world = World::new();
    world.visit(&world.a, count);
    world.visit(&world.b, |_| ());
    let visitor = world.browser.cookie_header(URL);
    world.visit(&world.a, log_in);
    world.clock.advance(MAX_AGE - MS);
    let answer = world.b.ask(visitor.as_deref(), |_| ());
    assert_eq!((answer.verdict, answer.shop.user), (Verdict::Resumed, None));
    let answer = world.b.ask(visitor.as_deref(), count);
    assert_eq!(answer.outcome.error.unwrap().status(), 409);
    assert_eq!(answer.outcome.effects.set_cookie(), None);
    // The store has told it by that.
    assert_eq!(world.b.ask(visitor.as_deref(), |_| ()).verdict, Verdict::Superseded);
}

#[test]
fn who_logs_out_on_one_machine_is_logged_out_on_the_other_after_the_maximum_age() {
    let world = World::new();
    world.visit(&world.a, log_in);
    world.visit(&world.b, |_| ());
    let cookie = world.browser.cookie_header(URL);
    world.visit(&world.a, Session::end);
    let ended = Verdict::Ended(EndReason::Logout);
    assert_eq!(world.a.ask(cookie.as_deref(), |_| ()).verdict, ended);
    world.clock.advance(MAX_AGE - MS);
    assert_eq!(world.b.ask(cookie.as_deref(), |_| ()).verdict, Verdict::Resumed);
    world.clock.advance(MS);
    assert_eq!(world.b.ask(cookie.as_deref(), |_| ()).verdict, ended);
    // Nor could it have written.
    assert_eq!(world.b.ask(cookie.as_deref(), count).verdict, ended);
}

#[test]
fn where_changes_are_told_the_logout_is_there_at_once() {
    struct Told(Option<SessionKey>);
    impl Changes for Told {
        async fn next(&mut self) -> Result<Change> {
            yield_now().await;
            Ok(self.0.take().map_or(Change::Missed, Change::Key))
        }
    }

    let world = World::new();
    world.visit(&world.a, log_in);
    let key = world.key();
    run(async {
        let mut follow = Box::pin(world.b.cache.follow(Told(Some(key))));
        assert!(poll!(&mut follow).is_pending());
        world.visit(&world.b, |_| ());
        let cookie = world.browser.cookie_header(URL);
        world.visit(&world.a, Session::end);
        assert_eq!(world.b.ask(cookie.as_deref(), |_| ()).verdict, Verdict::Resumed);
        assert!(poll!(&mut follow).is_pending());
        let answer = world.b.ask(cookie.as_deref(), |_| ());
        assert_eq!(answer.verdict, Verdict::Ended(EndReason::Logout));
    });
}

#[test]
fn to_log_out_everywhere_looks_at_the_store_and_not_at_what_is_remembered() {
    let world = World::new();
    world.visit(&world.a, count);
    // Remembered as nobody's.
    world.visit(&world.b, |_| ());
    world.visit(&world.a, log_in);
    let ended = run(world.b.sessions.end_all(Subject::from(7u64), EndReason::Revoked)).unwrap();
    assert_eq!(ended, 1);
    let left = run(world.rows.sessions_of(&Subject::from(7u64), None, 1)).unwrap();
    assert_eq!(left, []);
    assert_eq!(world.visit(&world.b, |_| ()).verdict, Verdict::Ended(EndReason::Revoked));
}

#[test]
fn a_session_that_another_machine_keeps_alive_does_not_expire_here() {
    // Remembered for longer than a session may be idle.
    let world = World::with(60 * MINUTE, |sessions| {
        sessions.lifetime(Lifetime::new(10 * MINUTE, 600 * MINUTE))
    });
    world.visit(&world.a, count);
    world.visit(&world.b, |_| ());
    world.clock.advance(8 * MINUTE);
    assert_eq!(world.visit(&world.a, |_| ()).calls, [Verb::Touch]);
    world.clock.advance(8 * MINUTE);
    let answer = world.visit(&world.b, |_| ());
    assert_eq!(answer.verdict, Verdict::Resumed);
    assert_eq!(answer.calls, [Verb::Load, Verb::Touch]);
}

#[test]
fn a_touch_is_remembered_here_and_may_be_done_once_more_elsewhere() {
    let world = World::with(10 * MINUTE, |sessions| sessions);
    world.visit(&world.a, count);
    world.visit(&world.b, |_| ());
    world.clock.advance(2 * MINUTE);
    assert_eq!(world.visit(&world.a, |_| ()).calls, [Verb::Touch]);
    assert_eq!(world.visit(&world.a, |_| ()).calls, []);
    assert_eq!(world.visit(&world.b, |_| ()).calls, [Verb::Touch]);
    assert_eq!(world.visit(&world.b, |_| ()).calls, []);
}

#[test]
fn a_successor_is_good_on_the_machine_that_has_not_heard_of_it() {
    for reuse in [Reuse::Reject, Reuse::EndSession] {
        let rotation = Rotation::default().every(MINUTE).on_reuse(reuse);
        let world = World::with(60 * MINUTE, |sessions| sessions.rotation(rotation));
        world.visit(&world.a, log_in);
        for _ in 0..4 {
            world.visit(&world.b, |_| ());
            world.clock.advance(MINUTE);
            // Offered by the one, shown to the other.
            let offered = world.visit(&world.a, |_| ());
            assert!(offered.outcome.effects.set_cookie().is_some());
            assert_eq!(world.visit(&world.b, |_| ()).verdict, Verdict::Resumed);
            assert_eq!(world.visit(&world.a, |_| ()).verdict, Verdict::Resumed);
        }
    }
}

#[test]
fn what_is_offered_elsewhere_is_not_offered_here_after_a_new_id() {
    let rotation = Rotation::default().every(MINUTE);
    let world = World::with(60 * MINUTE, |sessions| sessions.rotation(rotation));
    world.visit(&world.a, log_in);
    world.clock.advance(MINUTE);
    let old = world.browser.cookie_header(URL);
    // Its answer is lost, and the other machine hears of the offer.
    assert!(world.a.ask(old.as_deref(), |_| ()).outcome.effects.set_cookie().is_some());
    assert!(world.b.ask(old.as_deref(), |_| ()).outcome.effects.set_cookie().is_some());
    let new = world.visit(&world.a, Session::reauthenticate);
    assert!(new.outcome.effects.set_cookie().is_some());
    // A late request must not overwrite that with an id that is dead.
    let late = world.b.ask(old.as_deref(), |_| ());
    assert_eq!(late.outcome.effects.set_cookie(), None);
    assert_eq!(late.verdict, Verdict::Superseded);
}

#[test]
fn an_old_id_of_a_session_that_was_ended_elsewhere_is_of_an_ended_one() {
    let rotation = Rotation::default().every(MINUTE).grace(MS);
    let world = World::with(60 * MINUTE, |sessions| sessions.rotation(rotation));
    world.visit(&world.a, log_in);
    world.clock.advance(MINUTE);
    let old = world.browser.cookie_header(URL);
    world.visit(&world.a, |_| ());
    // Shown for the first time: the old one is over in a moment.
    world.visit(&world.b, |_| ());
    world.clock.advance(MS);
    assert_eq!(world.b.ask(old.as_deref(), |_| ()).verdict, Verdict::Superseded);
    world.visit(&world.a, Session::end);
    // So it forbids nobody to begin anew.
    let answer = world.b.ask(old.as_deref(), count);
    assert_eq!(answer.verdict, Verdict::Ended(EndReason::Logout));
    assert!(answer.outcome.error.is_none());
}

#[test]
fn data_that_cannot_be_read_is_read_as_soon_as_another_release_has_written_it() {
    #[derive(Default, Deserialize, Serialize)]
    struct Narrow {
        visits: u8,
    }
    impl SessionData for Narrow {}

    let world = World::new();
    let narrow =
        SessionLayer::<Narrow, _>::new(Arc::clone(&world.b.cache)).clock(world.clock.clone());
    let verdict = || {
        let cookie = world.browser.cookie_header(URL);
        let exchange = narrow.open(cookie.as_deref().map(str::as_bytes));
        run(exchange.session()).unwrap().verdict()
    };
    world.visit(&world.a, |session| session.update(|shop| shop.visits = 300));
    assert_eq!(verdict(), Verdict::Undecodable);
    world.visit(&world.a, |session| session.update(|shop| shop.visits = 3));
    assert_eq!(verdict(), Verdict::Resumed);
}

#[test]
fn old_data_that_is_written_to_is_merged() {
    let world = World::new();
    world.visit(&world.a, count);
    world.visit(&world.b, |_| ());
    world.visit(&world.a, |session| session.update(|shop| shop.visits = 41));
    let answer = world.visit(&world.b, |session| {
        assert_eq!(session.read(|shop| shop.visits), 1, "remembered");
        run(session.transact(|shop| shop.visits += 1)).unwrap();
        assert_eq!(session.read(|shop| shop.visits), 42);
    });
    assert_eq!(answer.calls, [Verb::Replace, Verb::Replace]);
    assert_eq!(world.visit(&world.b, |_| ()).shop.visits, 42);
}

#[test]
fn a_logout_on_what_is_remembered_ends_the_session_as_it_is() {
    let world = World::new();
    world.visit(&world.a, count);
    world.visit(&world.b, |_| ());
    world.visit(&world.a, count);
    let cookie = world.browser.cookie_header(URL);
    let answer = world.visit(&world.b, Session::end);
    assert!(answer.outcome.error.is_none());
    assert_eq!(answer.calls, [Verb::Replace, Verb::Replace]);
    let ended = Verdict::Ended(EndReason::Logout);
    assert_eq!(world.b.ask(cookie.as_deref(), |_| ()).verdict, ended);
}

#[test]
fn whoever_wraps_a_cache_passes_on_what_it_recalls() {
    fn check<S: Store>(wrap: impl FnOnce(Cached<MemoryStore>) -> S) {
        let store = wrap(Cached::new(MemoryStore::new()).max_age(MAX_AGE).clock(clock()));
        let _ = run(store.insert(&key(1), &record(1, None, 9))).unwrap();
        assert_eq!(recall(&store, 1), remembered(&record(1, None, 9)));
    }
    check(Arc::new);
    check(DynStore::new);
    check(Spy::new);
    check(Faulty::new);
    check(|cache| Yielding::new(cache, Yields::Around));
}
