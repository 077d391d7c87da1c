//! Where one extra meets another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use typed_session::csrf::{CrossOrigin, OriginCheck};
use typed_session::store::MemoryStore;
use typed_session::testing::ManualClock;
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::{
    ClientInfo, ClientPolicy, EndReason, Error, Event, Grants, Guesses, Observer, OnClientChange,
    OnLimit, RequestHead, Rotation, Session, SessionData, SessionLayer, Subject, Verdict,
};

use super::shown;
use crate::world::{Form, MINUTE, Rest, SECOND, START, Shop, World, keys};

// ---- A release that names its subjects in another way.

/// The shop after it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Renamed {
    user: Option<String>,
    visits: u64,
    note: String,
    language: String,
}

impl SessionData for Renamed {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(|user| Subject::from(format!("shop:{user}")))
    }
}

type Rows = Arc<MemoryStore>;

fn layer<T: SessionData>(rows: &Rows, rest: Rest) -> SessionLayer<T, Rows> {
    let layer = SessionLayer::new(Arc::clone(rows)).clock(ManualClock::at(START));
    match rest {
        Rest::Clear => layer,
        #[cfg(feature = "sealed")]
        Rest::Sealed => layer.seal_data(typed_session::Unsealed::Refuse),
    }
}

/// A session of the release before, in which ann is logged in; its cookie.
fn of_before(rows: &Rows, rest: Rest) -> String {
    let exchange = layer::<Shop>(rows, rest).open([]);
    run(exchange.session()).unwrap().update(|shop| {
        shop.user = Some("ann".into());
        shop.note = "kept".into();
        shop.language = "fr".into();
    });
    let outcome = run(exchange.finish());
    outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn parallel_writes_after_a_release_that_renames_subjects_lose_nothing() {
    for rest in Rest::ALL {
        let rows = Rows::default();
        let cookie = of_before(&rows, *rest);
        let new = layer::<Renamed>(&rows, *rest);
        let [one, other] = [0, 1].map(|_| new.open([cookie.as_bytes()]));
        run(one.session()).unwrap().update(|shop| shop.visits = 1);
        run(other.session()).unwrap().update(|shop| shop.language = "de".into());
        for exchange in [one, other] {
            let outcome = run(exchange.finish());
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
        }
        let session = run(new.open([cookie.as_bytes()]).session()).unwrap();
        let data = session.read(Renamed::clone);
        assert_eq!((data.user.as_deref(), data.visits), (Some("ann"), 1));
        assert_eq!((data.note.as_str(), data.language.as_str()), ("kept", "de"));
    }
}

#[test]
fn a_write_of_each_release_at_the_same_time_are_both_kept() {
    let rows = Rows::default();
    let cookie = of_before(&rows, Rest::Clear);
    let (old, new) = (layer::<Shop>(&rows, Rest::Clear), layer::<Renamed>(&rows, Rest::Clear));
    // Once with either of them last.
    for turn in 0..2u64 {
        let one = old.open([cookie.as_bytes()]);
        let other = new.open([cookie.as_bytes()]);
        run(one.session()).unwrap().update(|shop| shop.visits += 1);
        run(other.session()).unwrap().update(|shop| shop.language = format!("{turn}"));
        let error = if turn == 0 {
            [run(one.finish()).error, run(other.finish()).error]
        } else {
            [run(other.finish()).error, run(one.finish()).error]
        };
        assert!(error.iter().all(Option::is_none), "{error:?}");
        let session = run(new.open([cookie.as_bytes()]).session()).unwrap();
        let data = session.read(Renamed::clone);
        assert_eq!((data.user.as_deref(), data.visits), (Some("ann"), turn + 1));
        assert_eq!((data.note.as_str(), data.language), ("kept", format!("{turn}")));
    }
}

#[test]
fn a_switch_of_user_beside_a_write_is_a_switch_after_such_a_release_too() {
    let rows = Rows::default();
    let cookie = of_before(&rows, Rest::Clear);
    let new = layer::<Renamed>(&rows, Rest::Clear);
    let [late, first] = [0, 1].map(|_| new.open([cookie.as_bytes()]));
    run(late.session()).unwrap().update(|shop| shop.user = Some("bob".into()));
    run(first.session()).unwrap().update(|shop| shop.visits = 1);
    assert!(run(first.finish()).error.is_none());
    let outcome = run(late.finish());
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let cookie = outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned();
    let session = run(new.open([cookie.as_bytes()]).session()).unwrap();
    let expected = Renamed { user: Some("bob".into()), ..Renamed::default() };
    assert_eq!(session.read(Renamed::clone), expected, "nothing of ann's");
}

#[test]
fn to_end_the_others_ends_those_of_the_new_name_too_if_this_one_was_not_written_since() {
    let rows = Rows::default();
    let here = of_before(&rows, Rest::Clear);
    let there = of_before(&rows, Rest::Clear);
    let new = layer::<Renamed>(&rows, Rest::Clear);
    let exchange = new.open([]);
    run(exchange.session()).unwrap().update(|shop| shop.user = Some("ann".into()));
    let outcome = run(exchange.finish());
    let newer = outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned();
    let exchange = new.open([here.as_bytes()]);
    let session = run(exchange.session()).unwrap();
    assert_eq!(run(new.end_others(&session, EndReason::Revoked)).unwrap(), 2);
    assert!(run(exchange.finish()).error.is_none());
    for cookie in [there, newer] {
        let session = run(new.open([cookie.as_bytes()]).session()).unwrap();
        assert_eq!(session.verdict(), Verdict::Ended(EndReason::Revoked));
    }
}

// ---- Guesses at signed ids.

#[derive(Clone, Default)]
struct Alarm(Arc<Mutex<Vec<u64>>>);

impl Observer for Alarm {
    fn event(&self, event: &Event<'_>) {
        if let Event::Guessing { count, .. } = event {
            self.0.lock().unwrap().push(*count);
        }
    }
}

#[test]
fn who_guesses_at_signed_ids_is_told_of_as_well() {
    for form in Form::ALL {
        let alarm = Alarm::default();
        let guesses = Guesses::new(MINUTE, 10, alarm.clone()).clock(ManualClock::at(START));
        let world = World::with(|layer| layer.id_form(form.with(keys(&[1]))).observer(guesses));
        let other = World::with(|layer| layer.id_form(form.with(keys(&[9]))));
        for _ in 0..10 {
            let forged = other.log_in(&other.browser(), "mallory").cookie();
            assert_eq!(shown(&world, &forged).0, None);
        }
        assert_eq!(*alarm.0.lock().unwrap(), [10], "{form:?}");
    }
}

// ---- Another client.

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Bank {
    user: Option<String>,
    grants: Grants,
}

impl SessionData for Bank {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

fn by(session: &Session<Bank>, user_agent: &str) {
    session.set_client(ClientInfo::new(user_agent));
}

#[test]
fn asvs_7_5_3_what_was_granted_to_the_user_is_not_for_another_client_that_must_log_in_first() {
    let policy = ClientPolicy::default().on_change(OnClientChange::DemandAuthentication);
    for demands in [true, false] {
        let policy = if demands { policy } else { ClientPolicy::default() };
        let rows = Rows::default();
        let layer = layer::<Bank>(&rows, Rest::Clear).client_info(policy);
        let exchange = layer.open([]);
        let session = run(exchange.session()).unwrap();
        by(&session, "Firefox");
        session.update(|bank| bank.user = Some("ann".into()));
        assert!(run(session.grant("close", MINUTE, |bank| &mut bank.grants)).unwrap());
        let outcome = run(exchange.finish());
        let cookie = outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned();

        // The thief has the cookie.
        let session = run(layer.open([cookie.as_bytes()]).session()).unwrap();
        by(&session, "curl");
        assert_eq!(session.authentication_demanded(), demands);
        let used = run(session.use_up("close", |bank| &mut bank.grants)).unwrap();
        assert_eq!(used, !demands);
        let granted = run(session.grant("close", MINUTE, |bank| &mut bank.grants)).unwrap();
        assert_eq!(granted, !demands, "a grant stands on a proof of who it is");
        // It is still there for the user.
        let session = run(layer.open([cookie.as_bytes()]).session()).unwrap();
        by(&session, "Firefox");
        assert!(run(session.use_up("close", |bank| &mut bank.grants)).unwrap());
        // Another client that has proved who they are may be granted something.
        let session = run(layer.open([cookie.as_bytes()]).session()).unwrap();
        by(&session, "curl");
        session.reauthenticate();
        assert!(run(session.grant("close", MINUTE, |bank| &mut bank.grants)).unwrap());
        assert!(run(session.use_up("close", |bank| &mut bank.grants)).unwrap());
    }
}

// ---- An end and more, in one request.

#[test]
fn a_request_that_has_ended_its_session_ends_no_others_and_is_told_why() {
    let world = World::new();
    let (here, there) = (world.browser(), world.browser());
    world.log_in(&here, "ann");
    world.log_in(&there, "ann");
    let (result, answer) = world.visit(&here, async |session| {
        session.end();
        world.sessions.end_others(session, EndReason::Revoked).await
    });
    assert!(matches!(result, Err(Error::NoSubject)), "{result:?}");
    answer.is_fine();
    assert_eq!(world.read(&there).1.verdict, Verdict::Resumed);
}

#[test]
fn a_logout_and_a_login_in_one_request_need_no_second_place() {
    for on_limit in [OnLimit::RejectNew, OnLimit::EndOldest] {
        for rest in Rest::ALL {
            let world = World::with(|layer| rest.set_up(layer.max_sessions(1, on_limit)));
            let browser = world.browser();
            let old = world.log_in(&browser, "ann").cookie();
            let (_, answer) = world.visit(&browser, async |session| {
                session.end();
                session.update(|shop| shop.user = Some("ann".into()));
            });
            answer.is_fine();
            assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
            assert_eq!(shown(&world, &old).0, None);
        }
    }
}

#[test]
fn a_login_that_was_refused_a_place_after_a_logout_leaves_nobody_in() {
    let world = World::with(|layer| layer.max_sessions(1, OnLimit::RejectNew));
    let (here, there) = (world.browser(), world.browser());
    world.log_in(&there, "bob");
    world.log_in(&here, "ann");
    let (_, answer) = world.visit(&here, async |session| {
        session.end();
        session.update(|shop| shop.user = Some("bob".into()));
    });
    assert_eq!(answer.status(), 409);
    assert_eq!(world.read(&here).0.user, None);
    assert_eq!(world.read(&there).0.user.as_deref(), Some("bob"));
}

#[test]
fn of_two_logins_with_one_id_the_one_that_lost_keeps_no_place() {
    for on_limit in [OnLimit::RejectNew, OnLimit::EndOldest, OnLimit::EndLeastRecent] {
        let world = World::with(|layer| layer.max_sessions(1, on_limit));
        let browser = world.browser();
        world.change(&browser, |shop| shop.visits = 1);
        let [ann, bob] = [0, 1].map(|_| world.open(&browser));
        run(ann.session()).unwrap().update(|shop| shop.user = Some("ann".into()));
        run(bob.session()).unwrap().update(|shop| shop.user = Some("bob".into()));
        let answer = world.close(ann);
        answer.is_fine();
        answer.reach(&browser);
        let answer = world.close(bob);
        assert_eq!((answer.status(), answer.set_cookie()), (409, None));
        assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
        let elsewhere = world.browser();
        world.log_in(&elsewhere, "bob");
        // And a switch of user in the first gives ann's place back, and takes bob's.
        let (_, answer) = world.visit(&browser, async |session| {
            session.transact(|shop| shop.user = Some("bob".into())).await.is_ok()
        });
        match on_limit {
            OnLimit::RejectNew => {
                assert_eq!(world.read(&elsewhere).0.user.as_deref(), Some("bob"));
                assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
            }
            _ => {
                answer.is_fine();
                assert_eq!(world.read(&elsewhere).0.user, None);
                world.log_in(&world.browser(), "ann");
                assert_eq!(world.read(&browser).0.user.as_deref(), Some("bob"));
            }
        }
    }
}

#[test]
fn without_consent_nothing_is_stored_by_any_door_and_no_door_says_that_it_was() {
    let world = World::with(|layer| layer.require_consent().max_sessions(1, OnLimit::RejectNew));
    let browser = world.browser();
    let (results, answer) = world.visit(&browser, async |session| {
        let nothing = session.transact(|shop| shop.visits).await;
        session.establish();
        let token = session.csrf_token().await.map(drop);
        let commit = session.commit().await;
        let transaction = session.transact(|shop| shop.visits += 1).await;
        let others = world.sessions.end_others(session, EndReason::Revoked).await.map(drop);
        (nothing.map(drop), token, [commit, transaction, others])
    });
    assert!(matches!(results, (Ok(()), Ok(()), _)), "{results:?}");
    for result in &results.2 {
        assert!(matches!(result, Err(Error::NoConsent)), "{result:?}");
    }
    assert_eq!((answer.set_cookie(), answer.calls.total()), (None, 0));
    // A login that is refused for that takes no place.
    let (result, _) = world.visit(&browser, async |session| {
        session.transact(|shop| shop.user = Some("ann".into())).await
    });
    assert!(matches!(result, Err(Error::NoConsent)), "{result:?}");
    let (_, answer) = world.visit(&world.browser(), async |session| {
        session.give_consent();
        session.update(|shop| shop.user = Some("ann".into()));
    });
    answer.is_fine();
}

// ---- Tokens.

async fn token(session: &Session<Shop>) -> String {
    session.csrf_token().await.unwrap().as_str().to_owned()
}

fn is_good(world: &World, browser: &Browser, token: &str) -> bool {
    let (good, answer) = world.visit(browser, async |s| s.verify_csrf(token).is_ok());
    answer.is_fine();
    good
}

#[test]
fn asvs_3_5_1_of_two_tabs_the_form_of_before_the_login_in_the_other_is_refused() {
    for form in Form::ALL {
        let world =
            World::with(|layer| layer.id_form(form.with(keys(&[1]))).rotation(Rotation::default()));
        let browser = world.browser();
        let (before, _) = world.visit(&browser, async |session| token(session).await);
        assert!(is_good(&world, &browser, &before));
        world.log_in(&browser, "ann");
        assert!(!is_good(&world, &browser, &before));
        // By timed rotation: the form of the first tab while the id changes under it.
        let (after, _) = world.visit(&browser, async |session| token(session).await);
        world.clock.advance(16 * MINUTE);
        let old = browser.cookie_header(crate::world::URL).unwrap();
        // Offered; and shown by one tab, while another request still has the old one.
        world.read(&browser);
        let (of_old, _) = world.ask(Some(&old), async |session| token(session).await);
        assert!(is_good(&world, &browser, &after), "{form:?}");
        let (in_grace, answer) = world.ask(Some(&old), async |session| {
            (token(session).await, session.verify_csrf(&after).is_ok())
        });
        assert_eq!((answer.verdict, answer.set_cookie()), (Verdict::Resumed, None));
        assert!(in_grace.1);
        for token in [&of_old, &in_grace.0, &after] {
            assert!(is_good(&world, &browser, token), "{form:?}");
        }
        // Who holds a superseded id is given none that is good.
        world.visit(&browser, async |session| session.reauthenticate());
        let (late, _) = world.ask(Some(&old), async |session| token(session).await);
        for token in [&late, &of_old, &in_grace.0, &after] {
            assert!(!is_good(&world, &browser, token), "{form:?}");
        }
    }
}

#[test]
fn a_token_does_not_end_what_a_visitor_without_consent_was_told() {
    let world = World::with(|layer| layer.require_consent());
    let browser = world.browser();
    let (before, answer) = world.visit(&browser, async |session| token(session).await);
    answer.is_fine();
    assert_eq!((answer.set_cookie(), answer.calls.total()), (None, 0), "nothing is kept");
    assert!(!is_good(&world, &browser, &before));
    // To give consent with the form is enough for the next one.
    let (after, answer) = world.visit(&browser, async |session| {
        session.give_consent();
        token(session).await
    });
    answer.is_fine();
    assert!(is_good(&world, &browser, &after));
}

// ---- Where requests come from.

struct Post<'a> {
    authority: Option<&'a str>,
    fields: &'a [(&'a str, &'a str)],
}

impl RequestHead for Post<'_> {
    fn method(&self) -> &str {
        "POST"
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let fields = self.fields.iter().filter(move |(field, _)| *field == name);
        fields.map(|(_, value)| value.as_bytes())
    }

    fn authority(&self) -> Option<&str> {
        self.authority
    }
}

#[test]
fn asvs_3_5_1_no_spelling_of_a_host_makes_another_site_this_one() {
    const OURS: &str = "https://shop.example";
    let judge = |authority, fields: &[(&str, &str)]| {
        OriginCheck::new().judge(&Post { authority, fields }).is_ok()
    };
    // The host, the origin, and whether they are the same.
    for (host, origin, same) in [
        ("shop.example", OURS, true),
        ("SHOP.example", OURS, true),
        ("shop.example:443", OURS, true),
        ("shop.example", "https://shop.example:443", true),
        ("shop.example:80", OURS, false),
        ("shop.example:8443", OURS, false),
        ("shop.example:8443", "https://shop.example:8443", true),
        ("shop.example", "https://shop.example:8443", false),
        ("shop.example.", OURS, false),
        ("shop.example", "https://shop.example.", false),
        ("shop.example", "https://shop.example.evil.example", false),
        ("shop.example", "https://evil.example/shop.example", false),
        ("shop.example", "https://evil.example#shop.example", false),
        ("shop.example", "https://shop.example@evil.example", false),
        ("shop.example", "https://evil.example@shop.example", false),
        ("user@shop.example", OURS, false),
        ("shop.example, evil.example", "https://evil.example", false),
        ("evil.example, shop.example", OURS, false),
        ("shop.example:", OURS, false),
        ("shop.example:0443", OURS, false),
        ("shop.example:4430", OURS, false),
        ("shop.example:65979", OURS, false),
        ("[::1]:8080", "http://[::1]:8080", true),
        ("[::1]", "http://[::1]", true),
        ("[::1]", "http://[::2]", false),
        ("[::1]", "http://[::1", false),
        ("[::1]", "http://::1", false),
        ("[::1%25eth0]", "http://[::1%25eth0]", false),
        ("::1", "http://[::1]", false),
        ("", "https://", false),
        ("", OURS, false),
        ("shop.example", "null", false),
        ("null", "null", false),
        ("shop.example", "", false),
        ("shop.example", "file://shop.example", false),
        ("shop.example", "chrome-extension://shop.example", false),
        ("shop.example", "//shop.example", false),
        ("shop.example", "https:shop.example", false),
        ("shop.example", "https://shop.example https://evil.example", false),
        ("sh\u{f6}p.example", "https://sh\u{f6}p.example", false),
    ] {
        assert_eq!(judge(None, &[("host", host), ("origin", origin)]), same, "{host} {origin}");
        // HTTP/2 says it in `:authority`, and then a `Host` beside it says nothing.
        assert_eq!(judge(Some(host), &[("origin", origin)]), same, "{host} {origin}");
        let both = [("origin", origin), ("host", "evil.example")];
        assert_eq!(judge(Some(host), &both), same, "{host} {origin}");
    }
    for fields in [
        &[("host", "shop.example"), ("host", "evil.example"), ("origin", "https://evil.example")][..],
        &[("host", "shop.example"), ("origin", OURS), ("origin", "https://evil.example")],
        &[
            ("host", "shop.example"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site"),
        ],
        &[("origin", "https://evil.example"), ("x-forwarded-host", "evil.example")],
    ] {
        let refusal = OriginCheck::new().judge(&Post { authority: None, fields }).unwrap_err();
        assert!(
            matches!(refusal, CrossOrigin::Ambiguous | CrossOrigin::ForeignOrigin),
            "{fields:?}"
        );
    }
}

// ---- Many sessions.

#[test]
fn asvs_7_4_3_of_thousands_of_sessions_each_is_shown_once_and_all_others_are_ended() {
    let rows = Rows::default();
    let layer = layer::<Shop>(&rows, Rest::Clear);
    let mut last = String::new();
    for _ in 0..2500 {
        let exchange = layer.open([]);
        run(exchange.session()).unwrap().update(|shop| shop.user = Some("ann".into()));
        let outcome = run(exchange.finish());
        last = outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned();
    }
    for limit in [0, 1, 99, 2500, 2501, usize::MAX] {
        let mut count = 0;
        let mut after = None;
        loop {
            let page = run(layer.sessions_of(Subject::from("ann"), after.as_ref(), limit)).unwrap();
            count += page.sessions.len();
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(count, 2500, "{limit}");
    }
    let exchange = layer.open([last.as_bytes()]);
    let session = run(exchange.session()).unwrap();
    assert_eq!(run(layer.end_others(&session, EndReason::Revoked)).unwrap(), 2499);
    assert!(run(exchange.finish()).error.is_none());
    let page = run(layer.sessions_of(Subject::from("ann"), None, usize::MAX)).unwrap();
    assert_eq!(page.sessions.len(), 1);
}

// ---- Words of developers and of clients.

#[test]
fn no_reason_that_a_developer_gives_breaks_the_document() {
    let count = |reason: &'static str| {
        let layer = SessionLayer::<Shop, _>::new(MemoryStore::new()).because("7.1.1", reason);
        let text = layer.audit().to_markdown();
        let cells = |line: &str| {
            let mut escaped = false;
            let bars = line.chars().filter(|char| {
                let is_bar = *char == '|' && !escaped;
                escaped = *char == '\\' && !escaped;
                is_bar
            });
            bars.count()
        };
        let rows = text.lines().filter(|line| line.starts_with('|')).map(cells);
        (text.lines().count(), rows.collect::<Vec<_>>())
    };
    let plain = count("because");
    for reason in ["a | b", "a \\| b", "a \\\\| b", "a\n| b |\n\n# c", "a \\", "|", "\\"] {
        assert_eq!(count(reason), plain, "{reason:?}");
    }
}

#[test]
fn what_a_client_calls_itself_is_in_no_event() {
    const HOSTILE: &str = "<script>alert(1)</script>\r\nlevel=info msg=forged\u{1b}[2J";
    let policy = ClientPolicy::default().on_change(OnClientChange::DemandAuthentication);
    let world = World::with(|layer| layer.client_info(policy));
    let browser = world.browser();
    for user_agent in [HOSTILE, "another"] {
        let (shown, _) = world.visit(&browser, async |session| {
            session.set_client(ClientInfo::new(user_agent));
            session.update(|shop| shop.user = Some("ann".into()));
            session.commit().await.unwrap();
            format!("{session:?} {:?} {:?}", session.client(), world.sessions)
        });
        assert!(!shown.contains("script"), "{shown}");
    }
    let page = run(world.sessions.sessions_of(Subject::from("ann"), None, 9)).unwrap();
    let name = page.sessions[0].client.as_ref().unwrap().user_agent();
    assert!(!name.contains(['\r', '\n', '\u{1b}']), "{name:?}");
    assert!(!format!("{page:?}").contains("script"));
    let events = world.events.take().join("\n");
    assert!(events.contains("ClientChanged") && !events.contains("script"), "{events}");
}

#[test]
fn a_threshold_that_nobody_reaches_and_a_time_without_end_are_no_panic() {
    let alarm = Alarm::default();
    for (interval, threshold) in [(Duration::MAX, u64::MAX), (Duration::ZERO, 0), (SECOND, 1)] {
        let guesses =
            Guesses::new(interval, threshold, alarm.clone()).clock(ManualClock::at(START));
        for _ in 0..100 {
            guesses.event(&Event::Rejected { key: None, verdict: Verdict::Unknown });
        }
    }
    assert!(alarm.0.lock().unwrap().iter().all(|count| *count <= 100));
}
