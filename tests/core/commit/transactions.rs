//! Transactions, alone, in crowds and beside clones.

use super::*;

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
fn a_transaction_that_changes_nothing_has_seen_the_newest_data() {
    let two = Two::after(|shop| shop.visits = 1);
    // Of an hour ago, in a socket, say.
    assert_eq!(two.b.1.read(|shop| shop.visits), 1);
    run(two.a.1.transact(|shop| shop.visits = 5)).unwrap();
    let mut runs = 0;
    let seen = run(two.b.1.transact(|shop| {
        runs += 1;
        shop.visits
    }));
    assert_eq!((seen.map_err(|error| error.status()), runs), (Ok(5), 2));
    assert_eq!(two.b.1.read(|shop| shop.visits), 5, "and so does what is read afterwards");

    two.a.1.end();
    run(two.a.1.commit()).unwrap();
    let refused = run(two.b.1.transact(|shop| shop.visits));
    assert!(matches!(refused, Err(Error::Lost(Verdict::Ended(_)))), "{refused:?}");
}

#[test]
fn a_transaction_that_changes_nothing_costs_one_look() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let mut runs = 0;
    let (seen, answer) = world.visit(&browser, async |session| {
        session
            .transact(|shop| {
                runs += 1;
                shop.visits
            })
            .await
    });
    assert_eq!((seen.unwrap(), runs), (1, 1));
    assert_eq!((answer.calls.load, answer.calls.total()), (2, 2), "the first is the request's own");
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
