//! Ends, and what is written after them.

use super::*;

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
