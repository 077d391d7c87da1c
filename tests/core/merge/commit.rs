//! Commits that meet others, fail, are repeated, or are given up half way.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde::{Deserialize, Serialize};
use typed_session::merge::OnConflict;
use typed_session::store::{ErrorKind, MemoryStore, Store as _};
use typed_session::testing::schedule::{Explorer, Scenario, run};
use typed_session::testing::{Verb, When, Yielding, Yields};
use typed_session::{
    EndReason, Error, Exchange, Lifetime, Session, SessionData, SessionLayer, Subject, Verdict,
};

use crate::world::{Answer, DAY, HOUR, Shop, Store, URL, World, id_of};

/// Two requests of one browser that have both loaded.
struct Two {
    world: World,
    cookie: String,
    a: (Exchange<Shop, Store>, Session<Shop>),
    b: (Exchange<Shop, Store>, Session<Shop>),
}

impl Two {
    /// They have loaded what `before` made.
    #[track_caller]
    fn after(before: impl FnOnce(&mut Shop)) -> Self {
        let world = World::new();
        let browser = world.browser();
        world.change(&browser, before);
        let cookie = browser.cookie_header(URL).unwrap();
        let open = || {
            let exchange = world.open_with(Some(&cookie));
            let session = run(exchange.session()).unwrap();
            (exchange, session)
        };
        let (a, b) = (open(), open());
        world.events.take();
        Self { world, a, b, cookie }
    }

    /// A is answered first.
    fn close(self) -> (World, String, Answer, Answer) {
        let (a, b) = (self.world.close(self.a.0), self.world.close(self.b.0));
        (self.world, self.cookie, a, b)
    }
}

#[track_caller]
fn stored(world: &World, cookie: &str) -> Shop {
    world.ask(Some(cookie), async |session| session.read(Shop::clone)).0
}

// Merging.

#[test]
fn parallel_changes_of_different_fields_are_both_kept() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.note = "from a".into());
    two.b.1.update(|shop| {
        shop.basket.push("tea".into());
        shop.preferences.insert("b".into(), "1".into());
    });
    let (world, cookie, a, b) = two.close();
    a.is_fine();
    b.is_fine();
    let shop = stored(&world, &cookie);
    assert_eq!((shop.note.as_str(), shop.visits), ("from a", 1));
    assert_eq!((shop.basket.as_slice(), shop.preferences.len()), (&["tea".to_owned()][..], 1));
    assert_eq!(world.events.names().iter().filter(|name| *name == "Conflict").count(), 1);
}

#[test]
fn what_was_merged_is_what_the_later_request_sees() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.note = "from a".into());
    two.b.1.update(|shop| shop.basket.push("tea".into()));
    run(two.a.1.commit()).unwrap();
    run(two.b.1.commit()).unwrap();
    assert_eq!(two.b.1.read(|shop| shop.note.clone()), "from a");
}

#[test]
fn a_value_that_both_changed_is_the_later_ones_and_an_event() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.note = "a".into());
    two.b.1.update(|shop| shop.note = "b".into());
    let (world, cookie, _, b) = two.close();
    b.is_fine();
    assert_eq!(stored(&world, &cookie).note, "b");
    assert!(world.events.take().iter().any(|e| e.contains("overwritten: 1")));
}

#[test]
fn a_request_that_only_read_takes_nothing_back() {
    let two = Two::after(|shop| shop.visits = 1);
    assert_eq!(two.b.1.read(|shop| shop.visits), 1);
    two.a.1.update(|shop| shop.visits = 2);
    let Two { world, cookie, a, b } = two;
    world.close(a.0).is_fine();
    // Even if its upkeep is due.
    world.clock.advance(HOUR / 2);
    world.close(b.0).is_fine();
    assert_eq!(stored(&world, &cookie).visits, 2);
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Strict {
    note: String,
    other: String,
}

impl SessionData for Strict {
    const ON_CONFLICT: OnConflict = OnConflict::Fail;
}

#[test]
fn a_type_whose_conflicts_fail_gets_409_and_no_cookie() {
    let world = World::<Strict>::of();
    let browser = world.browser();
    world.change(&browser, |data| data.note = "first".into());
    let late = world.open(&browser);
    run(late.session()).unwrap().update(|data| data.note = "late".into());
    world.change(&browser, |data| data.note = "quick".into());
    let answer = world.close(late);
    assert!(matches!(answer.outcome.error, Some(Error::Conflict)));
    assert_eq!((answer.status(), answer.set_cookie()), (409, None));
    let (data, _) = world.read(&browser);
    assert_eq!((data.note.as_str(), data.other.as_str()), ("quick", ""));
}

#[test]
fn a_login_beside_a_change_keeps_the_change() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.basket.push("tea".into()));
    two.b.1.update(|shop| shop.user = Some("ann".into()));
    let (world, _, a, b) = two.close();
    a.is_fine();
    b.is_fine();
    let shop = stored(&world, &b.cookie());
    assert_eq!((shop.user.as_deref(), shop.basket.len()), (Some("ann"), 1));
}

#[test]
fn a_change_that_comes_after_a_login_is_refused_aloud() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.user = Some("ann".into()));
    two.b.1.update(|shop| shop.basket.push("tea".into()));
    let (world, _, a, b) = two.close();
    assert!(matches!(b.outcome.error, Some(Error::Lost(Verdict::Superseded))));
    assert_eq!((b.status(), b.set_cookie()), (409, None));
    assert!(stored(&world, &a.cookie()).basket.is_empty());
}

#[test]
fn of_two_logins_at_once_one_is_refused() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.user = Some("ann".into()));
    two.b.1.update(|shop| shop.user = Some("bob".into()));
    let (world, _, a, b) = two.close();
    assert_eq!((a.status(), b.status(), b.set_cookie()), (200, 409, None));
    assert_eq!(stored(&world, &a.cookie()).user.as_deref(), Some("ann"));
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let two = Two::after(|shop| {
        shop.preferences = (0..50).map(|n| (n.to_string(), n.to_string())).collect();
    });
    // A new map, in an order of its own.
    two.a.1.update(|shop| shop.preferences = shop.preferences.clone().into_iter().collect());
    two.b.1.update(|shop| {
        shop.visits += 1;
        shop.visits -= 1;
        let rebuilt: HashMap<_, _> = shop.preferences.drain().collect();
        shop.preferences = rebuilt;
    });
    two.world.spied.take();
    let (world, _, a, b) = two.close();
    a.is_fine();
    b.is_fine();
    assert_eq!(world.spied.calls().total(), 0);
}

#[test]
fn a_session_is_not_created_by_its_default() {
    let world = World::new();
    let browser = world.browser();
    let answer = world.change(&browser, |shop| {
        shop.visits += 1;
        shop.visits -= 1;
    });
    assert_eq!((answer.calls.total(), answer.set_cookie()), (0, None));
}

#[test]
fn any_way_to_change_the_data_is_seen() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| {
        shop.preferences.insert("a".into(), "1".into());
        shop.basket.push("tea".into());
        shop.note = "note".into();
    });
    let helper = |shop: &mut Shop| shop.basket[0].make_ascii_uppercase();
    world.change(&browser, helper);
    world.change(&browser, |shop| drop(shop.preferences.remove("a")));
    world.change(&browser, |shop| shop.note.clear());
    let (shop, _) = world.read(&browser);
    assert_eq!(shop.basket, ["TEA"]);
    assert!(shop.preferences.is_empty() && shop.note.is_empty());
}

// Switching from one subject to another.

#[test]
fn a_switch_keeps_what_it_wrote_and_carries_what_the_type_says() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| {
        shop.user = Some("ann".into());
        shop.note = "of ann".into();
        shop.language = "de".into();
        shop.basket.push("of ann".into());
        shop.preferences.insert("of".into(), "ann".into());
    });
    let of_ann = browser.clone();
    let answer = world.change(&browser, |shop| {
        shop.user = Some("bob".into());
        shop.basket.push("of bob".into());
    });
    assert_ne!(Some(answer.cookie()), of_ann.cookie_header(URL));
    let (shop, _) = world.read(&browser);
    let expected = Shop {
        user: Some("bob".into()),
        basket: vec!["of bob".into()],
        language: "de".into(),
        ..Shop::default()
    };
    assert_eq!(shop, expected);
    assert_eq!(world.read(&of_ann).1.verdict, Verdict::Superseded);
}

/// Ann writes while another request switches to Bob: nothing of hers is his.
fn switch_beside_a_write(ann: impl FnOnce(&mut Shop), bob: impl FnOnce(&mut Shop)) -> Shop {
    let two = Two::after(|shop| {
        shop.user = Some("ann".into());
        shop.note = "of ann".into();
        shop.basket.push("of ann".into());
        shop.language = "de".into();
    });
    two.b.1.update(|shop| {
        shop.user = Some("bob".into());
        bob(shop);
    });
    two.a.1.update(ann);
    let Two { world, a, b, .. } = two;
    world.close(a.0).is_fine();
    let answer = world.close(b.0);
    answer.is_fine();
    stored(&world, &answer.cookie())
}

#[test]
fn a_switch_beside_a_write_leaks_nothing_of_the_last_subject() {
    let shop = switch_beside_a_write(
        |shop| {
            shop.note = "of ann, later".into();
            shop.basket.push("of ann, later".into());
        },
        |_| {},
    );
    assert_eq!((shop.note.as_str(), shop.basket.len()), ("", 0));
    assert_eq!(shop.language, "de", "carried");
}

#[test]
fn a_switch_that_meets_a_newer_record_after_its_deadline_leaks_nothing_either() {
    let two = Two::after(|shop| {
        shop.user = Some("ann".into());
        shop.note = "of ann".into();
        shop.basket.push("of ann".into());
    });
    two.b.1.update(|shop| shop.user = Some("bob".into()));
    two.world.clock.advance(HOUR / 2);
    two.a.1.update(|shop| {
        shop.note = "of ann, later".into();
        shop.basket.clear();
    });
    let Two { world, a, b, .. } = two;
    world.close(a.0).is_fine();
    // Past the deadline that the switching request knows.
    world.clock.advance(HOUR / 2);
    let answer = world.close(b.0);
    answer.is_fine();
    let shop = stored(&world, &answer.cookie());
    assert_eq!((shop.note.as_str(), shop.basket.len()), ("", 0));
}

#[test]
fn a_switch_keeps_its_own_write_although_the_last_subject_wrote_the_same() {
    let same = |shop: &mut Shop| {
        shop.note = "hello".into();
        shop.basket.push("milk".into());
    };
    let shop = switch_beside_a_write(same, same);
    assert_eq!((shop.note.as_str(), shop.basket.as_slice()), ("hello", &["milk".to_owned()][..]));
}

#[test]
fn several_switches_in_one_request_each_leave_the_last_subject_behind() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.user = Some("ann".into()));
    let (_, answer) = world.visit(&browser, async |session| {
        for (user, note) in
            [(Some("bob"), ""), (None, ""), (Some("ann"), "of ann"), (Some("bob"), "")]
        {
            session.update(|shop| {
                shop.user = user.map(str::to_owned);
                if !note.is_empty() {
                    shop.note = note.to_owned();
                }
            });
            session.commit().await.unwrap();
        }
    });
    answer.is_fine();
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.user.as_deref(), shop.note.as_str()), (Some("bob"), ""));
}

// Transactions.

#[test]
fn transactions_under_contention_lose_none() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.note = "x".into());
    let cookie = browser.cookie_header(URL).unwrap();
    let open: Vec<_> = (0..100)
        .map(|_| {
            let exchange = world.open_with(Some(&cookie));
            (run(exchange.session()).unwrap(), exchange)
        })
        .collect();
    for (session, exchange) in open {
        assert_eq!(run(session.transact(|shop| shop.visits += 1)).map_err(|e| e.status()), Ok(()));
        world.close(exchange).is_fine();
    }
    assert_eq!(stored(&world, &cookie).visits, 100);
}

#[test]
fn transactions_in_every_order_lose_none() {
    let explored = Explorer::new()
        .explore(|_| {
            let rows = Arc::new(MemoryStore::new());
            let store = Yielding::new(Arc::clone(&rows), Yields::Before);
            let sessions = SessionLayer::<Shop, _>::new(store);
            let plain = SessionLayer::<Shop, _>::new(rows);
            let cookie = created(&plain);
            let task = || {
                let exchange = sessions.open([cookie.as_bytes()]);
                async move {
                    let session = exchange.session().await.unwrap();
                    session.transact(|shop| shop.visits += 1).await.unwrap();
                    session.transact(|shop| shop.visits += 1).await.unwrap();
                    assert!(exchange.finish().await.error.is_none());
                }
            };
            Scenario::new().task(task()).task(task()).check(move || match visits(&plain, &cookie) {
                4 => Ok(()),
                other => Err(format!("{other} visits")),
            })
        })
        .unwrap();
    assert!(explored.complete);
}

/// A stored session, and its cookie.
fn created<S: typed_session::store::Store>(sessions: &SessionLayer<Shop, S>) -> String {
    let exchange = sessions.open([]);
    let outcome = run(async {
        exchange.session().await.unwrap().update(|shop| shop.note = "made".into());
        exchange.finish().await
    });
    outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
}

fn visits<S: typed_session::store::Store>(sessions: &SessionLayer<Shop, S>, cookie: &str) -> u64 {
    let exchange = sessions.open([cookie.as_bytes()]);
    run(async { exchange.session().await.unwrap().read(|shop| shop.visits) })
}

#[test]
fn clones_of_one_session_take_turns() {
    let scenario = |first: u8, second: u8| {
        move |_: &typed_session::testing::schedule::Choice| {
            let rows = Arc::new(MemoryStore::new());
            let store = Yielding::new(Arc::clone(&rows), Yields::Around);
            let sessions = SessionLayer::<Shop, _>::new(store);
            let plain = SessionLayer::<Shop, _>::new(rows);
            let cookie = created(&plain);
            let exchange = sessions.open([cookie.as_bytes()]);
            let session = run(exchange.session()).unwrap();
            let task = |how: u8| {
                let session = session.clone();
                async move {
                    match how {
                        0 => session.transact(|shop| shop.visits += 1).await.unwrap(),
                        1 => {
                            session.update(|shop| shop.visits += 1);
                            session.commit().await.unwrap();
                        }
                        _ => {
                            session.update(|shop| shop.visits += 1);
                        }
                    }
                }
            };
            Scenario::new().task(task(first)).task(task(second)).check(move || {
                assert!(run(exchange.finish()).error.is_none());
                match visits(&plain, &cookie) {
                    2 => Ok(()),
                    other => Err(format!("{other} visits")),
                }
            })
        }
    };
    // A plain update and a transaction may both add to the same old count, which is a
    // conflict like any other; two of a kind may not.
    for (first, second) in [(0, 0), (1, 1), (1, 2)] {
        let explored = Explorer::new().explore(scenario(first, second)).unwrap();
        assert!(explored.complete, "{first} {second}");
    }
}

#[test]
fn a_change_made_while_a_transaction_runs_is_stored_too() {
    for transaction_changes in [false, true] {
        for is_new in [false, true] {
            let world = World::new();
            let browser = world.browser();
            if !is_new {
                world.change(&browser, |shop| shop.note = "x".into());
            }
            let (_, answer) = world.visit(&browser, async |session| {
                let clone = session.clone();
                session
                    .transact(|shop| {
                        clone.update(|shop| shop.basket = vec!["tea".into()]);
                        shop.visits += u64::from(transaction_changes);
                    })
                    .await
                    .unwrap();
            });
            answer.is_fine();
            let (shop, _) = world.read(&browser);
            assert_eq!(shop.basket, ["tea"], "{transaction_changes} {is_new}");
            assert_eq!(shop.visits, u64::from(transaction_changes));
        }
    }
}

#[test]
fn a_transaction_commits_what_the_request_changed_before() {
    let world = World::new();
    let browser = world.browser();
    let (seen, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 5);
        session.transact(|shop| shop.visits += 1).await.unwrap();
        session.read(|shop| shop.visits)
    });
    assert_eq!((seen, answer.status()), (6, 200));
    assert_eq!(world.read(&browser).0.visits, 6);
}

#[test]
fn a_lifetime_that_was_chosen_before_the_session_exists_is_kept() {
    let stay = Lifetime::new(14 * DAY, 90 * DAY).persistent();
    for how in 0..3 {
        let world = World::new();
        let browser = world.browser();
        let (_, answer) = world.visit(&browser, async |session| {
            session.set_lifetime(stay);
            match how {
                0 => session.update(|shop| shop.user = Some("ann".into())),
                1 => {
                    session.commit().await.unwrap();
                    session.update(|shop| shop.user = Some("ann".into()));
                }
                _ => session.transact(|shop| shop.user = Some("ann".into())).await.unwrap(),
            }
        });
        assert!(answer.set_cookie().unwrap().contains("Max-Age=1209600"), "{how} {answer:?}");
        let (lifetime, answer) = world.visit(&browser, async |session| session.lifetime());
        assert_eq!(lifetime, Some(stay), "{how}");
        assert_eq!((answer.calls.total(), answer.set_cookie()), (1, None), "once and for all");
    }
}

#[test]
fn a_transaction_on_a_superseded_session_is_refused() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.user = Some("ann".into()));
    run(two.a.1.commit()).unwrap();
    let refused = run(two.b.1.transact(|shop| shop.visits += 1));
    assert!(matches!(refused, Err(Error::Lost(Verdict::Superseded))), "{refused:?}");
}

/// A field that is written and not read, so that its own bytes do not decode.
#[derive(Debug, Default)]
struct OneWay(u64);

impl Serialize for OneWay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&"x".repeat(self.0 as usize))
    }
}

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

impl SessionData for OneWay {}

#[test]
fn a_type_that_does_not_read_what_it_writes_is_an_error_and_no_endless_loop() {
    let world = World::<OneWay>::of();
    let exchange = world.open_with(None);
    let session = run(exchange.session()).unwrap();
    session.update(|data| data.0 = 1);
    run(session.commit()).unwrap();
    let refused = run(session.transact(|data| data.0 += 1));
    assert!(matches!(refused, Err(Error::Lost(Verdict::Undecodable))), "{refused:?}");
}

// Ending.

#[test]
fn what_is_written_after_an_end_is_a_new_sessions() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let before = browser.cookie_header(URL).unwrap();
    let (key, answer) = world.visit(&browser, async |session| {
        let key = session.key();
        session.end();
        assert_eq!(session.read(Shop::clone), Shop::default());
        assert_eq!(session.key(), None);
        session.update(|shop| shop.note = "bye".into());
        key
    });
    answer.is_fine();
    assert_eq!((answer.calls.load, answer.calls.replace, answer.calls.insert), (1, 1, 1));
    assert_ne!(answer.cookie(), before);
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.user, shop.note.as_str()), (None, "bye"));
    let (now, _) = world.visit(&browser, async |session| session.key());
    assert_ne!(now, key);
    let (_, answer) = world.ask(Some(&before), async |_| ());
    assert_eq!(answer.verdict, Verdict::Ended(EndReason::Logout));
}

#[test]
fn a_session_that_is_ended_by_a_clone_while_it_is_stored_is_ended() {
    // Whether it was there before, and whatever the write is.
    for is_new in [false, true] {
        for logs_in in [false, true] {
            let explored = Explorer::new()
                .explore(|_| {
                    let rows = Arc::new(MemoryStore::new());
                    let store = Yielding::new(Arc::clone(&rows), Yields::Around);
                    let sessions = SessionLayer::<Shop, _>::new(store);
                    let plain = SessionLayer::<Shop, _>::new(Arc::clone(&rows));
                    let cookie = if is_new { String::new() } else { created(&plain) };
                    let exchange = sessions.open([cookie.as_bytes()]);
                    let session = run(exchange.session()).unwrap();
                    session.update(|shop| {
                        shop.note = "written".into();
                        shop.user = logs_in.then(|| "ann".into());
                    });
                    let other = session.clone();
                    let writes = async move { session.commit().await.unwrap() };
                    let ends = async move {
                        typed_session::testing::schedule::yield_now().await;
                        other.end();
                    };
                    Scenario::new().task(writes).task(ends).check(move || {
                        let outcome = run(exchange.finish());
                        if let Some(error) = outcome.error {
                            return Err(format!("{error:?}"));
                        }
                        if let Some(line) = outcome.effects.set_cookie()
                            && !line.starts_with("__Host-session=;")
                        {
                            return Err("it lives on".to_owned());
                        }
                        let left = run(rows.sessions_of(&Subject::from("ann"), None, 9)).unwrap();
                        if left.is_empty() { Ok(()) } else { Err("its row lives on".to_owned()) }
                    })
                })
                .unwrap();
            assert!(explored.complete, "{explored:?}");
        }
    }
}

#[test]
fn an_end_that_was_refused_is_refused_until_the_response() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.user = Some("ann".into()));
    run(two.a.1.commit()).unwrap();
    two.b.1.end();
    assert!(matches!(run(two.b.1.commit()), Err(Error::Lost(Verdict::Superseded))));
    let (world, _, a, b) = two.close();
    assert_eq!((b.status(), b.set_cookie()), (409, None));
    assert_eq!(stored(&world, &a.cookie()).user.as_deref(), Some("ann"));
}

// Failures, and answers that get lost.

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

fn panics(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_change_that_panics_stores_nothing_of_the_request() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let (_, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 2);
        panics(|| {
            session.update(|shop| {
                shop.basket.push("half".into());
                panic!("half way");
            });
        });
        assert!(matches!(session.commit().await, Err(Error::Torn)));
        assert!(matches!(session.transact(|_| ()).await, Err(Error::Torn)));
    });
    assert_eq!((answer.status(), answer.calls.total(), answer.set_cookie()), (500, 1, None));
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.visits, shop.basket.len()), (1, 0));
}

#[test]
fn a_transaction_that_panics_tears_nothing() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let exchange = world.open(&browser);
    let session = run(exchange.session()).unwrap();
    session.update(|shop| shop.visits = 2);
    panics(|| {
        let _ = run(session.transact(|shop| {
            shop.visits = 99;
            panic!("half way");
        }));
    });
    assert_eq!(session.read(|shop| shop.visits), 2);
    world.close(exchange).is_fine();
    assert_eq!(world.read(&browser).0.visits, 2);
}

#[test]
fn a_session_inside_its_own_closure_panics_with_advice_and_does_not_hang() {
    let world = World::new();
    let exchange = world.open_with(None);
    let session = run(exchange.session()).unwrap();
    let clone = session.clone();
    let uses: [&dyn Fn(); 5] = [
        &|| session.read(|_| clone.update(|_| ())),
        &|| session.update(|_| clone.read(|_| ())),
        &|| session.read(|_| assert_eq!(clone.verdict(), Verdict::New)),
        &|| session.update(|_| clone.end()),
        &|| session.read(|_| run(clone.commit()).unwrap()),
    ];
    for inside in uses {
        let text = panics(inside);
        assert!(text.contains("inside one of its own closures"), "{text}");
        assert!(text.contains("take what is needed out of it first"), "{text}");
    }
    // A read that panicked tore nothing; an update did.
    assert!(matches!(run(session.commit()), Err(Error::Torn)));
}

// Futures that are dropped.

/// Polls so many times and drops; tells whether it came to its end.
fn poll_then_drop<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

#[test]
fn a_future_that_is_dropped_at_any_await_point_leaves_nothing_half_done() {
    type Act = fn(&Session<Shop>);
    let acts: [(&str, Act); 4] = [
        ("update", |session| session.update(|shop| shop.visits += 1)),
        ("login", |session| {
            session.update(|shop| {
                shop.visits += 1;
                shop.user = Some("ann".into());
            });
        }),
        ("rotate", |session| {
            session.update(|shop| shop.visits += 1);
            session.rotate();
        }),
        ("end, and begin anew", |session| {
            session.end();
            session.update(|shop| shop.visits = 2);
        }),
    ];
    for is_new in [false, true] {
        for (name, act) in acts {
            for polls in 0..20 {
                let name = format!("{name}, new: {is_new}, after {polls} polls");
                let rows = Arc::new(MemoryStore::new());
                let store = Yielding::new(Arc::clone(&rows), Yields::Around);
                let sessions = SessionLayer::<Shop, _>::new(store);
                let plain = SessionLayer::<Shop, _>::new(Arc::clone(&rows));
                let cookie = if is_new { String::new() } else { created(&plain) };
                let exchange = sessions.open([cookie.as_bytes()]);
                let pending = exchange.pending();
                // The load is dropped as well, and done again.
                poll_then_drop(pending.load(), polls);
                let session = run(pending.load()).unwrap();
                if !is_new {
                    session.update(|shop| shop.visits = 1);
                }
                act(&session);
                poll_then_drop(session.commit(), polls);
                // The same request goes on, and nothing is there twice or lost.
                let outcome = run(exchange.finish());
                assert!(outcome.error.is_none(), "{name}: {:?}", outcome.error);
                let now = outcome.effects.set_cookie().map(|line| id_of(line).to_owned());
                let now = now.map_or(cookie.clone(), |id| format!("__Host-session={id}"));
                let expected = match (is_new, name.starts_with("end")) {
                    (true, false) => 1,
                    (false, _) | (true, true) => 2,
                };
                assert_eq!(visits(&plain, &now), expected, "{name}");
            }
        }
    }
}

#[test]
fn a_transaction_that_is_dropped_happens_once_or_never() {
    for polls in 0..20 {
        let rows = Arc::new(MemoryStore::new());
        let store = Yielding::new(Arc::clone(&rows), Yields::Around);
        let sessions = SessionLayer::<Shop, _>::new(store);
        let plain = SessionLayer::<Shop, _>::new(rows);
        let cookie = created(&plain);
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = run(exchange.session()).unwrap();
        let done = poll_then_drop(session.transact(|shop| shop.visits += 1), polls).is_some();
        let there = visits(&plain, &cookie);
        assert!(there == 1 || !done);
        session.update(|shop| shop.basket.push("tea".into()));
        run(session.transact(|shop| shop.visits += 10)).unwrap();
        assert!(run(exchange.finish()).error.is_none());
        assert_eq!(visits(&plain, &cookie), there + 10, "after {polls} polls");
        let exchange = sessions.open([cookie.as_bytes()]);
        let basket = run(exchange.session()).unwrap().read(|shop| shop.basket.len());
        assert_eq!(basket, 1, "after {polls} polls");
    }
}

#[test]
fn an_exchange_that_is_dropped_stores_nothing() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let exchange = world.open(&browser);
    let session = run(exchange.session()).unwrap();
    session.update(|shop| shop.visits = 2);
    drop((exchange, session));
    assert_eq!(world.read(&browser).0.visits, 1);
}

// Handles.

#[test]
fn a_handle_that_outlives_the_response_reads_and_can_be_committed_by_hand() {
    let world = World::new();
    let browser = world.browser();
    let (kept, _) = world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 1);
        session.clone()
    });
    assert_eq!(kept.read(|shop| shop.visits), 1);
    kept.update(|shop| shop.visits = 2);
    assert_eq!(world.read(&browser).0.visits, 1, "not by itself");
    run(kept.commit()).unwrap();
    assert_eq!(world.read(&browser).0.visits, 2);
    run(kept.transact(|shop| shop.visits += 1)).unwrap();
    assert_eq!(world.read(&browser).0.visits, 3);
}

#[test]
fn a_commit_in_the_middle_and_more_changes_after_it_are_two_writes_and_one_cookie() {
    let world = World::new();
    let browser = world.browser();
    let (_, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 1);
        session.commit().await.unwrap();
        session.update(|shop| shop.user = Some("ann".into()));
        session.commit().await.unwrap();
        session.update(|shop| shop.visits = 2);
    });
    answer.is_fine();
    assert_eq!((answer.calls.insert, answer.calls.replace), (1, 2));
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.visits, shop.user.as_deref()), (2, Some("ann")));
}

#[test]
fn a_change_made_while_a_commit_is_on_its_way_is_stored_by_the_next() {
    for polls in 1..6 {
        let rows = Arc::new(MemoryStore::new());
        let store = Yielding::new(Arc::clone(&rows), Yields::Around);
        let sessions = SessionLayer::<Shop, _>::new(store);
        let plain = SessionLayer::<Shop, _>::new(rows);
        let cookie = created(&plain);
        let exchange = sessions.open([cookie.as_bytes()]);
        let session = run(exchange.session()).unwrap();
        session.update(|shop| shop.visits = 1);
        run(async {
            let mut commit = pin!(session.commit());
            for _ in 0..polls {
                let mut context = Context::from_waker(Waker::noop());
                if commit.as_mut().poll(&mut context).is_ready() {
                    return;
                }
                session.update(|shop| shop.visits += 1);
            }
            commit.await.unwrap();
        });
        let seen = session.read(|shop| shop.visits);
        assert!(run(exchange.finish()).error.is_none());
        assert_eq!(visits(&plain, &cookie), seen);
    }
}
