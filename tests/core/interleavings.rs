//! Every order of a few requests of one browser on one session, with answers
//! that arrive in any order or get lost.
//!
//! `TYPED_SESSION_SCHEDULES` sets how many orders of each three requests are
//! tried; the default takes seconds, and half a million sees nearly all.

use std::sync::{Arc, Mutex};

use typed_session::store::{MemoryStore, Revision, Store as _};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::{Choice, Explorer, Scenario, run, yield_now};
use typed_session::testing::{ManualClock, SeededEntropy, Yielding, Yields};
use typed_session::{Rotation, SessionKey, SessionLayer, Verdict};

use super::world::{SECOND, START, Shop, URL};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Read,
    Write,
    /// A login; or, if somebody is logged in, one more proof of who it is.
    Login,
    /// A request for which a timed rotation is due.
    Rotate,
    End,
}

use Kind::{End, Login, Read, Rotate, Write};

const KINDS: [Kind; 5] = [Read, Write, Login, Rotate, End];

type Layer = SessionLayer<Shop, Yielding<Arc<MemoryStore>>>;

/// What is acknowledged, and what went over the wire.
#[derive(Default)]
struct Seen {
    wrote: Vec<String>,
    ended: bool,
    logins: Vec<String>,
    offers: Vec<String>,
    /// Of sessions other than the one that all began with, without a subject.
    anonymous: Vec<String>,
    lost: bool,
}

struct Stage {
    rows: Arc<MemoryStore>,
    clock: ManualClock,
    browser: Arc<Browser>,
    usual: Layer,
    rotating: Layer,
    first: String,
    key: SessionKey,
    seen: Arc<Mutex<Seen>>,
    kinds: Vec<Kind>,
    subject: bool,
}

impl Stage {
    fn set(kinds: &[Kind], subject: bool) -> Self {
        let rows = Arc::new(MemoryStore::new());
        let clock = ManualClock::at(START);
        let browser = Arc::new(Browser::new(clock.clone()));
        let usual: Layer = SessionLayer::new(Yielding::new(Arc::clone(&rows), Yields::Before))
            .clock(clock.clone())
            .dangerous_entropy(SeededEntropy::new(7));
        let rotating = usual.clone().rotation(Rotation::default().every(SECOND));
        let exchange = usual.open([]);
        let (key, line) = run(async {
            let session = exchange.session().await.unwrap();
            session.update(|shop| {
                shop.note = "made".into();
                shop.user = subject.then(|| "ann".into());
            });
            session.commit().await.unwrap();
            let key = session.key().unwrap();
            (key, exchange.finish().await.effects.set_cookie().unwrap().to_owned())
        });
        assert!(browser.receive(URL, [line])[0].is_ok());
        let first = browser.cookie_header(URL).unwrap();
        clock.advance(2 * SECOND);
        let seen = Arc::default();
        let kinds = kinds.to_vec();
        Self { rows, clock, browser, usual, rotating, first, key, seen, kinds, subject }
    }

    /// One request, from the browser to the browser.
    fn request(
        &self,
        number: usize,
        choice: &Choice,
        loss: bool,
    ) -> impl Future<Output = ()> + use<> {
        let kind = self.kinds[number];
        let layer = if kind == Rotate { &self.rotating } else { &self.usual }.clone();
        let (browser, seen) = (Arc::clone(&self.browser), Arc::clone(&self.seen));
        let (clock, choice, key) = (self.clock.clone(), choice.clone(), self.key);
        async move {
            clock.advance(SECOND);
            let cookie = browser.cookie_header(URL);
            let exchange = layer.open(cookie.as_deref().map(str::as_bytes));
            let session = exchange.session().await.unwrap();
            let resumed = session.verdict() == Verdict::Resumed && session.key() == Some(key);
            let item = format!("item {number}");
            match kind {
                Read | Rotate => {}
                Write => session.update(|shop| shop.basket.push(item.clone())),
                Login if session.read(|shop| shop.user.is_some()) => session.rotate(),
                Login => session.update(|shop| shop.user = Some("ann".into())),
                End => session.end(),
            }
            let outcome = exchange.finish().await;
            let line = outcome.effects.set_cookie().map(str::to_owned);
            let cookie = line.as_ref().map(|line| line.split(';').next().unwrap().to_owned());
            if outcome.error.is_none() {
                let mut seen = seen.lock().unwrap();
                match (kind, resumed) {
                    (Login, true) => seen.logins.extend(cookie),
                    (End, true) => seen.ended = true,
                    (Read | Rotate | Write, true) => {
                        // Offered by whoever sees that a rotation is under way.
                        seen.offers.extend(cookie);
                        seen.wrote.extend((kind == Write).then_some(item));
                    }
                    (Write, false) => seen.anonymous.extend(cookie),
                    (Read | Rotate | Login | End, false) => {}
                }
            } else {
                assert_eq!(line, None, "what failed sets no cookie");
            }
            yield_now().await;
            let is_lost = {
                let may_be = loss && !seen.lock().unwrap().lost;
                may_be && choice.of(2) == 1
            };
            if is_lost {
                seen.lock().unwrap().lost = true;
            } else if let Some(line) = line {
                assert!(browser.receive(URL, [line])[0].is_ok());
            }
        }
    }

    fn verdict(&self, cookie: &str) -> (Verdict, Shop, Option<SessionKey>) {
        let exchange = self.usual.open([cookie.as_bytes()]);
        run(async {
            let session = exchange.session().await.unwrap();
            (session.verdict(), session.read(Shop::clone), session.key())
        })
    }

    /// What must hold once everything has come to rest.
    fn check(&self) -> Result<(), String> {
        let seen = self.seen.lock().unwrap();
        let record = run(self.rows.load(&self.key)).unwrap().expect("the row is still there");
        let alive = record.revision != Revision::ENDED;
        if seen.ended && alive {
            return Err("an ended session is back".to_owned());
        }
        if !alive {
            return Ok(());
        }
        if !seen.logins.is_empty() && self.verdict(&self.first).0 == Verdict::Resumed {
            return Err("the id from before the login is alive".to_owned());
        }
        let known = [&self.first].into_iter().chain(&seen.logins).chain(&seen.offers);
        let mut living = known.map(|cookie| self.verdict(cookie));
        let Some((_, shop, _)) =
            living.find(|(verdict, _, key)| *verdict == Verdict::Resumed && *key == Some(self.key))
        else {
            return Err("the session lives, and no id opens it".to_owned());
        };
        if let Some(item) = seen.wrote.iter().find(|item| !shop.basket.contains(item)) {
            return Err(format!("{item} was acknowledged and is lost"));
        }
        let jar = self.browser.cookie_header(URL);
        if !seen.logins.is_empty() && jar.as_ref().is_some_and(|jar| seen.anonymous.contains(jar)) {
            return Err("the cookie of a login was overwritten".to_owned());
        }
        // Known and accepted: the answer of a login was lost, or a repeated login
        // crosses the late answer of a timed rotation.
        let logins = self.kinds.iter().filter(|kind| **kind == Login).count();
        let crossed = jar.as_ref().is_some_and(|jar| seen.offers.contains(jar))
            && (self.subject || logins > 1);
        if (seen.lost && !seen.logins.is_empty()) || crossed {
            return Ok(());
        }
        // All graces are over.
        self.clock.advance(31 * SECOND);
        match jar.as_ref().map(|jar| self.verdict(jar).0) {
            Some(Verdict::Resumed) => Ok(()),
            other => Err(format!("the browser has lost its session: {other:?}")),
        }
    }
}

fn explore(kinds: &[Kind], max_runs: usize) -> (usize, bool) {
    let (mut runs, mut complete) = (0, true);
    for subject in [false, true] {
        for loss in [false, true] {
            let explored = Explorer::new()
                .max_runs(max_runs)
                .explore(|choice| {
                    let stage = Stage::set(kinds, subject);
                    let tasks = (0..kinds.len()).map(|number| stage.request(number, choice, loss));
                    let scenario = tasks.fold(Scenario::new(), Scenario::task);
                    scenario.check(move || stage.check())
                })
                .unwrap_or_else(|failure| {
                    panic!("{kinds:?}, subject: {subject}, loss: {loss}\n{failure}")
                });
            runs += explored.runs;
            complete &= explored.complete;
        }
    }
    (runs, complete)
}

#[test]
fn two_requests_of_any_kind_keep_the_session_in_every_order() {
    let mut runs = 0;
    for (at, first) in KINDS.iter().enumerate() {
        for second in &KINDS[at..] {
            let (more, complete) = explore(&[*first, *second], 1_000_000);
            assert!(complete);
            runs += more;
        }
    }
    println!("{runs} orders of two requests: all there are");
}

#[test]
fn three_requests_of_any_kind_keep_the_session_in_many_orders() {
    let asked = std::env::var("TYPED_SESSION_SCHEDULES");
    let max_runs = asked.ok().and_then(|runs| runs.parse().ok()).unwrap_or(300);
    let (mut runs, mut all) = (0, true);
    for (at, first) in KINDS.iter().enumerate() {
        for (then, second) in KINDS.iter().enumerate().skip(at) {
            for third in &KINDS[then..] {
                let (more, complete) = explore(&[*first, *second, *third], max_runs);
                runs += more;
                all &= complete;
            }
        }
    }
    println!("{runs} orders of three requests{}", if all { ": all there are" } else { "" });
}
