//! Attacks on what the library promises, each as small as it could be made.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use serde::{Deserialize, Serialize};
use typed_session::cookie::{Attributes, CookiePolicy};
use typed_session::store::{ErrorKind, MemoryStore, Replaced, Revision, Store};
use typed_session::testing::schedule::run;
use typed_session::testing::{ManualClock, SeededEntropy, Verb, When, Yielding, Yields};
use typed_session::{
    EndReason, Entropy, EntropyError, Lifetime, Reuse, Rotation, Session, SessionData,
    SessionLayer, Subject, Verdict,
};

use crate::world::{DAY, HOUR, MINUTE, START, Shop, URL, World, id_of};

const STAY: Lifetime = Lifetime::new(
    std::time::Duration::from_secs(14 * 24 * 60 * 60),
    std::time::Duration::from_secs(90 * 24 * 60 * 60),
);

// ---- The cookie of a login.

#[test]
fn a_successor_that_a_late_response_offers_does_not_overwrite_the_cookie_of_a_login() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default()));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(20 * MINUTE);
    // Offered to another tab, whose response is lost.
    let (_, lost) = world.ask(browser.cookie_header(URL).as_deref(), async |_| ());
    assert!(lost.set_cookie().is_some());
    // A slow request that only reads; meanwhile the user switches.
    let late = world.open(&browser);
    run(late.session()).unwrap();
    world.log_in(&browser, "bob");
    let answer = world.close(late);
    answer.reach(&browser);
    let (shop, answer) = world.read(&browser);
    assert_eq!((answer.verdict, shop.user.as_deref()), (Verdict::Resumed, Some("bob")));
}

#[test]
fn a_request_that_turns_out_to_be_superseded_drops_the_cookie_of_its_earlier_commit() {
    let world = World::with(|sessions| sessions.lifetime(STAY.persistent()));
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    world.clock.advance(DAY);
    let late = world.open(&browser);
    let session = run(late.session()).unwrap();
    // It renews the cookie, in the middle of the request.
    run(session.commit()).unwrap();
    world.log_in(&browser, "ann");
    session.update(|shop| shop.visits += 1);
    let answer = world.close(late);
    assert_eq!((answer.status(), answer.set_cookie()), (409, None));
    answer.reach(&browser);
    assert_eq!(world.read(&browser).0.user.as_deref(), Some("ann"));
}

// ---- Logouts.

#[test]
fn a_logout_under_a_superseded_id_is_no_success() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let before = browser.cookie_header(URL);
    // Another tab proves again who the user is; then the logout comes, sent before.
    world.visit(&browser, async |session| session.reauthenticate());
    let (_, answer) = world.ask(before.as_deref(), async |session| session.end());
    assert_eq!(answer.verdict, Verdict::Superseded);
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed, "it still lives");
    assert_eq!((answer.status(), answer.set_cookie()), (409, None));
}

#[test]
fn a_logout_by_a_reset_beside_a_write_leaves_nothing_of_the_last_subject() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let logout = world.open(&browser);
    run(logout.session()).unwrap().replace(Shop::default());
    world.change(&browser, |shop| shop.note = "ann's diagnosis".into());
    let answer = world.close(logout);
    answer.reach(&browser);
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.user.as_deref(), shop.note.as_str()), (None, ""));
}

#[test]
fn a_logout_by_a_transaction_beside_a_clones_write_leaves_nothing_of_the_last_subject() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let (result, answer) = world.visit(&browser, async |session| {
        session
            .transact(|shop| {
                // As another task would, while the transaction is on its way.
                session.update(|shop| shop.note = "ann's diagnosis".into());
                *shop = Shop::default();
            })
            .await
    });
    result.unwrap();
    answer.reach(&browser);
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.user.as_deref(), shop.note.as_str()), (None, ""));
}

#[test]
fn an_end_and_then_a_transaction_are_a_tombstone_and_a_new_session() {
    let world = World::new();
    let browser = world.browser();
    let before = world.log_in(&browser, "ann").cookie();
    let (result, answer) = world.visit(&browser, async |session| {
        session.end();
        session
            .transact(|shop| {
                assert_eq!(*shop, Shop::default());
                shop.visits = 1;
            })
            .await
    });
    result.unwrap();
    answer.is_fine();
    assert_ne!(id_of(&answer.cookie())[..21], id_of(&before)[..21], "another locator");
    assert_eq!(world.read(&browser).0, Shop { visits: 1, ..Shop::default() });
    let (_, answer) = world.ask(Some(&before), async |_| ());
    assert_eq!(answer.verdict, Verdict::Ended(EndReason::Logout));
}

#[test]
fn a_row_that_makes_no_sense_does_not_keep_the_others_logged_in() {
    let world = World::new();
    let browsers = [world.browser(), world.browser(), world.browser()];
    for browser in &browsers {
        world.log_in(browser, "ann");
    }
    // The row of the first key is corrupt, however often one tries.
    for _ in 0..3 {
        world.faults.nth(1, Verb::Load, ErrorKind::Corrupt, When::Before);
        let _ = run(world.sessions.end_all(Subject::from("ann"), EndReason::Revoked));
        world.faults.clear();
    }
    let live = browsers.iter().filter(|browser| world.read(browser).0.user.is_some()).count();
    assert_eq!(live, 0);
}

// ---- Deadlines.

#[test]
fn a_touch_in_flight_does_not_undo_a_shorter_idle_limit() {
    let world = World::with(|sessions| sessions.lifetime(STAY));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(DAY);
    let late = world.open(&browser);
    run(late.session()).unwrap();
    world
        .visit(&browser, async |session| session.set_lifetime(Lifetime::new(5 * MINUTE, 90 * DAY)))
        .1
        .is_fine();
    world.close(late).is_fine();
    world.clock.advance(HOUR);
    assert_eq!(world.read(&browser).1.verdict, Verdict::IdleExpired);
}

// ---- Randomness.

struct Failing(Arc<AtomicBool>, SeededEntropy);

impl Entropy for Failing {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(EntropyError::new("none left"));
        }
        self.1.fill(buffer)
    }
}

#[test]
fn a_rotation_for_which_there_is_no_randomness_is_no_failure_of_a_request_that_reads() {
    let fails = Arc::new(AtomicBool::new(false));
    let entropy = Failing(Arc::clone(&fails), SeededEntropy::new(1));
    let world =
        World::with(|sessions| sessions.rotation(Rotation::default()).dangerous_entropy(entropy));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(20 * MINUTE);
    fails.store(true, Ordering::Relaxed);
    assert_eq!(world.read(&browser).1.status(), 200);
}

// ---- Several layers, several programs.

fn layer<T: SessionData>(rows: &Arc<MemoryStore>) -> SessionLayer<T, Arc<MemoryStore>> {
    SessionLayer::new(Arc::clone(rows)).clock(ManualClock::at(START))
}

/// A request; returns the cookie that it set, and the status.
fn request<T: SessionData, R>(
    sessions: &SessionLayer<T, Arc<MemoryStore>>,
    cookie: &str,
    handler: impl FnOnce(&Session<T>) -> R,
) -> (R, Option<String>, u16) {
    run(async {
        let exchange = sessions.open([cookie.as_bytes()]);
        let result = handler(&exchange.session().await.unwrap());
        let outcome = exchange.finish().await;
        let cookie = outcome.effects.set_cookie().map(|line| line.split(';').next().unwrap());
        (result, cookie.map(str::to_owned), outcome.error.map_or(200, |error| error.status()))
    })
}

/// The data of the staff's own pages.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Staff {
    user: Option<String>,
}

impl SessionData for Staff {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

#[test]
fn a_customers_id_under_the_cookie_of_another_layer_on_the_same_store_is_no_session() {
    let rows = Arc::new(MemoryStore::new());
    let shop = layer::<Shop>(&rows);
    let staff = layer::<Staff>(&rows)
        .cookie(CookiePolicy::new("__Host-staff", Attributes::default()).unwrap());
    let (_, cookie, _) =
        request(&shop, "", |session| session.update(|shop| shop.user = Some("boss".into())));
    let forged = format!("__Host-staff={}", id_of(&cookie.unwrap()));
    let (user, _, _) = request(&staff, &forged, |session| session.read(|data| data.user.clone()));
    assert_eq!(user, None);
}

/// The shop after a release that names its subjects in another way.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Renamed {
    user: Option<String>,
    visits: u64,
    note: String,
}

impl SessionData for Renamed {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(|user| Subject::from(format!("shop:{user}")))
    }
}

#[test]
fn a_release_that_names_subjects_in_another_way_is_no_switch_of_user() {
    let rows = Arc::new(MemoryStore::new());
    let old = layer::<Shop>(&rows);
    let new = layer::<Renamed>(&rows);
    let (_, cookie, _) = request(&old, "", |session| {
        session.update(|shop| {
            shop.user = Some("ann".into());
            shop.note = "kept".into();
        });
    });
    let cookie = cookie.unwrap();
    let (_, changed, status) =
        request(&new, &cookie, |session| session.update(|shop| shop.visits += 1));
    assert_eq!(status, 200);
    let cookie = changed.unwrap_or(cookie);
    let (data, _, _) = request(&new, &cookie, |session| {
        session.read(|shop| (shop.user.clone(), shop.note.clone(), shop.visits))
    });
    assert_eq!(data, (Some("ann".to_owned()), "kept".to_owned(), 1));
}

// ---- What an attempt leaves behind.

#[test]
fn a_transaction_that_failed_takes_no_later_change_with_it() {
    for when in [When::Before, When::After] {
        let world = World::new();
        let browser = world.browser();
        world.log_in(&browser, "ann");
        let late = world.open(&browser);
        let session = run(late.session()).unwrap();
        world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, when);
        run(session.transact(|shop| shop.language = "fr".into())).unwrap_err();
        world.change(&browser, |shop| shop.visits = 1);
        session.update(|shop| shop.note = "late".into());
        world.close(late).is_fine();
        let (shop, _) = world.read(&browser);
        assert_eq!((shop.visits, shop.note.as_str()), (1, "late"), "{when:?}");
    }
}

// ---- Ends in races.

#[test]
fn an_old_id_that_is_shown_again_does_not_end_a_login_that_came_in_between() {
    let rotation = Rotation::default().on_reuse(Reuse::EndSession);
    let world = World::with(|sessions| sessions.rotation(rotation));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let thief = browser.cookie_header(URL).unwrap();
    world.clock.advance(20 * MINUTE);
    // Offered, shown, and the grace is over.
    world.read(&browser);
    world.read(&browser);
    world.clock.advance(MINUTE);
    let slow = SessionLayer::<Shop, _>::new(Yielding::new(Arc::clone(&world.rows), Yields::Before))
        .rotation(rotation)
        .clock(world.clock.clone());
    let exchange = slow.open([thief.as_bytes()]);
    {
        let mut load = pin!(exchange.session());
        let mut context = Context::from_waker(Waker::noop());
        // To the load, and through it to the end.
        for _ in 0..2 {
            assert!(load.as_mut().poll(&mut context).is_pending());
        }
        world.visit(&browser, async |session| session.reauthenticate()).1.is_fine();
        run(load).unwrap();
    }
    assert!(run(exchange.finish()).error.is_none());
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
}

#[test]
fn an_end_by_a_clone_while_the_response_is_finished_is_an_end() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let cookie = browser.cookie_header(URL).unwrap();
    let slow = SessionLayer::<Shop, _>::new(Yielding::new(Arc::clone(&world.rows), Yields::Before))
        .clock(world.clock.clone());
    let exchange = slow.open([cookie.as_bytes()]);
    let session = run(exchange.session()).unwrap();
    session.update(|shop| shop.visits = 1);
    let mut finish = pin!(exchange.finish());
    let mut context = Context::from_waker(Waker::noop());
    assert!(finish.as_mut().poll(&mut context).is_pending());
    session.end();
    assert!(run(finish).error.is_none());
    assert_eq!(world.read(&browser).1.verdict, Verdict::Ended(EndReason::Logout));
}

#[test]
fn a_logout_from_a_record_of_a_later_format_is_no_silent_success() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let (key, _) = world.visit(&browser, async |session| session.key().unwrap());
    let mut record = run(world.rows.load(&key)).unwrap().unwrap();
    // As a newer program on the same store would write it.
    record.body.0[0] = 2;
    let (expected, next) = (record.revision, record.revision.as_u64() + 1);
    record.revision = Revision::from_u64(next);
    assert_eq!(run(world.rows.replace(&key, expected, &record)).unwrap(), Replaced::Done);
    let (_, answer) =
        world.ask(browser.cookie_header(URL).as_deref(), async |session| session.end());
    assert_eq!(answer.verdict, Verdict::Undecodable);
    assert!(
        answer.status() != 200 || answer.set_cookie().is_some(),
        "neither the row nor the cookie is gone"
    );
}

#[test]
fn a_revocation_under_way_is_not_undone_by_any_write_that_was_loaded_before() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default()));
    let handlers: [fn(&Session<Shop>); 5] = [
        |session| session.update(|shop| shop.user = Some("bob".into())),
        |session| session.rotate(),
        |session| session.reauthenticate(),
        |session| session.set_lifetime(STAY.persistent()),
        |session| drop(session.replace(Shop::default())),
    ];
    for handler in handlers {
        let browser = world.browser();
        world.log_in(&browser, "ann");
        world.clock.advance(20 * MINUTE);
        let late = world.open(&browser);
        let session = run(late.session()).unwrap();
        run(world.sessions.end_all(Subject::from("ann"), EndReason::Revoked)).unwrap();
        handler(&session);
        let answer = world.close(late);
        assert_eq!((answer.status(), answer.set_cookie()), (409, None));
        assert_eq!(world.read(&browser).1.verdict, Verdict::Ended(EndReason::Revoked));
    }
}

#[test]
fn what_is_written_after_the_end_of_a_session_whose_insertion_was_lost_is_a_new_sessions() {
    let both = [When::Before, When::After];
    for (first, second) in both.into_iter().flat_map(|first| both.map(|second| (first, second))) {
        let world = World::new();
        let browser = world.browser();
        world.faults.nth(1, Verb::Insert, ErrorKind::Unavailable, first);
        world.faults.nth(2, Verb::Insert, ErrorKind::Unavailable, second);
        let (_, answer) = world.visit(&browser, async |session| {
            session.update(|shop| shop.user = Some("ann".into()));
            session.commit().await.unwrap_err();
            session.commit().await.unwrap_err();
            session.end();
            session.update(|shop| shop.visits = 1);
        });
        world.faults.clear();
        assert_eq!(answer.status(), 200, "{first:?} {second:?}");
        assert_eq!(world.read(&browser).0, Shop { visits: 1, ..Shop::default() });
    }
}

#[test]
fn a_switch_that_failed_and_is_taken_back_costs_no_data() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.change(&browser, |shop| shop.basket.push("tea".into()));
    world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, When::Before);
    let (_, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.user = Some("bob".into()));
        session.commit().await.unwrap_err();
        session.update(|shop| shop.user = Some("ann".into()));
    });
    answer.is_fine();
    assert_eq!(world.read(&browser).0.basket, ["tea"]);
}
