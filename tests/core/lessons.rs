//! What went wrong elsewhere, each as a test.

use std::time::Duration;

use typed_session::store::{ErrorKind, Store as _};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::{Explorer, Scenario, run};
use typed_session::testing::{Verb, When, Yielding, Yields};
use typed_session::{
    ClearSiteData, CookieLifetime, EndReason, Error, Lifetime, Record, Rotation, SessionId,
    SessionLayer, Subject, Verdict,
};

use super::world::{DAY, HOUR, MINUTE, SECOND, START, Shop, URL, World, id_of};

// Races.

#[test]
fn a_request_that_writes_after_a_logout_does_not_log_the_user_in_again() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let late = world.open(&browser);
    run(late.session()).unwrap().update(|shop| shop.visits += 1);
    let before = browser.clone();
    world.visit(&browser, async |session| session.end());
    let answer = world.close(late);
    assert!(matches!(answer.outcome.error, Some(Error::Lost(Verdict::Ended(EndReason::Logout)))));
    assert_eq!((answer.status(), answer.set_cookie()), (409, None));
    let (shop, answer) = world.read(&before);
    assert_eq!((shop, answer.verdict), (Shop::default(), Verdict::Ended(EndReason::Logout)));
}

#[test]
fn a_request_that_only_reads_after_a_logout_brings_nothing_back_by_its_upkeep() {
    let stay = Lifetime::new(DAY, 30 * DAY).persistent();
    for lifetime in [Lifetime::default(), stay] {
        let world =
            World::with(|sessions| sessions.lifetime(lifetime).rotation(Rotation::default()));
        let browser = world.browser();
        world.log_in(&browser, "ann");
        world.clock.advance(20 * MINUTE);
        let late = world.open(&browser);
        run(late.session()).unwrap();
        let before = browser.clone();
        world.visit(&browser, async |session| session.end());
        let answer = world.close(late);
        answer.is_fine();
        assert_eq!(answer.set_cookie(), None);
        assert_eq!(world.read(&before).1.verdict, Verdict::Ended(EndReason::Logout));
        // Nor when the tombstone is gone.
        world.clock.advance(20 * MINUTE);
        run(world.rows.remove_expired(START.plus(40 * MINUTE), 99)).unwrap();
        assert_ne!(world.read(&before).1.verdict, Verdict::Resumed);
    }
}

#[test]
fn a_request_that_writes_after_the_tombstone_is_gone_creates_nothing() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let late = world.open(&browser);
    run(late.session()).unwrap().update(|shop| shop.visits += 1);
    world.visit(&browser, async |session| session.end());
    world.clock.advance(11 * MINUTE);
    assert_eq!(run(world.rows.remove_expired(START.plus(11 * MINUTE), 9)).unwrap(), 1);
    let answer = world.close(late);
    assert!(matches!(answer.outcome.error, Some(Error::Lost(Verdict::Unknown))));
    assert!(run(world.rows.sessions_of(&Subject::from("ann"), None, 9)).unwrap().is_empty());
}

#[test]
fn a_revoked_session_stays_revoked_whatever_is_in_flight() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let (key, _) = world.visit(&browser, async |session| session.key().unwrap());
    let acts: [fn(&typed_session::Session<Shop>); 5] = [
        |session| session.update(|shop| shop.visits += 1),
        |session| session.update(|shop| shop.user = Some("bob".into())),
        |session| session.rotate(),
        |session| session.set_lifetime(Lifetime::new(DAY, 2 * DAY)),
        |session| session.end(),
    ];
    let open: Vec<_> = acts
        .iter()
        .map(|act| {
            let exchange = world.open(&browser);
            act(&run(exchange.session()).unwrap());
            exchange
        })
        .collect();
    run(world.sessions.end(&key, EndReason::Revoked)).unwrap();
    for exchange in open {
        let answer = world.close(exchange);
        if let Some(line) = answer.set_cookie() {
            assert!(line.starts_with("__Host-session=;"), "{line}");
        }
        assert_eq!(world.read(&browser.clone()).1.verdict, Verdict::Ended(EndReason::Revoked));
    }
}

#[test]
fn the_cookie_of_a_login_is_not_overwritten_by_a_request_that_carried_the_one_before() {
    // In every order of the two.
    let explored = Explorer::new()
        .explore(|_| {
            let world = World::new();
            let browser = world.browser();
            world.change(&browser, |shop| shop.visits = 1);
            let sessions = SessionLayer::<Shop, _>::new(Yielding::new(world.rows, Yields::Before))
                .clock(world.clock.clone());
            let browser = std::sync::Arc::new(browser);
            let request = |user: Option<&'static str>| {
                let (sessions, browser) = (sessions.clone(), browser.clone());
                let cookie = browser.cookie_header(URL).unwrap();
                async move {
                    let exchange = sessions.open([cookie.as_bytes()]);
                    exchange.session().await.unwrap().update(|shop| {
                        shop.visits += 1;
                        shop.user = user.map(str::to_owned);
                    });
                    let outcome = exchange.finish().await;
                    browser.receive(URL, outcome.effects.set_cookie());
                }
            };
            let (login, write) = (request(Some("ann")), request(None));
            Scenario::new().task(login).task(write).check(move || {
                let cookie = browser.cookie_header(URL).unwrap();
                let exchange = sessions.open([cookie.as_bytes()]);
                match run(exchange.session()).unwrap().read(|shop| shop.user.clone()) {
                    Some(_) => Ok(()),
                    None => Err("logged out".to_owned()),
                }
            })
        })
        .unwrap();
    assert!(explored.complete);
}

#[test]
fn of_parallel_renewals_none_is_an_error_and_one_id_is_left() {
    let stay = Lifetime::new(DAY, 30 * DAY).persistent();
    let world = World::with(|sessions| sessions.lifetime(stay).rotation(Rotation::default()));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(HOUR);
    let open: Vec<_> = (0..5)
        .map(|_| {
            let exchange = world.open(&browser);
            run(exchange.session()).unwrap();
            exchange
        })
        .collect();
    let mut cookies = Vec::new();
    for exchange in open {
        let answer = world.close(exchange);
        answer.is_fine();
        cookies.extend(answer.set_cookie().map(|_| answer.cookie()));
        answer.reach(&browser);
    }
    cookies.dedup();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
}

#[test]
fn a_failure_right_after_a_login_loses_no_session() {
    // The store fails before: the old id is still good.
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, When::Before);
    let (_, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.user = Some("ann".into()));
    });
    assert_eq!((answer.status(), answer.set_cookie()), (503, None));
    let (shop, answer) = world.read(&browser);
    assert_eq!((shop.visits, shop.user, answer.verdict), (1, None, Verdict::Resumed));
    // The handler answers 500 after a commit: the cookie goes with the error response.
    let (_, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.user = Some("ann".into()));
        session.commit().await.unwrap();
        500
    });
    assert!(answer.set_cookie().is_some());
    assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
}

#[test]
fn a_session_that_becomes_a_users_later_is_in_the_users_index() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.log_in(&browser, "ann");
    let (key, _) = world.visit(&browser, async |session| session.key());
    let of = |name: &str| run(world.rows.sessions_of(&Subject::from(name), None, 9)).unwrap();
    assert_eq!(of("ann"), [key.unwrap()]);
    world.change(&browser, |shop| shop.user = Some("bob".into()));
    assert_eq!((of("ann"), of("bob")), (vec![], vec![key.unwrap()]));
    world.visit(&browser, async |session| session.end());
    assert!(of("bob").is_empty());
}

// Identity.

#[test]
fn an_id_of_the_attackers_choice_is_never_adopted_also_after_an_end() {
    let world = World::new();
    let chosen = format!("__Host-session={}", "A".repeat(43));
    for ends in [false, true] {
        let (_, answer) = world.ask(Some(&chosen), async |session| {
            if ends {
                session.end();
            }
            session.update(|shop| shop.user = Some("victim".into()));
        });
        answer.is_fine();
        assert_ne!(answer.cookie(), chosen);
        assert_eq!(world.ask(Some(&chosen), async |_| ()).1.verdict, Verdict::Unknown);
    }
}

#[test]
fn the_id_changes_with_the_subject_and_the_old_one_is_dead_at_once() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let mut ids = vec![browser.cookie_header(URL).unwrap()];
    for user in [Some("ann"), Some("bob"), None, Some("bob")] {
        world.change(&browser, |shop| shop.user = user.map(str::to_owned));
        let now = browser.cookie_header(URL).unwrap();
        assert!(!ids.contains(&now));
        for old in &ids {
            let (shop, answer) = world.ask(Some(old), async |session| session.read(Shop::clone));
            assert_eq!((shop, answer.verdict), (Shop::default(), Verdict::Superseded));
        }
        ids.push(now);
    }
    world.visit(&browser, async |session| session.rotate());
    assert!(!ids.contains(&browser.cookie_header(URL).unwrap()));
    let (_, answer) = world.ask(ids.last().map(String::as_str), async |_| ());
    assert_eq!(answer.verdict, Verdict::Superseded);
}

#[test]
fn only_the_key_of_a_session_is_ever_seen_by_a_store_or_an_observer() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default()));
    let browser = world.browser();
    let mut cookies = Vec::new();
    let mut rows: Vec<Record> = Vec::new();
    let mut keys = Vec::new();
    let steps: [&dyn Fn(&Browser); 5] = [
        &|browser| drop(world.log_in(browser, "ann")),
        &|browser| {
            world.clock.advance(15 * MINUTE);
            world.read(browser);
        },
        &|browser| drop(world.read(browser)),
        &|browser| drop(world.visit(browser, async |session| session.rotate())),
        &|browser| drop(world.change(browser, |shop| shop.user = Some("bob".into()))),
    ];
    for step in steps {
        step(&browser);
        cookies.extend(browser.cookie_header(URL));
        let (key, _) = world.visit(&browser.clone(), async |session| session.key());
        rows.extend(run(world.rows.load(&key.unwrap())).unwrap());
        keys.push(key.unwrap());
    }
    keys.dedup();
    assert_eq!(keys.len(), 1, "the key is stable");
    cookies.dedup();
    assert_eq!(cookies.len(), 4);
    let events = world.events.take().join("\n");
    assert!(events.contains(&keys[0].to_string()));
    for cookie in &cookies {
        let id = id_of(cookie);
        assert!(!events.contains(id));
        for row in &rows {
            let body = row.body.to_vec();
            assert!(!body.windows(id.len()).any(|window| window == id.as_bytes()));
            for half in [&decoded(id)[..16], &decoded(id)[16..]] {
                assert!(!body.windows(half.len()).any(|window| window == half));
                assert!(!keys[0].as_bytes().windows(16).any(|window| window == half));
            }
        }
    }
    // A half of 128 bits each.
    assert_eq!(decoded(id_of(&cookies[0])).len(), 32);
}

/// base64url, by hand.
fn decoded(text: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = 0u32;
    let (mut count, mut bytes) = (0, Vec::new());
    for character in text.chars() {
        bits = bits << 6 | alphabet.find(character).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[test]
fn nothing_that_is_debugged_shows_an_id() {
    fn is_debug<T: std::fmt::Debug>() {}
    is_debug::<SessionId>();
    let world = World::new();
    let browser = world.browser();
    let exchange = world.open(&browser);
    let session = run(exchange.session()).unwrap();
    session.update(|shop| shop.user = Some("ann".into()));
    run(session.commit()).unwrap();
    let effects = session.effects();
    let id = id_of(effects.set_cookie().unwrap()).to_owned();
    let headers: Vec<_> = effects.headers().map(|header| format!("{header:?}")).collect();
    let pending = format!("{:?}", exchange.pending());
    let text = format!("{session:?} {exchange:?} {pending} {effects:?} {headers:?}");
    let outcome = format!("{:?}", run(exchange.finish()));
    assert!(!text.contains(&id) && !outcome.contains(&id));
    assert!(!text.contains("ann"));
}

// Failure.

#[test]
fn an_outage_is_not_a_logout() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Other] {
        let world = World::new();
        let browser = world.browser();
        world.log_in(&browser, "ann");
        world.faults.every(Verb::Load, kind, When::Before);
        let exchange = world.open(&browser);
        let error = run(exchange.session()).unwrap_err();
        assert_eq!(error.status(), 503);
        assert!(matches!(&error, Error::Store(error) if error.kind() == kind));
        assert!(std::error::Error::source(&error).is_some(), "the engine's words are kept");
        assert!(!error.public_message().contains("told to fail"));
        let answer = world.close(exchange);
        assert_eq!(answer.set_cookie(), None);
        assert_eq!(answer.outcome.effects.headers().count(), 2, "no-store and Vary");
        world.faults.clear();
        assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
    }
}

#[test]
fn a_load_that_failed_can_be_tried_again_in_the_same_request() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.faults.nth(1, Verb::Load, ErrorKind::Unavailable, When::After);
    let exchange = world.open(&browser);
    run(exchange.session()).unwrap_err();
    let session = run(exchange.session()).unwrap();
    assert_eq!(session.read(|shop| shop.user.clone()).as_deref(), Some("ann"));
    world.close(exchange).is_fine();
}

#[test]
fn a_corrupt_row_is_neither_an_outage_nor_absent() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.faults.nth(1, Verb::Load, ErrorKind::Corrupt, When::Before);
    let (_, answer) = world.ask(browser.cookie_header(URL).as_deref(), async |_| ());
    assert_eq!((answer.verdict, answer.status()), (Verdict::Undecodable, 200));
    assert!(world.events.names().contains(&"Failed".to_owned()));
    assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"), "the row is kept");
}

#[test]
fn a_body_that_makes_no_sense_is_undecodable_for_one_request_and_not_for_ever() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let (key, _) = world.visit(&browser, async |session| session.key().unwrap());
    let record = run(world.rows.load(&key)).unwrap().unwrap();
    for body in [vec![], vec![0xff; 9], b"{\"visits\":1}".to_vec()] {
        let there = run(world.rows.load(&key)).unwrap().unwrap();
        let next = typed_session::Revision::from_u64(there.revision.as_u64() + 1);
        let broken = Record { revision: next, body: body.into(), ..record.clone() };
        let _ = run(world.rows.replace(&key, there.revision, &broken)).unwrap();
        let other = browser.clone();
        let (_, answer) = world.visit(&other, async |session| {
            session.update(|shop| shop.visits = 5);
        });
        assert_eq!((answer.verdict, answer.status()), (Verdict::Undecodable, 200));
        assert_eq!(world.read(&other).0.visits, 5, "a fresh session");
        assert_eq!(run(world.rows.load(&key)).unwrap(), Some(broken), "the row is kept");
    }
}

#[test]
fn a_record_that_is_too_large_is_the_applications_fault() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.faults.nth(1, Verb::Replace, ErrorKind::TooLarge, When::Before);
    let (_, answer) = world.visit(&browser, async |session| session.update(|s| s.visits = 2));
    assert_eq!((answer.status(), answer.set_cookie()), (500, None));
    assert_eq!(world.read(&browser).0.visits, 1);
}

#[derive(Debug)]
struct NoEntropy;

impl typed_session::Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), typed_session::EntropyError> {
        Err(typed_session::EntropyError::new("dry"))
    }
}

#[test]
fn without_randomness_there_is_no_id_and_no_weaker_one() {
    let world = World::with(|sessions| sessions.dangerous_entropy(NoEntropy));
    let browser = world.browser();
    let (_, answer) = world.visit(&browser, async |session| session.update(|s| s.visits = 2));
    assert_eq!((answer.status(), answer.set_cookie(), answer.calls.total()), (503, None, 0));
}

// Time.

#[test]
fn the_store_is_not_trusted_for_expiry() {
    // Nothing is ever cleaned up here.
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(400 * DAY);
    let (shop, answer) = world.read(&browser);
    assert_eq!((shop.user, answer.verdict), (None, Verdict::AbsoluteExpired));
}

#[test]
fn a_touch_of_a_careless_store_does_not_outlive_the_absolute_deadline() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let (key, _) = world.visit(&browser, async |session| session.key().unwrap());
    let there = run(world.rows.load(&key)).unwrap().unwrap();
    run(world.rows.touch(&key, there.revision, START.plus(400 * DAY))).unwrap();
    world.clock.advance(DAY - SECOND);
    assert_eq!(world.read(&browser.clone()).1.verdict, Verdict::Resumed);
    world.clock.advance(SECOND);
    assert_eq!(world.read(&browser).1.verdict, Verdict::AbsoluteExpired);
}

#[test]
fn no_lifetime_wraps_around() {
    let forever = Lifetime::new(Duration::MAX, Duration::MAX).persistent();
    let world = World::with(|sessions| sessions.lifetime(forever));
    let browser = world.browser();
    let answer = world.log_in(&browser, "ann");
    assert!(answer.set_cookie().unwrap().contains("Max-Age=34560000"), "{answer:?}");
    world.clock.advance(399 * DAY);
    assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
    let (lifetime, _) = world.visit(&browser, async |session| session.lifetime());
    assert_eq!(lifetime.unwrap().cookie(), CookieLifetime::Persistent);
}

// Cookies.

#[test]
fn a_removal_removes_whatever_the_policy_is() {
    use typed_session::cookie::{Attributes, CookiePolicy};
    let shared = Attributes { domain: Some("shop.example".into()), ..Attributes::default() };
    let path = Attributes { path: Some("/app".into()), ..Attributes::default() };
    for (policy, url) in [
        (CookiePolicy::default(), URL),
        (CookiePolicy::default().with_same_site_strict(), URL),
        (CookiePolicy::new("__Secure-session", shared).unwrap(), URL),
        (CookiePolicy::new("sid", path).unwrap(), "https://shop.example/app/x"),
        (CookiePolicy::dangerous_plain_http_on_localhost(), "http://localhost:3000/"),
    ] {
        let world = World::with(|sessions| {
            sessions.cookie(policy.clone()).clear_site_data(ClearSiteData::CacheAndStorage)
        });
        let browser = world.browser();
        for end in [false, true] {
            let exchange = world.open_with(browser.cookie_header(url).as_deref());
            let session = run(exchange.session()).unwrap();
            if end {
                session.end();
            } else {
                session.update(|shop| shop.visits = 1);
            }
            let answer = world.close(exchange);
            assert!(browser.receive(url, answer.set_cookie()).iter().all(Result::is_ok));
            assert_eq!(browser.cookies().len(), usize::from(!end), "{policy:?}");
        }
    }
}

#[test]
fn rotated_and_ended_in_one_request_is_one_cookie() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let (_, answer) = world.visit(&browser, async |session| {
        session.rotate();
        session.commit().await.unwrap();
        session.end();
    });
    // `Answer` holds every response to at most one.
    assert!(answer.set_cookie().unwrap().starts_with("__Host-session=;"));
    assert_eq!(browser.cookie_header(URL), None);
}

// Interface.

#[test]
fn options_that_are_set_are_obeyed() {
    let world = World::with(|sessions| {
        sessions.touch_every(10 * MINUTE).remember_ended(5 * MINUTE).remember_superseded(7 * MINUTE)
    });
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.clock.advance(10 * MINUTE - SECOND);
    assert_eq!(world.read(&browser).1.calls.touch, 0);
    world.clock.advance(SECOND);
    assert_eq!(world.read(&browser).1.calls.touch, 1);
    let before = browser.clone();
    world.log_in(&browser, "ann");
    world.clock.advance(7 * MINUTE - SECOND);
    assert_eq!(world.read(&before).1.verdict, Verdict::Superseded);
    world.clock.advance(SECOND);
    assert_eq!(world.read(&before).1.verdict, Verdict::Forged);
    let (key, _) = world.visit(&browser, async |session| {
        let key = session.key().unwrap();
        session.end();
        key
    });
    let tombstone = run(world.rows.load(&key)).unwrap().unwrap();
    assert_eq!(tombstone.expires_at, START.plus(17 * MINUTE).plus(5 * MINUTE));
}

// The core, on any runtime: bytes in, strings out.

async fn bytes_in_strings_out() {
    let sessions = SessionLayer::<Shop, _>::new(typed_session::store::MemoryStore::new());
    let first = sessions.open([&b"theme=dark"[..]]);
    first.session().await.unwrap().update(|shop| shop.visits = 1);
    let outcome = first.finish().await;
    assert!(outcome.error.is_none());
    let headers: Vec<_> = outcome.effects.headers().map(|h| (h.name, h.value)).collect();
    let [("set-cookie", line), ("cache-control", "no-store"), ("vary", "Cookie")] = headers[..]
    else {
        panic!("{} headers", headers.len());
    };
    let cookie = line.split(';').next().unwrap();
    let second = sessions.open([cookie.as_bytes()]);
    let session = second.session().await.unwrap();
    session.transact(|shop| shop.visits += 1).await.unwrap();
    assert_eq!(session.read(|shop| shop.visits), 2);
    let outcome = second.finish().await;
    assert!(outcome.error.is_none());
}

#[test]
fn the_core_runs_on_any_runtime() {
    futures_executor::block_on(bytes_in_strings_out());
    smol::block_on(bytes_in_strings_out());
    smol::block_on(smol::spawn(bytes_in_strings_out()));
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    tokio.block_on(async { tokio::spawn(bytes_in_strings_out()).await.unwrap() });
}
