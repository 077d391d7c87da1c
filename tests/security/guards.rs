//! Handlers that run only for who is logged in, and operations that are permitted once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use typed_session::store::{ErrorKind, MemoryStore};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::{Explorer, Scenario, run};
use typed_session::testing::{Calls, ManualClock, SeededEntropy, Verb, When, Yielding, Yields};
use typed_session::{
    Authenticated, AuthenticatedWithin, ClientPolicy, Clock as _, EndReason, Error, Grants, Guard,
    LoggedIn, OnClientChange, Refusal, Rejection, RequestHead, Requirement, Rotation, Session,
    SessionData, SessionLayer, Subject, Verdict, Within,
};

use super::world::{DAY, HOUR, MINUTE, SECOND, START, Shop, URL, Way, World};

const LOADED: Calls =
    Calls { load: 1, insert: 0, replace: 0, touch: 0, end: 0, sessions_of: 0, remove_expired: 0 };

#[track_caller]
fn why<T, R>(checked: Result<Guard<T, R>, Rejection>) -> Option<Refusal> {
    match checked {
        Ok(_) => None,
        Err(Rejection::Refused(refused)) => Some(refused.why()),
        Err(other) => panic!("{other:?}"),
    }
}

fn check<R: Requirement<Shop>>(session: &Session<Shop>) -> Option<Refusal> {
    why(Guard::<_, R>::check(session.clone()))
}

// ---- Who is let in.

#[test]
fn asvs_7_2_1_a_guard_lets_in_a_live_session_with_a_subject_and_nothing_else() {
    let world = World::new();
    let browser = world.browser();
    let refused = |cookie: Option<&str>, verdict| {
        let (why, answer) = world.ask(cookie, async |s| check::<LoggedIn>(s));
        assert_eq!((why, answer.verdict), (Some(Refusal::NotLoggedIn), verdict));
        answer.is_fine();
        assert_eq!(answer.set_cookie(), None);
        assert!(answer.calls == LOADED || answer.calls == Calls::default(), "{answer:?}");
    };
    refused(None, Verdict::New);
    refused(Some("__Host-session=admin"), Verdict::Malformed);
    let unknown = format!("__Host-session={}", "A".repeat(43));
    refused(Some(&unknown), Verdict::Unknown);

    world.change(&browser, |shop| shop.visits = 1);
    let before = browser.cookie_header(URL).unwrap();
    refused(Some(&before), Verdict::Resumed);
    world.log_in(&browser, "ann");
    refused(Some(&before), Verdict::Superseded);

    let (subject, answer) = world.visit(&browser, async |session| {
        let guard: Authenticated<Shop> = session.clone().try_into().unwrap();
        assert_eq!(guard.read(|shop| shop.visits), 1, "it is the session");
        guard.subject()
    });
    assert_eq!((subject, answer.calls), (Subject::from("ann"), LOADED));

    let cookie = browser.cookie_header(URL).unwrap();
    let (key, _) = world.visit(&browser, async |session| session.key().unwrap());
    run(world.sessions.end(&key, EndReason::Revoked)).unwrap();
    refused(Some(&cookie), Verdict::Ended(EndReason::Revoked));

    let browser = world.browser();
    world.log_in(&browser, "ann");
    let cookie = browser.cookie_header(URL).unwrap();
    world.clock.advance(HOUR);
    refused(Some(&cookie), Verdict::IdleExpired);
}

#[test]
fn a_refused_request_gets_what_its_session_asks_for() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(HOUR);
    let exchange = world.open(&browser);
    assert_eq!(why(run(exchange.pending().guarded::<LoggedIn>())), Some(Refusal::NotLoggedIn));
    let answer = world.close(exchange);
    let headers: Vec<_> = answer.outcome.effects.headers().map(|h| (h.name, h.value)).collect();
    assert_eq!(headers, [("vary", "Cookie")]);
    // What a hoop before the guard has changed is stored, though the handler is not run.
    let ((), answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 7);
        assert_eq!(check::<LoggedIn>(session), Some(Refusal::NotLoggedIn));
    });
    assert!(answer.set_cookie().is_some());
    assert_eq!(world.read(&browser).0.visits, 7);
}

#[test]
fn an_outage_is_no_refusal() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.faults.outage();
    let exchange = world.open(&browser);
    let rejection = run(exchange.pending().guarded::<LoggedIn>()).unwrap_err();
    assert!(matches!(rejection, Rejection::Failed(Error::Store(_))), "{rejection:?}");
    assert_eq!(rejection.status(), 503);
    let headers: Vec<_> = rejection.headers().map(|header| header.name).collect();
    assert_eq!(headers, ["cache-control"]);
    drop(exchange.finish());
}

struct MayVisit;

impl Requirement<Shop> for MayVisit {
    fn check(session: &Session<Shop>) -> Result<(), Refusal> {
        assert!(session.read(|shop| shop.user.is_some()), "asked of nobody");
        if session.read(|shop| shop.visits > 0) { Ok(()) } else { Err(Refusal::Forbidden) }
    }
}

#[test]
fn requirements_of_ones_own_are_asked_of_who_is_logged_in_and_all_must_be_met() {
    type Both = (MayVisit, Within<300>);
    let world = World::new();
    let browser = world.browser();
    let both = |browser: &Browser| world.visit(browser, async |s| check::<Both>(s)).0;
    assert_eq!(both(&browser), Some(Refusal::NotLoggedIn));
    world.log_in(&browser, "ann");
    assert_eq!(both(&browser), Some(Refusal::Forbidden));
    world.change(&browser, |shop| shop.visits = 1);
    assert_eq!(both(&browser), None);
    world.clock.advance(5 * MINUTE);
    let stale = Refusal::Stale { within: Some(5 * MINUTE) };
    assert_eq!(both(&browser), Some(stale));
    let (swapped, _) = world.visit(&browser, async |s| check::<(Within<300>, MayVisit)>(s));
    assert_eq!(swapped, Some(stale));
    // It is no matter of logging in.
    let rejection = world.visit(&browser, async |s| s.refuse(Refusal::Forbidden)).0;
    assert_eq!((rejection.status(), rejection.public_message()), (403, "You may not do this."));
}

// ---- How old the proof may be.

fn within(world: &World, browser: &Browser, duration: Duration) -> bool {
    world.visit(browser, async |session| session.authenticated_within(duration)).0
}

#[test]
fn asvs_7_5_1_a_sensitive_change_can_demand_a_fresh_authentication() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default().every(MINUTE)));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    assert!(within(&world, &browser, 5 * MINUTE));
    // Nothing but a proof makes it younger: no use, no new id of any kind, no lifetime.
    for _ in 0..4 {
        world.clock.advance(MINUTE);
        world.change(&browser, |shop| shop.visits += 1);
        world.visit(&browser, async |session| session.rotate());
        world.visit(&browser, async |session| session.set_lifetime(session.lifetime().unwrap()));
    }
    world.clock.advance(MINUTE - Duration::from_millis(1));
    assert!(within(&world, &browser, 5 * MINUTE));
    world.clock.advance(Duration::from_millis(1));
    assert!(!within(&world, &browser, 5 * MINUTE));
    let ((), _) = world.visit(&browser, async |session| {
        session.update(|shop| shop.note = "as ann".into());
        session.rotate();
        assert!(!session.authenticated_within(5 * MINUTE));
    });
    let old = browser.cookie_header(URL).unwrap();
    let ((), answer) = world.visit(&browser, async |session| {
        let guard = AuthenticatedWithin::<_, 300>::check(session.clone());
        assert_eq!(why(guard), Some(Refusal::Stale { within: Some(5 * MINUTE) }));
        session.reauthenticate();
        assert!(session.authenticated_within(SECOND), "in this very request");
        assert_eq!(session.authenticated_at(), Some(world.clock.now()));
    });
    answer.is_fine();
    assert!(within(&world, &browser, SECOND), "and after it");
    let ((), stolen) = world.ask(Some(&old), async |session| {
        assert!(!session.authenticated_within(DAY), "not by the id of before");
    });
    assert_eq!(stolen.verdict, Verdict::Superseded);
}

#[test]
fn asvs_7_5_1_a_login_in_this_request_counts_and_a_logout_too() {
    let world = World::new();
    let browser = world.browser();
    let ((), _) = world.visit(&browser, async |session| {
        assert!(!session.authenticated_within(DAY), "nobody");
        session.update(|shop| shop.visits = 1);
        assert!(!session.authenticated_within(DAY), "a visitor");
        session.update(|shop| shop.user = Some("ann".into()));
        assert!(session.authenticated_within(SECOND), "a login");
        assert!(!session.authenticated_within(Duration::ZERO));
    });
    world.clock.advance(10 * MINUTE);
    let ((), _) = world.visit(&browser, async |session| {
        assert!(!session.authenticated_within(10 * MINUTE));
        session.update(|shop| shop.user = None);
        assert_eq!(session.authenticated_at(), None, "left");
        session.update(|shop| shop.user = Some("ann".into()));
        assert!(!session.authenticated_within(10 * MINUTE), "nothing has changed");
        session.update(|shop| shop.user = Some("eve".into()));
        assert!(session.authenticated_within(SECOND), "a switch");
        session.end();
        assert!(!session.authenticated_within(DAY), "ended");
        session.reauthenticate();
        assert!(!session.authenticated_within(DAY), "nobody proves nothing");
    });
}

#[test]
fn asvs_7_5_1_a_proof_of_the_future_is_none() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    for (behind, fresh) in [(MINUTE, true), (MINUTE + Duration::from_millis(1), false)] {
        let layer = world.sessions.clone().clock(ManualClock::at(START.minus(behind)));
        let cookie = browser.cookie_header(URL).unwrap();
        let exchange = layer.open([cookie.as_bytes()]);
        let session = run(exchange.session()).unwrap();
        assert_eq!(session.authenticated_within(5 * MINUTE), fresh, "{behind:?}");
    }
}

#[test]
fn asvs_7_5_1_another_client_must_prove_anew() {
    let policy = ClientPolicy::default().on_change(OnClientChange::DemandAuthentication);
    let layer = Layer::new(MemoryStore::new()).client_info(policy);
    let ask = |cookie: &str, agent: &str, handler: &dyn Fn(&Session<Shop>)| {
        let fields = vec![("cookie", cookie), ("user-agent", agent)];
        let exchange = layer.receive(&Head { method: "GET", fields });
        handler(&run(exchange.session()).unwrap());
        let outcome = run(exchange.finish());
        assert!(outcome.error.is_none(), "{outcome:?}");
        let line = outcome.effects.set_cookie().unwrap_or(cookie).to_owned();
        line.split(';').next().unwrap().to_owned()
    };
    let cookie = ask("", "Firefox/1", &|s| s.update(|shop| shop.user = Some("ann".into())));
    let cookie = ask(&cookie, "Firefox/1", &|s| assert!(s.authenticated_within(5 * MINUTE)));
    let cookie = ask(&cookie, "curl/8", &|s| {
        assert!(!s.authenticated_within(5 * MINUTE));
        let stale = Refusal::Stale { within: Some(5 * MINUTE) };
        assert_eq!(check::<Within<300>>(s), Some(stale));
        assert_eq!(check::<LoggedIn>(s), None, "still logged in");
        s.reauthenticate();
        assert!(s.authenticated_within(5 * MINUTE), "in this very request");
    });
    ask(&cookie, "curl/8", &|s| assert!(s.authenticated_within(5 * MINUTE), "and after it"));
}

#[test]
fn asvs_7_6_1_a_federated_session_has_a_largest_age_since_the_authentication() {
    type Federated = AuthenticatedWithin<Shop, { 8 * 60 * 60 }>;
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    for hour in 0..8 {
        let (refused, _) = world.visit(&browser, async |session| {
            assert_eq!(session.authenticated_at(), Some(START));
            session.update(|shop| shop.visits += 1);
            why(Federated::check(session.clone()))
        });
        assert_eq!(refused, None, "after {hour} hours");
        // In use all the time, so that it is neither idle nor at its end.
        for _ in 0..2 {
            world.clock.advance(30 * MINUTE);
            world.change(&browser, |shop| shop.visits += 1);
        }
    }
    let (refused, answer) =
        world.visit(&browser, async |session| why(Federated::check(session.clone())));
    assert_eq!(answer.verdict, Verdict::Resumed);
    assert_eq!(refused, Some(Refusal::Stale { within: Some(8 * HOUR) }));
}

// ---- What the refused client gets.

/// The head of a request.
struct Head<'a> {
    method: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        self.method
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let of_name = self.fields.iter().filter(move |field| field.0 == name);
        of_name.map(|field| field.1.as_bytes())
    }
}

type Layer<S> = SessionLayer<Shop, S>;

/// The rejection of a request, as status and headers.
fn rejected<S: typed_session::store::Store>(
    layer: &Layer<S>,
    why: Refusal,
    method: &str,
    fields: &[(&str, &str)],
) -> (u16, HashMap<String, String>) {
    let exchange = layer.receive(&Head { method, fields: fields.to_vec() });
    let rejection = run(exchange.session()).unwrap().refuse(why);
    let headers = rejection.headers().map(|h| (h.name.to_owned(), h.value.to_owned())).collect();
    (rejection.status(), headers)
}

#[test]
fn browsers_are_sent_to_the_page_and_all_others_learn_of_a_401() {
    let layer = Layer::new(MemoryStore::new()).login_page("/login").reauthentication_page("/again");
    let stale = Refusal::Stale { within: None };
    type Fields = &'static [(&'static str, &'static str)];
    let table: [(&str, Fields, bool); 12] = [
        ("GET", &[], true),
        ("HEAD", &[], true),
        ("POST", &[], false),
        ("DELETE", &[], false),
        ("get", &[], false),
        ("GET", &[("upgrade", "websocket")], false),
        ("GET", &[("sec-fetch-mode", "navigate")], true),
        ("POST", &[("sec-fetch-mode", "navigate")], true),
        ("GET", &[("sec-fetch-mode", "cors")], false),
        ("GET", &[("sec-fetch-mode", "websocket"), ("upgrade", "websocket")], false),
        ("GET", &[("sec-fetch-mode", "navigate, cors")], false),
        ("GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-mode", "cors")], false),
    ];
    for (method, fields, goes) in table {
        for (why, page) in [(Refusal::NotLoggedIn, "/login"), (stale, "/again")] {
            let (status, headers) = rejected(&layer, why, method, fields);
            assert_eq!(status, if goes { 303 } else { 401 }, "{method} {fields:?}");
            let location = headers.get("location").map(String::as_str);
            assert_eq!(location, goes.then_some(page), "{method} {fields:?}");
            assert_eq!(headers["cache-control"], "no-store");
            assert_eq!(headers.len(), if goes { 2 } else { 1 });
        }
        assert_eq!(rejected(&layer, Refusal::Forbidden, method, fields).0, 403);
    }
}

#[test]
fn without_a_page_of_its_own_a_stale_login_is_for_the_login_page_and_without_any_it_is_a_401() {
    let layer = Layer::new(MemoryStore::new());
    let stale = Refusal::Stale { within: None };
    assert_eq!(rejected(&layer, Refusal::NotLoggedIn, "GET", &[]).0, 401);
    assert_eq!(rejected(&layer, stale, "GET", &[]).0, 401);
    let again = layer.clone().reauthentication_page("/again");
    assert_eq!(rejected(&again, Refusal::NotLoggedIn, "GET", &[]).0, 401);
    assert_eq!(rejected(&again, stale, "GET", &[]).1["location"], "/again");
    let login = layer.login_page("/login");
    assert_eq!(rejected(&login, stale, "GET", &[]).1["location"], "/login");
    // Whoever opens a session by the ids alone is no browser as far as is known.
    let session = run(login.open([]).session()).unwrap();
    assert_eq!(session.refuse(Refusal::NotLoggedIn).status(), 401);
}

#[test]
fn no_request_says_where_a_browser_is_sent_and_no_page_breaks_the_header() {
    let layer = Layer::new(MemoryStore::new())
        .login_page("/log in?next=ü\r\nset-cookie: a=b\\\"<>^`{|}\u{7f}#there%20");
    let fields = [("host", "evil.example"), ("referer", "https://evil.example/"), ("origin", "x")];
    let (_, headers) = rejected(&layer, Refusal::NotLoggedIn, "GET", &fields);
    assert_eq!(
        headers["location"],
        "/log%20in?next=%C3%BC%0D%0Aset-cookie:%20a=b%5C%22%3C%3E%5E%60%7B%7C%7D%7F#there%20"
    );
    let (_, same) = rejected(&layer, Refusal::NotLoggedIn, "GET", &[]);
    assert_eq!(headers, same);
}

#[test]
fn programs_are_told_how_to_authenticate_and_are_sent_nowhere() {
    for way in Way::ALL {
        let layer = Layer::new(MemoryStore::new()).transport(way.transport()).login_page("/login");
        let ask = |why, fields: &[(&str, &str)]| rejected(&layer, why, "GET", fields);
        let (status, headers) = ask(Refusal::NotLoggedIn, &[]);
        let challenge = headers.get("www-authenticate").map(String::as_str);
        match way {
            Way::Cookie => assert_eq!((status, challenge), (303, None)),
            Way::Header => assert_eq!((status, challenge), (401, None)),
            Way::Bearer => {
                assert_eq!((status, challenge), (401, Some("Bearer realm=\"session\"")));
                let unknown = format!("Bearer {}", "A".repeat(43));
                let (_, headers) = ask(Refusal::NotLoggedIn, &[("authorization", &unknown)]);
                let invalid = "Bearer realm=\"session\", error=\"invalid_token\"";
                assert_eq!(headers["www-authenticate"], invalid);
                let (_, headers) = ask(Refusal::Stale { within: Some(5 * MINUTE) }, &[]);
                let error = "Bearer realm=\"session\", error=\"insufficient_user_authentication\"";
                assert_eq!(headers["www-authenticate"], format!("{error}, max_age=\"300\""));
                let (_, headers) = ask(Refusal::Stale { within: None }, &[]);
                assert_eq!(headers["www-authenticate"], error);
                let (status, headers) = ask(Refusal::Forbidden, &[]);
                assert_eq!((status, headers.contains_key("www-authenticate")), (403, false));
            }
        }
    }
}

// ---- What is permitted once.

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Bank {
    user: Option<String>,
    note: String,
    grants: Grants,
}

impl SessionData for Bank {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }

    /// What nobody should do.
    fn carry(from: &Self, to: &mut Self) {
        to.grants = from.grants.clone();
    }
}

const CLOSE: &str = "close account 7";

async fn grant(session: &Session<Bank>) -> bool {
    session.grant(CLOSE, 2 * MINUTE, |bank| &mut bank.grants).await.unwrap()
}

async fn try_use(session: &Session<Bank>, purpose: &str) -> Result<bool, Error> {
    session.use_up(purpose, |bank| &mut bank.grants).await
}

async fn use_up(session: &Session<Bank>) -> bool {
    try_use(session, CLOSE).await.unwrap()
}

fn log_in(session: &Session<Bank>, user: Option<&str>) {
    session.update(|bank| bank.user = user.map(str::to_owned));
}

/// A bank where ann is logged in and has a grant.
fn bank() -> (World<Bank>, Browser) {
    let world = World::<Bank>::of();
    let browser = world.browser();
    let (granted, answer) = world.visit(&browser, async |session| {
        assert!(!grant(session).await, "nobody");
        assert!(!use_up(session).await, "nobody");
        log_in(session, Some("ann"));
        grant(session).await
    });
    answer.is_fine();
    assert!(granted);
    (world, browser)
}

#[test]
fn asvs_7_5_3_a_second_check_permits_one_operation_once() {
    let (world, browser) = bank();
    let (other, answer) =
        world.visit(&browser, async |s| try_use(s, "close account 8").await.unwrap());
    assert!(!other, "another purpose");
    let looked = Calls { load: 2, ..LOADED };
    assert_eq!(answer.calls, looked, "what is not there costs a look, and no write");
    assert!(world.visit(&browser, async |s| use_up(s).await).0);
    assert!(!world.visit(&browser, async |s| use_up(s).await).0, "once");

    // Twice granted is once.
    world.visit(&browser, async |s| assert!(grant(s).await && grant(s).await));
    world.visit(&browser, async |s| assert!(use_up(s).await && !use_up(s).await));
}

#[test]
fn asvs_7_5_3_a_grant_is_good_for_a_short_time() {
    let (world, browser) = bank();
    world.clock.advance(2 * MINUTE - Duration::from_millis(1));
    assert!(world.visit(&browser, async |s| use_up(s).await).0);
    world.visit(&browser, async |s| assert!(grant(s).await));
    world.clock.advance(2 * MINUTE);
    assert!(!world.visit(&browser, async |s| use_up(s).await).0);
    // However long was asked for.
    let long = async |s: &Session<Bank>| s.grant(CLOSE, DAY, |bank| &mut bank.grants).await;
    assert!(world.visit(&browser, long).0.unwrap());
    world.clock.advance(15 * MINUTE);
    assert!(!world.visit(&browser, async |s| use_up(s).await).0);
}

#[test]
fn asvs_7_5_3_a_grant_dies_with_the_authentication_that_it_stands_on() {
    type Change = fn(&Session<Bank>);
    let changes: [(&str, Change); 4] = [
        ("a switch of the subject", |s| log_in(s, Some("eve"))),
        ("a reauthentication", |s| s.reauthenticate()),
        ("a logout that keeps the data", |s| log_in(s, None)),
        ("an end", |s| s.end()),
    ];
    for (what, change) in changes {
        let (world, browser) = bank();
        world.clock.advance(SECOND);
        world.visit(&browser, async |s| change(s)).1.is_fine();
        assert!(!world.visit(&browser, async |s| use_up(s).await).0, "{what}");
        world.clock.advance(SECOND);
        // The same user once more, and in this very request.
        let (used, _) = world.visit(&browser, async |s| {
            log_in(s, Some("ann"));
            use_up(s).await
        });
        assert!(!used, "{what}, and a login");
    }
    // A new id alone, as of timed rotation, changes nothing.
    let (world, browser) = bank();
    world.visit(&browser, async |s| s.rotate());
    assert!(world.visit(&browser, async |s| use_up(s).await).0);
    // With a check that is a reauthentication, too, the grant stands on the new one.
    let ((), answer) = world.visit(&browser, async |s| {
        s.reauthenticate();
        assert!(grant(s).await);
    });
    answer.is_fine();
    assert!(world.visit(&browser, async |s| use_up(s).await).0);
}

#[test]
fn asvs_7_5_3_grants_of_another_session_are_none() {
    let (world, browser) = bank();
    let (grants, _) = world.visit(&browser, async |s| s.read(|bank| bank.grants.clone()));
    let thief = world.browser();
    world.change(&thief, |bank| {
        *bank = Bank { user: Some("ann".into()), grants, ..Bank::default() }
    });
    assert!(!world.visit(&thief, async |s| use_up(s).await).0);
    assert!(world.visit(&browser, async |s| use_up(s).await).0);
}

#[test]
fn asvs_7_5_3_a_grant_that_was_used_does_not_come_back_by_a_merge() {
    let (world, browser) = bank();
    let slow = world.open(&browser);
    let late = run(slow.session()).unwrap();
    late.update(|bank| bank.note = "written meanwhile".into());
    assert!(world.visit(&browser, async |s| use_up(s).await).0);
    world.close(slow).is_fine();
    let (bank, _) = world.read(&browser);
    assert_eq!((bank.note.as_str(), bank.grants), ("written meanwhile", Grants::default()));
    assert!(!world.visit(&browser, async |s| use_up(s).await).0);
}

#[test]
fn asvs_7_5_3_a_lost_answer_uses_the_grant_up_and_permits_nothing() {
    for when in [When::Before, When::After] {
        let (world, browser) = bank();
        world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, when);
        let (used, _) = world.visit(&browser, async |s| try_use(s, CLOSE).await);
        assert_eq!(used.unwrap_err().status(), 503);
        world.faults.clear();
        let (again, _) = world.visit(&browser, async |s| use_up(s).await);
        assert_eq!(again, when == When::Before, "{when:?}");
    }
}

/// What one of several requests does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    UseUp,
    Write,
    Leave,
    Reauthenticate,
}

use Kind::{Leave, Reauthenticate, UseUp, Write};

#[derive(Default)]
struct Seen {
    yes: usize,
    failed: usize,
    dropped: usize,
    void: bool,
}

fn explore(kinds: &'static [Kind], drops: usize, max_runs: usize) -> (usize, bool) {
    let explored = Explorer::new().drops(drops).max_runs(max_runs).explore(|_| {
        let rows = Arc::new(MemoryStore::new());
        let clock = ManualClock::at(START);
        let yields = if drops == 0 { Yields::Before } else { Yields::Around };
        let layer = SessionLayer::<Bank, _>::new(Yielding::new(rows, yields))
            .clock(clock.clone())
            .dangerous_entropy(SeededEntropy::new(3));
        let exchange = layer.open([]);
        let cookie = run(async {
            let session = exchange.session().await.unwrap();
            log_in(&session, Some("ann"));
            assert!(grant(&session).await);
            exchange.finish().await.effects.set_cookie().unwrap().to_owned()
        });
        let cookie = cookie.split(';').next().unwrap().to_owned();
        clock.advance(SECOND);
        let seen = Arc::new(Mutex::new(Seen { dropped: kinds.len(), ..Seen::default() }));
        let tasks = kinds.iter().map(|&kind| {
            let (layer, cookie, seen) = (layer.clone(), cookie.clone(), Arc::clone(&seen));
            async move {
                let exchange = layer.open([cookie.as_bytes()]);
                let session = exchange.session().await.unwrap();
                let resumed = session.verdict() == Verdict::Resumed;
                let used = match kind {
                    UseUp => try_use(&session, CLOSE).await,
                    Write => {
                        session.update(|bank| bank.note.push('x'));
                        Ok(false)
                    }
                    Leave => {
                        log_in(&session, None);
                        Ok(false)
                    }
                    Reauthenticate => {
                        session.reauthenticate();
                        Ok(false)
                    }
                };
                let outcome = exchange.finish().await;
                let mut seen = seen.lock().unwrap();
                seen.dropped -= 1;
                match used {
                    Ok(yes) => seen.yes += usize::from(yes),
                    Err(_) => seen.failed += 1,
                }
                let kept = resumed && outcome.error.is_none();
                seen.void |= kept && matches!(kind, Leave | Reauthenticate);
            }
        });
        let scenario = tasks.fold(Scenario::new(), Scenario::task);
        let (layer, cookie) = (layer.clone(), cookie.clone());
        scenario.check(move || {
            let seen = seen.lock().unwrap();
            if seen.yes > 1 {
                return Err(format!("{} were told yes", seen.yes));
            }
            let uses = kinds.contains(&UseUp);
            if uses && seen.yes == 0 && seen.failed == 0 && seen.dropped == 0 && !seen.void {
                return Err("nobody was told yes".to_owned());
            }
            // Of all ids that there were the first one may be dead; it is then no session at all.
            let exchange = layer.open([cookie.as_bytes()]);
            let again = run(async {
                let session = exchange.session().await.unwrap();
                try_use(&session, CLOSE).await
            });
            match again {
                Ok(true) if seen.yes > 0 || seen.void => Err("it came back".to_owned()),
                _ => Ok(()),
            }
        })
    });
    let explored = explored.unwrap_or_else(|failure| panic!("{kinds:?}, {drops}\n{failure}"));
    (explored.runs, explored.complete)
}

#[test]
fn asvs_7_5_3_of_parallel_requests_one_alone_uses_a_grant_in_every_order() {
    let mut runs = 0;
    for kinds in [&[UseUp, UseUp][..], &[UseUp, Write], &[UseUp, Leave], &[UseUp, Reauthenticate]] {
        for drops in [0, 1] {
            let (more, complete) = explore(kinds, drops, 1_000_000);
            assert!(complete, "{kinds:?}");
            runs += more;
        }
    }
    println!("{runs} orders of two requests: all there are");
    for kinds in [&[UseUp, UseUp, UseUp][..], &[UseUp, UseUp, Write], &[UseUp, UseUp, Leave]] {
        println!("{:?} orders of {kinds:?}", explore(kinds, 0, 1_000));
    }
}
