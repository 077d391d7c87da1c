//! Every verdict, each by a history that leads to it.

use typed_session::testing::browser::Browser;
use typed_session::{EndReason, Reuse, Rotation, SessionData, Subject, Verdict};

use super::world::{DAY, HOUR, MINUTE, SECOND, Shop, URL, World, id_of};

#[track_caller]
fn verdict(world: &World, cookie: Option<&str>) -> (Verdict, usize) {
    let (verdict, answer) = world.ask(cookie, async |session| session.verdict());
    assert_eq!(answer.calls.total(), answer.calls.load, "looking changes nothing");
    (verdict, answer.calls.load)
}

/// A session with one visit, and its cookie.
#[track_caller]
fn visited(world: &World) -> (Browser, String) {
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits += 1);
    let cookie = browser.cookie_header(URL).unwrap();
    (browser, cookie)
}

#[test]
fn a_request_without_a_cookie_is_new() {
    let world = World::new();
    assert_eq!(verdict(&world, None), (Verdict::New, 0));
    assert_eq!(verdict(&world, Some("theme=dark")), (Verdict::New, 0));
    assert!(world.events.take().is_empty());
}

#[test]
fn a_malformed_id_costs_no_store_call_and_is_an_event() {
    let world = World::new();
    let a = "A".repeat(43);
    let malformed = [
        String::new(),
        "A".repeat(42),
        "A".repeat(44),
        format!("{}B", "A".repeat(42)), // spare bits
        format!("{}=", "A".repeat(42)),
        format!("\"{}\"", "A".repeat(41)),
        format!("{}+", "A".repeat(42)),
        format!("{}é", "A".repeat(41)),
        format!("%41{}", "A".repeat(40)),
        "A".repeat(100_000),
    ];
    for value in &malformed {
        assert_eq!(verdict(&world, Some(&format!("__Host-session={value}"))).0, Verdict::Malformed);
        let events = world.events.take();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].contains("Rejected") && events[0].contains("Malformed"), "{events:?}");
    }
    assert_eq!(world.spied.calls().total(), 0);
    // Beside a well-formed one it is the lesser verdict.
    let both = format!("__Host-session=x; __Host-session={a}");
    assert_eq!(verdict(&world, Some(&both)), (Verdict::Unknown, 1));
}

#[test]
fn a_well_formed_id_that_the_store_does_not_know_is_unknown_and_never_adopted() {
    let world = World::new();
    let chosen = format!("__Host-session={}", "A".repeat(43));
    assert_eq!(verdict(&world, Some(&chosen)), (Verdict::Unknown, 1));
    let (_, answer) = world.ask(Some(&chosen), async |session| {
        session.update(|shop| shop.visits += 1);
    });
    answer.is_fine();
    assert_ne!(answer.cookie(), chosen);
    assert_eq!(verdict(&world, Some(&chosen)), (Verdict::Unknown, 1));
    assert_eq!(verdict(&world, Some(&answer.cookie())), (Verdict::Resumed, 1));
}

#[test]
fn an_idle_session_expires_at_the_very_millisecond() {
    let world = World::new();
    let (_, cookie) = visited(&world);
    world.clock.advance(HOUR - std::time::Duration::from_millis(1));
    let loaded = typed_session::testing::schedule::run(world.open_with(Some(&cookie)).session());
    assert_eq!(loaded.unwrap().verdict(), Verdict::Resumed);
    world.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(verdict(&world, Some(&cookie)), (Verdict::IdleExpired, 1));
}

#[test]
fn a_busy_session_expires_at_its_absolute_deadline() {
    let world = World::new();
    let (browser, cookie) = visited(&world);
    for _ in 0..47 {
        world.clock.advance(30 * MINUTE);
        assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    }
    world.clock.advance(30 * MINUTE);
    assert_eq!(verdict(&world, Some(&cookie)), (Verdict::AbsoluteExpired, 1));
}

#[test]
fn an_ended_session_says_why() {
    let world = World::new();
    let (browser, cookie) = visited(&world);
    world.visit(&browser, async |session| session.end());
    assert_eq!(verdict(&world, Some(&cookie)), (Verdict::Ended(EndReason::Logout), 1));
    assert_eq!(browser.cookie_header(URL), None);
}

#[test]
fn the_id_before_a_login_is_superseded_and_then_forgotten() {
    let world = World::new();
    let (browser, cookie) = visited(&world);
    world.log_in(&browser, "ann");
    assert_eq!(verdict(&world, Some(&cookie)), (Verdict::Superseded, 1));
    world.clock.advance(2 * MINUTE);
    assert_eq!(verdict(&world, Some(&cookie)), (Verdict::Forged, 1));
}

#[test]
fn an_id_with_the_locator_of_a_session_and_another_secret_is_forged() {
    let world = World::new();
    let (_, cookie) = visited(&world);
    // The locator is 16 bytes: 21 characters and a bit of the next.
    let forged = format!("{}{}", &cookie[.."__Host-session=".len() + 22], "A".repeat(21));
    assert_eq!(verdict(&world, Some(&forged)), (Verdict::Forged, 1));
    assert_eq!(verdict(&world, Some(&cookie)), (Verdict::Resumed, 1));
    // It does not tell either that the session is over.
    world.clock.advance(2 * DAY);
    assert_eq!(verdict(&world, Some(&forged)), (Verdict::Forged, 1));
}

#[derive(Default, serde::Deserialize, serde::Serialize)]
struct Old {
    visits: u64,
}

impl SessionData for Old {}

#[derive(Default, serde::Deserialize, serde::Serialize)]
struct Renamed {
    seen: Vec<String>,
}

impl SessionData for Renamed {
    const VERSION: u32 = 1;

    fn subject(&self) -> Option<Subject> {
        self.seen.first().map(Subject::from)
    }
}

#[test]
fn data_that_cannot_be_read_is_undecodable_and_its_row_is_kept() {
    let old = World::<Old>::of();
    let browser = old.browser();
    old.change(&browser, |data| data.visits = 7);
    let cookie = browser.cookie_header(URL).unwrap();

    // A new release, with another type over the same rows.
    let new =
        typed_session::SessionLayer::<Renamed, _>::new(old.rows.clone()).clock(old.clock.clone());
    let exchange = new.open([cookie.as_bytes()]);
    let outcome = typed_session::testing::schedule::run(async {
        let session = exchange.session().await.unwrap();
        assert_eq!(session.verdict(), Verdict::Undecodable);
        session.update(|data| data.seen.push("x".into()));
        exchange.finish().await
    });
    assert!(outcome.error.is_none());
    assert!(!outcome.effects.set_cookie().unwrap().contains(id_of(&cookie)), "a fresh session");

    // Back to the old release: nothing is lost.
    let (visits, answer) = old.ask(Some(&cookie), async |session| session.read(|data| data.visits));
    assert_eq!((visits, answer.verdict), (7, Verdict::Resumed));
}

#[test]
fn a_session_that_cannot_be_read_can_still_be_ended() {
    let old = World::<Old>::of();
    let browser = old.browser();
    old.change(&browser, |data| data.visits = 7);
    let cookie = browser.cookie_header(URL).unwrap();
    let new =
        typed_session::SessionLayer::<Renamed, _>::new(old.rows.clone()).clock(old.clock.clone());
    let exchange = new.open([cookie.as_bytes()]);
    let outcome = typed_session::testing::schedule::run(async {
        exchange.session().await.unwrap().end();
        exchange.finish().await
    });
    assert!(outcome.error.is_none());
    assert!(outcome.effects.set_cookie().unwrap().starts_with("__Host-session=;"));
    let (_, answer) = old.ask(Some(&cookie), async |_| ());
    assert_eq!(answer.verdict, Verdict::Ended(EndReason::Logout));
}

// Several cookies of our name.

/// Ids that are well formed and that nobody knows.
fn tossed(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("__Host-session={}{}", char::from(b'a' + n as u8), "A".repeat(42)))
        .collect()
}

#[test]
fn the_good_cookie_is_found_wherever_it_stands_among_tossed_ones() {
    let world = World::new();
    let (_, cookie) = visited(&world);
    for at in 0..5 {
        let mut cookies = tossed(4);
        cookies.insert(at, cookie.clone());
        assert_eq!(verdict(&world, Some(&cookies.join("; "))), (Verdict::Resumed, at + 1));
        // In fields of their own, as HTTP/2 may split them, and between malformed ones.
        world.spied.take();
        let fields = cookies.iter().flat_map(|c| ["__Host-session=bad", c.as_str()]);
        let exchange = world.sessions.open(fields.map(str::as_bytes));
        let session = typed_session::testing::schedule::run(exchange.session()).unwrap();
        assert_eq!(session.verdict(), Verdict::Resumed);
        assert_eq!(world.spied.calls().load, at + 1);
    }
}

#[test]
fn at_most_five_candidates_are_tried() {
    let world = World::new();
    let (_, cookie) = visited(&world);
    let mut cookies = tossed(5);
    cookies.push(cookie);
    assert_eq!(verdict(&world, Some(&cookies.join("; "))), (Verdict::Unknown, 5));
    assert_eq!(verdict(&world, Some(&tossed(26).join("; "))), (Verdict::Unknown, 5));
}

#[test]
fn an_id_that_is_sent_twice_counts_once() {
    let world = World::new();
    let (_, cookie) = visited(&world);
    let planted = tossed(1).remove(0);
    let mut cookies = vec![planted; 20];
    cookies.push(cookie);
    assert_eq!(verdict(&world, Some(&cookies.join("; "))), (Verdict::Resumed, 2));
}

#[test]
fn a_superseded_id_beside_others_forbids_a_cookie() {
    let world = World::new();
    let (browser, before) = visited(&world);
    world.log_in(&browser, "ann");
    let (ended_browser, ended) = visited(&world);
    world.visit(&ended_browser, async |session| session.end());
    for cookies in [
        format!("{before}; {ended}; __Host-session=bad"),
        format!("__Host-session=bad; {ended}; {}; {before}", tossed(1)[0]),
    ] {
        let (verdict, answer) = world.ask(Some(&cookies), async |session| {
            session.update(|shop: &mut Shop| shop.visits += 1);
            session.verdict()
        });
        assert_eq!((verdict, answer.status()), (Verdict::Superseded, 409));
        assert_eq!(answer.set_cookie(), None);
    }
    // Beside the good one it does no harm.
    let good = browser.cookie_header(URL).unwrap();
    assert_eq!(verdict(&world, Some(&format!("{before}; {good}"))).0, Verdict::Resumed);
}

#[test]
fn an_ended_id_says_more_than_an_expired_one_and_that_more_than_an_unknown_one() {
    let world = World::new();
    let (_, idle) = visited(&world);
    let (ended_browser, ended) = visited(&world);
    world.clock.advance(59 * MINUTE);
    world.visit(&ended_browser, async |session| session.end());
    world.clock.advance(MINUTE);
    let unknown = tossed(1).remove(0);
    let all = [&unknown, &idle, &ended];
    for (count, expected) in
        [(1, Verdict::Unknown), (2, Verdict::IdleExpired), (3, Verdict::Ended(EndReason::Logout))]
    {
        let mut cookies: Vec<&str> = all[..count].iter().map(|c| c.as_str()).collect();
        assert_eq!(verdict(&world, Some(&cookies.join("; "))).0, expected);
        cookies.reverse();
        assert_eq!(verdict(&world, Some(&cookies.join("; "))).0, expected);
    }
}

#[test]
fn an_old_id_ends_the_session_only_if_that_is_the_policy() {
    for (on_reuse, ended) in [(Reuse::Reject, false), (Reuse::EndSession, true)] {
        let rotation = Rotation::default().on_reuse(on_reuse);
        let world = World::with(|sessions| sessions.rotation(rotation));
        let browser = world.browser();
        world.log_in(&browser, "ann");
        let thief = browser.clone();
        world.clock.advance(15 * MINUTE);
        world.read(&browser); // offered
        world.read(&browser); // adopted
        world.clock.advance(29 * SECOND);
        assert_eq!(world.read(&thief).1.verdict, Verdict::Resumed, "within the grace");
        world.clock.advance(SECOND);
        let (_, answer) = world.read(&thief);
        assert_eq!(answer.verdict, Verdict::Superseded);
        assert_eq!((answer.calls.replace, answer.set_cookie()), (usize::from(ended), None));
        let expected = if ended { Verdict::Ended(EndReason::IdReused) } else { Verdict::Resumed };
        assert_eq!(world.read(&browser).1.verdict, expected);
    }
}

#[test]
fn an_expired_session_is_expired_by_all_of_its_ids() {
    // Else who holds an old one could not even log in again.
    let rotation = Rotation::default().on_reuse(Reuse::EndSession);
    let world = World::with(|sessions| sessions.rotation(rotation));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let rolled_back = browser.clone();
    world.clock.advance(15 * MINUTE);
    world.read(&browser);
    world.read(&browser);
    world.clock.advance(DAY);
    let (_, answer) = world.visit(&rolled_back, async |session| {
        session.update(|shop| shop.user = Some("ann".into()));
    });
    assert_eq!((answer.verdict, answer.status()), (Verdict::AbsoluteExpired, 200));
    assert_eq!(answer.calls.end, 0);
}
