//! Many requests that write one session at the same time: what they ask of the store.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use futures_util::future::join_all;
use futures_util::poll;
use typed_session::SessionKey;
use typed_session::store::{Inserted, Replaced, Result, Revision};
use typed_session::testing::{Calls, Spied, Spy};
use typed_session::{Record, Timestamp};

use super::*;

type Sessions<S> = SessionLayer<Shop, Spy<S>>;

/// A layer on a store that is watched, and the cookie of a session of it.
fn watched<S: typed_session::store::Store>(store: S) -> (Sessions<S>, Spied, String) {
    let store = Spy::new(store);
    let spied = store.handle();
    let sessions = Sessions::new(store);
    let cookie = created(&sessions);
    spied.take();
    (sessions, spied, cookie)
}

fn slow() -> Yielding<MemoryStore> {
    Yielding::new(MemoryStore::new(), Yields::Around)
}

#[test]
fn of_many_transactions_at_once_each_costs_two_writes() {
    // More than one of them would be refused in a row.
    for count in [2, 10, 100, 520] {
        let (sessions, spied, cookie) = watched(slow());
        run(join_all((0..count).map(async |_| {
            let exchange = sessions.open([cookie.as_bytes()]);
            let session = exchange.session().await.unwrap();
            session.transact(|shop| shop.visits += 1).await.unwrap();
            assert!(exchange.finish().await.error.is_none());
        })));
        let expected = Calls { load: count, replace: 2 * count - 1, ..Calls::default() };
        assert_eq!(spied.calls(), expected, "one for whoever comes first");
        assert_eq!(visits(&sessions, &cookie), count as u64);
    }
}

#[test]
fn of_many_commits_at_once_each_costs_two_writes() {
    for count in [2, 10, 100] {
        let (sessions, spied, cookie) = watched(slow());
        run(join_all((0..count).map(async |at: usize| {
            let exchange = sessions.open([cookie.as_bytes()]);
            let session = exchange.session().await.unwrap();
            session.update(|shop| shop.basket.push(at.to_string()));
            assert!(exchange.finish().await.error.is_none());
        })));
        let expected = Calls { load: count, replace: 2 * count - 1, ..Calls::default() };
        assert_eq!(spied.calls(), expected);
        let exchange = sessions.open([cookie.as_bytes()]);
        let kept = run(exchange.session()).unwrap().read(|shop| shop.basket.len());
        assert_eq!(kept, count, "and none is lost");
    }
}

#[test]
fn whoever_comes_while_others_take_turns_joins_them() {
    let (sessions, spied, cookie) = watched(slow());
    let visit = async || {
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = exchange.session().await.unwrap();
        session.transact(|shop| shop.visits += 1).await.unwrap();
    };
    run(async {
        let mut crowd = Box::pin(join_all((0..10).map(|_| visit())));
        // All of them have been refused but one.
        while spied.calls().replace < 11 {
            assert!(poll!(&mut crowd).is_pending());
        }
        let before = spied.calls().replace;
        join_all([crowd, Box::pin(join_all((0..10).map(|_| visit())))]).await;
        // One each for the newcomers, and of the crowd for who was refused.
        assert_eq!(spied.calls().replace - before, 18, "{before}");
    });
    assert_eq!(visits(&sessions, &cookie), 20);
}

#[test]
fn nobody_waits_for_a_transaction_that_nobody_polls() {
    // Held at every point at which it may be held.
    for steps in 0..20 {
        let (sessions, _, cookie) = watched(slow());
        let open = || run(sessions.open([cookie.as_bytes()]).session()).unwrap();
        let (held, first, others) = (open(), open(), [open(), open(), open()]);
        run(async {
            first.transact(|shop| shop.visits += 1).await.unwrap();
            let mut held = pin!(held.transact(|shop| shop.visits += 1));
            let mut done = false;
            for _ in 0..steps {
                done = done || poll!(&mut held).is_ready();
            }
            let adds = others.iter().map(|it| it.transact(|shop| shop.visits += 1));
            for added in join_all(adds).await {
                added.unwrap();
            }
            if !done {
                held.await.unwrap();
            }
        });
        assert_eq!(visits(&sessions, &cookie), 5, "held after {steps} steps");
    }
}

#[test]
fn who_waits_for_the_engine_is_called_when_the_one_before_is_dropped_or_done() {
    for is_dropped in [true, false] {
        let gate = Gate::default();
        let (sessions, spied, cookie) = watched(gate.clone());
        let open = || run(sessions.open([cookie.as_bytes()]).session()).unwrap();
        let (first, held, other) = (open(), open(), open());
        run(first.transact(|shop| shop.visits += 1)).unwrap();
        gate.close();
        let calls = Arc::new(Called::default());
        let (silent, waker) = (Waker::noop(), Waker::from(Arc::clone(&calls)));
        let mut held = Box::pin(held.transact(|shop| shop.visits += 1));
        assert!(held.as_mut().poll(&mut Context::from_waker(silent)).is_pending());
        gate.let_one_pass();
        // Refused, and its second try is at the engine.
        assert!(held.as_mut().poll(&mut Context::from_waker(silent)).is_pending());
        spied.take();
        let mut context = Context::from_waker(&waker);
        let mut other = Box::pin(other.transact(|shop| shop.visits += 1));
        for _ in 0..100 {
            assert!(other.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!((calls.take(), spied.take()), (0, vec![]), "it waits, and asks nothing");
        if is_dropped {
            drop(held);
            gate.open();
            assert_eq!(calls.take(), 1);
        } else {
            gate.open();
            assert_eq!(calls.take(), 1, "the engine has answered, and nobody looks");
            assert!(held.as_mut().poll(&mut Context::from_waker(silent)).is_ready());
            assert_eq!(calls.take(), 1);
        }
        assert!(other.as_mut().poll(&mut context).is_ready());
        assert_eq!(visits(&sessions, &cookie), if is_dropped { 2 } else { 3 });
    }
}

/// What was left by the one before is of a moment ago, and meanwhile another process may have
/// written the session, or ended it.
#[test]
fn what_was_left_by_the_one_before_is_not_taken_for_what_is_stored() {
    // A commit whose value was written meanwhile, and overwritten then, is merged as ever.
    for (is_ended, transacts) in [(true, true), (true, false), (false, true)] {
        let gate = Gate::default();
        let (sessions, _, cookie) = watched(gate.clone());
        let elsewhere = SessionLayer::<Shop, _>::new(Arc::clone(&gate.rows));
        let open = || run(sessions.open([cookie.as_bytes()]).session()).unwrap();
        let (first, one, other, last) = (open(), open(), open(), open());
        run(first.transact(|shop| shop.visits += 1)).unwrap();
        gate.close();
        let mut context = Context::from_waker(Waker::noop());
        let mut one = Box::pin(one.transact(|shop| shop.visits += 1));
        assert!(one.as_mut().poll(&mut context).is_pending());
        gate.let_one_pass();
        // Refused, and its second try is at the engine.
        assert!(one.as_mut().poll(&mut context).is_pending());
        let mut other = Box::pin(other.transact(|shop| shop.note = "other".into()));
        assert!(other.as_mut().poll(&mut context).is_pending());
        gate.let_one_pass();
        assert!(one.as_mut().poll(&mut context).is_ready());
        // On its way to the engine, with what that one has left.
        assert!(other.as_mut().poll(&mut context).is_pending());
        let outcome = run(async {
            let exchange = elsewhere.open([cookie.as_bytes()]);
            let session = exchange.session().await.unwrap();
            if is_ended {
                session.end()
            } else {
                session.update(|shop| shop.visits = 7)
            }
            exchange.finish().await
        });
        assert!(outcome.error.is_none());
        let mut last = Box::pin(async {
            if transacts {
                return last.transact(|shop| shop.visits = 2).await;
            }
            last.update(|shop| shop.visits = 2);
            last.commit().await
        });
        assert!(last.as_mut().poll(&mut context).is_pending());
        drop(other);
        gate.open();
        // By what was left, what it would write is there already.
        let outcome = run(last);
        if is_ended {
            let lost = matches!(outcome, Err(Error::Lost(Verdict::Ended(EndReason::Logout))));
            assert!(lost, "{outcome:?}");
        } else {
            outcome.unwrap();
            assert_eq!(visits(&elsewhere, &cookie), 2);
        }
    }
}

/// Some executors drop a task with the last that can call it, and some run code when they are
/// called.
#[test]
fn a_task_may_be_dropped_when_one_who_waits_is_called_or_its_waker_is_let_go() {
    for when_called in [false, true] {
        let (tell, told) = std::sync::mpsc::channel();
        // A thread of its own: it was a deadlock.
        std::thread::spawn(move || {
            let gate = Gate::default();
            let (sessions, _, cookie) = watched(gate.clone());
            let open = || run(sessions.open([cookie.as_bytes()]).session()).unwrap();
            let (first, held, other, last) = (open(), open(), open(), open());
            run(first.transact(|shop| shop.visits += 1)).unwrap();
            gate.close();
            let mut context = Context::from_waker(Waker::noop());
            let mut held = Box::pin(held.transact(|shop| shop.visits += 1));
            assert!(held.as_mut().poll(&mut context).is_pending());
            gate.let_one_pass();
            assert!(held.as_mut().poll(&mut context).is_pending());
            let mut last: Task =
                Box::pin(async move { last.transact(|shop| shop.visits += 1).await.unwrap() });
            assert!(last.as_mut().poll(&mut context).is_pending());
            let owner = Waker::from(Arc::new(Owner(Mutex::new(Some(last)))));
            if when_called {
                gate.open();
            }
            let mut other = Box::pin(other.transact(|shop| shop.visits += 1));
            assert!(other.as_mut().poll(&mut Context::from_waker(&owner)).is_pending());
            drop(owner);
            assert!(other.as_mut().poll(&mut context).is_pending());
            gate.open();
            run(held).unwrap();
            run(other).unwrap();
            tell.send(visits(&sessions, &cookie)).unwrap();
        });
        assert_eq!(told.recv_timeout(std::time::Duration::from_secs(20)), Ok(3));
    }
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A waker that owns a task, and drops it when it is called.
struct Owner(Mutex<Option<Task>>);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
    }
}

/// A replica that takes over may have missed the last writes, as Redis's do.
#[test]
fn what_was_left_is_forgotten_where_the_store_says_otherwise() {
    let gate = Gate::default();
    let (sessions, spied, cookie) = watched(gate.clone());
    let open = || run(sessions.open([cookie.as_bytes()]).session()).unwrap();
    let (first, one, other, last) = (open(), open(), open(), open());
    run(first.transact(|shop| shop.visits += 1)).unwrap();
    let key = first.key().unwrap();
    let before = run(gate.rows.load(&key)).unwrap().unwrap();
    gate.close();
    let mut context = Context::from_waker(Waker::noop());
    let mut one = Box::pin(one.transact(|shop| shop.visits += 1));
    assert!(one.as_mut().poll(&mut context).is_pending());
    gate.let_one_pass();
    assert!(one.as_mut().poll(&mut context).is_pending());
    let mut other = Box::pin(other.transact(|shop| shop.visits += 1));
    let mut last = Box::pin(last.transact(|shop| shop.visits += 1));
    assert!(other.as_mut().poll(&mut context).is_pending());
    assert!(last.as_mut().poll(&mut context).is_pending());
    gate.let_one_pass();
    assert!(one.as_mut().poll(&mut context).is_ready());
    run(gate.rows.remove_expired(Timestamp::MAX, 1)).unwrap();
    assert_eq!(run(gate.rows.insert(&key, &before)).unwrap(), Inserted::Created);
    spied.take();
    gate.open();
    run(other).unwrap();
    run(last).unwrap();
    assert_eq!((spied.calls().replace, visits(&sessions, &cookie)), (3, 3));
}

#[test]
fn a_logout_comes_among_those_who_take_turns_and_ends_them() {
    let (sessions, spied, cookie) = watched(slow());
    let visit = async |at: usize| {
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = exchange.session().await.unwrap();
        if at == 50 {
            session.end();
            return session.commit().await;
        }
        session.transact(|shop| shop.visits += 1).await
    };
    let outcomes = run(join_all((0..100).map(visit)));
    assert!(outcomes[50].is_ok());
    let lost = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(Error::Lost(Verdict::Ended(EndReason::Logout)))));
    let kept = outcomes.iter().filter(|outcome| outcome.is_ok());
    assert_eq!((kept.count() + lost.clone().count(), lost.count() > 0), (100, true));
    assert!(spied.calls().replace <= 200, "{:?}", spied.calls());
}

#[test]
fn transactions_that_are_dropped_in_any_order_hold_up_nobody() {
    let explored = Explorer::new()
        .drops(1)
        .max_runs(3000)
        .explore(|_| {
            let rows = Arc::new(MemoryStore::new());
            let store = Yielding::new(Arc::clone(&rows), Yields::Before);
            let sessions = SessionLayer::<Shop, _>::new(store);
            let plain = SessionLayer::<Shop, _>::new(rows);
            let cookie = created(&plain);
            let sure = Arc::new(AtomicUsize::new(0));
            let task = || {
                let exchange = sessions.open([cookie.as_bytes()]);
                let sure = Arc::clone(&sure);
                async move {
                    let session = exchange.session().await.unwrap();
                    session.transact(|shop| shop.visits += 1).await.unwrap();
                    sure.fetch_add(1, Ordering::Relaxed);
                }
            };
            let scenario = Scenario::new().task(task()).task(task()).task(task());
            scenario.check(move || {
                let sure = sure.load(Ordering::Relaxed);
                match visits(&plain, &cookie) as usize {
                    // One may have been dropped after it was written.
                    visits if visits == sure || visits == sure + 1 => Ok(()),
                    other => Err(format!("{other} visits, of which {sure} were told of")),
                }
            })
        })
        .unwrap();
    assert_eq!(explored.runs, 3000, "there are more");
}

/// Counts how often a task is called.
#[derive(Default)]
struct Called(AtomicUsize);

impl Called {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A store in memory whose `replace` waits to be let through, once it is closed.
#[derive(Clone, Default)]
struct Gate {
    rows: Arc<MemoryStore>,
    state: Arc<Mutex<Passing>>,
}

#[derive(Default)]
struct Passing {
    closed: bool,
    passes: usize,
    waiting: Vec<Waker>,
}

impl Gate {
    fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.closed = false;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    fn let_one_pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.passes += 1;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    async fn pass(&self) {
        std::future::poll_fn(|context| {
            let mut state = self.state.lock().unwrap();
            if !state.closed {
                return Poll::Ready(());
            }
            if state.passes > 0 {
                state.passes -= 1;
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl typed_session::store::Store for Gate {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.rows.load(key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.rows.insert(key, record).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.pass().await;
        self.rows.replace(key, expected, record).await
    }

    async fn touch(&self, key: &SessionKey, at: Revision, expires_at: Timestamp) -> Result<()> {
        self.rows.touch(key, at, expires_at).await
    }

    async fn end(&self, key: &SessionKey, tombstone: &Record) -> Result<()> {
        self.rows.end(key, tombstone).await
    }

    async fn sessions_of(
        &self,
        subject: &Subject,
        after: Option<&SessionKey>,
        limit: usize,
    ) -> Result<Vec<SessionKey>> {
        self.rows.sessions_of(subject, after, limit).await
    }

    async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.rows.remove_expired(now, limit).await
    }
}
