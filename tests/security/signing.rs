//! Signed and private ids, and their keys. That all the rest is as with unsigned ids is in the
//! lifecycle table and in the histories of the core's tests.

#[cfg(feature = "sealed")]
use std::sync::Arc;
#[cfg(feature = "sealed")]
use std::sync::atomic::{AtomicBool, Ordering};

use typed_session::cookie::{Attributes, CookiePolicy};
#[cfg(feature = "sealed")]
use typed_session::testing::SeededEntropy;
use typed_session::testing::schedule::run;
use typed_session::testing::{Calls, bare_id};
#[cfg(feature = "sealed")]
use typed_session::{Entropy, EntropyError, Session};
use typed_session::{IdForm, Lifetime, Rotation, Transport, Verdict};

#[cfg(feature = "sealed")]
use super::world::URL;
use super::world::{DAY, Form, MINUTE, SECOND, Shop, Way, World, id_of, keys};

fn each() -> impl Iterator<Item = (Way, Form)> {
    Way::ALL.into_iter().flat_map(|way| Form::guarded().map(move |form| (way, form)))
}

fn world(way: Way, form: IdForm) -> World {
    World::by(way, |sessions| sessions.id_form(form))
}

/// A server beside it, with another form.
fn other(world: &World, form: IdForm) -> World {
    world.beside(world.sessions.clone().id_form(form))
}

fn count(shop: &mut Shop) {
    shop.visits += 1;
}

/// A session, and its cookie.
fn visited(world: &World) -> String {
    world.change(&world.browser(), count).cookie()
}

/// What becomes of this cookie, and what it costs to read.
#[track_caller]
fn look(world: &World, cookie: &str) -> (Verdict, Calls) {
    let ((), answer) = world.ask(Some(cookie), async |_| ());
    (answer.verdict, answer.calls)
}

/// A request with this cookie is refused without any store call; and a write begins a new session.
#[track_caller]
fn is_refused(world: &World, cookie: &str, verdict: Verdict, what: &str) {
    world.events.take();
    assert_eq!(look(world, cookie), (verdict, Calls::default()), "{what}");
    let expected = format!("Rejected {{ key: None, verdict: {verdict:?} }}");
    assert_eq!(world.events.take(), [expected], "{what}");
    let ((), answer) = world.ask(Some(cookie), async |session| session.update(count));
    assert_eq!((answer.calls.insert, answer.calls.total()), (1, 1), "{what}");
    let [theirs, ours] = [cookie, &answer.cookie()].map(|cookie| id_of(cookie).to_owned());
    assert_ne!(theirs, ours, "{what}: adopted");
    assert_ne!(Some(theirs.get(..42)), Some(ours.get(..42)), "{what}: adopted");
}

fn with_value(value: impl std::fmt::Display) -> String {
    format!("__Host-session={value}")
}

// ---- Forgeries.

#[test]
fn asvs_9_1_1_an_id_that_no_key_vouches_for_costs_no_store_call_and_is_never_adopted() {
    for (way, form) in each() {
        let world = world(way, form.with(keys(&[1])));
        let cookie = visited(&world);
        assert_eq!(look(&world, &cookie).0, Verdict::Resumed);
        let text = id_of(&cookie);
        let what = format!("{way:?}, {form:?}");

        // One character after the other.
        for at in 0..text.len() {
            let mut forged = text.to_owned().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = with_value(String::from_utf8(forged).unwrap());
            is_refused(&world, &forged, Verdict::Unverified, &what);
        }
        for cut in [1, 42, text.len() - 4, text.len() - 1] {
            is_refused(&world, &with_value(&text[..cut]), Verdict::Malformed, &what);
        }
        for longer in [format!("{text}AAAA"), format!("{text}."), text.repeat(2)] {
            is_refused(&world, &with_value(longer), Verdict::Malformed, &what);
        }
        // The id itself, as a store's operator never sees it but a signer might.
        let bare = world.bare(&cookie);
        assert_eq!(id_of(&bare).len(), 43);
        is_refused(&world, &bare, Verdict::Unverified, &what);
        is_refused(&world, &with_value("A".repeat(43)), Verdict::Unverified, &what);
        is_refused(&world, &with_value("A".repeat(text.len())), Verdict::Unverified, &what);
        assert_eq!(look(&world, &cookie).0, Verdict::Resumed, "it lives on");
    }
}

#[test]
fn asvs_9_1_3_a_key_that_is_not_in_the_ring_vouches_for_nothing() {
    for (way, form) in each() {
        let ours = world(way, form.with(keys(&[1])));
        let cookie = visited(&ours);
        for ring in [keys(&[2]), keys(&[2, 3])] {
            let other = other(&ours, form.with(ring));
            is_refused(&other, &cookie, Verdict::Unverified, &format!("{way:?}, {form:?}"));
        }
        assert_eq!(look(&ours, &cookie).0, Verdict::Resumed);
    }
}

#[test]
fn asvs_9_2_3_an_id_is_good_for_its_own_cookie_or_header_alone_though_the_table_is_the_same() {
    let policy = CookiePolicy::new("admin", Attributes::default()).unwrap();
    for form in Form::guarded() {
        let sessions = |transport: Transport| {
            let world = World::by(Way::Header, |sessions| sessions.id_form(form.with(keys(&[1]))));
            world.beside(world.sessions.clone().transport(transport))
        };
        let places: [(&str, Transport); 5] = [
            ("__Host-session=", Transport::default()),
            ("admin=", Transport::cookie(policy.clone())),
            ("Bearer ", Transport::bearer()),
            ("", Transport::header("x-session").unwrap()),
            ("", Transport::header("admin").unwrap()),
        ];
        let world = sessions(Transport::default());
        for (here, (_, transport)) in places.iter().enumerate() {
            let layer = world.sessions.clone().transport(transport.clone());
            let exchange = layer.open([]);
            let outcome = run(async {
                exchange.session().await.unwrap().update(count);
                exchange.finish().await
            });
            let value = outcome.effects.headers().find(|header| header.is_secret).unwrap().value;
            let text = value.split(';').next().unwrap().rsplit(['=', ' ']).next().unwrap();
            for (there, (before, transport)) in places.iter().enumerate() {
                let layer = world.sessions.clone().transport(transport.clone());
                world.spied.take();
                let value = format!("{before}{text}");
                let exchange = layer.open([value.as_bytes()]);
                let verdict = run(exchange.session()).unwrap().verdict();
                let expected = if here == there { Verdict::Resumed } else { Verdict::Unverified };
                assert_eq!(verdict, expected, "{form:?}: of {here} at {there}");
                assert_eq!(world.spied.calls().total(), usize::from(here == there));
            }
        }
    }
}

#[test]
fn asvs_7_2_1_a_good_signature_is_no_session() {
    for (way, form) in each() {
        let world = world(way, form.with(keys(&[1])));
        let browser = world.browser();
        let cookie = world.log_in(&browser, "ann").cookie();
        world.visit(&browser, async |session| session.end());
        let (verdict, calls) = look(&world, &cookie);
        assert!(matches!(verdict, Verdict::Ended(_)), "{verdict:?}");
        assert_eq!((calls.load, calls.total()), (1, 1));
    }
}

#[test]
fn forged_cookies_hide_nothing_however_many_they_are() {
    for form in Form::guarded() {
        let world = world(Way::Cookie, form.with(keys(&[1])));
        let good = visited(&world);
        let text = id_of(&good);
        let forged = |number: usize| {
            let place = text.len() - 6;
            with_value(format_args!("{}{number:A>6}", &text[..place]))
        };
        let header = (0..10_000).map(forged).chain([good.clone()]).collect::<Vec<_>>().join("; ");
        let (verdict, calls) = look(&world, &header);
        assert_eq!((verdict, calls.load, calls.total()), (Verdict::Resumed, 1, 1));
        // Of those that are signed, five are tried.
        let stray: Vec<String> = (0..9)
            .map(|_| {
                let cookie = visited(&world);
                world.ask(Some(&cookie), async |session| session.end()).1.is_fine();
                cookie
            })
            .collect();
        let (verdict, calls) = look(&world, &[stray.join("; "), good].join("; "));
        assert!(matches!(verdict, Verdict::Ended(_)), "{verdict:?}");
        assert_eq!(calls.load, 5);
    }
}

// ---- New keys.

#[test]
fn what_an_older_key_wrote_is_accepted_and_written_anew_once() {
    for (way, form) in each() {
        let before = world(way, form.with(keys(&[1])));
        let browser = before.browser();
        let old = before.change(&browser, count).cookie();
        let after = other(&before, form.with(keys(&[2, 1])));

        let (shop, answer) = after.read(&browser);
        assert_eq!((shop.visits, answer.verdict), (1, Verdict::Resumed), "{way:?}, {form:?}");
        assert_eq!((answer.calls.load, answer.calls.replace, answer.calls.total()), (1, 1, 2));
        let new = answer.cookie();
        assert_ne!(new, old);
        assert_eq!(after.bare(&new), after.bare(&old), "the id is the same");
        assert!(!answer.set_cookie().unwrap().contains("Max-Age"), "and so is its life");

        let (_, answer) = after.read(&browser);
        assert_eq!((answer.calls.load, answer.calls.total()), (1, 1));
        assert_eq!(answer.set_cookie(), None);

        // The old key goes.
        let later = other(&before, form.with(keys(&[2])));
        assert_eq!(look(&later, &new).0, Verdict::Resumed);
        assert_eq!(look(&later, &old), (Verdict::Unverified, Calls::default()));
    }
}

#[test]
fn an_id_that_is_written_anew_lives_as_long_as_before() {
    let stay = Lifetime::new(14 * DAY, 90 * DAY).persistent();
    for form in Form::guarded() {
        let before = World::with(|sessions| sessions.lifetime(stay).id_form(form.with(keys(&[1]))));
        let browser = before.browser();
        before.change(&browser, count);
        before.clock.advance(SECOND);
        let after = other(&before, form.with(keys(&[2, 1])));
        let line = after.read(&browser).1.set_cookie().unwrap().to_owned();
        assert!(line.ends_with("; Max-Age=1209600"), "{line}");
    }
}

#[test]
fn unsigned_ids_are_accepted_and_signed_while_signing_is_introduced_and_not_after() {
    for (way, form) in each() {
        let before = world(way, IdForm::unsigned());
        let browser = before.browser();
        let unsigned = before.change(&browser, count).cookie();
        let during = other(&before, form.with(keys(&[1])).also_accept(IdForm::unsigned()));
        let after = other(&before, form.with(keys(&[1])));

        is_refused(&after, &unsigned, Verdict::Unverified, &format!("{way:?}, {form:?}"));
        let (shop, answer) = during.read(&browser);
        assert_eq!((shop.visits, answer.calls.replace), (1, 1));
        assert!(id_of(&answer.cookie()).len() > 43);
        assert_eq!(after.bare(&answer.cookie()), unsigned);
        let (shop, answer) = after.read(&browser);
        assert_eq!((shop.visits, answer.verdict), (1, Verdict::Resumed));
        assert_eq!(answer.set_cookie(), None);
    }
}

#[test]
fn an_id_held_anew_already_is_not_written_anew_again_because_of_an_old_copy_beside_it() {
    for form in Form::guarded() {
        let before = world(Way::Cookie, form.with(keys(&[1])));
        let browser = before.browser();
        let old = before.change(&browser, count).cookie();
        let after = other(&before, form.with(keys(&[2, 1])));
        let new = after.read(&browser).1.cookie();
        for both in [format!("{old}; {new}"), format!("{new}; {old}")] {
            let ((), answer) = after.ask(Some(&both), async |_| ());
            assert_eq!((answer.verdict, answer.calls.total()), (Verdict::Resumed, 1));
            assert_eq!(answer.set_cookie(), None);
        }
    }
}

#[test]
fn asvs_7_2_4_the_cookie_of_a_login_is_not_overwritten_by_the_old_id_written_anew() {
    for (way, form) in each() {
        let before = world(way, form.with(keys(&[1])));
        let browser = before.browser();
        let old = before.change(&browser, count).cookie();
        let after = other(&before, form.with(keys(&[2, 1])));

        // It has read, and its response is not there yet, when somebody logs in.
        let slow = after.open(&browser);
        run(slow.session()).unwrap();
        after.log_in(&browser, "ann");
        let late = after.close(slow);
        late.is_fine();
        assert_eq!(late.set_cookie(), None, "{way:?}, {form:?}");
        late.reach(&browser);
        assert_eq!(after.read(&browser).0.user.as_deref(), Some("ann"));

        // And not by a later one either.
        let ((), late) = after.ask(Some(&old), async |_| ());
        assert_eq!((late.verdict, late.calls.total()), (Verdict::Superseded, 1));
        assert_eq!(late.set_cookie(), None);
    }
}

#[test]
fn an_id_before_the_current_one_is_never_written_anew() {
    for (way, form) in each() {
        let rotation = Rotation::default().every(15 * MINUTE).grace(30 * SECOND);
        let before =
            World::by(way, |sessions| sessions.rotation(rotation).id_form(form.with(keys(&[1]))));
        let browser = before.browser();
        let first = before.log_in(&browser, "ann").cookie();
        before.clock.advance(15 * MINUTE);
        before.read(&browser);
        // The successor is shown, so the first one is in its grace.
        let after = other(&before, form.with(keys(&[2, 1])));
        let (_, answer) = after.read(&browser);
        assert_eq!(answer.calls.replace, 1, "adopted, and written anew at once");
        let current = answer.cookie();
        let ((), answer) = after.ask(Some(&first), async |_| ());
        assert_eq!((answer.verdict, answer.calls.total()), (Verdict::Resumed, 1), "in its grace");
        assert_eq!(answer.set_cookie(), None, "{way:?}, {form:?}");
        assert_eq!(look(&after, &current).0, Verdict::Resumed);
    }
}

#[test]
fn of_parallel_requests_with_an_old_text_each_gets_the_same_id() {
    for (way, form) in each() {
        let before = world(way, form.with(keys(&[1])));
        let browser = before.browser();
        before.change(&browser, count);
        let after = other(&before, form.with(keys(&[2, 1])));
        let requests = [after.open(&browser), after.open(&browser), after.open(&browser)];
        for request in &requests {
            run(request.session()).unwrap();
        }
        let given = requests.map(|request| {
            let answer = after.close(request);
            answer.is_fine();
            after.bare(&answer.cookie())
        });
        assert!(given.iter().all(|id| *id == given[0]), "{way:?}, {form:?}");
    }
}

// ---- Private ids.

/// A random source that can fail.
#[cfg(feature = "sealed")]
#[derive(Clone)]
struct Fragile {
    seeded: Arc<SeededEntropy>,
    fails: Arc<AtomicBool>,
}

#[cfg(feature = "sealed")]
impl Entropy for Fragile {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        if self.fails.load(Ordering::Relaxed) && buffer.len() == 24 {
            return Err(EntropyError::new("no nonce today"));
        }
        self.seeded.fill(buffer)
    }
}

#[cfg(feature = "sealed")]
#[test]
fn parallel_requests_are_offered_the_same_successor_in_different_texts() {
    let rotation = Rotation::default().every(15 * MINUTE);
    let world =
        World::with(|sessions| sessions.rotation(rotation).id_form(IdForm::private(keys(&[1]))));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(15 * MINUTE);
    let cookie = browser.cookie_header(URL);
    let offers = [(), (), ()].map(|()| world.ask(cookie.as_deref(), async |_| ()).1.cookie());
    assert!(offers[0] != offers[1] && offers[1] != offers[2], "a nonce for each");
    let ids = offers.each_ref().map(|offer| world.bare(offer));
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "and one id");
    for offer in &offers {
        assert_eq!(look(&world, offer).0, Verdict::Resumed);
    }
}

#[cfg(feature = "sealed")]
#[test]
fn without_randomness_no_private_id_is_written_and_nothing_is_stored() {
    let fails = Arc::new(AtomicBool::new(true));
    let fragile = Fragile { seeded: Arc::new(SeededEntropy::new(1)), fails: Arc::clone(&fails) };
    let world = World::with(|sessions| {
        sessions.dangerous_entropy(fragile).id_form(IdForm::private(keys(&[1])))
    });
    let browser = world.browser();
    let ((), answer) = world.visit(&browser, async |session| session.update(count));
    assert_eq!((answer.status(), answer.calls.total()), (503, 0));
    fails.store(false, Ordering::Relaxed);
    let before = world.change(&browser, count).cookie();

    // A login fails as a whole: there is no session whose id nobody got.
    fails.store(true, Ordering::Relaxed);
    let log_in =
        async |session: &Session<Shop>| session.update(|shop| shop.user = Some("ann".into()));
    let ((), answer) = world.visit(&browser, log_in);
    assert_eq!((answer.status(), answer.calls.replace), (503, 0));
    assert_eq!(look(&world, &before).0, Verdict::Resumed);

    // What is mere upkeep waits.
    let after = other(&world, IdForm::private(keys(&[2, 1])));
    let (shop, answer) = after.read(&browser);
    assert_eq!((shop.visits, shop.user, answer.status()), (1, None, 200));
    assert_eq!((answer.set_cookie(), answer.calls.replace), (None, 0));
    fails.store(false, Ordering::Relaxed);
    assert_eq!(after.read(&browser).1.calls.replace, 1);
}

#[cfg(feature = "sealed")]
#[test]
fn a_private_id_shows_nothing_of_the_id() {
    for way in Way::ALL {
        let world = world(way, IdForm::private(keys(&[1])));
        let cookie = visited(&world);
        let bare = world.bare(&cookie);
        let text = id_of(&cookie);
        assert_eq!((text.len(), id_of(&bare).len()), (104, 43));
        let ids = id_of(&bare).as_bytes();
        assert!(!text.as_bytes().windows(5).any(|part| ids.windows(5).any(|other| other == part)));
    }
}

// ---- The settings.

#[test]
fn asvs_3_3_5_a_cookies_name_leaves_room_for_the_longest_form() {
    let longest = "n".repeat(4096 - 104);
    assert!(CookiePolicy::new(longest.clone() + "n", Attributes::default()).is_err());
    let policy = CookiePolicy::new(longest.clone(), Attributes::default()).unwrap();
    for form in Form::ALL {
        let world =
            World::with(|sessions| sessions.cookie(policy.clone()).id_form(form.with(keys(&[1]))));
        let exchange = world.sessions.open([]);
        let outcome = run(async {
            exchange.session().await.unwrap().update(count);
            exchange.finish().await
        });
        let line = outcome.effects.set_cookie().expect("a cookie").to_owned();
        let pair = line.split(';').next().unwrap();
        assert!(pair.len() <= 4096 + "=".len() && pair.starts_with(&longest));
        assert!(bare_id(&world.sessions, [pair.as_bytes()]).is_some(), "{form:?}");
    }
}

#[test]
fn nothing_that_is_shown_of_a_layer_shows_a_key_or_an_id() {
    for (way, form) in each() {
        let world = world(way, form.with(keys(&[1])));
        let browser = world.browser();
        let cookie = world.log_in(&browser, "ann").cookie();
        look(&world, &cookie);
        let id = world.bare(&cookie);
        let shown = format!("{:?} {:?}", world.sessions, world.events.take());
        let key_id = keys(&[1]).key_ids().next().unwrap();
        assert!(shown.contains(&key_id.to_string()), "which key it is, is no secret: {shown}");
        for secret in [id_of(&cookie), id_of(&id)] {
            assert!(!shown.contains(secret) && !shown.contains(&secret[..12]));
        }
    }
}

#[test]
fn the_order_of_the_setters_does_not_matter() {
    let policy = CookiePolicy::new("sid", Attributes::default()).unwrap();
    let one = World::with(|sessions| sessions.sign_ids(keys(&[1])).cookie(policy.clone()));
    let two = one.beside(one.sessions.clone().cookie(policy.clone()).sign_ids(keys(&[1])));
    let exchange = one.sessions.open([]);
    let outcome = run(async {
        exchange.session().await.unwrap().update(count);
        exchange.finish().await
    });
    let line = outcome.effects.set_cookie().unwrap().to_owned();
    let exchange = two.sessions.open([line.split(';').next().unwrap().as_bytes()]);
    assert_eq!(run(exchange.session()).unwrap().verdict(), Verdict::Resumed);
}
