//! A small world for stories: a shop, its store, a clock, and browsers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use typed_session::store::MemoryStore;
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::testing::{
    Calls, Faults, Faulty, ManualClock, SeededEntropy, Spied, Spy, bare_id,
};
use typed_session::{
    Error, Event, Exchange, IdForm, KeyRing, Observer, Outcome, Session, SessionData, SessionLayer,
    Subject, Timestamp, Transport, Verdict,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where all of it happens.
pub(crate) const URL: &str = "https://shop.example/";

pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The data of the sessions.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Shop {
    pub(crate) user: Option<String>,
    pub(crate) visits: u64,
    pub(crate) note: String,
    pub(crate) basket: Vec<String>,
    pub(crate) preferences: HashMap<String, String>,
    pub(crate) language: String,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }

    fn carry(from: &Self, to: &mut Self) {
        if to.language.is_empty() {
            to.language.clone_from(&from.language);
        }
    }
}

pub(crate) type Store = Spy<Faulty<Arc<MemoryStore>>>;

/// How ids travel between the browsers and the server.
///
/// Browsers have cookies; for the other ways there is a gateway between the two, that
/// puts the value of the cookie into the header of the transport, and back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Cookie,
    Bearer,
    Header,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Cookie, Self::Bearer, Self::Header];

    pub(crate) fn transport(self) -> Transport {
        match self {
            Self::Cookie => Transport::default(),
            Self::Bearer => Transport::bearer(),
            Self::Header => Transport::header("X-Session").unwrap(),
        }
    }

    /// The header that carries the id back, and the value of `Vary`.
    pub(crate) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Cookie => ("set-cookie", "Cookie"),
            Self::Bearer => ("authorization", "Authorization"),
            Self::Header => ("x-session", "x-session"),
        }
    }

    fn request(self, cookie: &str) -> String {
        match self {
            Self::Cookie => cookie.to_owned(),
            Self::Bearer => format!("Bearer {}", id_of(cookie)),
            Self::Header => id_of(cookie).to_owned(),
        }
    }

    fn set_cookie(self, value: &str) -> String {
        let id = match self {
            Self::Cookie => return value.to_owned(),
            Self::Bearer if !value.is_empty() => value.strip_prefix("Bearer ").unwrap(),
            Self::Bearer | Self::Header => value,
        };
        let end = if id.is_empty() { "; Max-Age=0" } else { "" };
        format!("__Host-session={id}; Path=/; Secure; HttpOnly; SameSite=Lax{end}")
    }
}

/// How ids are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Unsigned,
    Signed,
    #[cfg(feature = "sealed")]
    Private,
}

impl Form {
    pub(crate) const ALL: &[Self] = &[
        Self::Unsigned,
        Self::Signed,
        #[cfg(feature = "sealed")]
        Self::Private,
    ];

    /// Those that take keys.
    #[allow(dead_code, reason = "for the tests of the security clauses")]
    pub(crate) fn guarded() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|form| *form != Self::Unsigned)
    }

    pub(crate) fn with(self, keys: KeyRing) -> IdForm {
        match self {
            Self::Unsigned => IdForm::unsigned(),
            Self::Signed => IdForm::signed(keys),
            #[cfg(feature = "sealed")]
            Self::Private => IdForm::private(keys),
        }
    }
}

/// A ring of these keys, the newest first.
pub(crate) fn keys(numbers: &[u8]) -> KeyRing {
    let key = |number: u8| {
        (0..32u8).map(|at| at.wrapping_mul(at) ^ number.wrapping_mul(at | 7)).collect()
    };
    let mut numbers = numbers.iter().map(|number| key(*number));
    let first: Vec<u8> = numbers.next().unwrap();
    let newest = KeyRing::from_bytes(&first).unwrap();
    numbers.fold(newest, |ring, older| ring.and_older(&older).unwrap())
}

/// One server, its store, and the time.
pub(crate) struct World<T = Shop> {
    pub(crate) sessions: SessionLayer<T, Store>,
    pub(crate) way: Way,
    pub(crate) rows: Arc<MemoryStore>,
    pub(crate) clock: ManualClock,
    pub(crate) spied: Spied,
    pub(crate) faults: Faults,
    pub(crate) events: Events,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of()
    }

    /// A world whose layer is set up in its own way.
    pub(crate) fn with(
        set_up: impl FnOnce(SessionLayer<Shop, Store>) -> SessionLayer<Shop, Store>,
    ) -> Self {
        Self::by(Way::Cookie, set_up)
    }

    /// The same, by another transport.
    pub(crate) fn by(
        way: Way,
        set_up: impl FnOnce(SessionLayer<Shop, Store>) -> SessionLayer<Shop, Store>,
    ) -> Self {
        Self::set_up(way, set_up)
    }
}

impl<T: SessionData> World<T> {
    pub(crate) fn of() -> Self {
        Self::set_up(Way::Cookie, |sessions| sessions)
    }

    fn set_up(
        way: Way,
        set_up: impl FnOnce(SessionLayer<T, Store>) -> SessionLayer<T, Store>,
    ) -> Self {
        let rows = Arc::new(MemoryStore::new());
        let faulty = Faulty::new(Arc::clone(&rows));
        let faults = faulty.faults();
        let store = Spy::new(faulty);
        let spied = store.handle();
        let clock = ManualClock::at(START);
        let events = Events::default();
        let sessions = SessionLayer::new(store)
            .clock(clock.clone())
            .dangerous_entropy(SeededEntropy::new(1))
            .observer(events.clone())
            .transport(way.transport());
        Self { sessions: set_up(sessions), way, rows, clock, spied, faults, events }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.clock.clone())
    }

    /// A request of this browser; its answer is for [`close`](Self::close).
    pub(crate) fn open(&self, browser: &Browser) -> Exchange<T, Store> {
        self.open_with(browser.cookie_header(URL).as_deref())
    }

    /// A server beside this one, with the same store.
    pub(crate) fn beside(&self, sessions: SessionLayer<T, Store>) -> Self {
        Self {
            sessions,
            way: self.way,
            rows: Arc::clone(&self.rows),
            clock: self.clock.clone(),
            spied: self.spied.clone(),
            faults: self.faults.clone(),
            events: self.events.clone(),
        }
    }

    /// The same cookie with its id as it is, without signature or encryption.
    pub(crate) fn bare(&self, cookie: &str) -> String {
        let value = self.way.request(cookie);
        match bare_id(&self.sessions, [value.as_bytes()]) {
            Some(id) => format!("__Host-session={id}"),
            None => cookie.to_owned(),
        }
    }

    pub(crate) fn open_with(&self, cookie: Option<&str>) -> Exchange<T, Store> {
        let value = cookie.map(|cookie| self.way.request(cookie));
        self.sessions.open(value.as_deref().map(str::as_bytes))
    }

    /// The end of a request, whose answer does not reach any browser yet.
    #[track_caller]
    pub(crate) fn close(&self, exchange: Exchange<T, Store>) -> Answer {
        Answer::of(self.way, run(exchange.finish()))
    }

    /// A request whose answer does not reach the browser yet.
    #[track_caller]
    pub(crate) fn ask<R>(
        &self,
        cookie: Option<&str>,
        handler: impl AsyncFnOnce(&Session<T>) -> R,
    ) -> (R, Answer) {
        self.spied.take();
        let exchange = self.open_with(cookie);
        let (result, verdict) = run(async {
            let session = exchange.session().await.expect("the session loads");
            (handler(&session).await, session.verdict())
        });
        let answer = self.close(exchange);
        (result, Answer { calls: self.spied.calls(), verdict, ..answer })
    }

    /// A request whose answer the browser gets.
    #[track_caller]
    pub(crate) fn visit<R>(
        &self,
        browser: &Browser,
        handler: impl AsyncFnOnce(&Session<T>) -> R,
    ) -> (R, Answer) {
        let (result, answer) = self.ask(browser.cookie_header(URL).as_deref(), handler);
        answer.reach(browser);
        (result, answer)
    }

    /// A request that reads.
    #[track_caller]
    pub(crate) fn read(&self, browser: &Browser) -> (T, Answer)
    where
        T: Clone,
    {
        self.visit(browser, async |session| session.read(T::clone))
    }

    /// A request that changes the data, and must succeed.
    #[track_caller]
    pub(crate) fn change(&self, browser: &Browser, f: impl FnOnce(&mut T)) -> Answer {
        let ((), answer) = self.visit(browser, async |session| session.update(f));
        answer.is_fine();
        answer
    }
}

impl World {
    #[track_caller]
    pub(crate) fn log_in(&self, browser: &Browser, user: &str) -> Answer {
        self.change(browser, |shop| shop.user = Some(user.to_owned()))
    }
}

/// What came back from a request.
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) verdict: Verdict,
    pub(crate) calls: Calls,
    set_cookie: Option<String>,
}

impl Answer {
    fn of(way: Way, outcome: Outcome) -> Self {
        let ids: Vec<_> = outcome.effects.headers().filter(|header| header.is_secret).collect();
        assert!(ids.len() <= 1, "at most one id: {ids:?}");
        assert!(ids.iter().all(|id| id.name == way.names().0), "{ids:?}");
        let set_cookie = ids.first().map(|id| way.set_cookie(id.value));
        let answer = Self { outcome, verdict: Verdict::New, calls: Calls::default(), set_cookie };
        if answer.set_cookie.is_some() || answer.outcome.error.is_some() {
            let caching = answer.headers("cache-control");
            assert_eq!(caching, ["no-store"], "no id and no failure is for a cache");
        }
        answer
    }

    fn headers(&self, name: &str) -> Vec<&str> {
        self.outcome.effects.headers().filter(|h| h.name == name).map(|h| h.value).collect()
    }

    pub(crate) fn set_cookie(&self) -> Option<&str> {
        self.set_cookie.as_deref()
    }

    /// The browser gets it, and must take its cookie.
    #[track_caller]
    pub(crate) fn reach(&self, browser: &Browser) {
        for taken in browser.receive(URL, self.set_cookie()) {
            taken.expect("the browser takes the cookie");
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.outcome.error.as_ref().map_or(200, Error::status)
    }

    #[track_caller]
    pub(crate) fn is_fine(&self) {
        if let Some(error) = &self.outcome.error {
            panic!("the request failed: {error:?}");
        }
    }

    /// The whole cookie, as a request would carry it.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        let line = self.set_cookie().expect("a Set-Cookie");
        line.split(';').next().unwrap().to_owned()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status())
            .field("set_cookie", &self.set_cookie())
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// All that was observed, as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The names of the events since they were last taken.
    pub(crate) fn names(&self) -> Vec<String> {
        self.take().iter().map(|text| text.split([' ', '{']).next().unwrap().to_owned()).collect()
    }
}

impl Observer for Events {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// The value of our cookie in a header.
pub(crate) fn id_of(cookie: &str) -> &str {
    cookie.split('=').nth(1).unwrap().split(';').next().unwrap()
}
