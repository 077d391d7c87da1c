//! Every order of logins and logouts, and a crash at any step.
//!
//! `TYPED_SESSION_SCHEDULES` sets how many orders of each few requests are tried; the default takes
//! seconds, and a million sees all orders of two requests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use typed_session::store::{Inserted, MemoryStore, Replaced, Result, Revision, Scan as _, Store};
use typed_session::testing::schedule::{Explorer, Scenario, run, yield_now};
use typed_session::testing::{ManualClock, SeededEntropy, Yielding, Yields};
use typed_session::{
    EndReason, Error, OnLimit, Record, SessionKey, SessionLayer, Subject, Timestamp, Verdict,
};

use crate::world::{MINUTE, START, Shop};

/// Counts, after each write and so at every instant, how many sessions ann has.
#[derive(Clone, Default)]
struct Counting {
    rows: Arc<MemoryStore>,
    most: Arc<AtomicUsize>,
    /// What was written, for whoever reads of a failure.
    trace: Arc<Mutex<Vec<String>>>,
}

impl Counting {
    async fn live(&self) -> usize {
        let rows = self.rows.scan(None, 1000).await.unwrap().rows;
        rows.iter().filter(|row| row.subject == Some(Subject::from("ann"))).count()
    }

    async fn noted<R: std::fmt::Debug>(&self, key: &SessionKey, record: &Record, answer: R) -> R {
        let whose = record.subject.map_or("nobody's", |subject| match subject {
            subject if subject == Subject::from("ann") => "ann's",
            _ => "a table",
        });
        let revision = record.revision.as_u64();
        self.trace.lock().unwrap().push(format!("{key:.6}, {whose}, {revision}: {answer:?}"));
        self.most.fetch_max(self.live().await, Ordering::SeqCst);
        answer
    }
}

impl Store for Counting {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.rows.load(key).await
    }

    async fn insert(&self, key: &SessionKey, record: &Record) -> Result<Inserted> {
        self.noted(key, record, self.rows.insert(key, record).await).await
    }

    async fn replace(
        &self,
        key: &SessionKey,
        expected: Revision,
        record: &Record,
    ) -> Result<Replaced> {
        self.noted(key, record, self.rows.replace(key, expected, record).await).await
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

type Layer = SessionLayer<Shop, Yielding<Counting>>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A login of a browser that has no session.
    New,
    /// A login of one that has.
    Known,
    /// A change of the session that `Known` logs in with.
    Change,
    /// A logout of the one who is logged in, by an end.
    End,
    /// The same, by the data.
    Leave,
}

use Kind::{Change, End, Known, Leave, New};

type Outcomes = Arc<Mutex<Vec<(Kind, Option<Error>)>>>;

struct Stage {
    counting: Counting,
    clock: ManualClock,
    layer: Layer,
    known: String,
    first: String,
    outcomes: Outcomes,
}

/// What a request changes, and the cookie that it gets.
async fn request(
    layer: &Layer,
    cookie: &str,
    change: impl FnOnce(&typed_session::Session<Shop>),
) -> (Option<Error>, Option<String>) {
    let exchange = layer.open([cookie.as_bytes()]);
    let session = match exchange.session().await {
        Ok(session) => session,
        Err(error) => return (Some(error), None),
    };
    change(&session);
    let outcome = exchange.finish().await;
    let line = outcome.effects.set_cookie();
    (outcome.error, line.map(|line| line.split(';').next().unwrap().to_owned()))
}

impl Stage {
    fn set(on_limit: OnLimit, first_is_in: bool, yields: Yields) -> Self {
        let counting = Counting::default();
        let clock = ManualClock::at(START);
        let layer: Layer = SessionLayer::new(Yielding::new(counting.clone(), yields))
            .clock(clock.clone())
            .dangerous_entropy(SeededEntropy::new(7))
            .max_sessions(1, on_limit);
        let visit = |shop: Shop| {
            let (error, cookie) = run(request(&layer, "", |session| {
                session.replace(shop);
            }));
            assert!(error.is_none());
            cookie.unwrap()
        };
        let known = visit(Shop { visits: 1, ..Shop::default() });
        let user = first_is_in.then(|| "ann".to_owned());
        let first = visit(Shop { visits: 1, user, ..Shop::default() });
        clock.advance(MINUTE / 60);
        Self { counting, clock, layer, known, first, outcomes: Arc::default() }
    }

    fn request(&self, kind: Kind) -> impl Future<Output = ()> + use<> {
        let (layer, outcomes) = (self.layer.clone(), Arc::clone(&self.outcomes));
        let cookie = match kind {
            New => String::new(),
            Known | Change => self.known.clone(),
            End | Leave => self.first.clone(),
        };
        async move {
            yield_now().await;
            let (error, _) = request(&layer, &cookie, |session| match kind {
                New | Known => session.update(|shop| shop.user = Some("ann".into())),
                Change => session.update(|shop| shop.visits += 1),
                End => session.end(),
                Leave => session.update(|shop| shop.user = None),
            })
            .await;
            outcomes.lock().unwrap().push((kind, error));
        }
    }

    fn check(
        &self,
        on_limit: OnLimit,
        somebody_stays: bool,
        room: bool,
    ) -> std::result::Result<(), String> {
        self.checked(on_limit, somebody_stays, room).map_err(|message| {
            let trace = self.counting.trace.lock().unwrap().join("\n    ");
            format!("{message}, {:?}\n    {trace}", self.outcomes.lock().unwrap())
        })
    }

    fn checked(
        &self,
        on_limit: OnLimit,
        somebody_stays: bool,
        room: bool,
    ) -> std::result::Result<(), String> {
        let most = self.counting.most.load(Ordering::SeqCst);
        if most > 1 {
            return Err(format!("{most} sessions at once"));
        }
        let outcomes = self.outcomes.lock().unwrap();
        let mut logins = 0;
        for (kind, error) in outcomes.iter() {
            let fine = match (kind, error) {
                (New | Known, None) => {
                    logins += 1;
                    true
                }
                (New | Known, Some(Error::TooManySessions)) => on_limit == OnLimit::RejectNew,
                (New | Known, Some(Error::Lost(Verdict::Ended(EndReason::Displaced)))) => {
                    on_limit != OnLimit::RejectNew
                }
                // Another request has logged in with this session, and its id is a new one.
                (Known | Change, Some(Error::Lost(Verdict::Superseded))) => true,
                (Leave | End, Some(Error::Lost(Verdict::Ended(_)))) => true,
                (_, error) => error.is_none(),
            };
            if !fine {
                return Err(format!("{kind:?}: {error:?}"));
            }
        }
        let tried = outcomes.iter().filter(|(kind, _)| matches!(kind, New | Known)).count();
        let live = run(self.counting.live());
        if tried > 0 && room && logins == 0 {
            return Err("nobody came in, and there was room".into());
        }
        if tried > 0 && somebody_stays && on_limit != OnLimit::RejectNew && live != 1 {
            return Err(format!("{live} are in, after the last login"));
        }
        drop(outcomes);
        // A seat that nobody sits on is free after a minute.
        self.clock.advance(MINUTE);
        let late = run(self.request_late());
        match late {
            None => {}
            Some(Error::TooManySessions) if on_limit == OnLimit::RejectNew && live == 1 => {}
            Some(error) => return Err(format!("a later login: {error:?}, {live} live")),
        }
        match (run(self.counting.live()), self.counting.most.load(Ordering::SeqCst)) {
            (1, 1) => Ok(()),
            other => Err(format!("{other:?} at last")),
        }
    }

    async fn request_late(&self) -> Option<Error> {
        let log_in = |session: &typed_session::Session<Shop>| {
            session.update(|shop| shop.user = Some("ann".into()));
        };
        request(&self.layer, "", log_in).await.0
    }
}

fn explore(kinds: &[Kind], drops: usize, max_runs: usize) -> (usize, bool) {
    let (mut runs, mut complete) = (0, true);
    for on_limit in [OnLimit::RejectNew, OnLimit::EndOldest] {
        for first_is_in in [true, false] {
            let kinds: Vec<_> = kinds.to_vec();
            if !first_is_in && kinds.iter().any(|kind| matches!(kind, End | Leave)) {
                continue;
            }
            let explored = Explorer::new()
                .max_runs(max_runs)
                .drops(drops)
                .explore(|_| {
                    let yields = if drops > 0 { Yields::Around } else { Yields::Before };
                    let stage = Stage::set(on_limit, first_is_in, yields);
                    let scenario = kinds
                        .iter()
                        .map(|kind| stage.request(*kind))
                        .fold(Scenario::new(), Scenario::task);
                    // Who has ended another one, and dies, is not in.
                    scenario.check(move || {
                        stage.check(on_limit, drops == 0, drops == 0 && !first_is_in)
                    })
                })
                .unwrap_or_else(|failure| panic!("{kinds:?}, {on_limit:?}\n{failure}"));
            runs += explored.runs;
            complete &= explored.complete;
        }
    }
    (runs, complete)
}

fn max_runs(usual: usize) -> usize {
    let asked = std::env::var("TYPED_SESSION_SCHEDULES");
    asked.ok().and_then(|runs| runs.parse().ok()).unwrap_or(usual)
}

#[test]
fn asvs_7_1_2_two_logins_keep_the_limit_in_many_orders() {
    let (mut runs, mut all) = (0, true);
    for pair in [[New, New], [New, Known], [Known, Known], [Known, Change]] {
        let (more, complete) = explore(&pair, 0, max_runs(3000));
        runs += more;
        all &= complete;
    }
    println!("{runs} orders of two requests{}", if all { ": all there are" } else { "" });
}

#[test]
fn asvs_7_1_2_a_login_and_a_logout_keep_the_limit_in_many_orders() {
    let (mut runs, mut all) = (0, true);
    for pair in [[New, End], [New, Leave], [Known, End], [Known, Leave]] {
        let (more, complete) = explore(&pair, 0, max_runs(3000));
        runs += more;
        all &= complete;
    }
    println!("{runs} orders of two requests{}", if all { ": all there are" } else { "" });
}

#[test]
fn asvs_7_1_2_two_logins_and_a_logout_keep_the_limit_in_many_orders() {
    let (mut runs, mut all) = (0, true);
    for three in [
        [New, New, End],
        [New, New, Leave],
        [New, Known, End],
        [New, Known, Leave],
        [Known, Known, Leave],
        [New, Known, Change],
    ] {
        let (more, complete) = explore(&three, 0, max_runs(500));
        runs += more;
        all &= complete;
    }
    println!("{runs} orders of three requests{}", if all { ": all there are" } else { "" });
}

#[test]
fn asvs_7_1_2_a_login_that_dies_at_any_step_breaks_no_limit() {
    let (mut runs, mut all) = (0, true);
    for pair in [[New, New], [New, Known], [Known, Leave], [New, End]] {
        let (more, complete) = explore(&pair, 1, max_runs(2000));
        runs += more;
        all &= complete;
    }
    println!("{runs} orders with a crash{}", if all { ": all there are" } else { "" });
}

/// While one request ends all others, or all, another logs in.
fn explore_ends(all: bool, kind: Kind) -> usize {
    let explored = Explorer::new()
        .max_runs(max_runs(2000))
        .explore(|_| {
            let stage = Stage::set(OnLimit::RejectNew, true, Yields::Around);
            // Many sessions are allowed here.
            let layer = stage.layer.clone().max_sessions(9, OnLimit::RejectNew);
            let stage = Stage { layer, ..stage };
            let login = {
                let (layer, outcomes) = (stage.layer.clone(), Arc::clone(&stage.outcomes));
                let cookie = if kind == Known { stage.known.clone() } else { String::new() };
                async move {
                    let (error, cookie) = request(&layer, &cookie, |session| {
                        session.update(|shop| shop.user = Some("ann".into()));
                    })
                    .await;
                    assert!(cookie.is_some() == error.is_none());
                    outcomes.lock().unwrap().push((kind, error));
                }
            };
            let before = Arc::new(Mutex::new(None));
            let ending = {
                let (layer, outcomes) = (stage.layer.clone(), Arc::clone(&stage.outcomes));
                let (first, before) = (stage.first.clone(), Arc::clone(&before));
                async move {
                    yield_now().await;
                    let acknowledged =
                        outcomes.lock().unwrap().iter().any(|(_, error)| error.is_none());
                    if all {
                        layer.end_all(Subject::from("ann"), EndReason::Revoked).await.unwrap();
                    } else {
                        let exchange = layer.open([first.as_bytes()]);
                        let session = exchange.session().await.unwrap();
                        layer.end_others(&session, EndReason::Revoked).await.unwrap();
                        let outcome = exchange.finish().await;
                        assert!(outcome.error.is_none() && outcome.effects.set_cookie().is_some());
                    }
                    *before.lock().unwrap() = Some(acknowledged);
                }
            };
            let scenario = Scenario::new().task(login).task(ending);
            scenario.check(move || {
                let acknowledged = before.lock().unwrap().unwrap();
                let live = run(stage.counting.live());
                let this = usize::from(!all);
                match (acknowledged, live - this) {
                    (true, 0) | (false, 0 | 1) => Ok(()),
                    (_, others) => Err(format!("{others} others are in")),
                }
            })
        })
        .unwrap();
    explored.runs
}

#[test]
fn asvs_7_4_3_a_login_that_was_acknowledged_before_is_ended_in_every_order() {
    for all in [false, true] {
        for kind in [New, Known] {
            let runs = explore_ends(all, kind);
            assert!(runs > 10);
        }
    }
}
