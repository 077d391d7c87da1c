//! Sessions that live in their cookie alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use typed_session::store::{self, ErrorKind, MemoryStore};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::testing::{ManualClock, SeededEntropy};
use typed_session::{
    ClearSiteData, Encoding, EndReason, Entropy, EntropyError, Error, Exchange, IdForm, KeyRing,
    Lifetime, NotBefore, Outcome, Session, SessionLayer, Stateless, Subject, Times, Timestamp,
    Transport, Verdict, cookie,
};

use super::world::{DAY, Events, HOUR, MINUTE, SECOND, START, Shop, URL, keys};

/// A server without a store.
struct Server {
    sessions: SessionLayer<Shop, Stateless>,
    clock: ManualClock,
    events: Events,
}

/// What came back.
#[derive(Debug)]
struct Answer<R> {
    result: R,
    verdict: Verdict,
    data: Shop,
    times: Option<Times>,
    outcome: Outcome,
}

impl<R> Answer<R> {
    fn status(&self) -> u16 {
        self.outcome.error.as_ref().map_or(200, Error::status)
    }

    fn set_cookie(&self) -> Option<&str> {
        self.outcome.effects.set_cookie()
    }

    /// Name and value, as a request carries them.
    fn cookie(&self) -> String {
        self.set_cookie().expect("a cookie").split(';').next().unwrap().to_owned()
    }
}

impl Server {
    fn new() -> Self {
        Self::with(|sessions| sessions)
    }

    fn with(
        set_up: impl FnOnce(SessionLayer<Shop, Stateless>) -> SessionLayer<Shop, Stateless>,
    ) -> Self {
        Self::of(keys(&[1]), ManualClock::at(START), set_up)
    }

    fn of(
        keys: KeyRing,
        clock: ManualClock,
        set_up: impl FnOnce(SessionLayer<Shop, Stateless>) -> SessionLayer<Shop, Stateless>,
    ) -> Self {
        let events = Events::default();
        let sessions = SessionLayer::stateless(keys)
            .clock(clock.clone())
            .dangerous_entropy(SeededEntropy::new(1))
            .observer(events.clone());
        Self { sessions: set_up(sessions), clock, events }
    }

    fn browser(&self) -> Browser {
        Browser::new(self.clock.clone())
    }

    fn ask<R>(
        &self,
        fields: &[&[u8]],
        handler: impl AsyncFnOnce(&Session<Shop>) -> R,
    ) -> Answer<R> {
        ask(self.sessions.open(fields.iter().copied()), handler)
    }

    fn visit<R>(
        &self,
        browser: &Browser,
        handler: impl AsyncFnOnce(&Session<Shop>) -> R,
    ) -> Answer<R> {
        let cookie = browser.cookie_header(URL);
        let fields: Vec<&[u8]> = cookie.iter().map(String::as_bytes).collect();
        let answer = self.ask(&fields, handler);
        for taken in browser.receive(URL, answer.set_cookie()) {
            taken.expect("the browser takes the cookie");
        }
        answer
    }

    #[track_caller]
    fn change(&self, browser: &Browser, f: impl FnOnce(&mut Shop)) -> Answer<()> {
        let answer = self.visit(browser, async |session| session.update(f));
        assert!(answer.outcome.error.is_none(), "{:?}", answer.outcome.error);
        answer
    }

    fn read(&self, browser: &Browser) -> Answer<()> {
        self.visit(browser, async |_| ())
    }

    fn verdict(&self, field: &[u8]) -> Verdict {
        let answer = self.ask(&[field], async |_| ());
        assert_eq!(answer.verdict == Verdict::Resumed, answer.data != Shop::default());
        answer.verdict
    }
}

fn ask<S: store::Backend, R>(
    exchange: Exchange<Shop, S>,
    handler: impl AsyncFnOnce(&Session<Shop>) -> R,
) -> Answer<R> {
    run(async {
        let session = exchange.session().await.expect("the session loads");
        let (verdict, data, times) =
            (session.verdict(), session.read(Shop::clone), session.times());
        let result = handler(&session).await;
        Answer { result, verdict, data, times, outcome: exchange.finish().await }
    })
}

fn log_in(shop: &mut Shop) {
    shop.user = Some("ann".to_owned());
}

// ---- What it does.

#[test]
fn a_session_lives_in_its_cookie_from_its_first_change_to_its_end() {
    let server = Server::with(|sessions| sessions.clear_site_data(ClearSiteData::Cache));
    let browser = server.browser();
    let answer = server.read(&browser);
    assert_eq!((answer.verdict, answer.set_cookie()), (Verdict::New, None));
    let answer = server.change(&browser, |shop| shop.basket.push("tea".to_owned()));
    let set_cookie = answer.set_cookie().unwrap();
    assert!(set_cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set_cookie}");
    let headers: Vec<_> = answer.outcome.effects.headers().map(|h| (h.name, h.is_secret)).collect();
    assert_eq!(headers, [("set-cookie", true), ("cache-control", false), ("vary", false)]);

    let answer = server.read(&browser);
    assert_eq!((answer.verdict, answer.set_cookie()), (Verdict::Resumed, None));
    assert_eq!(answer.data.basket, ["tea"]);
    assert_eq!(server.change(&browser, |shop| shop.visits += 0).set_cookie(), None);

    let before = server.visit(&browser, async |session| session.key()).result;
    assert!(server.change(&browser, log_in).set_cookie().is_some());
    let answer = server.visit(&browser, async |session| session.key());
    assert_eq!((answer.data.user.as_deref(), answer.result), (Some("ann"), before));
    assert!(answer.times.unwrap().authenticated_at.is_some());

    let answer = server.visit(&browser, async |session| session.end());
    assert!(answer.set_cookie().unwrap().starts_with("__Host-session=; "));
    assert_eq!(browser.cookie_header(URL), None);
    let names: Vec<_> = answer.outcome.effects.headers().map(|header| header.name).collect();
    assert!(names.contains(&"clear-site-data"));
    assert_eq!(
        server.events.names(),
        [
            "Created", "Resumed", "Resumed", "Resumed", "Resumed", "Rotated", "Resumed", "Resumed",
            "Ended"
        ]
    );
}

#[test]
fn what_is_written_after_an_end_is_a_new_session() {
    let server = Server::new();
    let browser = server.browser();
    server.change(&browser, log_in);
    let answer = server.visit(&browser, async |session| {
        let old = session.key();
        session.end();
        session.update(|shop| shop.note = "anew".to_owned());
        old
    });
    assert!(answer.set_cookie().is_some());
    let next = server.visit(&browser, async |session| session.key());
    assert_eq!((&*next.data.note, next.data.user), ("anew", None));
    assert_ne!(next.result, answer.result);
    // Created, committed and ended within one request.
    let stranger = server.browser();
    let answer = server.visit(&stranger, async |session| {
        session.update(log_in);
        session.commit().await.unwrap();
        assert!(session.effects().set_cookie().unwrap().len() > 200, "what is sent is sealed");
        session.end();
    });
    assert!(answer.set_cookie().unwrap().starts_with("__Host-session=;"));
}

#[test]
fn every_transport_can_carry_it() {
    for (transport, name) in [
        (Transport::default(), "set-cookie"),
        (Transport::bearer(), "authorization"),
        (Transport::header("x-session").unwrap(), "x-session"),
    ] {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let server =
                Server::with(|sessions| sessions.transport(transport.clone()).encoding(encoding));
            let answer = server.ask(&[], async |session| session.update(log_in));
            let mut headers = answer.outcome.effects.headers();
            let header = headers.find(|header| header.is_secret).unwrap();
            assert_eq!(header.name, name);
            let field = header.value.split(';').next().unwrap();
            assert_eq!(server.verdict(field.as_bytes()), Verdict::Resumed);
        }
    }
}

#[test]
fn as_long_as_its_answers_arrive_it_does_what_a_store_does() {
    let mut resumed = 0;
    for seed in 0..60 {
        let dice = SeededEntropy::new(seed);
        let below = |sides: u64| u64::from_le_bytes(dice.bytes()) % sides;
        let (clock, events) = (ManualClock::at(START), Events::default());
        let stored = SessionLayer::<Shop, _>::new(MemoryStore::new())
            .clock(clock.clone())
            .observer(events.clone());
        let server = Server::of(keys(&[1]), clock.clone(), |sessions| sessions);
        let browsers = [server.browser(), server.browser()];
        for step in 0..40 {
            let at = format!("seed {seed}, step {step}");
            let pauses = [Duration::ZERO, SECOND, MINUTE, 10 * MINUTE, 40 * MINUTE, 2 * HOUR];
            clock.advance(pauses[below(6) as usize]);
            let acts = [below(10), below(10)];
            let handler = async |session: &Session<Shop>| {
                for act in acts {
                    match act {
                        0..4 => {}
                        4 => session.update(|shop| shop.visits += 1),
                        5 => session.update(log_in),
                        6 => session.update(|shop| shop.user = None),
                        7 => session.rotate(),
                        8 => session.transact(|shop| shop.visits += 10).await.unwrap(),
                        _ => session.end(),
                    }
                }
                if acts == [7, 7] {
                    session.set_lifetime(Lifetime::new(DAY, 9 * DAY).persistent());
                }
                session.read(Shop::clone)
            };
            let cookie = browsers[0].cookie_header(URL);
            let by_store = ask(stored.open(cookie.as_deref().map(str::as_bytes)), handler);
            browsers[0].receive(URL, by_store.set_cookie());
            let by_cookie = server.visit(&browsers[1], handler);
            assert_eq!(by_store.verdict, by_cookie.verdict, "{at}");
            assert_eq!(by_store.data, by_cookie.data, "{at}");
            assert_eq!(by_store.result, by_cookie.result, "{at}");
            assert_eq!(by_store.times, by_cookie.times, "{at}");
            assert_eq!(by_store.status(), by_cookie.status(), "{at}");
            assert_eq!(events.names(), server.events.names(), "{at}");
            resumed += usize::from(by_cookie.verdict == Verdict::Resumed);
        }
    }
    assert!(resumed > 600, "{resumed}");
}

// ---- OWASP ASVS 5.0, chapter 9: self-contained tokens.

#[test]
fn asvs_9_1_1_no_bit_of_a_cookie_is_used_before_it_is_verified() {
    let server = Server::new();
    let cookie = server.ask(&[], async |session| session.update(log_in)).cookie();
    assert_eq!(server.verdict(cookie.as_bytes()), Verdict::Resumed);
    let start = "__Host-session=".len();
    for at in start..cookie.len() {
        for bit in 0..8 {
            let mut bytes = cookie.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let verdict = server.verdict(&bytes);
            // Some octets end a cookie's value, and then it is cut short.
            assert!(
                matches!(verdict, Verdict::Unverified | Verdict::Malformed),
                "octet {at}, bit {bit}: {verdict:?}"
            );
        }
        assert_ne!(server.verdict(&cookie.as_bytes()[..at]), Verdict::Resumed);
    }
    for longer in [format!("{cookie}A"), format!("{cookie}="), format!("{cookie}AAAA")] {
        assert_ne!(server.verdict(longer.as_bytes()), Verdict::Resumed);
    }
}

#[test]
fn asvs_9_1_2_there_is_one_algorithm_and_no_other_can_be_asked_for() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let server = Server::new();
    let cookie = server.ask(&[], async |session| session.update(log_in)).cookie();
    let good = BASE64.decode(cookie.split_once('=').unwrap().1).unwrap();
    assert_eq!(good[0], 1, "the format says all there is to say");
    for format in (0..=255).filter(|format| *format != 1) {
        let mut other = good.clone();
        other[0] = format;
        let field = format!("__Host-session={}", BASE64.encode(other));
        assert_eq!(server.verdict(field.as_bytes()), Verdict::Malformed, "{format}");
    }
}

#[test]
fn asvs_9_1_3_only_keys_of_the_ring_count_and_the_newest_writes() {
    let clock = ManualClock::at(START);
    let of = |numbers: &[u8]| Server::of(keys(numbers), clock.clone(), |sessions| sessions);
    let (first, both, second) = (of(&[1]), of(&[2, 1]), of(&[2]));
    let browser = first.browser();
    first.change(&browser, log_in);
    let old = browser.cookie_header(URL).unwrap();
    assert_eq!(second.verdict(old.as_bytes()), Verdict::Unverified);
    assert_eq!(second.ask(&[old.as_bytes()], async |_| ()).set_cookie(), None);
    // In passing, and once.
    assert_eq!(both.verdict(old.as_bytes()), Verdict::Resumed);
    assert!(both.read(&browser).set_cookie().is_some());
    assert_eq!(both.read(&browser).set_cookie(), None);
    let new = browser.cookie_header(URL).unwrap();
    assert_eq!(second.verdict(new.as_bytes()), Verdict::Resumed);
    assert_eq!(first.verdict(new.as_bytes()), Verdict::Unverified);
    // Who does not ask for the session is given nothing.
    let exchange = both.sessions.open([old.as_bytes()]);
    assert!(run(exchange.finish()).effects.is_empty());
}

#[test]
fn asvs_9_2_1_both_limits_are_inside_and_hold_for_every_copy() {
    let server = Server::new();
    let browser = server.browser();
    let cookie = server.change(&browser, log_in).cookie();
    server.clock.advance(HOUR - SECOND);
    assert_eq!(server.verdict(cookie.as_bytes()), Verdict::Resumed);
    // It is in use, and so it has a newer cookie; the copy has its old limit.
    assert!(server.read(&browser).set_cookie().is_some());
    server.clock.advance(SECOND);
    assert_eq!(server.verdict(cookie.as_bytes()), Verdict::IdleExpired);
    let mut copies = vec![browser.cookie_header(URL).unwrap()];
    for _ in 0..45 {
        assert_eq!(server.read(&browser).verdict, Verdict::Resumed);
        copies.push(browser.cookie_header(URL).unwrap());
        server.clock.advance(30 * MINUTE);
    }
    // 23 and a half hours since the login.
    server.clock.advance(DAY.checked_sub(23 * HOUR + 30 * MINUTE + SECOND).unwrap());
    assert_eq!(server.read(&browser).verdict, Verdict::Resumed);
    server.clock.advance(SECOND);
    assert_eq!(server.read(&browser).verdict, Verdict::AbsoluteExpired);
    for copy in copies {
        let verdict = server.verdict(copy.as_bytes());
        assert!(matches!(verdict, Verdict::IdleExpired | Verdict::AbsoluteExpired));
    }
    // What is written then is a new session.
    let key = server.visit(&browser, async |session| session.update(log_in));
    assert_eq!(key.verdict, Verdict::AbsoluteExpired);
    assert_eq!(server.read(&browser).verdict, Verdict::Resumed);
}

#[test]
fn asvs_9_2_2_a_text_of_another_purpose_is_no_session() {
    let server = Server::new();
    let cookie = server.ask(&[], async |session| session.update(log_in)).cookie();
    let value = cookie.split_once('=').unwrap().1;
    // Ids, signed and encrypted by the same keys.
    for form in [IdForm::unsigned(), IdForm::signed(keys(&[1])), IdForm::private(keys(&[1]))] {
        let stored = SessionLayer::<Shop, _>::new(MemoryStore::new())
            .clock(server.clock.clone())
            .id_form(form);
        let id = ask(stored.open([]), async |session| session.update(log_in)).cookie();
        assert_ne!(server.verdict(id.as_bytes()), Verdict::Resumed);
        let other_way = ask(stored.open([cookie.as_bytes()]), async |_| ()).verdict;
        assert_ne!(other_way, Verdict::Resumed);
    }
    // And of the same keys and purpose, by another way.
    for (transport, field) in [
        (Transport::bearer(), format!("Bearer {value}")),
        (Transport::header("x-session").unwrap(), value.to_owned()),
        (Transport::header("__host-session").unwrap(), value.to_owned()),
    ] {
        let other = Server::with(|sessions| sessions.transport(transport));
        assert_eq!(other.verdict(field.as_bytes()), Verdict::Unverified, "{field}");
    }
}

#[test]
fn asvs_9_2_3_a_cookie_of_another_name_is_no_session() {
    let server = Server::new();
    let cookie = server.ask(&[], async |session| session.update(log_in)).cookie();
    let policy = cookie::CookiePolicy::new("__Host-admin", cookie::Attributes::default()).unwrap();
    let admin = Server::with(|sessions| sessions.cookie(policy));
    let renamed = cookie.replace("__Host-session=", "__Host-admin=");
    assert_eq!(admin.verdict(renamed.as_bytes()), Verdict::Unverified);
    assert_eq!(admin.verdict(cookie.as_bytes()), Verdict::New, "it is not looked at");
}

// ---- Size.

#[test]
fn asvs_3_3_5_what_browsers_would_drop_is_an_error_and_the_old_cookie_stays() {
    let server = Server::new();
    let browser = server.browser();
    server.change(&browser, |shop| shop.note = "small".to_owned());
    let held = browser.cookie_header(URL);
    let mut longest = 0;
    for len in (2800..2960).rev() {
        let note = "n".repeat(len);
        let answer = server.ask(&[held.as_ref().unwrap().as_bytes()], async |session| {
            session.update(|shop| shop.note = note);
        });
        match &answer.outcome.error {
            Some(Error::Store(error)) => {
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                assert_eq!((answer.status(), answer.set_cookie()), (500, None));
                assert_eq!(longest, 0);
            }
            None => {
                let cookie = answer.cookie();
                assert!(cookie.len() - "=".len() <= 4096);
                longest = longest.max(len);
                for taken in server.browser().receive(URL, answer.set_cookie()) {
                    taken.expect("a browser takes it");
                }
                assert_eq!(server.verdict(cookie.as_bytes()), Verdict::Resumed);
                if len + 8 < longest {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    // A quarter of 4096 is base64; the rest is what else there is of the session.
    assert!((2810..2950).contains(&longest), "{longest}");
    assert_eq!(server.read(&browser).data.note, "small");
    let text = format!("{:?}", server.events.take());
    assert!(text.contains("TooLarge"), "the event says why");
}

#[test]
fn a_header_of_another_transport_is_as_short() {
    let server = Server::with(|sessions| sessions.transport(Transport::bearer()));
    let answer = server.ask(&[], async |session| {
        session.update(|shop| shop.note = "n".repeat(4000));
    });
    assert_eq!(answer.status(), 500);
    assert!(answer.outcome.effects.headers().all(|header| !header.is_secret));
}

#[test]
fn an_empty_session_is_a_few_hundred_octets() {
    let server = Server::with(|sessions| sessions.encoding(Encoding::MessagePack));
    let cookie = server.ask(&[], async |session| session.establish()).cookie();
    // The session's own part: 2 + 6 names of fields are the shop's.
    println!("figure: {} octets of cookie for an empty shop", cookie.len());
    assert!(cookie.len() < 320, "{}", cookie.len());
}

// ---- Not before.

/// One time a user, as an application keeps it in its own table.
#[derive(Clone, Default)]
struct Logins {
    times: Arc<Mutex<HashMap<Subject, Timestamp>>>,
    asked: Arc<AtomicUsize>,
    is_down: Arc<Mutex<bool>>,
}

impl NotBefore for Logins {
    async fn not_before(&self, subject: &Subject) -> store::Result<Option<Timestamp>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if *self.is_down.lock().unwrap() {
            return Err(ErrorKind::Unavailable.into());
        }
        Ok(self.times.lock().unwrap().get(subject).copied())
    }
}

#[test]
fn asvs_7_4_1_with_a_time_for_each_user_all_copies_of_a_session_can_be_ended() {
    let times = Logins::default();
    let server = Server::with(|sessions| sessions.not_before(times.clone()));
    let (one, two, other) = (server.browser(), server.browser(), server.browser());
    for browser in [&one, &two] {
        server.change(browser, log_in);
    }
    server.change(&other, |shop| shop.user = Some("bob".to_owned()));
    let copy = one.cookie_header(URL).unwrap();
    server.clock.advance(MINUTE);
    server.read(&two);
    let now = START.plus(MINUTE);
    times.times.lock().unwrap().insert(Subject::from("ann"), now);
    for browser in [&one, &two] {
        let answer = server.read(browser);
        assert_eq!(answer.verdict, Verdict::Ended(EndReason::Revoked));
        assert_eq!(answer.data, Shop::default());
    }
    assert_eq!(server.verdict(copy.as_bytes()), Verdict::Ended(EndReason::Revoked));
    assert_eq!(server.read(&other).verdict, Verdict::Resumed, "of somebody else");
    // Who logs in from then on is in, also at that very millisecond.
    assert_eq!(server.change(&one, log_in).status(), 200);
    assert_eq!(server.read(&one).verdict, Verdict::Resumed);
    assert_eq!(server.verdict(copy.as_bytes()), Verdict::Ended(EndReason::Revoked));
}

#[test]
fn a_request_in_flight_cannot_bring_an_ended_session_back() {
    let times = Logins::default();
    let server = Server::with(|sessions| sessions.not_before(times.clone()));
    let browser = server.browser();
    server.change(&browser, log_in);
    server.clock.advance(MINUTE);
    let answer = server.visit(&browser, async |session| {
        times.times.lock().unwrap().insert(Subject::from("ann"), START.plus(MINUTE));
        session.update(|shop| shop.visits += 1);
    });
    assert!(answer.set_cookie().is_some());
    assert_eq!(server.read(&browser).verdict, Verdict::Ended(EndReason::Revoked));
}

#[test]
fn where_the_time_cannot_be_told_it_is_an_outage_and_no_logout() {
    let times = Logins::default();
    let server = Server::with(|sessions| sessions.not_before(times.clone()));
    let browser = server.browser();
    server.change(&browser, log_in);
    *times.is_down.lock().unwrap() = true;
    let cookie = browser.cookie_header(URL).unwrap();
    let exchange = server.sessions.open([cookie.as_bytes()]);
    let error = run(exchange.session()).err().unwrap();
    assert_eq!(error.status(), 503);
    assert_eq!(run(exchange.finish()).effects.set_cookie(), None);
    *times.is_down.lock().unwrap() = false;
    assert_eq!(server.read(&browser).verdict, Verdict::Resumed);
}

#[test]
fn the_time_is_asked_once_a_request_and_of_sessions_with_a_subject_alone() {
    let times = Logins::default();
    let server = Server::with(|sessions| sessions.not_before(times.clone()));
    let browser = server.browser();
    server.change(&browser, |shop| shop.visits = 1);
    server.read(&browser);
    assert_eq!(times.asked.load(Ordering::Relaxed), 0);
    server.change(&browser, log_in);
    server.change(&browser, |shop| shop.visits = 2);
    assert_eq!(times.asked.load(Ordering::Relaxed), 1);
    // Nor before the cookie is verified, or where nobody asks for the session.
    let mut cookie = browser.cookie_header(URL).unwrap();
    drop(run(server.sessions.open([cookie.as_bytes()]).finish()));
    cookie.replace_range(40..44, "AAAA");
    assert_eq!(server.verdict(cookie.as_bytes()), Verdict::Unverified);
    assert_eq!(times.asked.load(Ordering::Relaxed), 1);
}

// ---- What it cannot promise; so that nobody thinks it does.

#[test]
fn a_copy_of_the_cookie_outlives_the_end_until_its_limits() {
    let server = Server::new();
    let browser = server.browser();
    let copy = server.change(&browser, log_in).cookie();
    server.visit(&browser, async |session| session.end());
    assert_eq!(server.verdict(copy.as_bytes()), Verdict::Resumed);
    server.clock.advance(HOUR);
    assert_eq!(server.verdict(copy.as_bytes()), Verdict::IdleExpired);
}

#[test]
fn of_two_parallel_requests_the_last_answer_wins_and_the_other_is_lost() {
    let server = Server::new();
    let browser = server.browser();
    server.change(&browser, |shop| shop.visits = 1);
    let cookie = browser.cookie_header(URL).unwrap();
    let one = server.ask(&[cookie.as_bytes()], async |s| s.update(|shop| shop.visits += 1));
    let two = server.ask(&[cookie.as_bytes()], async |session| {
        session.transact(|shop| shop.visits += 10).await.unwrap();
    });
    assert_eq!((one.status(), two.status()), (200, 200));
    browser.receive(URL, two.set_cookie());
    browser.receive(URL, one.set_cookie());
    assert_eq!(server.read(&browser).data.visits, 2, "not 12");
}

// ---- Whatever a request carries.

#[test]
fn planted_cookies_hide_no_good_one_and_of_two_copies_the_newer_counts() {
    let server = Server::new();
    let browser = server.browser();
    let old = server.change(&browser, log_in).cookie();
    server.clock.advance(MINUTE);
    let new = server.change(&browser, |shop| shop.visits = 1).cookie();
    let before_login = server.ask(&[], async |session| session.update(|shop| shop.visits = 7));
    let stranger = before_login.cookie();
    let planted: Vec<String> =
        (0..30).map(|n| format!("__Host-session={}", "A".repeat(60 + n))).collect();
    let mut list = planted.join("; ");
    list.push_str(&format!("; {old}; {new}"));
    let answer = server.ask(&[list.as_bytes()], async |_| ());
    assert_eq!((answer.verdict, answer.data.visits), (Verdict::Resumed, 1));
    let list = format!("{new}; {old}; {stranger}");
    assert_eq!(server.ask(&[list.as_bytes()], async |_| ()).data.visits, 1);
}

#[test]
fn the_id_before_a_login_is_not_that_of_the_login() {
    let server = Server::new();
    let browser = server.browser();
    let before = server.change(&browser, |shop| shop.visits = 1).cookie();
    let after = server.change(&browser, log_in).cookie();
    let list = format!("{before}; {after}");
    assert_eq!(
        server.ask(&[list.as_bytes()], async |_| ()).data.user.as_deref(),
        Some("ann"),
        "of two ids of one session the newer record decides"
    );
}

#[test]
fn no_bytes_make_it_panic() {
    let server = Server::new();
    let dice = SeededEntropy::new(3);
    let cookie = server.ask(&[], async |session| session.update(log_in)).cookie();
    for round in 0..2000_usize {
        let mut noise = dice.bytes::<300>();
        let len = round % 300;
        let mut field = b"__Host-session=".to_vec();
        if round % 2 == 0 {
            field.extend_from_slice(&noise[..len]);
        } else {
            for byte in &mut noise {
                *byte = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                    [usize::from(*byte % 64)];
            }
            field.extend_from_slice(&cookie.as_bytes()[15..(15 + len).min(cookie.len())]);
            field.extend_from_slice(&noise[..len]);
        }
        assert_ne!(server.verdict(&field), Verdict::Resumed);
    }
    let long = format!("__Host-session={}", "A".repeat(1 << 20));
    assert_eq!(server.verdict(long.as_bytes()), Verdict::Malformed);
    assert_eq!(server.verdict(b"__Host-session="), Verdict::Malformed);
}

struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError::new("no randomness"))
    }
}

#[test]
fn without_randomness_a_change_is_a_503_and_reading_goes_on() {
    let server = Server::new();
    let browser = server.browser();
    server.change(&browser, log_in);
    let broken = Server::of(keys(&[1]), server.clock.clone(), |sessions| {
        sessions.dangerous_entropy(NoEntropy)
    });
    let answer = broken.visit(&browser, async |session| session.update(|shop| shop.visits += 1));
    assert_eq!((answer.status(), answer.set_cookie()), (503, None));
    server.clock.advance(MINUTE);
    let answer = broken.read(&browser);
    assert_eq!(
        (answer.verdict, answer.status(), answer.set_cookie()),
        (Verdict::Resumed, 200, None)
    );
}

#[test]
fn neither_debug_nor_events_show_what_is_in_the_cookie() {
    let server = Server::new();
    let answer = server.ask(&[], async |session| session.update(log_in));
    let cookie = answer.cookie();
    let value = cookie.split_once('=').unwrap().1;
    let exchange = server.sessions.open([cookie.as_bytes()]);
    let text = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        server.sessions,
        server.sessions.store(),
        exchange,
        answer.outcome,
        server.events.take()
    );
    assert!(text.contains("Stateless") && text.contains("Created"), "{text}");
    assert!(!text.contains(&value[..20]) && !text.contains("ann"), "{text}");
}

// ---- The format.

#[test]
fn a_cookie_that_a_browser_holds_already_is_read_as_it_was_written() {
    let golden = include_str!("../golden/stateless_cookies.txt");
    let mut count = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let [key, encoding, expected] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("three values: {line}");
        };
        let keys = KeyRing::from_text(key).unwrap();
        let encoding = match encoding {
            "json" => Encoding::Json,
            "messagepack" => Encoding::MessagePack,
            other => panic!("{other}"),
        };
        let server =
            Server::of(keys, ManualClock::at(START), |sessions| sessions.encoding(encoding));
        let answer = server.ask(&[expected.as_bytes()], async |_| ());
        assert_eq!(answer.verdict, Verdict::Resumed);
        assert_eq!(answer.data.user.as_deref(), Some("ann"));
        assert_eq!(answer.times.unwrap().created_at, START);
        count += 1;
    }
    assert_eq!(count, 2);
}
