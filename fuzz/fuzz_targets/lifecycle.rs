//! A few requests on a few sessions, with clocks that move, answers that get lost and a store that
//! fails, against the little that must hold whatever happens.
//!
//! Input: a byte of settings, then pairs of bytes: what happens, and to which request or how much.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use typed_session::store::{ErrorKind, MemoryStore};
use typed_session::testing::schedule::run;
use typed_session::testing::{Faults, Faulty, ManualClock, SeededEntropy, Verb, When};
use typed_session::{
    Clock, Exchange, Lifetime, Reuse, Rotation, Session, SessionData, SessionKey, SessionLayer,
    Subject, Timestamp, Verdict,
};

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct Data {
    user: Option<u64>,
    /// Each number is pushed once in the whole history.
    items: Vec<u64>,
}

impl SessionData for Data {
    fn subject(&self) -> Option<Subject> {
        self.user.map(Subject::from)
    }

    fn carry(from: &Self, to: &mut Self) {
        let own = std::mem::take(&mut to.items);
        to.items.clone_from(&from.items);
        to.items.extend(own.into_iter().filter(|item| !from.items.contains(item)));
    }
}

type Store = Faulty<Arc<MemoryStore>>;

struct World {
    sessions: SessionLayer<Data, Store>,
    /// The same sessions, looked at without faults and without changing them.
    looking: SessionLayer<Data, Arc<MemoryStore>>,
    clock: ManualClock,
    faults: Faults,
    slots: [Option<Request>; 3],
    cookies: Vec<String>,
    next_item: u64,
    model: Model,
}

struct Request {
    exchange: Exchange<Data, Store>,
    session: Option<Session<Data>>,
    cookie: Option<String>,
    /// Pushed, and not yet acknowledged.
    pending: Vec<u64>,
    changed_id: bool,
    /// From one user to another: what others write meanwhile is the last user's.
    switched: bool,
    /// The user before the first change that is not stored yet: who goes and comes back has not
    /// switched.
    before: Option<Option<u64>>,
    ended: Option<SessionKey>,
    /// Something that it wanted has failed, and may have happened.
    failed: bool,
    /// Others have stored something since it loaded; its id may be dead by now.
    crossed: bool,
}

/// What is known for sure.
#[derive(Default)]
struct Model {
    acknowledged: BTreeMap<SessionKey, BTreeSet<u64>>,
    ended: BTreeSet<SessionKey>,
    /// Ids that an acknowledged login, logout or rotation has killed.
    killed: BTreeSet<String>,
    /// Pushed by a request that met a failure while others were open. If an answer was lost and
    /// somebody else wrote on top, the repetition cannot know it and adds once more.
    doubtful: BTreeSet<u64>,
    /// The session of each id, once it was seen alive.
    of: BTreeMap<String, SessionKey>,
}

fuzz_target!(|input: &[u8]| {
    let Some((&settings, happenings)) = input.split_first() else {
        return;
    };
    let mut world = World::new(settings);
    for pair in happenings.chunks_exact(2).take(200) {
        world.happens(pair[0], pair[1]);
    }
    for slot in 0..world.slots.len() {
        world.happens(12, slot as u8);
    }
});

impl World {
    fn new(settings: u8) -> Self {
        let rows = Arc::new(MemoryStore::new());
        let store = Faulty::new(Arc::clone(&rows));
        let faults = store.faults();
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let mut sessions = SessionLayer::new(store)
            .clock(clock.clone())
            .dangerous_entropy(SeededEntropy::new(u64::from(settings)));
        if settings & 1 == 1 {
            let on_reuse = if settings & 2 == 2 { Reuse::EndSession } else { Reuse::Reject };
            sessions = sessions.rotation(Rotation::default().on_reuse(on_reuse));
        }
        if settings & 4 == 4 {
            let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86400));
            sessions = sessions.lifetime(Lifetime::new(hour, day).persistent());
        }
        let looking = SessionLayer::new(rows).clock(clock.clone());
        Self {
            sessions,
            looking,
            clock,
            faults,
            slots: [None, None, None],
            cookies: Vec::new(),
            next_item: 0,
            model: Model::default(),
        }
    }

    fn happens(&mut self, what: u8, how: u8) {
        let slot = usize::from(how) % self.slots.len();
        let more = usize::from(how) / self.slots.len();
        if let 10..=13 = what % 16 {
            for (at, other) in self.slots.iter_mut().enumerate() {
                if let Some(other) = other
                    && at != slot
                {
                    other.crossed = true;
                    if other.failed {
                        self.model.doubtful.extend(&other.pending);
                    }
                }
            }
        }
        match what % 16 {
            0 | 1 => self.open(slot, more),
            2 => drop(self.session(slot)),
            3 | 4 => self.push(slot),
            5 => self.log_in(slot, Some(more as u64 % 2)),
            6 => self.log_in(slot, None),
            7 => self.rotate(slot),
            8 => self.end(slot),
            9 => self.set_lifetime(slot, more),
            10 => self.commit(slot),
            11 => self.transact(slot),
            12 => self.finish(slot, false),
            13 => self.finish(slot, true),
            14 => self.clock.advance(Duration::from_millis(match how {
                0..=63 => u64::from(how) * 1_000,
                64..=191 => u64::from(how) * 10_000,
                192..=255 => u64::from(how) * 60_000,
            })),
            _ => {
                let verbs = [Verb::Load, Verb::Insert, Verb::Replace, Verb::Touch, Verb::End];
                let when = if more.is_multiple_of(2) { When::Before } else { When::After };
                let verb = verbs[usize::from(how) % verbs.len()];
                self.faults.nth(1, verb, ErrorKind::Unavailable, when);
            }
        }
    }

    fn open(&mut self, slot: usize, which: usize) {
        let cookie = match self.cookies.len() {
            0 => None,
            count if which <= count => which.checked_sub(1).map(|at| self.cookies[at].clone()),
            // Mostly the newest.
            count => Some(self.cookies[count - 1].clone()),
        };
        let exchange = self.sessions.open(cookie.as_deref().map(str::as_bytes));
        self.slots[slot] = Some(Request {
            exchange,
            session: None,
            cookie,
            pending: Vec::new(),
            changed_id: false,
            switched: false,
            before: None,
            ended: None,
            failed: false,
            crossed: false,
        });
    }

    fn session(&mut self, slot: usize) -> Option<Session<Data>> {
        let request = self.slots[slot].as_mut()?;
        if request.session.is_none() {
            let session = run(request.exchange.session()).ok()?;
            self.model.loaded(request.cookie.as_deref(), &session, self.clock.now());
            request.session = Some(session);
        }
        request.session.clone()
    }

    fn push(&mut self, slot: usize) {
        let Some(session) = self.session(slot) else { return };
        self.next_item += 1;
        session.update(|data| data.items.push(self.next_item));
        self.slots[slot].as_mut().unwrap().pending.push(self.next_item);
    }

    fn log_in(&mut self, slot: usize, user: Option<u64>) {
        let Some(session) = self.session(slot) else { return };
        let before = session.update(|data| std::mem::replace(&mut data.user, user));
        let request = self.slots[slot].as_mut().unwrap();
        let before = *request.before.get_or_insert(before);
        request.switched = before.is_some() && before != user;
    }

    fn rotate(&mut self, slot: usize) {
        let Some(session) = self.session(slot) else { return };
        session.rotate();
        self.slots[slot].as_mut().unwrap().changed_id = session.key().is_some();
    }

    fn end(&mut self, slot: usize) {
        let Some(session) = self.session(slot) else { return };
        let request = self.slots[slot].as_mut().unwrap();
        request.ended = session.key().or(request.ended);
        session.end();
        request.pending.clear();
        request.before = None;
        request.changed_id = false;
    }

    fn set_lifetime(&mut self, slot: usize, more: usize) {
        let Some(session) = self.session(slot) else { return };
        let hours = Duration::from_secs(3600 * (1 + more as u64));
        session.set_lifetime(Lifetime::new(hours, 3 * hours).persistent());
    }

    fn commit(&mut self, slot: usize) {
        let Some(session) = self.session(slot) else { return };
        if run(session.commit()).is_ok() {
            let request = self.slots[slot].as_mut().unwrap();
            self.model.acknowledge(request, &session);
        } else {
            self.doubt(slot);
        }
    }

    /// Something that this request wanted has failed, and may have happened.
    fn doubt(&mut self, slot: usize) {
        let open = self.slots.iter().flatten().count();
        if let Some(request) = &mut self.slots[slot] {
            request.failed = true;
            if open > 1 {
                self.model.doubtful.extend(&request.pending);
            }
        }
    }

    fn transact(&mut self, slot: usize) {
        let Some(session) = self.session(slot) else { return };
        self.next_item += 1;
        let item = self.next_item;
        if run(session.transact(|data| data.items.push(item))).is_ok() {
            let request = self.slots[slot].as_mut().unwrap();
            request.pending.push(item);
            self.model.acknowledge(request, &session);
            assert!(session.read(|data| data.items.contains(&item)));
        } else {
            self.doubt(slot);
        }
    }

    fn finish(&mut self, slot: usize, lost: bool) {
        let Some(mut request) = self.slots[slot].take() else { return };
        let exchange = std::mem::replace(&mut request.exchange, self.sessions.open([]));
        let outcome = run(exchange.finish());
        let line = outcome.effects.set_cookie().map(str::to_owned);
        let cookie = line.as_ref().map(|line| line.split(';').next().unwrap().to_owned());
        let Some(session) = request.session.take() else {
            assert_eq!(line, None);
            return;
        };
        if outcome.error.is_none() {
            self.model.acknowledge(&mut request, &session);
        }
        match &cookie {
            Some(cookie) if cookie == "__Host-session=" => {}
            Some(cookie) => {
                // Who gets a cookie can use it: with what was acknowledged.
                let now = self.clock.now();
                let (verdict, key) = self.look(cookie);
                let expired = session.times().is_none_or(|times| times.expires_at <= now);
                if outcome.error.is_none() && !expired && !request.crossed {
                    assert_eq!(verdict, Verdict::Resumed, "the cookie of a response is good");
                    assert_eq!(key, session.key());
                }
                if !lost {
                    self.cookies.push(cookie.clone());
                }
            }
            None => {}
        }
        if session.verdict() == Verdict::Superseded {
            assert_eq!(line, None, "a superseded id gets no cookie");
        }
        let known: Vec<String> = self.cookies.iter().chain(&request.cookie).cloned().collect();
        for cookie in known {
            self.look(&cookie);
        }
    }

    /// Looks at what an id opens, and holds it to the model.
    fn look(&mut self, cookie: &str) -> (Verdict, Option<SessionKey>) {
        let exchange = self.looking.open([cookie.as_bytes()]);
        let session = run(exchange.session()).unwrap();
        self.model.loaded(Some(cookie), &session, self.clock.now());
        (session.verdict(), session.key())
    }
}

impl Model {
    fn loaded(&mut self, cookie: Option<&str>, session: &Session<Data>, now: Timestamp) {
        let Some(key) = session.key() else {
            assert_ne!(session.verdict(), Verdict::Resumed);
            assert!(session.read(|data| data.items.is_empty() && data.user.is_none()));
            return;
        };
        let cookie = cookie.expect("who shows no id gets no session");
        assert_eq!(session.verdict(), Verdict::Resumed);
        assert!(!self.ended.contains(&key), "an ended session is back");
        assert!(!self.killed.contains(cookie), "a dead id is alive");
        assert_eq!(*self.of.entry(cookie.to_owned()).or_insert(key), key);
        let times = session.times().unwrap();
        assert!(now < times.expires_at && now < times.absolute_deadline, "{now}: {times:?}");
        let items = session.read(|data| data.items.clone());
        let there: BTreeSet<u64> = items.iter().copied().collect();
        let sure = |item: &&u64| !self.doubtful.contains(item);
        let once = (items.iter().filter(sure).count(), there.iter().filter(sure).count());
        assert_eq!(once.0, once.1, "a change was applied twice: {items:?}");
        if let Some(acknowledged) = self.acknowledged.get(&key) {
            assert!(acknowledged.is_subset(&there), "lost: {acknowledged:?} of {items:?}");
        }
    }

    /// The store has said yes to all that the request wanted.
    fn acknowledge(&mut self, request: &mut Request, session: &Session<Data>) {
        self.ended.extend(request.ended.take());
        request.before = None;
        request.failed = false;
        let pending = std::mem::take(&mut request.pending);
        match session.key() {
            Some(key) => {
                let acknowledged = self.acknowledged.entry(key).or_default();
                let items = session.read(|data| data.items.clone());
                assert!(pending.iter().all(|item| items.contains(item)), "its own write is lost");
                if std::mem::take(&mut request.switched) {
                    acknowledged.clear();
                    acknowledged.extend(items);
                }
                acknowledged.extend(pending);
            }
            None => assert!(pending.is_empty(), "acknowledged, and nowhere"),
        }
        if std::mem::take(&mut request.changed_id)
            && let (Some(cookie), Some(_)) = (&request.cookie, session.key())
        {
            self.killed.insert(cookie.clone());
        }
    }
}
