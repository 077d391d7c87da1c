//! Answers of the store that never came.

use super::*;

/// What a request did, and whose answer got lost.
fn with_lost_answer(
    verb: Verb,
    is_new: bool,
    handler: impl AsyncFnOnce(&Session<Shop>),
) -> (World, Option<String>, Answer) {
    let world = World::new();
    let browser = world.browser();
    if !is_new {
        world.change(&browser, |shop| shop.visits = 1);
    }
    let cookie = browser.cookie_header(URL);
    world.faults.nth(1, verb, ErrorKind::Unavailable, When::After);
    let (_, answer) = world.ask(cookie.as_deref(), handler);
    (world, cookie, answer)
}

#[test]
fn an_insertion_whose_answer_was_lost_makes_one_session_all_the_same() {
    let (world, _, answer) = with_lost_answer(Verb::Insert, true, async |session| {
        session.update(|shop| shop.user = Some("ann".into()));
        let lost = session.commit().await.unwrap_err();
        assert_eq!(lost.status(), 503);
    });
    answer.is_fine();
    assert_eq!(stored(&world, &answer.cookie()).user.as_deref(), Some("ann"));
    let sessions = run(world.rows.sessions_of(&Subject::from("ann"), None, 9)).unwrap();
    assert_eq!(sessions.len(), 1);
}

#[test]
fn an_insertion_that_failed_and_was_repeated_lends_its_id_to_no_later_session() {
    let world = World::new();
    world.faults.nth(1, Verb::Insert, ErrorKind::Unavailable, When::Before);
    let (first, answer) = world.ask(None, async |session| {
        session.update(|shop| shop.visits = 1);
        session.commit().await.unwrap_err();
        session.commit().await.unwrap();
        let first = session.key();
        session.end();
        session.update(|shop| shop.note = "anew".into());
        first
    });
    answer.is_fine();
    let (now, _) = world.ask(Some(&answer.cookie()), async |session| session.key());
    assert!(first.is_some() && now.is_some() && now != first);
}

#[test]
fn a_login_whose_answer_was_lost_is_one_login() {
    let (world, before, answer) = with_lost_answer(Verb::Replace, false, async |session| {
        session.update(|shop| {
            shop.user = Some("ann".into());
            shop.basket.push("tea".into());
        });
        session.commit().await.unwrap_err();
        session.update(|shop| shop.basket.push("milk".into()));
    });
    answer.is_fine();
    let shop = stored(&world, &answer.cookie());
    assert_eq!((shop.user.as_deref(), shop.visits), (Some("ann"), 1));
    assert_eq!(shop.basket, ["tea", "milk"], "neither is lost or there twice");
    let (_, answer) = world.ask(before.as_deref(), async |_| ());
    assert_eq!(answer.verdict, Verdict::Superseded);
}

#[test]
fn a_change_whose_answer_was_lost_is_not_made_twice() {
    for more in [false, true] {
        let (world, cookie, answer) = with_lost_answer(Verb::Replace, false, async |session| {
            session.update(|shop| shop.visits += 1);
            session.commit().await.unwrap_err();
            if more {
                session.update(|shop| shop.visits += 1);
            }
        });
        answer.is_fine();
        assert_eq!(stored(&world, &cookie.unwrap()).visits, 2 + u64::from(more));
    }
}

#[test]
fn a_transaction_after_one_whose_answer_was_lost_is_in_the_store_if_it_says_so() {
    let (world, cookie, answer) = with_lost_answer(Verb::Replace, false, async |session| {
        session.transact(|shop| shop.note = "first".into()).await.unwrap_err();
        session.transact(|shop| shop.visits += 10).await.unwrap();
        assert_eq!(session.read(|shop| shop.visits), 11);
    });
    answer.is_fine();
    let shop = stored(&world, &cookie.unwrap());
    assert_eq!((shop.visits, shop.note.as_str()), (11, "first"));
}

#[test]
fn a_change_after_a_transaction_whose_answer_was_lost_is_stored() {
    for logs_in in [false, true] {
        for later in [false, true] {
            let world = World::new();
            let browser = world.browser();
            world.change(&browser, |shop| shop.visits = 1);
            world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, When::After);
            let exchange = world.open(&browser);
            let session = run(exchange.session()).unwrap();
            let lost = run(session.transact(|shop| {
                shop.visits += 10;
                shop.user = logs_in.then(|| "ann".into());
            }));
            assert_eq!(lost.unwrap_err().status(), 503);
            session.update(|shop| shop.basket.push("tea".into()));
            if later {
                // Kept alive elsewhere, past the deadline that this request knows.
                world.clock.advance(HOUR / 2);
                if !logs_in {
                    world.read(&browser);
                }
                world.clock.advance(HOUR / 2);
                if logs_in {
                    continue;
                }
            }
            let answer = world.close(exchange);
            answer.is_fine();
            answer.reach(&browser);
            let (shop, answer) = world.read(&browser);
            assert_eq!(answer.verdict, Verdict::Resumed);
            assert_eq!((shop.basket.as_slice(), shop.visits), (&["tea".to_owned()][..], 11));
            assert_eq!(shop.user.is_some(), logs_in);
        }
    }
}

#[test]
fn a_logout_after_a_login_whose_answer_was_lost_ends_the_session() {
    let (world, _, answer) = with_lost_answer(Verb::Replace, false, async |session| {
        session.update(|shop| shop.user = Some("ann".into()));
        session.commit().await.unwrap_err();
        session.end();
    });
    answer.is_fine();
    assert!(answer.set_cookie().unwrap().starts_with("__Host-session=;"));
    assert!(run(world.rows.sessions_of(&Subject::from("ann"), None, 9)).unwrap().is_empty());
}

#[test]
fn a_logout_whose_answer_was_lost_is_a_logout() {
    let (world, cookie, answer) = with_lost_answer(Verb::Replace, false, async |session| {
        session.end();
        session.commit().await.unwrap_err();
    });
    answer.is_fine();
    assert!(answer.set_cookie().unwrap().starts_with("__Host-session=;"));
    let (_, answer) = world.ask(cookie.as_deref(), async |_| ());
    assert_eq!(answer.verdict, Verdict::Ended(EndReason::Logout));
}

#[test]
fn upkeep_that_fails_is_an_event_and_no_failure_of_the_request() {
    for (verb, persistent) in [(Verb::Touch, false), (Verb::Replace, true)] {
        let world = World::new();
        let browser = world.browser();
        world.visit(&browser, async |session| {
            session.update(|shop| shop.visits = 1);
            if persistent {
                session.set_lifetime(Lifetime::new(HOUR, DAY).persistent());
            }
        });
        world.clock.advance(HOUR / 2);
        for when in [When::Before, When::After] {
            world.faults.nth(1, verb, ErrorKind::Unavailable, when);
            world.events.take();
            let (shop, answer) = world.read(&browser);
            assert_eq!((shop.visits, answer.status(), answer.set_cookie()), (1, 200, None));
            assert!(world.events.names().contains(&"Failed".to_owned()));
        }
    }
}

#[test]
fn an_insertion_that_finds_a_tombstone_is_refused() {
    // "Log out everywhere" found the key in the index before the record was there.
    let world = World::new();
    let exchange = world.open_with(None);
    let session = run(exchange.session()).unwrap();
    session.update(|shop| shop.user = Some("ann".into()));
    world.faults.nth(1, Verb::Insert, ErrorKind::Unavailable, When::After);
    run(session.commit()).unwrap_err();
    let keys = run(world.rows.sessions_of(&Subject::from("ann"), None, 9)).unwrap();
    run(world.sessions.end(&keys[0], EndReason::Revoked)).unwrap();
    let answer = world.close(exchange);
    assert_eq!((answer.status(), answer.set_cookie()), (409, None));
}

// Panics.
