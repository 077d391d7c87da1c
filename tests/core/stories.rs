//! Stories over minutes, days and weeks.

use std::time::Duration;

use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::{EndReason, Lifetime, Reuse, Rotation, Timestamp, Verdict};

use super::world::{Answer, DAY, HOUR, MINUTE, SECOND, START, Shop, URL, World};

const STAY: Lifetime =
    Lifetime::new(Duration::from_secs(14 * 24 * 60 * 60), Duration::from_secs(90 * 24 * 60 * 60))
        .persistent();

#[track_caller]
fn log_in_and_stay(world: &World, browser: &Browser, user: &str) -> Answer {
    let (_, answer) = world.visit(browser, async |session| {
        session.update(|shop| shop.user = Some(user.to_owned()));
        session.set_lifetime(STAY);
    });
    answer.is_fine();
    answer
}

#[track_caller]
fn deadline(world: &World, browser: &Browser) -> Timestamp {
    let (times, _) = world.visit(browser, async |session| session.times());
    times.expect("a stored session").absolute_deadline
}

#[test]
fn who_stays_signed_in_comes_back_for_weeks_and_no_longer_than_the_absolute_limit() {
    let world = World::new();
    let browser = world.browser();
    log_in_and_stay(&world, &browser, "ann");
    for week in 1..13 {
        browser.restart();
        world.clock.advance(7 * DAY);
        let (shop, answer) = world.read(&browser);
        assert_eq!(shop.user.as_deref(), Some("ann"), "week {week}");
        // As long as there is something to prolong.
        assert_eq!(answer.set_cookie().is_some(), week < 12, "the cookie is renewed");
    }
    world.clock.advance(7 * DAY);
    let (shop, answer) = world.read(&browser);
    assert_eq!(shop.user, None);
    // Browser and server agree: the cookie went at the same time.
    assert_eq!(answer.verdict, Verdict::New);
}

#[test]
fn who_does_not_come_back_in_time_has_neither_cookie_nor_session() {
    let world = World::new();
    let browser = world.browser();
    let answer = log_in_and_stay(&world, &browser, "ann");
    let cookie = answer.cookie();
    world.clock.advance(14 * DAY - SECOND);
    assert!(browser.cookie_header(URL).is_some());
    world.clock.advance(SECOND);
    assert_eq!(browser.cookie_header(URL), None);
    let (_, answer) = world.ask(Some(&cookie), async |_| ());
    assert_eq!(answer.verdict, Verdict::IdleExpired);
}

#[test]
fn a_session_of_the_browser_is_gone_when_it_is_closed() {
    let world = World::new();
    let browser = world.browser();
    let answer = world.log_in(&browser, "ann");
    assert!(!answer.set_cookie().unwrap().contains("Max-Age"));
    browser.restart();
    assert_eq!(world.read(&browser).1.verdict, Verdict::New);
}

#[test]
fn a_session_in_use_ends_a_day_after_the_login_and_not_after_its_creation() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    assert_eq!(deadline(&world, &browser), START.plus(DAY));
    for _ in 0..20 {
        world.clock.advance(30 * MINUTE);
        world.read(&browser);
    }
    world.log_in(&browser, "ann");
    let logged_in = START.plus(10 * HOUR);
    for n in 0..47 {
        assert_eq!(deadline(&world, &browser), logged_in.plus(DAY));
        if n == 20 {
            // A new id does not prolong it either.
            world.visit(&browser, async |session| session.rotate());
        }
        world.clock.advance(30 * MINUTE);
        assert_eq!(world.change(&browser, |shop| shop.visits += 1).verdict, Verdict::Resumed);
    }
    world.clock.advance(30 * MINUTE);
    assert_eq!(world.read(&browser).1.verdict, Verdict::AbsoluteExpired);
}

#[test]
fn who_proves_again_who_they_are_begins_anew_under_a_new_id() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    for _ in 0..40 {
        world.clock.advance(30 * MINUTE);
        world.read(&browser);
    }
    let again = START.plus(20 * HOUR);
    let before = browser.cookie_header(URL);
    world
        .visit(&browser, async |session| {
            session.reauthenticate();
            session.rotate();
        })
        .1
        .is_fine();
    assert_ne!(browser.cookie_header(URL), before);
    let (times, _) = world.visit(&browser, async |session| session.times().unwrap());
    assert_eq!(times.authenticated_at, Some(again));
    assert_eq!(times.absolute_deadline, again.plus(DAY));
    assert_eq!(times.created_at, START);
}

#[test]
fn a_lifetime_that_is_chosen_later_counts_from_the_login() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.clock.advance(30 * MINUTE);
    world.log_in(&browser, "ann");
    world.clock.advance(30 * MINUTE);
    world.visit(&browser, async |session| session.set_lifetime(STAY)).1.is_fine();
    assert_eq!(deadline(&world, &browser), START.plus(30 * MINUTE).plus(90 * DAY));
    let (lifetime, _) = world.visit(&browser, async |session| session.lifetime());
    assert_eq!(lifetime, Some(STAY));
}

#[test]
fn a_visitor_has_nothing_to_prove() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.clock.advance(30 * MINUTE);
    let before = browser.cookie_header(URL);
    world.visit(&browser, async |session| session.reauthenticate());
    assert_ne!(browser.cookie_header(URL), before);
    let (times, _) = world.visit(&browser, async |session| session.times().unwrap());
    assert_eq!((times.authenticated_at, times.absolute_deadline), (None, START.plus(DAY)));
}

#[test]
fn an_idle_session_lives_an_hour_from_its_last_use() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.clock.advance(59 * MINUTE);
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    world.clock.advance(59 * MINUTE);
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    world.clock.advance(HOUR);
    assert_eq!(world.read(&browser).1.verdict, Verdict::IdleExpired);
}

#[test]
fn a_hundred_reads_in_a_minute_cost_one_write_at_most_and_no_cookie() {
    for lifetime in [Lifetime::default(), STAY] {
        let world = World::with(|sessions| sessions.lifetime(lifetime));
        let browser = world.browser();
        world.log_in(&browser, "ann");
        let (mut writes, mut cookies) = (0, 0);
        for _ in 0..100 {
            world.clock.advance(Duration::from_millis(600));
            let (_, answer) = world.read(&browser);
            assert_eq!(answer.calls.load, 1);
            writes += answer.calls.total() - 1;
            cookies += usize::from(answer.set_cookie().is_some());
        }
        assert_eq!(writes, 1);
        assert_eq!(cookies, usize::from(lifetime == STAY));
    }
}

#[test]
fn a_short_idle_limit_is_moved_in_time() {
    // A minute between touches would be too long for it.
    let world = World::with(|sessions| sessions.lifetime(Lifetime::new(MINUTE, DAY)));
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    for _ in 0..50 {
        world.clock.advance(14 * SECOND);
        assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
        world.clock.advance(40 * SECOND);
        assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    }
}

#[test]
fn a_shorter_idle_limit_is_not_overtaken_by_who_read_under_the_longer_one() {
    let world = World::with(|sessions| sessions.lifetime(Lifetime::new(10 * DAY, 90 * DAY)));
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.clock.advance(DAY);

    // Its touch is due, and comes late.
    let slow = world.open(&browser);
    let _ = run(slow.session()).unwrap().read(|shop| shop.visits);
    world.visit(&browser, async |session| session.set_lifetime(Lifetime::new(MINUTE, 90 * DAY)));
    let before = world.spied.calls().touch;
    assert_eq!(world.close(slow).status(), 200);
    assert_eq!(world.spied.calls().touch - before, 1);

    world.clock.advance(MINUTE);
    assert_eq!(world.read(&browser).1.verdict, Verdict::IdleExpired);
}

#[test]
fn the_chosen_lifetime_is_remembered_across_writes_and_rotation() {
    let rotation = Rotation::default();
    let world = World::with(|sessions| sessions.rotation(rotation));
    let browser = world.browser();
    log_in_and_stay(&world, &browser, "ann");
    for n in 0..10 {
        world.clock.advance(DAY);
        world.change(&browser, |shop| shop.visits = n + 1);
        let (lifetime, _) = world.visit(&browser, async |session| session.lifetime());
        assert_eq!(lifetime, Some(STAY));
    }
    world.visit(&browser, async |session| session.rotate());
    let (lifetime, _) = world.visit(&browser, async |session| session.lifetime());
    assert_eq!(lifetime, Some(STAY));
    assert_eq!(deadline(&world, &browser), START.plus(90 * DAY));
}

#[test]
fn a_lifetime_chosen_before_the_login_is_the_logins() {
    let world = World::new();
    let browser = world.browser();
    world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 1);
        session.set_lifetime(STAY);
    });
    world.clock.advance(DAY);
    world.log_in(&browser, "ann");
    assert_eq!(deadline(&world, &browser), START.plus(91 * DAY));
}

#[test]
fn to_stay_signed_in_ends_with_the_logout_and_with_a_switch() {
    for next in [None, Some("bob")] {
        let world = World::new();
        let browser = world.browser();
        log_in_and_stay(&world, &browser, "ann");
        world.clock.advance(10 * DAY);
        let answer = world.change(&browser, |shop| shop.user = next.map(str::to_owned));
        assert!(!answer.set_cookie().unwrap().contains("Max-Age"), "a cookie of the browser");
        let now = START.plus(10 * DAY);
        assert_eq!(deadline(&world, &browser), now.plus(DAY));
        let (lifetime, _) = world.visit(&browser, async |session| session.lifetime());
        assert_eq!(lifetime, Some(Lifetime::default()));
        // Nor does the next login inherit it.
        world.log_in(&browser, "cid");
        assert_eq!(deadline(&world, &browser), now.plus(DAY));
        browser.restart();
        assert_eq!(browser.cookie_header(URL), None);
    }
}

#[test]
fn a_logout_never_prolongs_a_session() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    for _ in 0..40 {
        world.clock.advance(30 * MINUTE);
        world.read(&browser);
    }
    world.change(&browser, |shop| {
        shop.user = None;
        shop.visits = 1;
    });
    assert_eq!(deadline(&world, &browser), START.plus(DAY));
}

// Timed rotation.

/// Ann, logged in, and her first rotation is due.
fn rotation_due(rotation: Rotation) -> (World, Browser) {
    let world = World::with(|sessions| sessions.rotation(rotation));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(15 * MINUTE);
    (world, browser)
}

#[track_caller]
fn ask(world: &World, browser: &Browser) -> Answer {
    world.ask(browser.cookie_header(URL).as_deref(), async |_| ()).1
}

#[test]
fn a_visitor_without_a_subject_is_not_rotated_by_time() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default()));
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.clock.advance(30 * MINUTE);
    assert_eq!(world.read(&browser).1.set_cookie(), None);
}

#[test]
fn parallel_requests_are_all_offered_the_same_successor() {
    let (world, browser) = rotation_due(Rotation::default());
    let open: Vec<_> = (0..5)
        .map(|_| {
            let exchange = world.open(&browser);
            typed_session::testing::schedule::run(exchange.session()).unwrap();
            exchange
        })
        .collect();
    let offers: Vec<_> = open.into_iter().map(|exchange| world.close(exchange).cookie()).collect();
    assert!(offers.iter().all(|offer| *offer == offers[0]), "{offers:?}");
    assert_ne!(Some(&offers[0]), browser.cookie_header(URL).as_ref());
}

#[test]
fn a_lost_offer_is_made_again_for_as_long_as_it_takes() {
    let (world, browser) = rotation_due(Rotation::default());
    let first = ask(&world, &browser).cookie();
    for _ in 0..10 {
        world.clock.advance(20 * MINUTE);
        let again = ask(&world, &browser);
        assert_eq!((again.verdict, again.cookie()), (Verdict::Resumed, first.clone()));
    }
}

#[test]
fn an_old_id_is_good_within_its_grace_by_the_time_at_which_the_request_arrived() {
    let (world, browser) = rotation_due(Rotation::default());
    let old = browser.clone();
    world.read(&browser);
    let slow = world.open(&old);
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed); // adopted
    world.clock.advance(29 * SECOND);
    let late = world.change(&old, |shop| shop.note = "late".into());
    assert_eq!((late.verdict, late.set_cookie()), (Verdict::Resumed, None), "no older cookie");
    world.clock.advance(SECOND);
    assert_eq!(world.read(&old).1.verdict, Verdict::Superseded);
    // It came in before the grace was over.
    let session = typed_session::testing::schedule::run(slow.session()).unwrap();
    assert_eq!(session.verdict(), Verdict::Resumed);
    session.update(|shop| shop.basket.push("slow".into()));
    world.close(slow).is_fine();
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.note.as_str(), shop.basket.len()), ("late", 1));
}

#[test]
fn rotation_goes_on_and_every_id_before_the_last_is_dead() {
    let (world, browser) = rotation_due(Rotation::default());
    let mut old = Vec::new();
    for _ in 0..20 {
        old.push(browser.clone());
        assert!(world.read(&browser).1.set_cookie().is_some(), "offered");
        assert!(world.read(&browser).1.set_cookie().is_none(), "adopted");
        world.clock.advance(15 * MINUTE);
        for browser in &old {
            let (shop, answer) = world.read(browser);
            assert!(
                matches!(answer.verdict, Verdict::Superseded | Verdict::Forged),
                "{:?}",
                answer.verdict
            );
            assert_eq!(shop, Shop::default());
        }
        assert_eq!(world.read(&browser.clone()).1.verdict, Verdict::Resumed);
    }
}

#[test]
fn an_id_that_is_shown_after_its_grace_ends_the_session_if_that_is_the_policy() {
    let (world, browser) = rotation_due(Rotation::default().on_reuse(Reuse::EndSession));
    let thief = browser.clone();
    world.read(&browser);
    world.read(&browser);
    world.clock.advance(MINUTE);
    assert_eq!(world.read(&thief).1.verdict, Verdict::Superseded);
    assert_eq!(world.read(&browser).1.verdict, Verdict::Ended(EndReason::IdReused));
    let events = world.events.take().join("\n");
    assert!(events.contains("Ended") && events.contains("IdReused"), "{events}");
}

#[test]
fn a_login_in_the_middle_of_a_rotation_kills_all_ids_before() {
    let (world, browser) = rotation_due(Rotation::default());
    let offered = browser.clone();
    ask(&world, &browser).reach(&offered);
    let answer = world.change(&browser, |shop| shop.user = Some("bob".into()));
    answer.is_fine();
    assert_eq!(world.read(&offered).1.verdict, Verdict::Superseded);
    assert_eq!(world.read(&browser).0.user.as_deref(), Some("bob"));
}

#[test]
fn a_response_that_only_read_does_not_bring_back_the_cookie_before_a_login() {
    let world = World::with(|sessions| sessions.lifetime(STAY));
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.clock.advance(DAY);
    // Loaded, with a renewal due; then the user logs in.
    let late = world.open(&browser);
    typed_session::testing::schedule::run(late.session()).unwrap();
    world.log_in(&browser, "ann");
    let answer = world.close(late);
    answer.is_fine();
    assert_eq!(answer.set_cookie(), None);
    answer.reach(&browser);
    assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
}

#[test]
fn a_clock_that_is_set_back_ends_no_session_and_breaks_none() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default()));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.set(START.minus(30 * MINUTE));
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    world.change(&browser, |shop| shop.visits = 1);
    world.visit(&browser, async |session| session.rotate());
    world.clock.set(START);
    assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
}
