//! So many sessions of one user, and no more.

use std::sync::Arc;

use typed_session::store::{ErrorKind, MemoryStore, Scan as _, Store as _};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::testing::{Verb, When};
use typed_session::{EndReason, Error, OnLimit, SessionLayer, Subject, Verdict};

use super::fifty::fifty_logins_keep_the_limit;
use crate::world::{DAY, HOUR, MINUTE, SECOND, Shop, World};

fn limited(sessions: usize, on_limit: OnLimit) -> World {
    World::with(|layer| layer.max_sessions(sessions, on_limit))
}

/// Tries to log in, and returns what came of it.
fn log_in(world: &World, browser: &Browser, user: &str) -> Option<Error> {
    let exchange = world.open(browser);
    match run(exchange.session()) {
        Ok(session) => session.update(|shop| shop.user = Some(user.into())),
        Err(error) => return Some(error),
    }
    let answer = world.close(exchange);
    answer.reach(browser);
    assert_eq!(answer.outcome.error.is_some(), answer.set_cookie().is_none());
    answer.outcome.error
}

#[track_caller]
fn is_in(world: &World, browser: &Browser) {
    let (shop, answer) = world.read(browser);
    assert_eq!((answer.verdict, shop.user.as_deref()), (Verdict::Resumed, Some("ann")));
}

#[track_caller]
fn is_displaced(world: &World, browser: &Browser) {
    assert_eq!(world.read(browser).1.verdict, Verdict::Ended(EndReason::Displaced));
}

#[test]
fn asvs_7_1_2_a_user_has_as_many_sessions_as_allowed_and_a_login_too_many_is_refused() {
    let world = limited(2, OnLimit::RejectNew);
    let browsers: Vec<_> = (0..3).map(|_| world.browser()).collect();
    assert!(log_in(&world, &browsers[0], "ann").is_none());
    assert!(log_in(&world, &browsers[1], "ann").is_none());
    let refused = log_in(&world, &browsers[2], "ann").unwrap();
    assert!(matches!(refused, Error::TooManySessions), "{refused:?}");
    assert_eq!(refused.status(), 409);
    assert!(refused.public_message().contains("sign out on one of them"));
    assert!(log_in(&world, &browsers[2], "bob").is_none(), "each user has so many");
    is_in(&world, &browsers[0]);
    is_in(&world, &browsers[1]);

    // A place is free at once after a logout, by an end or by the data.
    let (_, answer) = world.visit(&browsers[0], async |session| session.end());
    answer.is_fine();
    assert!(log_in(&world, &browsers[2], "ann").is_none(), "from one user to the other, too");
    world.change(&browsers[1], |shop| shop.user = None);
    assert!(log_in(&world, &browsers[0], "ann").is_none());
    assert!(log_in(&world, &browsers[1], "ann").is_some());
}

#[test]
fn asvs_7_1_2_the_oldest_session_makes_room_for_a_new_one() {
    let world = limited(2, OnLimit::EndOldest);
    let browsers: Vec<_> = (0..4).map(|_| world.browser()).collect();
    for browser in &browsers[..2] {
        assert!(log_in(&world, browser, "ann").is_none());
        world.clock.advance(SECOND);
    }
    // Used, and still the oldest.
    world.clock.advance(10 * MINUTE);
    is_in(&world, &browsers[0]);
    world.events.take();
    assert!(log_in(&world, &browsers[2], "ann").is_none());
    assert!(world.events.take().iter().any(|event| event.contains("Displaced")));
    is_displaced(&world, &browsers[0]);
    is_in(&world, &browsers[1]);
    world.clock.advance(SECOND);
    assert!(log_in(&world, &browsers[3], "ann").is_none());
    is_displaced(&world, &browsers[1]);
    is_in(&world, &browsers[2]);
    is_in(&world, &browsers[3]);
}

#[test]
fn asvs_7_1_2_the_session_least_recently_used_makes_room_for_a_new_one() {
    let world = limited(2, OnLimit::EndLeastRecent);
    let browsers: Vec<_> = (0..3).map(|_| world.browser()).collect();
    for browser in &browsers[..2] {
        assert!(log_in(&world, browser, "ann").is_none());
        world.clock.advance(SECOND);
    }
    world.clock.advance(10 * MINUTE);
    is_in(&world, &browsers[0]);
    assert!(log_in(&world, &browsers[2], "ann").is_none());
    is_displaced(&world, &browsers[1]);
    is_in(&world, &browsers[0]);
    is_in(&world, &browsers[2]);
}

#[test]
fn asvs_7_1_2_fifty_logins_at_the_same_time_keep_the_limit_at_every_instant() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(fifty_logins_keep_the_limit(typed_session::testing::Yielding::new(
        MemoryStore::new(),
        typed_session::testing::Yields::Around,
    )));
}

#[test]
fn asvs_7_1_2_fifty_threads_that_log_in_keep_the_limit() {
    for on_limit in [OnLimit::RejectNew, OnLimit::EndOldest, OnLimit::EndLeastRecent] {
        let rows = Arc::new(MemoryStore::new());
        let layer = SessionLayer::<Shop, _>::new(Arc::clone(&rows)).max_sessions(3, on_limit);
        let start = std::sync::Barrier::new(50);
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    start.wait();
                    let exchange = layer.open([]);
                    run(async {
                        let session = exchange.session().await.unwrap();
                        session.update(|shop| shop.user = Some("ann".into()));
                        exchange.finish().await.error
                    })
                });
            }
        });
        let page = run(layer.sessions_of(Subject::from("ann"), None, 1000)).unwrap();
        assert_eq!(page.sessions.len(), 3, "{on_limit:?}");
    }
}

#[test]
fn a_login_by_a_transaction_needs_a_seat_too() {
    let world = limited(1, OnLimit::RejectNew);
    let browsers = [world.browser(), world.browser()];
    let transact = |browser| {
        world.visit(browser, async |session| {
            session.transact(|shop| shop.user = Some("ann".into())).await.map_err(|e| e.status())
        })
    };
    assert_eq!(transact(&browsers[0]).0, Ok(()));
    assert_eq!(transact(&browsers[1]).0, Err(409));
    is_in(&world, &browsers[0]);
    assert_eq!(world.read(&browsers[1]).1.verdict, Verdict::New);
}

#[test]
fn what_is_no_login_costs_nothing_more() {
    let world = limited(1, OnLimit::RejectNew);
    let plain = World::new();
    for world in [&world, &plain] {
        let browser = world.browser();
        let created = world.change(&browser, |shop| shop.visits = 1);
        assert_eq!((created.calls.insert, created.calls.total()), (1, 1));
        world.log_in(&browser, "ann");
        for rotate in [false, true] {
            let (_, answer) = world.visit(&browser, async |session| {
                session.update(|shop| shop.visits += 1);
                if rotate {
                    session.reauthenticate();
                }
            });
            assert_eq!((answer.calls.replace, answer.calls.total()), (1, 2));
        }
    }
}

#[test]
fn expired_sessions_take_no_place() {
    let world = limited(1, OnLimit::RejectNew);
    let browsers = [world.browser(), world.browser()];
    assert!(log_in(&world, &browsers[0], "ann").is_none());
    world.clock.advance(HOUR - SECOND);
    assert!(log_in(&world, &browsers[1], "ann").is_some());
    world.clock.advance(SECOND);
    // A touch that is under way cannot bring the old one back.
    let subject = Subject::from("ann");
    let key = run(world.rows.sessions_of(&subject, None, 9)).unwrap()[0];
    let old = run(world.rows.load(&key)).unwrap().unwrap();
    assert!(log_in(&world, &browsers[1], "ann").is_none());
    run(world.rows.touch(&key, old.revision, old.expires_at.plus(HOUR))).unwrap();
    assert_eq!(world.read(&browsers[0]).1.verdict, Verdict::IdleExpired);
    is_in(&world, &browsers[1]);
}

#[test]
fn a_limit_that_is_set_later_or_lowered_holds_at_the_next_login() {
    let world = World::new();
    let browsers: Vec<_> = (0..6).map(|_| world.browser()).collect();
    for browser in &browsers[..4] {
        world.log_in(browser, "ann");
        world.clock.advance(SECOND);
    }
    let live = || run(world.sessions.sessions_of(Subject::from("ann"), None, 99)).unwrap().sessions;
    let log_in_by = |limit, browser: &Browser| {
        let sessions = world.sessions.clone().max_sessions(limit, OnLimit::EndOldest);
        let cookie = browser.cookie_header(crate::world::URL);
        let exchange = sessions.open(cookie.as_deref().map(str::as_bytes));
        run(async {
            let session = exchange.session().await.unwrap();
            session.update(|shop| shop.user = Some("ann".into()));
        });
        let answer = world.close(exchange);
        answer.is_fine();
        answer.reach(browser);
    };
    assert_eq!(live().len(), 4);
    log_in_by(3, &browsers[4]);
    assert_eq!(live().len(), 3);
    is_displaced(&world, &browsers[0]);
    is_displaced(&world, &browsers[1]);
    is_in(&world, &browsers[2]);
    world.clock.advance(SECOND);
    log_in_by(1, &browsers[5]);
    assert_eq!(live().len(), 1);
    is_in(&world, &browsers[5]);
}

#[test]
fn the_seats_are_no_session_and_nothing_that_ends_sessions_ends_them() {
    let world = limited(1, OnLimit::RejectNew);
    let browser = world.browser();
    assert!(log_in(&world, &browser, "ann").is_none());
    let rows = run(world.rows.scan(None, 99)).unwrap().rows;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows.iter().filter(|row| row.is_session()).count(), 1);
    let page = run(world.sessions.sessions_of(Subject::from("ann"), None, 99)).unwrap();
    assert_eq!((page.sessions.len(), page.unreadable.len()), (1, 0));

    let by_scan = SessionLayer::<Shop, _>::new(Arc::clone(&world.rows)).clock(world.clock.clone());
    assert_eq!(run(by_scan.end_everyone(EndReason::Revoked)).unwrap(), 1);
    assert!(log_in(&world, &browser, "ann").is_none(), "and one can log in again");
    let ended = run(world.sessions.end_all(Subject::from("ann"), EndReason::Revoked)).unwrap();
    assert_eq!(ended, 1);
    assert!(log_in(&world, &browser, "ann").is_none());
    // Swept when its time is over, and not before.
    assert_eq!(run(world.sessions.sweep()).unwrap(), 0);
    world.clock.advance(2 * DAY);
    run(world.sessions.sweep()).unwrap();
    assert_eq!(run(world.rows.scan(None, 99)).unwrap().rows, []);
}

#[test]
fn a_table_that_is_damaged_or_gone_is_made_from_the_index() {
    for damaged in [true, false] {
        let world = limited(2, OnLimit::RejectNew);
        let browsers: Vec<_> = (0..3).map(|_| world.browser()).collect();
        for browser in &browsers[..2] {
            assert!(log_in(&world, browser, "ann").is_none());
        }
        let rows = run(world.rows.scan(None, 99)).unwrap().rows;
        let table = *rows.iter().find(|row| !row.is_session()).unwrap();
        let mut record = run(world.rows.load(&table.key)).unwrap().unwrap();
        let expected = record.revision;
        record.revision = typed_session::Revision::from_u64(expected.as_u64() + 1);
        record.body = b"\x01\x02garbage".to_vec().into();
        if !damaged {
            record.expires_at = typed_session::Timestamp::from_millis(0);
        }
        assert_eq!(
            run(world.rows.replace(&table.key, expected, &record)).unwrap(),
            typed_session::store::Replaced::Done
        );
        if !damaged {
            assert_eq!(run(world.sessions.sweep()).unwrap(), 1);
        }
        assert!(log_in(&world, &browsers[2], "ann").is_some());
        let (_, answer) = world.visit(&browsers[0], async |session| session.end());
        answer.is_fine();
        assert!(log_in(&world, &browsers[2], "ann").is_none());
    }
}

#[test]
fn seats_that_were_ended_by_hand_keep_nobody_out_for_longer_than_that_is_remembered() {
    let world = limited(1, OnLimit::RejectNew);
    let browser = world.browser();
    assert!(log_in(&world, &browser, "ann").is_none());
    let rows = run(world.rows.scan(None, 99)).unwrap().rows;
    let table = rows.iter().find(|row| !row.is_session()).unwrap().key;
    run(world.sessions.end(&table, EndReason::Revoked)).unwrap();
    let (_, answer) = world.visit(&browser, async |session| session.end());
    answer.is_fine();
    assert_eq!(log_in(&world, &browser, "ann").unwrap().status(), 503);
    world.clock.advance(9 * MINUTE);
    assert_eq!(log_in(&world, &browser, "ann").unwrap().status(), 503);
    // And nobody has swept.
    world.clock.advance(MINUTE);
    assert!(log_in(&world, &browser, "ann").is_none());
    assert_eq!(log_in(&world, &world.browser(), "ann").unwrap().status(), 409, "the limit holds");
}

#[test]
fn seats_that_no_store_can_read_are_made_anew_after_a_while() {
    let world = limited(1, OnLimit::RejectNew);
    let browser = world.browser();
    // The first that a login looks at.
    world.faults.nth(1, Verb::Load, ErrorKind::Corrupt, When::Before);
    let error = log_in(&world, &browser, "ann");
    world.faults.clear();
    assert_eq!(error.map(|error| error.status()), Some(503));
    assert_eq!(log_in(&world, &browser, "ann").unwrap().status(), 503);
    world.clock.advance(10 * MINUTE);
    assert!(log_in(&world, &browser, "ann").is_none());
}

#[test]
fn a_seat_of_a_clock_that_was_ahead_is_free_as_soon_as_any_other() {
    let world = limited(1, OnLimit::RejectNew);
    let (dying, next) = (world.browser(), world.browser());
    let now = typed_session::Clock::now(&world.clock);
    world.clock.advance(30 * DAY);
    world.faults.nth(2, Verb::Insert, ErrorKind::Unavailable, When::Before);
    assert_eq!(log_in(&world, &dying, "ann").map(|error| error.status()), Some(503));
    world.faults.clear();
    world.clock.set(now);
    assert!(log_in(&world, &next, "ann").is_none());
}

#[test]
fn a_login_that_dies_between_any_two_steps_blocks_a_seat_for_a_minute_at_most() {
    let mut steps = 0;
    for anonymous in [false, true] {
        for verb in [Verb::Load, Verb::SessionsOf, Verb::Insert, Verb::Replace] {
            for when in [When::Before, When::After] {
                for nth in 1..5 {
                    let world = limited(1, OnLimit::RejectNew);
                    let (dying, next) = (world.browser(), world.browser());
                    if anonymous {
                        world.change(&dying, |shop| shop.visits = 1);
                    }
                    world.faults.nth(nth, verb, ErrorKind::Unavailable, when);
                    let died = log_in(&world, &dying, "ann");
                    world.faults.clear();
                    let Some(died) = died else { continue };
                    steps += 1;
                    assert_eq!(died.status(), 503);
                    let sessions = || {
                        let all = world.sessions.sessions_of(Subject::from("ann"), None, 9);
                        run(all).unwrap().sessions
                    };
                    if let Some(there) = sessions().first() {
                        // It was written, and the answer was lost.
                        assert!(log_in(&world, &next, "ann").is_some());
                        let ended = world.sessions.end(&there.key, EndReason::Revoked);
                        run(ended).unwrap();
                    } else {
                        world.clock.advance(MINUTE);
                    }
                    let late = log_in(&world, &next, "ann");
                    assert!(late.is_none(), "{anonymous} {verb:?} {when:?} {nth}: {late:?}");
                    assert_eq!(sessions().len(), 1);
                }
            }
        }
    }
    assert!(steps >= 12, "{steps}");
}

#[test]
fn a_login_that_takes_longer_than_its_seat_waits_is_refused_and_not_one_too_many() {
    for anonymous in [false, true] {
        let world = limited(1, OnLimit::RejectNew);
        let (slow, quick) = (world.browser(), world.browser());
        if anonymous {
            world.change(&slow, |shop| shop.visits = 1);
        }
        // Its seat is taken, its record not written; its answer is late.
        let verb = if anonymous { Verb::Replace } else { Verb::Insert };
        let nth = if anonymous { 1 } else { 2 };
        let exchange = world.open(&slow);
        let session = run(exchange.session()).unwrap();
        session.update(|shop| shop.user = Some("ann".into()));
        world.faults.nth(nth, verb, ErrorKind::Unavailable, When::Before);
        assert_eq!(run(session.commit()).unwrap_err().status(), 503);
        world.faults.clear();
        assert_eq!(log_in(&world, &quick, "ann").unwrap().status(), 409, "it waits");
        world.clock.advance(MINUTE);
        assert!(log_in(&world, &quick, "ann").is_none());
        // What was under way all the time arrives, and must fail.
        let late = world.close(exchange);
        assert_eq!(late.status(), 409, "{:?}", late.outcome.error);
        is_in(&world, &quick);
        let page = run(world.sessions.sessions_of(Subject::from("ann"), None, 9)).unwrap();
        assert_eq!(page.sessions.len(), 1);
    }
}
