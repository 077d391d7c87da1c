//! Panics, dropped futures, and handles that outlive their response.

use super::*;

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
fn a_panic_that_drops_the_handle_stores_nothing_that_was_not_committed() {
    let changes: [fn(&Session<Shop>); 3] = [
        |session| session.update(|shop| shop.visits = 2),
        |session| session.update(|shop| shop.user = Some("ann".into())),
        |session| session.end(),
    ];
    for change in changes {
        let world = World::new();
        let browser = world.browser();
        world.change(&browser, |shop| shop.visits = 1);
        let (_, answer) = world.visit(&browser, async |session| {
            let handle = session.clone();
            panics(move || {
                change(&handle);
                panic!("the handler's");
            });
        });
        assert_eq!((answer.status(), answer.calls.total(), answer.set_cookie()), (500, 1, None));
        assert_eq!(world.read(&browser).0.visits, 1);
    }
}

#[test]
fn a_panic_undoes_no_commit_and_no_read() {
    let world = World::new();
    let browser = world.browser();
    let (_, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.visits = 1);
        session.commit().await.unwrap();
        let handle = session.clone();
        panics(move || panic!("{}", handle.read(|shop| shop.visits)));
    });
    // So the cookie is sent.
    answer.is_fine();
    assert_eq!(world.read(&browser).0.visits, 1);
}

#[test]
fn a_handle_in_a_closure_of_its_own_session_is_dropped_by_a_panic_without_harm() {
    let world = World::new();
    let exchange = world.open_with(None);
    let session = run(exchange.session()).unwrap();
    let handle = session.clone();
    panics(|| {
        session.read(move |_| {
            let _handle = handle;
            panic!("under the lock");
        })
    });
    session.update(|shop| shop.visits = 1);
    world.close(exchange).is_fine();
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
