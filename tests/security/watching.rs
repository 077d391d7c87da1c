//! Sockets that learn of the end of their session.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use typed_session::store::{Change, Changes, Error, ErrorKind, MemoryStore, Result};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::{Explorer, Scenario, run};
use typed_session::testing::{Calls, Verb, When, Yielding, Yields};
use typed_session::{
    EndReason, Reuse, Rotation, Session, SessionKey, SessionLayer, Verdict, Watch, Watcher,
};

use super::world::{HOUR, MINUTE, SECOND, Shop, World};

/// A socket's handshake: a request of the browser whose session is kept.
#[track_caller]
fn handshake(world: &World, browser: &Browser) -> Session<Shop> {
    let (session, answer) = world.visit(browser, async |session| session.clone());
    answer.is_fine();
    world.spied.take();
    session
}

#[track_caller]
fn check(session: &Session<Shop>) -> Verdict {
    run(session.check()).unwrap()
}

fn revoke(world: &World, key: &SessionKey) {
    run(world.sessions.end(key, EndReason::Revoked)).unwrap();
}

const LOAD: Calls =
    Calls { load: 1, insert: 0, replace: 0, touch: 0, end: 0, sessions_of: 0, remove_expired: 0 };

// ---- Asking.

#[test]
fn asvs_4_4_3_a_socket_can_ask_whether_the_session_of_its_handshake_lives() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let session = handshake(&world, &browser);
    assert_eq!(check(&session), Verdict::Resumed);
    assert_eq!(world.spied.take(), [Verb::Load]);

    let (_, answer) = world.visit(&browser, async |session| session.end());
    answer.is_fine();
    assert_eq!(check(&session), Verdict::Ended(EndReason::Logout));
    // And what the handle saw, it sees.
    assert_eq!(session.verdict(), Verdict::Resumed);
    assert_eq!(session.read(|shop| shop.user.clone()).as_deref(), Some("ann"));
}

#[test]
fn asking_neither_prolongs_the_session_nor_changes_the_answer_to_come() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let (session, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.note = "mine".to_owned());
        assert_eq!(session.check().await.unwrap(), Verdict::Resumed);
        assert_eq!(session.read(|shop| shop.note.clone()), "mine");
        session.clone()
    });
    answer.is_fine();
    assert_eq!((answer.calls.load, answer.calls.replace, answer.set_cookie()), (2, 1, None));
    let expires_at = session.times().unwrap().expires_at;
    for _ in 0..59 {
        world.clock.advance(MINUTE);
        assert_eq!(check(&session), Verdict::Resumed);
    }
    world.clock.set(expires_at);
    assert_eq!(check(&session), Verdict::IdleExpired);
    assert_eq!(world.spied.calls().touch, 0);
}

#[test]
fn asvs_4_4_4_a_login_a_logout_and_a_rotation_elsewhere_supersede_what_a_socket_has() {
    type Change = fn(&Session<Shop>);
    let changes: [(&str, Change); 4] = [
        ("a switch of user", |session| session.update(|shop| shop.user = Some("bob".into()))),
        ("a logout that keeps the basket", |session| session.update(|shop| shop.user = None)),
        ("a confirmed password", Session::reauthenticate),
        ("a rotation", Session::rotate),
    ];
    for (name, change) in changes {
        let world = World::new();
        let browser = world.browser();
        world.log_in(&browser, "ann");
        let session = handshake(&world, &browser);
        let (_, answer) = world.visit(&browser, async |session| change(session));
        answer.is_fine();
        assert_eq!(check(&session), Verdict::Superseded, "{name}");
        // Also when the old id is no more remembered.
        world.clock.advance(10 * MINUTE);
        world.change(&browser, |shop| shop.visits += 1);
        for _ in 0..10 {
            world.visit(&browser, async |session| session.rotate()).1.is_fine();
        }
        assert_eq!(check(&session), Verdict::Superseded, "{name}, long ago");
        // It is what a commit says, too.
        session.update(|shop| shop.visits += 1);
        assert_eq!(run(session.commit()).unwrap_err().status(), 409, "{name}");
        // And the browser, whose cookie is the new one, opens the next socket.
        assert_eq!(check(&handshake(&world, &browser)), Verdict::Resumed, "{name}");
    }
}

#[test]
fn a_login_by_the_handle_itself_is_no_end_of_it() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits += 1);
    let session = handshake(&world, &browser);
    session.update(|shop| shop.user = Some("ann".to_owned()));
    run(session.commit()).unwrap();
    assert_eq!(check(&session), Verdict::Resumed);
    // Also where the answer of the store was lost.
    session.rotate();
    world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, When::After);
    run(session.commit()).unwrap_err();
    world.faults.clear();
    assert_eq!(check(&session), Verdict::Resumed);
}

#[test]
fn a_session_that_the_handle_ends_lives_until_the_commit() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let session = handshake(&world, &browser);
    session.end();
    assert_eq!(check(&session), Verdict::Resumed);
    run(session.commit()).unwrap();
    assert_eq!(check(&session), Verdict::Ended(EndReason::Logout));
}

#[test]
fn who_has_no_session_is_told_so_without_asking_the_store() {
    let world = World::new();
    let session = handshake(&world, &world.browser());
    assert_eq!(check(&session), Verdict::New);
    assert_eq!(world.spied.take(), []);
    assert_eq!(run(Watch::new().watch(&session).ended()), Verdict::New);

    // It can make one yet.
    session.update(|shop| shop.visits += 1);
    run(session.commit()).unwrap();
    assert_eq!(check(&session), Verdict::Resumed);
    revoke(&world, &session.key().unwrap());
    assert_eq!(check(&session), Verdict::Ended(EndReason::Revoked));
}

#[test]
fn by_timed_rotation_an_id_is_superseded_with_the_second_that_follows() {
    let rotation = Rotation::default().every(15 * MINUTE).on_reuse(Reuse::EndSession);
    let world = World::with(|sessions| sessions.rotation(rotation));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let session = handshake(&world, &browser);
    let rotate = || {
        world.clock.advance(15 * MINUTE);
        assert!(world.read(&browser).1.set_cookie().is_some(), "it is offered");
        world.read(&browser).1.is_fine();
    };
    rotate();
    world.clock.advance(5 * MINUTE);
    assert_eq!(check(&session), Verdict::Resumed);
    rotate();
    assert_eq!(check(&session), Verdict::Superseded);
    // To look is not to show an old id.
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
}

#[test]
fn an_outage_is_an_error_and_an_event_and_says_nothing_of_the_session() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let session = handshake(&world, &browser);
    world.events.take();
    world.faults.outage();
    assert_eq!(run(session.check()).unwrap_err().status(), 503);
    assert_eq!(world.events.names(), ["Failed"]);
    world.faults.clear();
    assert_eq!(check(&session), Verdict::Resumed);
}

// ---- Being told.

/// A socket's task, polled by hand.
struct Socket {
    watcher: Watcher<Shop>,
}

impl Socket {
    fn open(watch: &Watch, session: &Session<Shop>) -> Self {
        let mut socket = Self { watcher: watch.watch(session) };
        assert_eq!(socket.poll(), None, "the session lives");
        socket
    }

    /// What a runtime does when the task is woken; and any `select!` around it.
    fn poll(&mut self) -> Option<Verdict> {
        let ended = pin!(self.watcher.ended());
        match ended.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(verdict) => Some(verdict),
            Poll::Pending => None,
        }
    }
}

/// A world with a watch, of whose layer it hears, and whose intervals are counted by hand.
struct Watched {
    world: World,
    watch: Watch,
    /// What `check_every` is waiting for.
    turns: RefCell<Pin<Box<dyn Future<Output = ()>>>>,
    slept: Rc<Cell<u64>>,
    allowed: Rc<Cell<u64>>,
}

const INTERVAL: Duration = Duration::from_secs(16);

impl Watched {
    fn new(watch: &Watch, hears: bool) -> Self {
        let world = World::with(|sessions| match hears {
            true => sessions.observer(watch.clone()),
            false => sessions,
        });
        let (slept, allowed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (sleeping, until) = (Rc::clone(&slept), Rc::clone(&allowed));
        let turns = watch.clone().check_every(INTERVAL, move |turn| {
            assert_eq!(turn, SECOND);
            let (sleeping, until) = (Rc::clone(&sleeping), Rc::clone(&until));
            poll_fn(move |_| {
                if sleeping.get() == until.get() {
                    return Poll::Pending;
                }
                sleeping.set(sleeping.get() + 1);
                Poll::Ready(())
            })
        });
        let watched = Self {
            world,
            watch: watch.clone(),
            turns: RefCell::new(Box::pin(turns)),
            slept,
            allowed,
        };
        // It begins to sleep.
        watched.pass(Duration::ZERO);
        watched
    }

    /// Lets the task of `check_every` see the time pass.
    fn pass(&self, time: Duration) {
        self.world.clock.advance(time);
        self.allowed.set(self.allowed.get() + time.as_secs());
        let mut turns = self.turns.borrow_mut();
        assert!(turns.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(self.slept.get(), self.allowed.get());
    }

    fn log_in(&self) -> (Browser, Session<Shop>) {
        let browser = self.world.browser();
        self.world.log_in(&browser, "ann");
        let session = handshake(&self.world, &browser);
        (browser, session)
    }
}

#[test]
fn asvs_4_4_4_a_socket_is_told_at_once_of_a_logout_through_its_layer() {
    let Watched { world, watch, .. } = &Watched::new(&Watch::new(), true);
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let session = handshake(world, &browser);
    let mut sockets = [(); 3].map(|()| Socket::open(watch, &session));
    let other = world.browser();
    world.log_in(&other, "bob");
    let mut of_bob = Socket::open(watch, &handshake(world, &other));
    world.visit(&browser, async |session| session.end()).1.is_fine();
    for socket in &mut sockets {
        assert_eq!(socket.poll(), Some(Verdict::Ended(EndReason::Logout)));
        assert_eq!(socket.poll(), Some(Verdict::Ended(EndReason::Logout)), "it stays so");
    }
    world.spied.take();
    assert_eq!(of_bob.poll(), None);
    assert_eq!(world.spied.take(), [], "another session's end is none of its business");
}

#[test]
fn asvs_4_4_4_a_socket_is_told_at_once_of_a_login_in_the_same_browser() {
    let Watched { world, watch, .. } = &Watched::new(&Watch::new(), true);
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits += 1);
    let mut socket = Socket::open(watch, &handshake(world, &browser));
    world.change(&browser, |shop| shop.visits += 1);
    assert_eq!(socket.poll(), None);
    world.log_in(&browser, "ann");
    assert_eq!(socket.poll(), Some(Verdict::Superseded));
}

#[test]
fn asvs_4_4_4_on_every_store_a_socket_learns_of_an_end_elsewhere_within_the_interval() {
    let watched = Watched::new(&Watch::new(), false);
    let mut sockets: Vec<_> = (0..50)
        .map(|_| {
            let (_, session) = watched.log_in();
            (Socket::open(&watched.watch, &session), session.key().unwrap())
        })
        .collect();
    for (_, key) in &sockets {
        revoke(&watched.world, key);
    }
    watched.world.spied.take();
    let mut told = Vec::new();
    for _ in 0..16 {
        watched.pass(SECOND);
        let count = sockets.len();
        sockets.retain_mut(|(socket, _)| match socket.poll() {
            Some(verdict) => {
                assert_eq!(verdict, Verdict::Ended(EndReason::Revoked));
                false
            }
            None => true,
        });
        told.push(count - sockets.len());
    }
    assert!(sockets.is_empty(), "all within the interval: {told:?}");
    assert!(told.iter().all(|told| *told <= 15), "and not all at once: {told:?}");
    assert_eq!(watched.world.spied.calls(), Calls { load: 50, ..LOAD });
}

#[test]
fn asvs_4_4_3_a_socket_learns_of_expiry_and_of_a_deadline_that_was_moved() {
    let watched = Watched::new(&Watch::new(), false);
    // So that no round comes by before.
    let _following = following(&watched.watch);
    let (browser, session) = watched.log_in();
    let mut socket = Socket::open(&watched.watch, &session);
    watched.pass(HOUR - MINUTE);
    assert_eq!(socket.poll(), None);
    // Another request moves it, of which no engine tells.
    watched.world.read(&browser).1.is_fine();
    watched.pass(2 * MINUTE);
    assert_eq!(socket.poll(), None);
    watched.pass(HOUR - 3 * MINUTE);
    assert_eq!(socket.poll(), None);
    watched.pass(MINUTE + 2 * SECOND);
    assert_eq!(socket.poll(), Some(Verdict::IdleExpired));
}

#[test]
fn a_watcher_costs_no_store_call_until_there_is_something_to_look_at() {
    let watched = Watched::new(&Watch::new(), true);
    let _following = following(&watched.watch);
    let (_, session) = watched.log_in();
    let mut socket = Socket::open(&watched.watch, &session);
    assert_eq!(watched.world.spied.take(), [Verb::Load], "at the beginning");
    for _ in 0..10 {
        watched.pass(4 * SECOND);
        assert_eq!(socket.poll(), None);
    }
    // A source may be dead and not know: once in 60 intervals it is not relied on.
    let seldom = watched.world.spied.take().len();
    assert!(seldom <= 1, "{seldom}");
    for _ in 0..56 {
        watched.pass(INTERVAL);
        assert_eq!(socket.poll(), None);
    }
    watched.pass(2 * INTERVAL);
    assert_eq!(socket.poll(), None);
    assert!((1..=2).contains(&(seldom + watched.world.spied.take().len())));
}

#[test]
fn an_end_before_the_first_look_or_during_one_is_not_missed() {
    let watched = Watched::new(&Watch::new(), true);
    let (browser, session) = watched.log_in();
    let mut early = watched.watch.watch(&session);
    let mut waiting = Socket::open(&watched.watch, &session);
    watched.world.visit(&browser, async |session| session.end()).1.is_fine();
    assert_eq!(run(early.ended()), Verdict::Ended(EndReason::Logout));
    assert_eq!(waiting.poll(), Some(Verdict::Ended(EndReason::Logout)));
}

#[test]
fn asvs_4_4_3_an_outage_does_not_end_a_socket_and_does_not_hide_the_end() {
    let watched = Watched::new(&Watch::new(), true);
    let _following = following(&watched.watch);
    let (_, session) = watched.log_in();
    let mut socket = Socket::open(&watched.watch, &session);
    revoke(&watched.world, &session.key().unwrap());
    watched.world.faults.outage();
    assert_eq!(socket.poll(), None, "it cannot look");
    watched.pass(INTERVAL);
    assert_eq!(socket.poll(), None, "nor can it now");
    watched.world.faults.clear();
    watched.pass(INTERVAL);
    assert_eq!(socket.poll(), Some(Verdict::Ended(EndReason::Revoked)));
}

#[test]
fn of_a_watcher_that_is_dropped_nothing_is_left() {
    let watched = Watched::new(&Watch::new(), true);
    let (_, session) = watched.log_in();
    let mut sockets = Vec::new();
    for _ in 0..1000 {
        sockets.push(Socket::open(&watched.watch, &session));
    }
    assert_eq!(watched.watch.len(), 1000);
    sockets.truncate(1);
    assert_eq!(watched.watch.len(), 1);
    revoke(&watched.world, &session.key().unwrap());
    assert!(sockets[0].poll().is_some());
    assert!(watched.watch.is_empty(), "also of one that has told");
}

#[test]
fn a_look_that_is_cut_short_is_done_again_and_an_end_during_a_look_is_seen() {
    let watch = Watch::new();
    let sessions = SessionLayer::<Shop, _>::new(Yielding::new(MemoryStore::new(), Yields::Around));
    let sessions = sessions.observer(watch.clone());
    let exchange = sessions.open([]);
    let session = run(exchange.session()).unwrap();
    session.update(|shop| shop.visits += 1);
    assert!(run(exchange.finish()).error.is_none());
    let (key, context) = (session.key().unwrap(), &mut Context::from_waker(Waker::noop()));

    // Begun before the end, so it does not see it; then dropped.
    let mut dropped = watch.watch(&session);
    let mut slow = watch.watch(&session.clone());
    assert!(pin!(dropped.ended()).poll(context).is_pending());
    let verdict = run(async {
        let mut look = pin!(slow.ended());
        assert!(futures_util::poll!(look.as_mut()).is_pending());
        sessions.end(&key, EndReason::Revoked).await.unwrap();
        look.await
    });
    assert_eq!(verdict, Verdict::Ended(EndReason::Revoked));
    assert_eq!(run(dropped.ended()), Verdict::Ended(EndReason::Revoked));
}

#[test]
fn no_order_of_an_end_and_a_look_loses_the_end() {
    let explored = Explorer::new().explore(|_| {
        let watch = Watch::new();
        let store = Yielding::new(MemoryStore::new(), Yields::Around);
        let sessions = SessionLayer::<Shop, _>::new(store).observer(watch.clone());
        let session = run(async {
            let exchange = sessions.open([]);
            let session = exchange.session().await.unwrap();
            session.update(|shop| shop.visits += 1);
            assert!(exchange.finish().await.error.is_none());
            session
        });
        let key = session.key().unwrap();
        let [mut first, mut second] = [(); 2].map(|()| watch.watch(&session));
        let ended = Verdict::Ended(EndReason::Revoked);
        // If one were lost, it would wait for ever, and the explorer says so.
        Scenario::new()
            .task(async move { assert_eq!(first.ended().await, ended) })
            .task(async move { assert_eq!(second.ended().await, ended) })
            .task(async move { sessions.end(&key, EndReason::Revoked).await.unwrap() })
    });
    assert!(explored.unwrap().runs > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_end_is_lost_between_threads() {
    let watch = Watch::new();
    let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new()).observer(watch.clone());
    for round in 0..2000 {
        let exchange = sessions.open([]);
        let session = exchange.session().await.unwrap();
        session.update(|shop| shop.visits += 1);
        assert!(exchange.finish().await.error.is_none());
        let key = session.key().unwrap();
        let mut watcher = watch.watch(&session);
        let waiting = tokio::spawn(async move { watcher.ended().await });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        sessions.end(&key, EndReason::Revoked).await.unwrap();
        let verdict =
            tokio::time::timeout(10 * SECOND, waiting).await.expect("it is told").unwrap();
        assert_eq!(verdict, Verdict::Ended(EndReason::Revoked));
    }
    assert!(watch.is_empty());
}

// ---- Sources of changes.

/// An engine that tells what the test has it tell.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<VecDeque<Result<Change>>>>);

impl Changes for Told {
    async fn next(&mut self) -> Result<Change> {
        poll_fn(|_| match self.0.lock().unwrap().pop_front() {
            Some(change) => Poll::Ready(change),
            None => Poll::Pending,
        })
        .await
    }
}

type Following = Pin<Box<dyn Future<Output = Error>>>;

/// A source that is followed and tells nothing.
fn following(watch: &Watch) -> Following {
    follow(watch, Told::default())
}

fn follow(watch: &Watch, told: Told) -> Following {
    let watch = watch.clone();
    let mut following: Following = Box::pin(async move { watch.follow(told).await });
    assert!(following.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    following
}

#[test]
fn what_an_engine_tells_lets_those_look_whose_session_it_is() {
    let watched = Watched::new(&Watch::new(), false);
    let (told, context) = (Told::default(), &mut Context::from_waker(Waker::noop()));
    let mut following = follow(&watched.watch, told.clone());
    let (_, session) = watched.log_in();
    let (_, other) = watched.log_in();
    let mut socket = Socket::open(&watched.watch, &session);
    let mut of_other = Socket::open(&watched.watch, &other);
    let key = session.key().unwrap();
    let tell = |change| told.0.lock().unwrap().push_back(change);
    watched.world.spied.take();

    // A change that is no end is one look.
    tell(Ok(Change::Key(key)));
    assert!(following.as_mut().poll(context).is_pending());
    assert_eq!((socket.poll(), of_other.poll()), (None, None));
    assert_eq!(watched.world.spied.take(), [Verb::Load]);

    revoke(&watched.world, &key);
    assert_eq!(socket.poll(), None, "nobody has told it");
    tell(Ok(Change::Key(key)));
    assert!(following.as_mut().poll(context).is_pending());
    assert_eq!(socket.poll(), Some(Verdict::Ended(EndReason::Revoked)));

    // What may have been missed is looked for.
    revoke(&watched.world, &other.key().unwrap());
    tell(Ok(Change::Missed));
    assert!(following.as_mut().poll(context).is_pending());
    assert_eq!(of_other.poll(), Some(Verdict::Ended(EndReason::Revoked)));
}

#[test]
fn where_a_source_comes_to_its_end_the_interval_holds_again() {
    let watched = Watched::new(&Watch::new(), false);
    let told = Told::default();
    let mut following = follow(&watched.watch, told.clone());
    let (_, session) = watched.log_in();
    let mut socket = Socket::open(&watched.watch, &session);
    watched.world.spied.take();
    told.0.lock().unwrap().push_back(Err(ErrorKind::Unavailable.into()));
    let error = run(&mut following);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(socket.poll(), None);
    assert_eq!(watched.world.spied.take(), [Verb::Load], "it may have missed something");
    revoke(&watched.world, &session.key().unwrap());
    watched.pass(INTERVAL);
    assert_eq!(socket.poll(), Some(Verdict::Ended(EndReason::Revoked)));

    // Also where the future is dropped.
    let (_, session) = watched.log_in();
    let following = self::following(&watched.watch);
    let mut socket = Socket::open(&watched.watch, &session);
    drop(following);
    assert_eq!(socket.poll(), None);
    revoke(&watched.world, &session.key().unwrap());
    watched.pass(INTERVAL);
    assert_eq!(socket.poll(), Some(Verdict::Ended(EndReason::Revoked)));
}
